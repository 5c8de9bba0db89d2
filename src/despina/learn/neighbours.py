"""The nodes of the target type that are linked, whatever the relation and its direction."""

import numpy as np
import torch
from torch import Tensor

from despina.graph.graph import Csr, EdgeType, Graph
from despina.learn.adjacency import WeightedEdges

TELEPORT = 0.1
"""The share of a node's own vector in each step of ``propagate``."""


class Neighbours:
    r"""Sums over linked nodes of the target type, each with the weight :math:`1 / \sqrt{d_u d_v}`.

    Args:
        graph: One whose nodes are predicted.
        own: Whether each node is a neighbour of itself, too.
    """

    def __init__(self, graph: Graph, *, own: bool = False) -> None:
        node_type = graph.target.node_type
        count = graph.node_counts[node_type]
        ends = [graph.edges[kind].ends() for kind in _among_targets(graph)]
        selves = [(np.arange(count, dtype=np.int32),) * 2] if own else []
        pairs = [*ends, *((destinations, sources) for sources, destinations in ends), *selves]
        sources, destinations = (np.concatenate([np.empty(0, dtype=np.int32), *(pair[i] for pair in pairs)]) for i in (0, 1))
        grouped = Csr.group(sources, destinations, n_destination=count)
        degrees = np.maximum(np.diff(grouped.indptr), 1)
        weights = 1 / np.sqrt(np.repeat(degrees, np.diff(grouped.indptr)) * degrees[grouped.indices])
        self._edges = WeightedEdges(sources=torch.from_numpy(grouped.indices), weights=torch.from_numpy(weights.astype(np.float32)),
                                    offsets=torch.from_numpy(grouped.indptr.astype(np.int32)))

    def sum(self, vectors: Tensor) -> Tensor:
        """The weighted sums ``[nodes, d]`` of vectors ``[nodes, d]``; differentiable once."""
        result: Tensor = _Sum.apply(vectors, self._edges)  # type: ignore[no-untyped-call]
        return result

    def propagate(self, vectors: Tensor, steps: int) -> Tensor:
        r"""Personalised PageRank: :math:`h \leftarrow (1 - \alpha) S h + \alpha h_0`, so many times.

        Gasteiger, Bojchevski and Günnemann, "Predict then Propagate: Graph Neural Networks meet Personalized PageRank" (APPNP),
        2019. A linear decoder after it is the same as before it, where the paper has it.
        """
        propagated = vectors
        for _ in range(steps):
            propagated = (1 - TELEPORT) * self.sum(propagated) + TELEPORT * vectors
        return propagated


def links_among_targets(graph: Graph) -> int:
    """How many edges join nodes of the target type."""
    return sum(len(graph.edges[kind].indices) for kind in _among_targets(graph))


def _among_targets(graph: Graph) -> list[EdgeType]:
    node_type = graph.target.node_type
    return [kind for kind in graph.edges if kind.source == kind.destination == node_type and not kind.is_reverse_in(graph.edges)]


class _Sum(torch.autograd.Function):
    """The weights are the same in both directions, and so is the gradient."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, vectors: Tensor, edges: WeightedEdges) -> Tensor:
        ctx.edges = edges  # type: ignore[attr-defined]
        return edges.sum(vectors)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.edges.sum(gradients[0]), None  # type: ignore[attr-defined]
