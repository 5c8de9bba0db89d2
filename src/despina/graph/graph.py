"""The processed graph: typed nodes with encoded features, edges as CSR in both directions, and what is to be predicted.

On disk it is a folder of ``.npy`` arrays, which are memory-mapped when read, beside ``graph.json`` (names, counts and the target),
``node_ids.json`` and ``raw_features.json``. Files carry numbers instead of type names, since a type may be called anything.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.core.task import Task

REVERSE = "rev-"
"""What the name of a reverse relation begins with."""


class EdgeType(NamedTuple):
    """A canonical edge type: source node type, relation, destination node type."""

    source: str
    relation: str
    destination: str

    @property
    def reverse(self) -> "EdgeType":
        """The type of the same edges walked backwards, ``(destination, rev-relation, source)``."""
        return EdgeType(self.destination, REVERSE + self.relation, self.source)

    def __str__(self) -> str:
        return f"({self.source})-{self.relation}-({self.destination})"


@dataclass(frozen=True, kw_only=True)
class Csr:
    """Edges of one type grouped by destination: the sources of node ``v`` are ``indices[indptr[v]:indptr[v + 1]]``."""

    indptr: NDArray[np.int64]
    """``[n_destination + 1]``"""
    indices: NDArray[np.int32]
    """``[n_edges]``: node index in the source type."""
    edge_ids: NDArray[np.int32]
    """``[n_edges]``: the edge's row in its forward type's file order, which is its row in ``Graph.edge_features``."""

    @classmethod
    def group(cls, sources: NDArray[np.int32], destinations: NDArray[np.int32], *, n_destination: int) -> "Csr":
        """Group the edges ``sources[i] -> destinations[i]``; edges of one destination keep their order."""
        # One sort of (destination, row) packed in 64 bits: several times faster than a stable argsort.
        keys = destinations.astype(np.int64) << 32
        keys |= np.arange(len(destinations), dtype=np.int64)
        keys.sort()
        edge_ids = keys.astype(np.int32)  # the lower half
        indptr = np.zeros(n_destination + 1, dtype=np.int64)
        np.cumsum(np.bincount(destinations, minlength=n_destination), out=indptr[1:])
        return cls(indptr=indptr, indices=sources[edge_ids], edge_ids=edge_ids)


def both_directions(edge_type: EdgeType, sources: NDArray[np.int32], destinations: NDArray[np.int32],
                    node_counts: dict[str, int]) -> dict[EdgeType, Csr]:
    """The edges ``sources[i] -> destinations[i]`` under their own type and under the reverse one."""
    return {edge_type: Csr.group(sources, destinations, n_destination=node_counts[edge_type.destination]),
            edge_type.reverse: Csr.group(destinations, sources, n_destination=node_counts[edge_type.source])}


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is to be predicted of the nodes of one type, and which of them are for training, validation and test."""

    node_type: str
    property: str
    task: Task
    classes: tuple[str, ...]
    """Class id → raw label."""
    multilabel: bool
    labels: NDArray[Any]
    """Single label: int64 ``[n]``, -1 = unlabelled. Multi-label: float32 ``[n, classes]`` of 0 and 1."""
    train: NDArray[np.bool_]
    """``[n]``, like ``valid`` and ``test``; a node is in one of the three at most, an unlabelled one in none."""
    valid: NDArray[np.bool_]
    test: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A heterogeneous property graph, ready for learning."""

    node_counts: dict[str, int]
    node_ids: dict[str, list[str]]
    """Node type → raw ids by node index."""
    features: dict[str, NDArray[np.float32]]
    """``[n, d]`` for each node type that has encoded features."""
    feature_columns: dict[str, dict[str, tuple[int, int]]]
    """Node type → feature name → its columns ``[start, stop)`` of ``features``."""
    edges: dict[EdgeType, Csr]
    """Forward and reverse types."""
    edge_features: dict[EdgeType, NDArray[np.float32]]
    """``[n_edges, d]``, forward types only, rows in file order."""
    raw_features: dict[str, dict[str, list[str]]]
    """Features of type ``none``: node type → feature name → raw values by node index, ``""`` where missing."""
    target: Target

    def save(self, folder: Path) -> None:
        """Write the graph into ``folder``, which is made when missing."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self._arrays().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        target = self.target
        manifest = _Manifest(
            nodes=[_NodeEntry(type=node_type, count=count, columns=self.feature_columns.get(node_type),
                              has_features=node_type in self.features)
                   for node_type, count in self.node_counts.items()],
            edges=[_EdgeEntry(type=edge_type, has_features=edge_type in self.edge_features) for edge_type in self.edges],
            target=_TargetEntry(node_type=target.node_type, property=target.property, task=target.task,
                                classes=target.classes, multilabel=target.multilabel))
        (folder / "node_ids.json").write_bytes(msgspec.json.encode(self.node_ids))
        (folder / "raw_features.json").write_bytes(msgspec.json.encode(self.raw_features))
        (folder / "graph.json").write_bytes(msgspec.json.encode(manifest))

    @classmethod
    def load(cls, folder: Path) -> "Graph":
        """Read what ``save`` wrote. Arrays are memory-mapped copy-on-write: changing one never changes its file."""
        def array(name: str) -> NDArray[Any]:
            return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False))

        manifest = msgspec.json.decode((folder / "graph.json").read_bytes(), type=_Manifest)
        nodes, edges, target = list(enumerate(manifest.nodes)), list(enumerate(manifest.edges)), manifest.target
        return cls(
            node_counts={entry.type: entry.count for _, entry in nodes},
            node_ids=msgspec.json.decode((folder / "node_ids.json").read_bytes(), type=dict[str, list[str]]),
            features={entry.type: array(f"node-{i}-features") for i, entry in nodes if entry.has_features},
            feature_columns={entry.type: entry.columns for _, entry in nodes if entry.columns is not None},
            edges={entry.type: Csr(indptr=array(f"edge-{i}-indptr"), indices=array(f"edge-{i}-indices"),
                                   edge_ids=array(f"edge-{i}-ids")) for i, entry in edges},
            edge_features={entry.type: array(f"edge-{i}-features") for i, entry in edges if entry.has_features},
            raw_features=msgspec.json.decode((folder / "raw_features.json").read_bytes(), type=dict[str, dict[str, list[str]]]),
            target=Target(node_type=target.node_type, property=target.property, task=target.task, classes=target.classes,
                          multilabel=target.multilabel, labels=array("labels"), train=array("train"), valid=array("valid"),
                          test=array("test")))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Every array under the name of its file."""
        arrays: dict[str, NDArray[Any]] = {"labels": self.target.labels, "train": self.target.train,
                                           "valid": self.target.valid, "test": self.target.test}
        for i, node_type in enumerate(self.node_counts):
            if node_type in self.features:
                arrays[f"node-{i}-features"] = self.features[node_type]
        for i, (edge_type, csr) in enumerate(self.edges.items()):
            arrays |= {f"edge-{i}-indptr": csr.indptr, f"edge-{i}-indices": csr.indices, f"edge-{i}-ids": csr.edge_ids}
            if edge_type in self.edge_features:
                arrays[f"edge-{i}-features"] = self.edge_features[edge_type]
        return arrays


class _NodeEntry(Frozen, frozen=True, kw_only=True):
    type: str
    count: int
    columns: dict[str, tuple[int, int]] | None
    has_features: bool


class _EdgeEntry(Frozen, frozen=True, kw_only=True):
    type: EdgeType
    has_features: bool


class _TargetEntry(Frozen, frozen=True, kw_only=True):
    node_type: str
    property: str
    task: Task
    classes: tuple[str, ...]
    multilabel: bool


class _Manifest(Frozen, frozen=True, kw_only=True):
    """``graph.json``."""

    nodes: list[_NodeEntry]
    edges: list[_EdgeEntry]
    target: _TargetEntry
