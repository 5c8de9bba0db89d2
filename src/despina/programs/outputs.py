"""The files that AWS's own tools open, at the output location of a training or transform job.

Names and contents: neptuneml-toolkit ``transform_utils.py`` and graph-notebook ``neptune_ml_utils.py``, which have them for nodes
and links; those for edges with labels are like them. ``mapping.info`` is a pickle because those tools read it as one. It is
protocol 4 and holds built-in types and NumPy arrays only, which is what the restricted unpickler of graph-notebook accepts; nothing
here ever reads it.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import EdgeType, Graph
from despina.learn.predictor import Predictions
from despina.programs.id_maps import write_with_ids
from despina.programs.instances import CPU, smallest
from despina.programs.json_files import write_json
from despina.programs.prediction_table import write_predictions
from despina.programs.serving.artefacts import LAYOUT, Layout


def write_artifacts(folder: Path, graph: Graph, predictions: Predictions, *, model: str, gamma: float = 0.0) -> None:
    """Write everything that tools read of a model, but the model itself; ``model`` is the word for it, ``gamma`` its margin.

    ``embeddings/entity.npy`` has a row for each node that predictions are made from: type by type, by node index, as ``node2gid``
    of ``mapping.info`` says. ``predictions/result.npz`` has ``infer_scores``: of nodes by node index; of edges in the order of
    ``source`` and ``destination``, the node indices beside it, and of ``edge_type``, their type's number in ``target_etype``.
    Beside it stands ``predictions.parquet``, which no tool of AWS's reads.
    Where links are predicted ``embeddings/relation.npy`` has a row for each edge type, in the order of ``relation2id_map``, and
    there are no predictions: all candidates are ranked when they are asked for. The toolkit's ``graph.bin``, a graph in DGL's own
    form, is not written. ``serving.json`` tells endpoints how the rows of the arrays are to be read. Removed nodes have rows too,
    to which ``mapping.info`` does not lead.
    """
    (folder / "embeddings").mkdir()
    _write_entities(folder / "embeddings" / "entity.npy", list(predictions.embeddings.values()))
    if predictions.values:
        (folder / "predictions").mkdir()
        np.savez(folder / "predictions" / "result.npz", allow_pickle=False,
                 infer_scores=np.concatenate(list(predictions.values.values())), **_edges(graph, predictions))
        write_predictions(folder / "predictions", graph, predictions)
    if predictions.relations:
        np.save(folder / "embeddings" / "relation.npy", np.stack(list(predictions.relations.values())), allow_pickle=False)
    write_json(folder / LAYOUT, Layout(
        model=model, task=graph.target.task, entities=tuple((kind, len(rows)) for kind, rows in predictions.embeddings.items()),
        relations=tuple(predictions.relations), predicted=tuple(predictions.values), gamma=gamma))
    with (folder / "mapping.info").open("wb") as file:
        write_with_ids(file, "node2id", graph, _mapping(graph, predictions, model))
    target = graph.target
    write_json(folder / "config.json", {
        "task": target.task, "model": model, "name": f"{target.task}-{model}",
        "infer_type": "online-transductive-infer"} | ({"property": target.property_name} if target.property_name else {}))
    write_json(folder / "infer_instance_recommendation.json", _recommendation(graph, predictions))


def _write_entities(path: Path, parts: list[NDArray[np.float32]]) -> None:
    """The rows of all parts, which may be mapped files themselves."""
    rows, width = sum(map(len, parts)), parts[0].shape[1]
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, width)})
        for part in parts:
            np.ascontiguousarray(part, dtype="<f4").tofile(file)


def write_metrics(folder: Path, measured: dict[str, dict[str, Any]]) -> None:
    """Write ``eval_metrics_info.json`` (``valid``), and ``test_metrics_info.json`` if there is a ``test`` part."""
    for part, name in (("valid", "eval_metrics_info.json"), ("test", "test_metrics_info.json")):
        if part in measured:
            write_json(folder / name, measured[part])


def _edges(graph: Graph, predictions: Predictions) -> dict[str, NDArray[np.int32]]:
    """Which edges the predictions are of; nothing when they are of nodes."""
    types = [kind for kind in predictions.values if isinstance(kind, EdgeType)]
    if not types:
        return {}
    sources, destinations = zip(*(graph.edges[edge_type].ends() for edge_type in types), strict=True)
    return {"source": np.concatenate(sources), "destination": np.concatenate(destinations),
            "edge_type": np.repeat(np.arange(len(types), dtype=np.int32), [len(of_type) for of_type in sources])}


def _mapping(graph: Graph, predictions: Predictions, model: str) -> dict[str, Any]:
    """``mapping.info`` beside ``node2id``: labels and the target, keyed as Neptune ML's toolkit reads them."""
    target = graph.target
    kinds = [tuple(kind) if isinstance(kind, EdgeType) else kind for kind in target.by_type]
    of_edges = isinstance(next(iter(target.by_type)), EdgeType)
    starts = np.cumsum([0, *(len(vectors) for vectors in predictions.embeddings.values())])
    mapping: dict[str, Any] = {
        "model_type": model,
        "node2gid": {node_type: np.arange(start, start + len(vectors), dtype=np.int64)
                     for start, (node_type, vectors) in zip(starts, predictions.embeddings.items(), strict=False)},
        "label_map": {kind: dict(enumerate(target.classes)) for kind in kinds} if target.classes else {},
    }
    if predictions.relations:
        return mapping | {"relation2id_map": {tuple(edge_type): i for i, edge_type in enumerate(predictions.relations)},
                          "nodetype2id_map": {node_type: i for i, node_type in enumerate(graph.node_ids)}}
    if of_edges:
        return mapping | {"target_etype": kinds, "target_etype_property": target.property_name}
    return mapping | {"target_ntype": kinds[0], "target_ntype_property": target.property_name}


def _recommendation(graph: Graph, predictions: Predictions) -> dict[str, Any]:
    """``infer_instance_recommendation.json``: memory and disk in bytes.

    An endpoint holds embeddings, predictions and ids (taken as 200 bytes each) beside 1 GiB for the program.
    """
    arrays = [*predictions.embeddings.values(), *predictions.values.values()]
    held = sum(array.nbytes for array in arrays) + 200 * sum(graph.node_counts.values())
    return {"instance": smallest(CPU, 2**30 + held), "disk_size": 2 * held, "mem_size": 2**30 + held}
