"""Filtered ranks are those of a plain count: the mean of the best and the worst place that ties allow."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from despina.learn.ranking import Answers, ranks, report

Triple = tuple[int, int]
"""A question, and a node that answers it."""


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[list[int]], list[Triple], list[Triple]]:
    """A score for each question and node, few of them different; what is known; and which of that is ranked."""
    questions, nodes = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    row = st.lists(st.integers(-2, 2), min_size=nodes, max_size=nodes)
    scores = draw(st.lists(row, min_size=questions, max_size=questions))
    pairs = st.tuples(st.integers(0, questions - 1), st.integers(0, nodes - 1))
    known = draw(st.lists(pairs, min_size=1, max_size=12))
    return scores, known, draw(st.lists(st.sampled_from(known), min_size=1, max_size=10))


def plainly(scores: list[int], answer: int, known: set[int]) -> float:
    """The rank of an answer, by looking at each node."""
    others = [score for node, score in enumerate(scores) if node != answer and node not in known]
    optimistic = 1 + sum(score > scores[answer] for score in others)
    pessimistic = 1 + sum(score >= scores[answer] for score in others)
    return (optimistic + pessimistic) / 2


@settings(max_examples=200, deadline=None, derandomize=True)
@given(worlds())
def test_ranks_are_those_of_a_plain_count(world: tuple[list[list[int]], list[Triple], list[Triple]]) -> None:
    scores, known, ranked = world
    asked, answers = (np.array(part) for part in zip(*ranked, strict=True))
    expected = [plainly(scores[question], answer, {node for other, node in known if other == question})
                for question, answer in ranked]
    places, nodes = Answers.of(*(np.array(part) for part in zip(*known, strict=True))).to(asked)
    table = torch.tensor(scores, dtype=torch.float32)[torch.from_numpy(asked)]
    found = ranks(table, torch.from_numpy(answers), (torch.from_numpy(places), torch.from_numpy(nodes)))
    assert found.tolist() == expected
    assert report(found.numpy())["mrr"] == np.mean([1 / rank for rank in expected])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20), st.lists(st.integers(-1, 8), max_size=10))
def test_answers_are_those_of_a_dictionary(known: list[Triple], asked: list[int]) -> None:
    pairs = np.array(known, dtype=np.int64).reshape(-1, 2)
    places, nodes = Answers.of(pairs[:, 0], pairs[:, 1]).to(np.array(asked, dtype=np.int64))
    expected = [(place, node) for place, question in enumerate(asked) for other, node in known if other == question]
    assert list(zip(places.tolist(), nodes.tolist(), strict=True)) == expected
