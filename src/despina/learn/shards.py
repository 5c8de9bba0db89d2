"""A table of vectors that is divided among workers, each of which has a stretch of its rows."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from despina.learn.cross_entropy import QUERIES
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


def cross_entropy(queries: Tensor, candidates: Tensor, places: Tensor, answers: Tensor, *, counts: Tensor,
                  workers: Workers) -> Tensor:
    """This worker's part of ``cross_entropy.cross_entropy`` among candidates that are divided; the parts' sum is the whole.

    The workers tell each other the greatest score of each query, and the sum of the exponentials: two numbers a query.

    Args:
        queries: ``[n, d]``, the same at all workers. The gradient is that of this worker's part.
        candidates: ``[m, d]``: this worker's, perhaps none.
        places: int64 ``[answers]``, rising: the query of each answer that is among them.
        answers: int64 ``[answers]``: the candidate.
        counts: ``[n]``: how many answers each query has at all workers together.
        workers: Who has the candidates.
    """
    result: Tensor = _CrossEntropy.apply(queries, candidates, (places, answers), counts, workers)  # type: ignore[no-untyped-call]
    return result


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, candidates: Tensor, own: tuple[Tensor, Tensor],  # noqa: PLR0917 - autograd's form
                counts: Tensor, workers: Workers) -> Tensor:
        places, answers = own
        of_queries, of_candidates, loss = torch.empty_like(queries), torch.zeros_like(candidates), queries.new_zeros(())
        for start in range(0, len(queries), QUERIES):
            some, count = queries[start:start + QUERIES], counts[start:start + QUERIES]
            first, last = torch.searchsorted(places, torch.tensor([start, start + len(some)])).tolist()
            at = places[first:last] - start, answers[first:last]
            scores = some @ candidates.T
            right = scores[at].sum()
            lowest = scores.new_full((len(some), 1), -torch.inf)
            largest = workers.largest(scores.amax(dim=1, keepdim=True) if len(candidates) else lowest)
            sums = workers.sum(scores.sub_(largest).exp_().sum(dim=1))
            loss += (count * (sums.log() + largest[:, 0])).sum() / workers.count - right
            gradient = scores.mul_((count / sums)[:, None])
            gradient.index_put_(at, gradient.new_tensor(-1.0), accumulate=True)
            torch.mm(gradient, candidates, out=of_queries[start:start + QUERIES])
            of_candidates.addmm_(gradient.T, some)
        ctx.save_for_backward(of_queries, of_candidates)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        of_queries, of_candidates = ctx.saved_tensors
        return of_queries * gradients[0], of_candidates * gradients[0], None, None, None
