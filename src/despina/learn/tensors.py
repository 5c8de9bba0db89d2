"""A processed graph as plain torch tensors, for training scripts of one's own.

::

    from despina.learn.tensors import load

    graph = load(os.environ["SM_CHANNEL_TRAIN"])
    x = graph.features["airport"]                             # float32 [nodes, columns]
    sources, destinations = graph.edges["airport", "route", "airport"]
    labels = graph.labels["airport"]                          # int64 [nodes], -1: none
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from despina.core.errors import WorkFailed
from despina.graph.graph import EdgeType, Features, Graph

Kind = str | EdgeType
"""A node type, or an edge type ``(source, relation, destination)``; a plain tuple of the three names is equal to it."""


@dataclass(frozen=True, kw_only=True)
class TensorGraph:
    """A property graph. Nodes are numbered within their type, edges within theirs in the order of the export."""

    node_ids: dict[str, list[str]]
    """Node type → raw ids by node index. Indices of nodes that are gone (``removed``) stay."""
    removed: dict[str, Tensor]
    """Node type → int64: indices of nodes that an earlier export had and this one has not."""
    features: dict[str, Tensor]
    """Node type → float32 ``[nodes, columns]``; types without encoded features are missing."""
    columns: dict[Kind, dict[str, tuple[int, int]]]
    """Node or edge type → feature name → its columns ``[start, stop)``."""
    raw_features: dict[str, dict[str, list[str]]]
    """Features of type ``none``: node type → name → raw values by node index, ``""`` where missing."""
    edges: dict[EdgeType, Tensor]
    """Edge type → int64 ``[2, edges]``: indices of sources and destinations. Reverse types are left out."""
    edge_features: dict[EdgeType, Tensor]
    """Edge type → float32 ``[edges, columns]``."""
    task: str
    property_name: str
    classes: tuple[str, ...]
    """Raw labels by class."""
    labels: dict[Kind, Tensor]
    """Of what is predicted: classes int64 ``[n]``, -1 = none; several at a time float32 ``[n, classes]``; numbers float32 ``[n]``,
    NaN = none. Empty for link prediction."""
    train: dict[Kind, Tensor]
    """Of what is predicted: bool ``[n]``, like ``valid`` and ``test``."""
    valid: dict[Kind, Tensor]
    test: dict[Kind, Tensor]


def load(folder: str | Path) -> TensorGraph:
    """Read the output of a data-processing job (``SM_CHANNEL_TRAIN``, ``SM_DATA_DIR``).

    Wide one-hot and multi-hot features are written out as zeros and ones: as much memory as nodes times columns.

    Raises:
        WorkFailed: there is no processed graph in the folder.
    """
    path = Path(folder) / "graph"
    if not (path / "graph.json").is_file():
        raise WorkFailed(f"there is no processed graph in {folder}: the file graph/graph.json is missing")
    graph = Graph.load(path)
    forward = [edge_type for edge_type in graph.edges if not edge_type.is_reverse_in(graph.edges)]
    target = graph.target
    features: list[tuple[Kind, Features]] = [*graph.features.items(), *graph.edge_features.items()]
    return TensorGraph(
        node_ids={node_type: list(ids) for node_type, ids in graph.node_ids.items()},
        removed={node_type: torch.from_numpy(indices.astype(np.int64)) for node_type, indices in graph.removed.items()},
        features={node_type: torch.from_numpy(found.to_dense().copy()) for node_type, found in graph.features.items()},
        columns={kind: dict(found.columns) for kind, found in features}, raw_features=graph.raw_features,
        edges={edge_type: torch.from_numpy(np.stack(graph.edges[edge_type].ends()).astype(np.int64)) for edge_type in forward},
        edge_features={edge_type: torch.from_numpy(found.to_dense().copy()) for edge_type, found in graph.edge_features.items()},
        task=str(target.task), property_name=target.property_name, classes=target.classes,
        labels={kind: torch.from_numpy(np.array(part.labels)) for kind, part in target.by_type.items() if part.labels is not None},
        train={kind: torch.from_numpy(np.array(part.train)) for kind, part in target.by_type.items()},
        valid={kind: torch.from_numpy(np.array(part.valid)) for kind, part in target.by_type.items()},
        test={kind: torch.from_numpy(np.array(part.test)) for kind, part in target.by_type.items()})
