"""The cross-entropy of answers among many candidates, whose scores are products of vectors.

What takes time and memory is the matrix of all scores. It is made once, and everything else happens in it: the exponentials, and in
the end the gradient. ``torch.nn.functional.cross_entropy`` on the same scores makes three more such matrices.
"""

from typing import Any

import torch
from torch import Tensor


def cross_entropy(queries: Tensor, candidates: Tensor, places: Tensor, answers: Tensor) -> Tensor:
    r"""The sum over answers of :math:`-\log \mathrm{softmax}(q_p \cdot C)_a`; differentiable once.

    Args:
        queries: ``[n, d]``
        candidates: ``[m, d]``
        places: int64 ``[answers]``: the query of each answer; a query may have several.
        answers: int64 ``[answers]``: the candidate.
    """
    result: Tensor = _CrossEntropy.apply(queries, candidates, places, answers)  # type: ignore[no-untyped-call]
    return result


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, candidates: Tensor, places: Tensor, answers: Tensor) -> Tensor:
        scores = queries @ candidates.T
        largest = scores.amax(dim=1, keepdim=True)
        right = scores[places, answers].sum()
        sums = scores.sub_(largest).exp_().sum(dim=1)
        counts = torch.bincount(places, minlength=len(queries)).to(scores.dtype)
        ctx.save_for_backward(queries, candidates, places, answers, counts / sums)
        ctx.exponentials = scores  # changed by the backward pass, which autograd would not allow of a saved tensor
        return (counts * (sums.log() + largest[:, 0])).sum() - right

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        queries, candidates, places, answers, factors = ctx.saved_tensors
        scores = ctx.exponentials.mul_(factors[:, None])
        scores.index_put_((places, answers), scores.new_full((), -1.0), accumulate=True)
        of_queries, of_candidates = scores @ candidates, scores.T @ queries
        return of_queries * gradients[0], of_candidates * gradients[0], None, None
