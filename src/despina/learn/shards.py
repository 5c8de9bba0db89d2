"""A table of vectors that is divided among workers, each of which has a stretch of its rows."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from despina.learn.workers import Workers


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The rows ``start`` to ``stop`` of a table, which are this worker's."""

    workers: Workers
    start: int
    stop: int

    @classmethod
    def of(cls, rows: int, workers: Workers) -> "Shard":
        """This worker's part of so many rows."""
        part = workers.part(rows)
        return cls(workers=workers, start=part.start, stop=part.stop)

    def fetch(self, table: Tensor, ids: Tensor) -> Tensor:
        """The rows with these ids, int64 ``[n]``, which all workers ask for together: ``[n, width]``.

        Only they travel. Their gradients do too: each worker's row gets what all workers' losses say of it.

        Args:
            table: This worker's rows.
            ids: Different ones, the same at all workers.
        """
        rows: Tensor = _Fetch.apply(table, ids, self)  # type: ignore[no-untyped-call]
        return rows

    def within(self, start: int, stop: int) -> tuple[int, int]:
        """Of a span of rows those that are this worker's; the second is not below the first."""
        first = min(max(start, self.start), self.stop)
        return first, max(first, min(stop, self.stop))


class _Fetch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, shard: Shard) -> Tensor:
        own = torch.nonzero((ids >= shard.start) & (ids < shard.stop))[:, 0]
        ctx.shard, ctx.own, ctx.rows, ctx.shape = shard, own, ids[own] - shard.start, table.shape
        found = table.new_zeros(len(ids), table.shape[1])
        found[own] = table[ctx.rows]
        return shard.workers.sum(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = ctx.shard.workers.sum(gradients[0].clone())
        of_table = gradient.new_zeros(ctx.shape).index_add_(0, ctx.rows, gradient[ctx.own])
        return of_table, None, None
