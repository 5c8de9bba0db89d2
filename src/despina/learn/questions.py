"""What a decoder is asked: the scores of some members, given where the embeddings of their nodes lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import EdgeType, Graph
from despina.learn.batches import features_of_edges
from despina.learn.decoders import EdgeDecoders, EdgeRows, NodeDecoder
from despina.learn.labels import Members
from despina.learn.linear import FeatureRows

Nodes = NDArray[np.int64]
"""Node indices."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Some members, type by type."""

    members: NDArray[np.int64]
    """In the order of the answers."""
    nodes: dict[str, Tensor]
    """Of nodes: node type → rows of its embeddings, int64."""
    edges: dict[EdgeType, EdgeRows]
    """Of edges."""

    def answer(self, decoder: NodeDecoder | EdgeDecoders, embeddings: Mapping[str, Tensor]) -> Tensor:
        """What the decoder makes of the embeddings: ``[members, outputs]``."""
        answer: Tensor
        if isinstance(decoder, EdgeDecoders):
            answer = decoder(embeddings, self.edges)
        else:
            (node_type, rows), = self.nodes.items()
            answer = decoder(embeddings[node_type][rows])
        return answer


class Questioner:
    """Puts questions about the members of a graph."""

    def __init__(self, graph: Graph, members: Members) -> None:
        self._graph, self._members = graph, members
        self._ends = {kind: tuple(end.astype(np.int64) for end in graph.edges[kind].ends())
                      for kind in members.kinds if isinstance(kind, EdgeType)}

    def of_all_nodes(self, members: NDArray[np.int64]) -> Question:
        """For embeddings of all nodes."""
        return self._question(members, lambda _, nodes: nodes, few=False)

    def of_seeds(self, members: NDArray[np.int64]) -> tuple[dict[str, Nodes], Question]:
        """The nodes whose embeddings are needed, and the question for embeddings of these nodes in this order."""
        named: dict[str, list[Nodes]] = {}
        for kind, (_, rows) in self._members.rows(members).items():
            if isinstance(kind, EdgeType):
                sources, destinations = self._ends[kind]
                named.setdefault(kind.source, []).append(sources[rows])
                named.setdefault(kind.destination, []).append(destinations[rows])
            else:
                named.setdefault(kind, []).append(rows)
        seeds = {node_type: np.unique(np.concatenate(nodes)) for node_type, nodes in named.items()}
        return seeds, self._question(members, lambda node_type, nodes: np.searchsorted(seeds[node_type], nodes), few=True)

    def _question(self, members: NDArray[np.int64], row_of: Callable[[str, Nodes], Nodes], *, few: bool) -> Question:
        order: list[NDArray[np.int64]] = []
        nodes: dict[str, Tensor] = {}
        edges: dict[EdgeType, EdgeRows] = {}
        for kind, (places, rows) in self._members.rows(members).items():
            order.append(members[places])
            if isinstance(kind, EdgeType):
                sources, destinations = (end[rows] for end in self._ends[kind])
                features = features_of_edges(self._graph, kind)
                edges[kind] = EdgeRows(sources=_tensor(row_of(kind.source, sources)),
                                       destinations=_tensor(row_of(kind.destination, destinations)),
                                       features=None if features is None else FeatureRows.of(features, rows, few=few))
            else:
                nodes[kind] = _tensor(row_of(kind, rows))
        return Question(members=np.concatenate(order), nodes=nodes, edges=edges)


def _tensor(rows: Nodes) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.int64))
