"""The processed graph: typed nodes with encoded features, edges as CSR in both directions, and what is to be predicted.

On disk it is a folder of ``.npy`` arrays, which are memory-mapped when read, beside ``graph.json`` (names, counts and the target)
and ``raw_features.json``. Files carry numbers instead of type names, since a type may be called anything.
"""

from collections.abc import Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.graph.ids import Ids

CACHED = 1 << 16
"""Edges whose keys stay in the processor's cache while they are made."""
WRITERS = 2
"""Threads that write arrays: most of that is copying, into the system's memory of the file."""
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

    @property
    def forward(self) -> "EdgeType":
        """The type that this one is the reverse of, if it is one."""
        return EdgeType(self.destination, self.relation.removeprefix(REVERSE), self.source)

    def is_reverse_in(self, others: Container["EdgeType"]) -> bool:
        """Whether it is the reverse of one of these types."""
        return self.relation.startswith(REVERSE) and self.forward in others

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
        keys = np.empty(len(destinations), dtype=np.int64)
        for start in range(0, len(keys), CACHED):
            part = keys[start:start + CACHED]
            part[:] = destinations[start:start + CACHED]
            part <<= 32
            part |= np.arange(start, start + len(part))
        keys.sort()
        indptr = np.searchsorted(keys, np.arange(n_destination + 1) << 32)
        edge_ids = keys.astype(np.int32)  # the lower half
        del keys
        indices = np.empty_like(sources)
        for start in range(0, len(indices), CACHED):
            # All are in range; without "clip" they would be copied once more.
            sources.take(edge_ids[start:start + CACHED], out=indices[start:start + CACHED], mode="clip")
        return cls(indptr=indptr, indices=indices, edge_ids=edge_ids)

    def ends(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The source and the destination of each edge, by edge id: ``[n_edges]`` each. Of a whole type, not of a part."""
        sources, destinations = np.empty_like(self.indices), np.empty_like(self.indices)
        sources[self.edge_ids] = self.indices
        destinations[self.edge_ids] = np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))
        return sources, destinations

    def only(self, kept: NDArray[np.bool_]) -> "Csr":
        """The edges for which the mask is true, which is in their order here."""
        before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(kept)])
        return Csr(indptr=before[self.indptr], indices=self.indices[kept], edge_ids=self.edge_ids[kept])


def both_directions(edge_type: EdgeType, sources: NDArray[np.int32], destinations: NDArray[np.int32],
                    node_counts: Mapping[str, int]) -> dict[EdgeType, Csr]:
    """The edges ``sources[i] -> destinations[i]`` under their own type and under the reverse one."""
    with ThreadPoolExecutor(1) as other:
        backward = other.submit(Csr.group, destinations, sources, n_destination=node_counts[edge_type.source])
        forward = Csr.group(sources, destinations, n_destination=node_counts[edge_type.destination])
        return {edge_type: forward, edge_type.reverse: backward.result()}


@dataclass(frozen=True, kw_only=True)
class Hot:
    """A matrix of zeros and ones, almost all of them zeros: the columns of the ones of row ``i`` are
    ``indices[indptr[i]:indptr[i + 1]]``, in rising order."""

    width: int
    """Columns."""
    indptr: NDArray[np.int64]
    """``[rows + 1]``"""
    indices: NDArray[np.int32]
    """``[ones]``"""

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def take(self, rows: NDArray[np.integer[Any]]) -> "Hot":
        """The rows with these numbers, in this order."""
        counts = self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        entries = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], counts)
        return Hot(width=self.width, indptr=indptr, indices=self.indices[entries])

    def to_dense(self) -> NDArray[np.float32]:
        """The same as float32 ``[rows, width]``."""
        dense = np.zeros((len(self), self.width), dtype=np.float32)
        dense[np.repeat(np.arange(len(self)), np.diff(self.indptr)), self.indices] = 1
        return dense


@dataclass(frozen=True, kw_only=True)
class Features:
    """The encoded features of the nodes or edges of one type: a dense part, and beside it the wide one-hot and multi-hot ones.

    Columns are counted through: those of the dense part come first.
    """

    columns: dict[str, tuple[int, int]]
    """Feature name → its columns ``[start, stop)``; each feature lies in one of the parts."""
    dense: NDArray[np.float32]
    """``[n, d]``; d may be 0."""
    hot: Hot | None = None
    """``[n, w]``: the columns from d on."""

    @property
    def width(self) -> int:
        """Columns of both parts together."""
        return int(self.dense.shape[1]) + (self.hot.width if self.hot is not None else 0)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.dense.nbytes + (0 if self.hot is None else self.hot.indptr.nbytes + self.hot.indices.nbytes)

    def to_dense(self) -> NDArray[np.float32]:
        """All columns in one array ``[n, width]``."""
        return self.dense if self.hot is None else np.concatenate([self.dense, self.hot.to_dense()], axis=1)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Labels and parts of the nodes of one type, by node index, or of the edges of one type, by row of its forward files."""

    labels: NDArray[Any] | None
    """Classes: int64 ``[n]``, -1 = unlabelled; several at a time: float32 ``[n, classes]`` of 0 and 1. Regression: float32 ``[n]``,
    NaN = unlabelled. Link prediction: None, since the edges themselves are predicted."""
    train: NDArray[np.bool_]
    """``[n]``, like ``valid`` and ``test``; a node or edge is in one of the three at most, an unlabelled one in none."""
    valid: NDArray[np.bool_]
    test: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is to be predicted, and of which nodes or edges."""

    task: Task
    property_name: str
    """``""`` for link prediction."""
    classes: tuple[str, ...] = ()
    """Class id → raw label; empty unless the task is a classification."""
    multilabel: bool = False
    by_type: dict[str | EdgeType, Labelled]
    """Node tasks: the one node type. Edge tasks and link prediction: the forward edge types that are predicted."""

    @property
    def node_type(self) -> str:
        """The type whose nodes are predicted. Of node tasks only."""
        kind, = self.by_type
        assert isinstance(kind, str)  # noqa: S101 - callers look at the task before
        return kind

    @property
    def nodes(self) -> Labelled:
        """Labels and parts of the nodes that are predicted. Of node tasks only."""
        return self.by_type[self.node_type]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A heterogeneous property graph, ready for learning."""

    node_ids: dict[str, Ids]
    """Node type → raw ids by node index."""
    features: dict[str, Features]
    """By node type; types without encoded features are missing."""
    edges: dict[EdgeType, Csr]
    """Forward and reverse types."""
    edge_features: dict[EdgeType, Features]
    """By forward edge type, rows in file order; types without encoded features are missing."""
    raw_features: dict[str, dict[str, list[str]]]
    """Features of type ``none``: node type → feature name → raw values by node index, ``""`` where missing."""
    target: Target
    removed: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    """Node type → the indices of nodes that an earlier version of the graph had and this one has not. They keep their indices, so
    that embeddings stay valid, and have no edges, features or labels."""

    @property
    def node_counts(self) -> dict[str, int]:
        """Node type → number of indices, those of removed nodes included."""
        return {node_type: len(ids) for node_type, ids in self.node_ids.items()}

    def index_by_id(self, node_type: str) -> dict[str, int]:
        """Raw id → index of the nodes of a type that are there: removed ones are not."""
        ids = self.node_ids[node_type]
        indices = dict(zip(ids, range(len(ids)), strict=True))
        for index in self.removed.get(node_type, np.empty(0, dtype=np.int32)).tolist():
            del indices[ids[index]]
        return indices

    def save(self, folder: Path) -> None:
        """Write the graph into ``folder``, which is made when missing."""
        folder.mkdir(parents=True, exist_ok=True)
        target = self.target
        manifest = _Manifest(
            nodes=[_NodeEntry(type=node_type, features=_Columns.of(self.features.get(node_type)), removed=node_type in self.removed)
                   for node_type in self.node_ids],
            edges=[_EdgeEntry(type=edge_type, features=_Columns.of(self.edge_features.get(edge_type))) for edge_type in self.edges],
            target=_TargetEntry(task=target.task, property_name=target.property_name, classes=target.classes,
                                multilabel=target.multilabel, types=tuple(target.by_type),
                                has_labels=any(part.labels is not None for part in target.by_type.values())))
        def write(named: tuple[str, NDArray[Any]]) -> None:
            np.save(folder / f"{named[0]}.npy", named[1], allow_pickle=False)

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, self._arrays().items()))
        (folder / "raw_features.json").write_bytes(msgspec.json.encode(self.raw_features))
        (folder / "graph.json").write_bytes(msgspec.json.encode(manifest))

    @classmethod
    def load(cls, folder: Path) -> "Graph":
        """Read what ``save`` wrote. Arrays are memory-mapped copy-on-write: changing one never changes its file."""
        def array(name: str) -> NDArray[Any]:
            return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False))

        def features(name: str, entry: _Columns) -> Features:
            hot = Hot(width=entry.hot_width, indptr=array(f"{name}-hot-indptr"),
                      indices=array(f"{name}-hot-indices")) if entry.hot_width else None
            return Features(columns=entry.columns, dense=array(f"{name}-features"), hot=hot)

        manifest = msgspec.json.decode((folder / "graph.json").read_bytes(), type=_Manifest)
        nodes, edges, target = list(enumerate(manifest.nodes)), list(enumerate(manifest.edges)), manifest.target
        return cls(
            node_ids={entry.type: Ids(array(f"node-{i}-ids"), array(f"node-{i}-id-offsets")) for i, entry in nodes},
            features={entry.type: features(f"node-{i}", entry.features) for i, entry in nodes if entry.features},
            edges={entry.type: Csr(indptr=array(f"edge-{i}-indptr"), indices=array(f"edge-{i}-indices"),
                                   edge_ids=array(f"edge-{i}-ids")) for i, entry in edges},
            edge_features={entry.type: features(f"edge-{i}", entry.features) for i, entry in edges if entry.features},
            raw_features=msgspec.json.decode((folder / "raw_features.json").read_bytes(), type=dict[str, dict[str, list[str]]]),
            removed={entry.type: array(f"node-{i}-removed") for i, entry in nodes if entry.removed},
            target=Target(task=target.task, property_name=target.property_name, classes=target.classes,
                          multilabel=target.multilabel, by_type={
                kind: Labelled(labels=array(f"target-{i}-labels") if target.has_labels else None, train=array(f"target-{i}-train"),
                               valid=array(f"target-{i}-valid"), test=array(f"target-{i}-test"))
                for i, kind in enumerate(target.types)}))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Every array under the name of its file."""
        arrays: dict[str, NDArray[Any]] = {}
        for i, part in enumerate(self.target.by_type.values()):
            arrays |= {f"target-{i}-train": part.train, f"target-{i}-valid": part.valid, f"target-{i}-test": part.test}
            if part.labels is not None:
                arrays[f"target-{i}-labels"] = part.labels
        for i, (node_type, ids) in enumerate(self.node_ids.items()):
            arrays |= {f"node-{i}-ids": ids.text, f"node-{i}-id-offsets": ids.offsets}
            arrays |= _feature_arrays(f"node-{i}", self.features.get(node_type))
            if node_type in self.removed:
                arrays[f"node-{i}-removed"] = self.removed[node_type]
        for i, (edge_type, csr) in enumerate(self.edges.items()):
            arrays |= {f"edge-{i}-indptr": csr.indptr, f"edge-{i}-indices": csr.indices, f"edge-{i}-ids": csr.edge_ids}
            arrays |= _feature_arrays(f"edge-{i}", self.edge_features.get(edge_type))
        return arrays


def _feature_arrays(name: str, features: Features | None) -> dict[str, NDArray[Any]]:
    if features is None:
        return {}
    arrays: dict[str, NDArray[Any]] = {f"{name}-features": features.dense}
    if features.hot is not None:
        arrays |= {f"{name}-hot-indptr": features.hot.indptr, f"{name}-hot-indices": features.hot.indices}
    return arrays


class _Columns(Frozen, frozen=True, kw_only=True):
    """What the arrays of features do not say themselves."""

    columns: dict[str, tuple[int, int]]
    hot_width: int

    @classmethod
    def of(cls, features: Features | None) -> "_Columns | None":
        if features is None:
            return None
        return cls(columns=features.columns, hot_width=0 if features.hot is None else features.hot.width)


class _NodeEntry(Frozen, frozen=True, kw_only=True):
    type: str
    features: _Columns | None
    removed: bool


class _EdgeEntry(Frozen, frozen=True, kw_only=True):
    type: EdgeType
    features: _Columns | None


class _TargetEntry(Frozen, frozen=True, kw_only=True):
    task: Task
    property_name: str
    classes: tuple[str, ...]
    multilabel: bool
    types: tuple[str | EdgeType, ...]
    has_labels: bool


class _Manifest(Frozen, frozen=True, kw_only=True):
    """``graph.json``."""

    nodes: list[_NodeEntry]
    edges: list[_EdgeEntry]
    target: _TargetEntry
