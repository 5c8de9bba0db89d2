"""The cross-entropy of answers among many candidates, whose scores are products of vectors.

The scores of a step are many times larger than all else that it makes: 1,024 questions among 15,000 entities take 60 MB. Laid out
as a whole, and again for each operation on them and its gradient, they cost as much as the matrix products. Here the scores of some
questions are made, turned into their gradient where they lie, and multiplied at once, as Hsu et al., "Liger Kernel: Efficient
Triton Kernels for LLM Training", 2024, do for the words of language models.
"""

from math import inf
from typing import Any

import torch
from torch import Tensor

from despina.learn.workers import ALONE, Workers

QUERIES = 512
"""Whose scores are made at a time."""


def cross_entropy(queries: Tensor, candidates: Tensor, places: Tensor, answers: Tensor, *, counts: Tensor | None = None,
                  workers: Workers = ALONE) -> Tensor:
    r"""The sum over answers of :math:`-\log \mathrm{softmax}(q_p \cdot C)_a`; differentiable once.

    Args:
        queries: ``[n, d]``
        candidates: ``[m, d]``
        places: int64 ``[answers]``, rising: the query of each answer; a query may have several.
        answers: int64 ``[answers]``: the candidate.
        counts: ``[n]``: how many answers each query has; None: as many as are here.
        workers: Who has the candidates, if they are divided. The queries are the same at all of them, candidates and answers are
            each worker's own, and counts are of all together. What comes out is this worker's part: the sum of the parts is the
            whole. The workers tell each other two numbers a query, the greatest score and the sum of the exponentials.
    """
    if counts is None:
        counts = torch.bincount(places, minlength=len(queries)).to(queries.dtype)
    result: Tensor = _CrossEntropy.apply(queries, candidates, (places, answers), counts, workers)  # type: ignore[no-untyped-call]
    return result


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, candidates: Tensor, own: tuple[Tensor, Tensor],  # noqa: PLR0917 - autograd's form
                counts: Tensor, workers: Workers) -> Tensor:
        places, answers = own
        of_queries, of_candidates, loss = torch.empty_like(queries), torch.zeros_like(candidates), queries.new_zeros(())
        room = queries.new_empty(min(QUERIES, len(queries)), len(candidates))
        for start in range(0, len(queries), QUERIES):
            some, count = queries[start:start + QUERIES], counts[start:start + QUERIES]
            first, last = torch.searchsorted(places, torch.tensor([start, start + len(some)])).tolist()
            at = places[first:last] - start, answers[first:last]
            scores = torch.mm(some, candidates.T, out=room[:len(some)])
            right = scores[at].sum()
            lowest = scores.new_full((len(some), 1), -inf)  # of a worker without candidates
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
