"""Sampling of neighbourhoods: what a mini-batch of nodes needs to read of a graph.

Hamilton et al., "Inductive Representation Learning on Large Graphs", 2017, with a fanout for each edge type. The work grows with
what is sampled, never with the degrees. Its two loops are in C (``_sampler.c``) where there was a compiler at installation, else in
vectorised NumPy, which draws other numbers from the same seed (``bench/sampling.py`` has both).
"""

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import Csr, EdgeType, Graph

_sampler: Any = None
with contextlib.suppress(ImportError):  # installed without a compiler
    _sampler = importlib.import_module("despina.graph._sampler")

NodeIndices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SampledLayer:
    """The edges that one layer passes messages along, between positions in ``Neighbourhood.nodes``."""

    destinations: dict[str, int]
    """Node type → how many nodes the layer computes: the first ones of that type."""
    edges: dict[EdgeType, Csr]
    """``indices`` are positions in ``Neighbourhood.nodes`` of the source type."""


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """The seeds, and everything sampled around them."""

    nodes: dict[str, NodeIndices]
    """Node type → the graph's node indices, no index twice; the seeds come first in their type."""
    layers: tuple[SampledLayer, ...]
    """In the order in which they are computed: the last one's destinations are the seeds."""


class NeighbourSampler:
    """Samples neighbourhoods in one graph.

    Args:
        graph: The graph; both directions of its edges are walked.
        fanouts: For each layer, first computed first, how many neighbours of each edge type a node has at most. All are taken when
            there are no more; otherwise so many different edges, each with the same chance.
        seed: Of the random numbers. The same calls in the same order give the same neighbourhoods.
    """

    def __init__(self, graph: Graph, fanouts: tuple[int, ...], *, seed: int) -> None:
        self._edges = graph.edges
        self._fanouts = fanouts
        self._random = np.random.default_rng(seed)
        self._positions = {node_type: np.full(count, -1, dtype=np.int32) for node_type, count in graph.node_counts.items()}

    def begin(self, seed: Sequence[int]) -> None:
        """Draw from other random numbers from now on."""
        self._random = np.random.default_rng(seed)

    def sample(self, seeds: Mapping[str, NodeIndices],
               without: Mapping[EdgeType, NDArray[np.int64]] | None = None) -> Neighbourhood:
        """The neighbourhood of some nodes, different ones of each type; those with the ids ``without`` are not walked."""
        nodes = {node_type: indices.astype(np.int64) for node_type, indices in seeds.items()}
        for node_type, indices in nodes.items():
            self._positions[node_type][indices] = np.arange(len(indices), dtype=np.int32)
        layers: list[SampledLayer] = []
        for fanout in reversed(self._fanouts):
            destinations = {name: len(indices) for name, indices in nodes.items()}
            sampled = {edge_type: choose_edges(csr, nodes[edge_type.destination], fanout, self._random)
                       for edge_type, csr in self._edges.items() if edge_type.destination in destinations}
            for edge_type, ids in (without or {}).items():
                for direction in (edge_type, edge_type.reverse):
                    if direction in sampled:
                        sampled[direction] = sampled[direction].only(~np.isin(sampled[direction].edge_ids, ids))
            sampled = {edge_type: csr for edge_type, csr in sampled.items() if len(csr.indices)}
            for edge_type, csr in sampled.items():
                self._add(nodes, edge_type.source, csr.indices)
            edges = {edge_type: Csr(indptr=csr.indptr, indices=self._positions[edge_type.source][csr.indices],
                                    edge_ids=csr.edge_ids) for edge_type, csr in sampled.items()}
            layers.insert(0, SampledLayer(destinations=destinations, edges=edges))
        for name, indices in nodes.items():
            self._positions[name][indices] = -1
        return Neighbourhood(nodes=nodes, layers=tuple(layers))

    def _add(self, nodes: dict[str, NodeIndices], node_type: str, found: NDArray[np.int32]) -> None:
        """Append the nodes not seen before, and note their positions."""
        known = nodes.get(node_type, np.empty(0, dtype=np.int64))
        nodes[node_type] = np.concatenate([known, add_nodes(found, self._positions[node_type], len(known))])


def add_nodes(found: NDArray[np.int32], positions: NDArray[np.int32], known: int) -> NodeIndices:
    """The nodes among ``found`` that have no position yet, each once. ``positions`` gets theirs, from ``known`` on."""
    if _sampler is not None:
        room: NodeIndices = np.empty(len(found), dtype=np.int64)
        added: int = _sampler.add(found, positions, known, room)
        return room[:added].copy()
    new = found[positions[found] < 0]
    places = np.arange(len(new), dtype=np.int32)
    positions[new] = places  # of a node that is there several times the last place stays: each is kept once, without a sort
    fresh: NodeIndices = new[positions[new] == places].astype(np.int64)
    positions[fresh] = np.arange(known, known + len(fresh), dtype=np.int32)
    return fresh


def choose_edges(csr: Csr, destinations: NodeIndices, fanout: int, random: np.random.Generator) -> Csr:
    """At most ``fanout`` of the edges of each destination, without replacement.

    Returns:
        Edges grouped by the position of their destination in ``destinations``; ``indices`` are still the graph's node indices.
    """
    starts = csr.indptr[destinations]
    degrees = csr.indptr[destinations + 1] - starts
    taken = np.minimum(degrees, fanout)
    indptr = np.zeros(len(destinations) + 1, dtype=np.int64)
    np.cumsum(taken, out=indptr[1:])
    if _sampler is not None:
        sources, edge_ids = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.int32)
        _sampler.choose(csr.indptr, csr.indices, csr.edge_ids, np.ascontiguousarray(destinations), fanout,
                        int(random.integers(2**63)), indptr, sources, edge_ids)
        return Csr(indptr=indptr, indices=sources, edge_ids=edge_ids)
    rank = np.arange(indptr[-1]) - np.repeat(indptr[:-1], taken)
    large = degrees > fanout
    rank[np.repeat(large, taken)] = distinct_numbers(degrees[large], fanout, random).ravel()
    edges = np.repeat(starts, taken) + rank
    return Csr(indptr=indptr, indices=csr.indices[edges], edge_ids=csr.edge_ids[edges])


def distinct_numbers(below: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """``count`` different numbers from 0 to ``below[i] - 1`` in each row ``i``, all subsets with the same chance.

    Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", 1987) on all rows at once; ``below`` must not be less than
    ``count``.
    """
    chosen = np.empty((len(below), count), dtype=np.int64)
    for i in range(count):
        last = below - count + i
        drawn = (random.random(len(below)) * (last + 1)).astype(np.int64)
        repeated = (chosen[:, :i] == drawn[:, None]).any(axis=1)
        chosen[:, i] = np.where(repeated, last, drawn)
    return chosen
