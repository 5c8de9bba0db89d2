"""The files of a processed graph, by the names that AWS's own tools open.

``info.pkl`` is a pickle because those tools read it as one. It is protocol 4 and holds built-in types and NumPy arrays only, which
is what the restricted unpickler of graph-notebook accepts; nothing here ever reads it.
"""

import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from despina.graph.export import Encodings
from despina.graph.graph import Graph
from despina.programs.instances import CPU, GPU, smallest

GRAPH = "graph"
"""The subfolder that ``Graph.load`` reads."""


def write_processed(folder: Path, graph: Graph, encodings: Encodings, hyperparameters: dict[str, Any]) -> None:
    """Write all files of a data-processing job's output.

    Args:
        folder: where to; made when missing.
        graph: the processed graph.
        encodings: how its features were encoded.
        hyperparameters: the content of ``model-hpo-configuration.json``.
    """
    graph.save(folder / GRAPH)
    (folder / "encoding.json").write_bytes(_json(encodings))
    (folder / "model-hpo-configuration.json").write_bytes(_json(hyperparameters))
    (folder / "train_instance_recommendation.json").write_bytes(_json(_recommendation(graph)))
    with (folder / "info.pkl").open("wb") as file:
        pickle.dump(_info(graph, encodings), file, protocol=4)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _info(graph: Graph, encodings: Encodings) -> dict[str, Any]:
    """``info.pkl``: ids, labels and what each feature is, keyed as Neptune ML's toolkit reads them."""
    target = graph.target
    node_features: dict[str, dict[str, dict[str, Any]]] = {}
    for node_type, features in encodings.nodes.items():
        raw = graph.raw_features.get(node_type, {})
        node_features[node_type] = {
            name: {"type": "raw_feat", "raw_feat": raw[name]} if name in raw
            else {"type": _tag(encoding), "columns": list(graph.feature_columns[node_type][name])}
            for name, encoding in features.items() if name in raw or encoding.width}
    edge_features = {
        tuple(edges.type): {name: {"type": _tag(edges.features[name]), "columns": list(columns)}
                            for name, columns in edges.columns.items()}
        for edges in encodings.edges if edges.columns}
    return {
        "node_id_map": {node_type: dict(zip(ids, range(len(ids)), strict=True)) for node_type, ids in graph.node_ids.items()},
        "label_map": {target.node_type: dict(enumerate(target.classes))},
        "label_properties": {target.node_type: target.property},
        "is_multilabel": target.multilabel,
        "node_feat_meta": node_features,
        "edge_feat_meta": edge_features,
        "node_counts": np.array(list(graph.node_counts.values()), dtype=np.int64),
    }


def _tag(encoding: msgspec.Struct) -> str:
    return str(encoding.__struct_config__.tag)


def _recommendation(graph: Graph) -> dict[str, Any]:
    """``train_instance_recommendation.json``: memory and disk in bytes.

    Memory is 1 GiB for the program, plus the graph, plus for each node 2 KiB: embedding, activations, gradients and optimiser state
    at 64 hidden units and two layers, in 32 bits. Disk is four times the graph, for its copies along the way.
    """
    csr = sum(csr.indptr.nbytes + csr.indices.nbytes + csr.edge_ids.nbytes for csr in graph.edges.values())
    features = sum(matrix.nbytes for matrix in (*graph.features.values(), *graph.edge_features.values()))
    memory = 2**30 + csr + features + 2048 * sum(graph.node_counts.values())
    return {"instance": smallest(GPU, memory), "cpu_instance": smallest(CPU, memory), "disk_size": 4 * (csr + features),
            "mem_size": memory}
