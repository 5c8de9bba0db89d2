"""The files that AWS's own tools open, at the output location of a training or transform job.

Names and contents: neptuneml-toolkit ``transform_utils.py`` and graph-notebook ``neptune_ml_utils.py``. ``mapping.info`` is a
pickle because those tools read it as one. It is protocol 4 and holds built-in types and NumPy arrays only, which is what the
restricted unpickler of graph-notebook accepts; nothing here ever reads it.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from despina.graph.graph import Graph
from despina.learn.checkpoint import Description
from despina.learn.metrics import report
from despina.learn.predictor import Predictions
from despina.programs.instances import CPU, smallest
from despina.programs.json_files import write_json


def write_artifacts(folder: Path, graph: Graph, predictions: Predictions, description: Description) -> None:
    """Write everything that tools read of a node classification, but the model itself.

    Rows of ``embeddings/entity.npy`` and of ``infer_scores`` in ``predictions/result.npz`` are node indices of the target type.
    Removed nodes have rows too, to which ``mapping.info`` does not lead.
    """
    (folder / "embeddings").mkdir()
    np.save(folder / "embeddings" / "entity.npy", predictions.embeddings, allow_pickle=False)
    (folder / "predictions").mkdir()
    np.savez(folder / "predictions" / "result.npz", allow_pickle=False, infer_scores=predictions.probabilities)
    with (folder / "mapping.info").open("wb") as file:
        pickle.dump(_mapping(graph, description), file, protocol=4)
    write_json(folder / "config.json", {
        "task": description.task, "model": description.model, "name": f"{description.task}-{description.model}",
        "infer_type": "online-transductive-infer", "property": graph.target.property_name})
    write_json(folder / "infer_instance_recommendation.json", _recommendation(graph, predictions))


def write_metrics(folder: Path, graph: Graph, predictions: Predictions, *, topk: int) -> dict[str, dict[str, Any]]:
    """Write ``eval_metrics_info.json`` (validation nodes), and ``test_metrics_info.json`` if there are any test nodes.

    Returns:
        Their contents under ``valid`` and ``test``. Without validation nodes the training nodes take their place.
    """
    target, nodes = graph.target, graph.target.nodes
    assert nodes.labels is not None  # noqa: S101 - a classification has labels
    parts = {"valid": ("eval_metrics_info.json", nodes.valid if nodes.valid.any() else nodes.train),
             "test": ("test_metrics_info.json", nodes.test)}
    written = {}
    for part, (name, mask) in parts.items():
        if mask.any():
            written[part] = report(predictions.probabilities[mask], nodes.labels[mask], target.classes, topk=topk)
            write_json(folder / name, written[part])
    return written


def _mapping(graph: Graph, description: Description) -> dict[str, Any]:
    """``mapping.info``: ids, labels and the target, keyed as Neptune ML's toolkit reads them."""
    target = graph.target
    return {
        "model_type": description.model,
        "node2id": {node_type: _indices(graph, node_type) for node_type in graph.node_ids},
        "node2gid": {target.node_type: np.arange(graph.node_counts[target.node_type], dtype=np.int64)},
        "label_map": {target.node_type: dict(enumerate(target.classes))},
        "target_ntype": target.node_type,
        "target_ntype_property": target.property_name,
    }


def _indices(graph: Graph, node_type: str) -> dict[str, int]:
    """Raw id → node index, of the nodes that are not removed: nobody is to be given a prediction for one that is no more."""
    ids = graph.node_ids[node_type]
    removed = set(graph.removed[node_type].tolist()) if node_type in graph.removed else set[int]()
    return {raw: index for index, raw in enumerate(ids) if index not in removed}


def _recommendation(graph: Graph, predictions: Predictions) -> dict[str, Any]:
    """``infer_instance_recommendation.json``: memory and disk in bytes.

    An endpoint holds embeddings, probabilities and ids (taken as 200 bytes each) beside 1 GiB for the program.
    """
    held = predictions.embeddings.nbytes + predictions.probabilities.nbytes + 200 * sum(graph.node_counts.values())
    return {"instance": smallest(CPU, 2**30 + held), "disk_size": 2 * held, "mem_size": 2**30 + held}
