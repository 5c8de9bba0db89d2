r"""Message passing along all relations at once: the means of neighbours, a product for each relation, and their sum.

.. math:: m_v = \sum_r \Big( \frac{1}{|N_r(v)|} \sum_{u \in N_r(v)} h_u \Big) W_r

Node by node and relation by relation there is one mean, a row: means are taken into the rows by one sparse product, each relation's
rows are a block that is multiplied by its weights, and another sparse product adds the rows of each node. Neither is there anything
for each edge, nor anything of the size of all nodes for each relation. ``bench/rgcn.py`` has what that brings.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import Csr, EdgeType
from despina.learn.adjacency import Adjacency, WeightedEdges, weighted


@dataclass(frozen=True, kw_only=True)
class Messages:
    """The edges of a block, of all types. Nodes of all types are numbered through, type by type."""

    edge_types: tuple[EdgeType, ...]
    """Those with any edge, in the order of their rows."""
    spans: tuple[tuple[int, int], ...]
    """The rows ``[start, stop)`` of each."""
    means: WeightedEdges
    """From the nodes that are read into rows."""
    n_read: int
    """Nodes that are read, of all types."""
    sums: WeightedEdges
    """From rows into the nodes that are computed, unweighted."""
    destinations: Tensor
    """int64 ``[rows]``: the computed node of each row."""

    @classmethod
    def of(cls, adjacencies: dict[EdgeType, Adjacency], *, reads: dict[str, int], computes: dict[str, int]) -> "Messages":
        """The messages along some edges.

        Args:
            adjacencies: The edges, by type.
            reads: Node type → how many nodes are read.
            computes: Node type → how many of them, the first ones, are computed.
        """
        first_read, first_computed = _starts(reads), _starts(computes)
        rows = [0, *accumulate(len(adjacency.rows) for adjacency in adjacencies.values())]
        edges = [0, *accumulate(len(adjacency.forward.sources) for adjacency in adjacencies.values())]
        sources = _joined([adjacency.forward.sources.numpy() + np.int32(first_read[edge_type.source])
                           for edge_type, adjacency in adjacencies.items()], np.int32)
        offsets = _joined([*(adjacency.forward.offsets[:-1].numpy() + np.int32(start)
                             for adjacency, start in zip(adjacencies.values(), edges, strict=False)),
                           np.array(edges[-1:])], np.int32)
        weights = _joined([adjacency.forward.weights.numpy() for adjacency in adjacencies.values() if adjacency.forward.weights
                           is not None], np.float32)
        destinations = _joined([adjacency.rows.numpy() + first_computed[edge_type.destination]
                                for edge_type, adjacency in adjacencies.items()], np.int64)
        sums = Csr.group(np.arange(rows[-1], dtype=np.int32), destinations.astype(np.int32), n_destination=sum(computes.values()))
        return cls(
            edge_types=tuple(adjacencies), spans=tuple(pairwise(rows)), destinations=torch.from_numpy(destinations),
            means=weighted(sources, offsets, weights), n_read=sum(reads.values()), sums=weighted(sums.indices, sums.indptr, None))

    @cached_property
    def back(self) -> WeightedEdges:
        """The same edges and weights as ``means``, from rows to nodes that are read. Only gradients need them."""
        offsets, weights = self.means.offsets.numpy(), self.means.weights
        assert weights is not None  # noqa: S101 - means have weights
        row_of_edge = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
        back = Csr.group(row_of_edge, self.means.sources.numpy(), n_destination=self.n_read)
        return weighted(back.indices, back.indptr, weights.numpy()[back.edge_ids])

    def pass_along(self, x: Tensor, matrices: Tensor) -> Tensor:
        """The sums of messages ``[computed, width]`` of nodes ``x``, ``[read, d]``; differentiable once.

        ``matrices`` is ``[edge types, d, width]``, in the order of ``edge_types``.
        """
        result: Tensor = _Pass.apply(x, matrices, self)  # type: ignore[no-untyped-call]
        return result


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, matrices: Tensor, messages: Messages) -> Tensor:
        means = messages.means.sum(x)
        ctx.messages = messages
        ctx.save_for_backward(means, matrices)
        products = means.new_empty(len(means), matrices.shape[2])
        for (start, stop), matrix in zip(messages.spans, matrices, strict=True):
            torch.mm(means[start:stop], matrix, out=products[start:stop])
        return messages.sums.sum(products)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        messages: Messages = ctx.messages
        means, matrices = ctx.saved_tensors
        products = gradients[0].index_select(0, messages.destinations)
        of_matrices = torch.empty_like(matrices)
        of_means = torch.empty_like(means) if ctx.needs_input_grad[0] else None
        for i, (start, stop) in enumerate(messages.spans):
            torch.mm(means[start:stop].T, products[start:stop], out=of_matrices[i])
            if of_means is not None:
                torch.mm(products[start:stop], matrices[i].T, out=of_means[start:stop])
        return None if of_means is None else messages.back.sum(of_means), of_matrices, None


def _starts(counts: dict[str, int]) -> dict[str, int]:
    return dict(zip(counts, accumulate(counts.values(), initial=0), strict=False))


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *parts]).astype(kind, copy=False)
