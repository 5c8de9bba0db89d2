"""How high a model ranks what is true among all that could be: filtered ranks, both directions.

Bordes et al., "Translating Embeddings for Modeling Multi-relational Data", 2013, for filtered ranks and hits@k. Ties count half:
the mean of the optimistic and the pessimistic rank (Berrendorf et al., "On the Ambiguity of Rank-Based Evaluation", 2020).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HITS = (1, 3, 10)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Everything that is known to answer some questions: ``(u, r, ?)``, with a number for each pair of u and r."""

    questions: NDArray[np.int64]
    """``[questions]``, rising."""
    indptr: NDArray[np.int64]
    """``[questions + 1]``"""
    nodes: NDArray[np.int64]
    """``[answers]``: those of question ``i`` are ``nodes[indptr[i]:indptr[i + 1]]``."""

    @classmethod
    def of(cls, questions: NDArray[np.int64], nodes: NDArray[np.int64]) -> "Answers":
        """The answers of questions that are there as often as they have answers."""
        order = np.argsort(questions, kind="stable")
        found, counts = np.unique(questions, return_counts=True)
        return cls(questions=found, indptr=np.concatenate([[0], np.cumsum(counts)]), nodes=nodes[order])

    def to(self, questions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which node answers which of these questions: the place of each question, and the node."""
        if not len(self.questions):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.questions, questions), len(self.questions) - 1)
        starts = self.indptr[at]
        counts = np.where(self.questions[at] == questions, self.indptr[at + 1] - starts, 0)
        places = np.repeat(np.arange(len(questions)), counts)
        ends = np.cumsum(counts)
        return places, self.nodes[np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)]


def ranks(scores: Tensor, answers: Tensor, known: tuple[Tensor, Tensor]) -> Tensor:
    """The rank of each question's answer among all nodes that do not answer it, from 1; changes ``scores``.

    Args:
        scores: ``[questions, nodes]``, higher is better.
        answers: int64 ``[questions]``.
        known: All answers that are known, as ``Answers.to`` gives them; they count not, as the question's own does not.

    Returns:
        float64 ``[questions]``; a tie counts half. An answer whose score is no number ranks last.
    """
    own = scores.gather(1, answers[:, None])
    scores[known] = -torch.inf
    scores[torch.arange(len(answers)), answers] = -torch.inf
    better, equal = (scores > own).sum(dim=1), (scores == own).sum(dim=1)
    found = 1 + better.double() + equal.double() / 2
    return torch.where(own[:, 0].isfinite(), found, float(scores.shape[1]))


def report(found: NDArray[np.float64]) -> dict[str, Any]:
    """Mean reciprocal rank, hits@k and mean rank of some ranks; all 0 without any."""
    count = max(1, len(found))
    hits = {f"hits@{k}": float((found <= k).sum() / count) for k in HITS}
    return {"mrr": float((1 / found).sum() / count), **hits, "mean_rank": float(found.sum() / count), "count": len(found)}
