"""Filtered ranks by hand, what answers what, and what is reported of ranks."""

import numpy as np
import pytest
import torch

from despina.learn.ranking import Answers, ranks, report

NOTHING = (torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))


def test_answers_are_found_by_question() -> None:
    answers = Answers.of(np.array([7, 2, 7, 9, 2]), np.array([10, 11, 12, 13, 14]))
    places, nodes = answers.to(np.array([2, 8, 7, 2]))
    assert list(zip(places.tolist(), nodes.tolist(), strict=True)) == [(0, 11), (0, 14), (2, 10), (2, 12), (3, 11), (3, 14)]


@pytest.mark.parametrize("asked", [[], [0], [100], [1, 100]], ids=str)
def test_unknown_questions_have_no_answers(asked: list[int]) -> None:
    nothing = np.empty(0, dtype=np.int64)
    for answers in (Answers.of(np.array([3, 5]), np.array([1, 1])), Answers.of(nothing, nothing)):
        places, nodes = answers.to(np.array(asked, dtype=np.int64))
        assert (places.tolist(), nodes.tolist()) == ([], [])


def test_the_rank_is_one_more_than_those_that_are_better_and_half_of_those_that_are_equal() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.3],   # the best
                           [0.1, 0.9, 0.5, 0.3],   # the worst
                           [0.5, 0.9, 0.5, 0.5],   # one is better, two are equal
                           [1.0, 1.0, 1.0, 1.0]])  # of four equal ones it is in the middle
    assert ranks(scores, torch.tensor([1, 0, 2, 3]), NOTHING).tolist() == [1.0, 4.0, 3.0, 2.5]


def test_what_else_answers_does_not_count() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.3], [0.1, 0.9, 0.5, 0.3]])
    known = (torch.tensor([0, 0, 1]), torch.tensor([1, 3, 2]))  # the first one's own answer is among them
    assert ranks(scores, torch.tensor([3, 3]), known).tolist() == [2.0, 2.0]


@pytest.mark.parametrize("own", [float("nan"), float("-inf"), float("inf")])
def test_an_answer_whose_score_is_no_number_is_last(own: float) -> None:
    assert ranks(torch.tensor([[0.1, own, 0.5]]), torch.tensor([1]), NOTHING).tolist() == [3.0]


def test_what_is_reported_of_ranks() -> None:
    assert report(np.array([1.0, 2.0, 4.0, 20.0])) == pytest.approx({
        "mrr": (1 + 1 / 2 + 1 / 4 + 1 / 20) / 4, "hits@1": 0.25, "hits@3": 0.5, "hits@10": 0.75, "mean_rank": 6.75, "count": 4})


def test_without_ranks_everything_is_zero() -> None:
    assert set(report(np.empty(0)).values()) == {0}
