"""Mean aggregation along edges, the one sparse operation of message passing.

``torch.nn.functional.embedding_bag`` sums rows by index in one pass and keeps no message per edge; with the transposed edges at
hand its gradient is the same operation. ``bench/train.py`` measures it beside torch's CSR product and beside gather and
``index_add``, which are slower.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from despina.graph.graph import Csr


@dataclass(frozen=True, kw_only=True)
class WeightedEdges:
    """Edges grouped by the row they lead to: row ``i`` receives ``Σ weights[j] · x[sources[j]]`` for j from offsets[i] on."""

    sources: Tensor
    """int32 ``[n_edges]``"""
    offsets: Tensor
    """int32 ``[n_rows + 1]``"""
    weights: Tensor | None
    """float32 ``[n_edges]``; None: all are 1."""

    def sum(self, x: Tensor) -> Tensor:
        """The weighted sums: ``[n_sources, d]`` → ``[n_rows, d]``. Outside autograd."""
        weights = None if self.weights is None else self.weights.to(x.dtype)
        return embedding_bag(self.sources, x.contiguous(), self.offsets, mode="sum", include_last_offset=True,
                             per_sample_weights=weights)


@dataclass(frozen=True, kw_only=True)
class Adjacency:
    """The edges of one type, ready to be averaged along."""

    rows: Tensor
    """int64 ``[n_rows]``: the destinations that have any edge, in rising order."""
    forward: WeightedEdges
    """Into ``rows``, each edge with the weight 1 / (edges of its destination)."""
    n_source: int
    """Nodes of the source type that are read."""

    @cached_property
    def backward(self) -> WeightedEdges:
        """The same edges and weights from the rows back to the sources."""
        degrees = self.forward.offsets.diff().numpy()
        row_of_edge = np.repeat(np.arange(len(self.rows), dtype=np.int32), degrees)
        transposed = Csr.group(row_of_edge, self.forward.sources.numpy(), n_destination=self.n_source)
        weights = np.repeat(1.0 / degrees, degrees).astype(np.float32)
        return weighted(transposed.indices, transposed.indptr, weights[transposed.edge_ids])

    @classmethod
    def of(cls, csr: Csr, *, n_source: int) -> "Adjacency":
        """The adjacency of edges grouped by destination."""
        degrees = np.diff(csr.indptr)
        rows = np.flatnonzero(degrees)
        degrees = degrees[rows]
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(degrees)])
        weights = np.repeat(1.0 / degrees, degrees).astype(np.float32)
        return cls(rows=torch.from_numpy(rows), forward=weighted(csr.indices, offsets, weights), n_source=n_source)

    def of_edges(self) -> "Adjacency":
        """The adjacency whose sources are this one's edges in their own order: averages of what lies on the edges."""
        count = len(self.forward.sources)
        forward = WeightedEdges(sources=torch.arange(count, dtype=torch.int32), offsets=self.forward.offsets,
                                weights=self.forward.weights)
        return Adjacency(rows=self.rows, forward=forward, n_source=count)


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency  # type: ignore[attr-defined]
        return adjacency.forward.sum(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.adjacency.backward.sum(gradients[0]), None  # type: ignore[attr-defined]


def mean(x: Tensor, adjacency: Adjacency) -> Tensor:
    """The mean of each row's sources: ``[n_sources, d]`` → ``[n_rows, d]``; differentiable once."""
    result: Tensor = _Mean.apply(x, adjacency)  # type: ignore[no-untyped-call]
    return result


def weighted(sources: NDArray[np.int32], offsets: NDArray[np.integer[Any]], weights: NDArray[np.float32] | None) -> WeightedEdges:
    """Edges in the form of NumPy."""
    return WeightedEdges(sources=torch.from_numpy(np.array(sources)), offsets=torch.from_numpy(offsets.astype(np.int32)),
                         weights=None if weights is None else torch.from_numpy(weights))
