"""Nodes and edges beside those of a graph, and the neighbourhood of a few nodes in both together: inductive inference.

The overlay's nodes are numbered on from those of the graph, type by type; its edges from the edge ids of the graph.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import Csr, EdgeType, Features, Graph, Hot, Labelled
from despina.graph.ids import Ids
from despina.graph.sampling import choose_edges

Indices = NDArray[np.int64]
ALL = 2**31 - 1
"""As a fanout: all neighbours."""


@dataclass(frozen=True, kw_only=True)
class OverlayEdges:
    """Edges of one forward type."""

    sources: Indices
    destinations: Indices
    features: Features | None = None
    """A row for each."""


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """What a graph has not."""

    ids: dict[str, dict[str, int]] = field(default_factory=dict)
    """Node type → raw id → index of its new nodes."""
    features: dict[str, Features] = field(default_factory=dict)
    """Node type → rows of features."""
    rows: dict[str, dict[int, int]] = field(default_factory=dict)
    """Node type → index of a new node, or of one of the graph's that has other properties now → its row in ``features``."""
    edges: dict[EdgeType, OverlayEdges] = field(default_factory=dict)
    """By forward type."""


@dataclass(frozen=True, kw_only=True)
class Ego:
    """The neighbourhood of some nodes as a graph of its own."""

    graph: Graph
    origin: dict[str, Indices]
    """Node type → the index of each of its nodes in the graph and the overlay; the nodes that were asked for come first."""
    edge_ids: dict[EdgeType, Indices]
    """Forward edge type → the edge id of each of its edges there."""

    def without(self, edges: Mapping[EdgeType, NDArray[np.bool_]]) -> "Ego":
        """The same without some edges, by masks over their own."""
        kept = dict(self.graph.edges)
        for edge_type, gone in edges.items():
            for direction in (edge_type, edge_type.reverse):
                kept[direction] = kept[direction].only(~gone[kept[direction].edge_ids])
        return dataclasses.replace(self, graph=dataclasses.replace(self.graph, edges=kept))


def ego_graph(graph: Graph, overlay: Overlay, seeds: Mapping[str, Indices], *, hops: int, fanout: int = ALL, seed: int = 0) -> Ego:
    """Everything that ``hops`` layers of messages towards some nodes come from.

    Args:
        graph: What the model was applied to.
        overlay: What there is beside it.
        seeds: Node type → the nodes, each once.
        hops: Layers.
        fanout: Neighbours in the graph, of each edge type and node, that are taken at most; those of the overlay are all taken.
        seed: Of the choice among more neighbours than that.
    """
    walk = _Walk(graph, overlay, seeds, fanout, np.random.default_rng(seed))
    for _ in range(hops):
        walk.step()
    return walk.ego()


class _Walk:
    """Nodes and edges met so far."""

    def __init__(self, graph: Graph, overlay: Overlay, seeds: Mapping[str, Indices], fanout: int,
                 random: np.random.Generator) -> None:
        self._graph, self._overlay, self._fanout, self._random = graph, overlay, fanout, random
        self._counts = graph.node_counts
        self._nodes = {node_type: nodes.astype(np.int64) for node_type, nodes in seeds.items()}
        self._frontier = dict(self._nodes)
        self._edges: dict[EdgeType, list[tuple[Indices, Indices, Indices]]] = {}
        """Forward type → edge ids, sources and destinations, in pieces."""

    def step(self) -> None:
        """Walk all edges that lead to the nodes that were met last."""
        met: dict[str, list[Indices]] = {}
        for edge_type, csr in self._graph.edges.items():
            nodes = self._frontier.get(edge_type.destination)
            if nodes is not None and len(nodes):
                met.setdefault(edge_type.source, []).extend(self._walk(edge_type, csr, nodes))
        self._frontier = {}
        for node_type, found in met.items():
            if not found:
                continue
            known = self._nodes.get(node_type, np.empty(0, dtype=np.int64))
            new = np.setdiff1d(np.concatenate(found), known)
            self._nodes[node_type] = np.concatenate([known, new])
            self._frontier[node_type] = new

    def _walk(self, edge_type: EdgeType, csr: Csr, nodes: Indices) -> list[Indices]:
        """The sources of the edges of one direction that lead to these nodes."""
        forward = edge_type if not edge_type.is_reverse_in(self._graph.edges) else edge_type.forward
        backwards, found = forward != edge_type, []
        old = nodes[nodes < self._counts[edge_type.destination]]
        if len(old) and len(csr.indices):
            chosen = choose_edges(csr, old, self._fanout, self._random)
            if len(chosen.indices):
                ends = np.repeat(old, np.diff(chosen.indptr))
                found.append(self._note(forward, chosen.edge_ids.astype(np.int64), chosen.indices.astype(np.int64), ends,
                                        backwards=backwards))
        own = self._overlay.edges.get(forward)
        if own is not None:
            there = np.flatnonzero(np.isin(own.sources if backwards else own.destinations, nodes))
            if len(there):
                far, near = (own.destinations, own.sources) if backwards else (own.sources, own.destinations)
                found.append(self._note(forward, there + self._edge_count(forward), far[there], near[there], backwards=backwards))
        return found

    def _edge_count(self, forward: EdgeType) -> int:
        """Edge ids of the type. Of types that are predicted some edges may be left out of the graph; their ids are not."""
        part = self._graph.target.by_type.get(forward)
        return len(part.train) if part is not None else len(self._graph.edges[forward].indices)

    def _note(self, forward: EdgeType, ids: Indices, far: Indices, near: Indices, *, backwards: bool) -> Indices:
        self._edges.setdefault(forward, []).append((ids, near, far) if backwards else (ids, far, near))
        return far

    def ego(self) -> Ego:
        """What was met, as a graph."""
        order = {node_type: np.argsort(nodes, kind="stable") for node_type, nodes in self._nodes.items()}
        edges: dict[EdgeType, Csr] = {}
        edge_ids: dict[EdgeType, Indices] = {}
        for edge_type in self._graph.edges:
            if edge_type.is_reverse_in(self._graph.edges):
                continue
            pieces = self._edges.get(edge_type, [])
            ids, sources, destinations = (np.concatenate([np.empty(0, dtype=np.int64), *(piece[i] for piece in pieces)])
                                          for i in range(3))
            ids, first = np.unique(ids, return_index=True)
            edge_ids[edge_type] = ids
            ends = [self._place(node_type, nodes[first], order) for node_type, nodes in
                    ((edge_type.source, sources), (edge_type.destination, destinations))]
            for direction, (left, right) in ((edge_type, ends), (edge_type.reverse, ends[::-1])):
                if direction in self._graph.edges:
                    edges[direction] = Csr.group(left, right, n_destination=len(self._nodes.get(direction.destination, ())))
        return Ego(graph=self._as_graph(edges, edge_ids), origin={
            node_type: self._nodes.get(node_type, np.empty(0, dtype=np.int64)) for node_type in self._counts}, edge_ids=edge_ids)

    def _place(self, node_type: str, nodes: Indices, order: dict[str, Indices]) -> NDArray[np.int32]:
        if not len(nodes):
            return np.empty(0, dtype=np.int32)
        return order[node_type][np.searchsorted(self._nodes[node_type], nodes, sorter=order[node_type])].astype(np.int32)

    def _as_graph(self, edges: dict[EdgeType, Csr], edge_ids: dict[EdgeType, Indices]) -> Graph:
        graph, overlay = self._graph, self._overlay
        nodes = {node_type: self._nodes.get(node_type, np.empty(0, dtype=np.int64)) for node_type in self._counts}
        features = {}
        for node_type, known in graph.features.items():
            count, rows = self._counts[node_type], nodes[node_type]
            replaced = overlay.rows.get(node_type, {})
            if replaced:
                rows = np.array([count + replaced[i] if i in replaced else i for i in rows.tolist()], dtype=np.int64)
            features[node_type] = take_rows(known, overlay.features.get(node_type), rows)
        edge_features = {edge_type: take_rows(known, overlay.edges[edge_type].features if edge_type in overlay.edges else None,
                                              edge_ids[edge_type]) for edge_type, known in graph.edge_features.items()}
        by_type = {kind: _sliced(part, nodes[kind] if isinstance(kind, str) else edge_ids[kind])
                   for kind, part in graph.target.by_type.items()}
        nameless = {node_type: Ids(np.empty(0, dtype=np.uint8), np.zeros(len(indices) + 1, dtype=np.int64))
                    for node_type, indices in nodes.items()}
        return Graph(node_ids=nameless, features=features, edges=edges, edge_features=edge_features, raw_features={},
                     target=dataclasses.replace(graph.target, by_type=by_type))


def take_rows(known: Features, new: Features | None, rows: Indices) -> Features:
    """Rows of features, of which those from ``len(known)`` on are the new ones; without such they are all zeros."""
    count = len(known.dense)
    old = rows < count
    if old.all():
        return Features(columns=known.columns, dense=known.dense[rows], hot=known.hot.take(rows) if known.hot else None)
    dense = np.zeros((len(rows), known.dense.shape[1]), dtype=np.float32)
    dense[old] = known.dense[rows[old]]
    if new is not None:
        dense[~old] = new.dense[rows[~old] - count]
    hot = _take_hot(known.hot, new.hot if new else None, rows, old) if known.hot else None
    return Features(columns=known.columns, dense=dense, hot=hot)


def _take_hot(known: Hot, new: Hot | None, rows: Indices, old: NDArray[np.bool_]) -> Hot:
    fresh = rows[~old] - len(known)
    nothing = Hot(width=known.width, indptr=np.zeros(len(fresh) + 1, dtype=np.int64), indices=np.empty(0, dtype=np.int32))
    parts = known.take(rows[old]), nothing if new is None else new.take(fresh)
    together = Hot(width=known.width, indices=np.concatenate([part.indices for part in parts]),
                   indptr=np.concatenate([parts[0].indptr, parts[0].indptr[-1] + parts[1].indptr[1:]]))
    places = np.empty(len(rows), dtype=np.int64)
    places[np.concatenate([np.flatnonzero(old), np.flatnonzero(~old)])] = np.arange(len(rows))
    return together.take(places)


def _sliced(part: Labelled, rows: Indices) -> Labelled:
    """Labels and parts of some nodes or edges; those of the overlay have none."""
    count = len(part.train)
    old = rows < count
    masks = {}
    for name in ("train", "valid", "test"):
        mask = np.zeros(len(rows), dtype=np.bool_)
        mask[old] = getattr(part, name)[rows[old]]
        masks[name] = mask
    labels = None
    if part.labels is not None:
        unlabelled = -1 if part.labels.dtype.kind == "i" else np.nan if part.labels.ndim == 1 else 0
        labels = np.full((len(rows), *part.labels.shape[1:]), unlabelled, dtype=part.labels.dtype)
        labels[old] = part.labels[rows[old]]
    return Labelled(labels=labels, **masks)
