"""The triples of a small graph, by hand."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.learn.graphs import nameless

from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph, Labelled, Target, both_directions
from despina.learn.triples import Triples

WROTE, CITES = EdgeType("author", "wrote", "paper"), EdgeType("paper", "cites", "paper")
COUNTS = {"author": 2, "paper": 3}
PARTS = "tvstv"
"""The parts of the edges that are predicted, in their order: training, validation and test."""


def masks(parts: str) -> Labelled:
    train, valid, test = (np.array([part == letter for part in parts]) for letter in "tvs")
    return Labelled(labels=None, train=train, valid=valid, test=test)


def library(wrote: str = PARTS) -> Graph:
    """Two authors, three papers; who wrote what is predicted, what cites what is not."""
    edges = {**both_directions(WROTE, np.array([0, 0, 1, 1, 1], np.int32), np.array([0, 1, 2, 0, 1], np.int32), COUNTS),
             **both_directions(CITES, np.array([1, 2], np.int32), np.array([0, 2], np.int32), COUNTS)}
    return Graph(node_ids={name: nameless(count) for name, count in COUNTS.items()}, features={}, edges=edges, edge_features={},
                 raw_features={}, target=Target(task=Task.LINK_PREDICT, property_name="", by_type={WROTE: masks(wrote)}))


def rows(triples: Triples, part: str) -> set[tuple[int, int, int]]:
    questions = getattr(triples, part)
    return set(zip(questions.entities.tolist(), questions.relations.tolist(), questions.answers.tolist(), strict=True))


def test_entities_are_the_nodes_type_by_type_and_relations_the_forward_edge_types() -> None:
    triples = Triples.of(library())
    assert (triples.starts, triples.entities) == ({"author": 0, "paper": 2}, 5)
    assert triples.edge_types == (WROTE, CITES)
    assert triples.candidates.tolist() == [[2, 5], [2, 5], [0, 2], [2, 5]]


def test_each_part_has_its_edges_in_both_directions() -> None:
    triples = Triples.of(library())
    wrote = {"train": [(0, 2), (1, 2)], "valid": [(0, 3), (1, 3)], "test": [(1, 4)]}
    cites = {(3, 1, 2), (2, 3, 3), (4, 1, 4), (4, 3, 4)}
    for part, pairs in wrote.items():
        expected = {(u, 0, v) for u, v in pairs} | {(v, 2, u) for u, v in pairs}
        assert rows(triples, part) == (expected | cites if part == "train" else expected)
        assert getattr(triples, part).answers.dtype == np.int64


def test_without_a_validation_part_the_predicted_edges_of_the_training_part_are_judged() -> None:
    triples = Triples.of(library("ttstt"))
    assert rows(triples, "valid") == {(0, 0, 2), (2, 2, 0), (0, 0, 3), (3, 2, 0), (1, 0, 2), (2, 2, 1), (1, 0, 3), (3, 2, 1)}


@pytest.mark.parametrize("part", ["test", "valid"])
def test_a_part_may_be_empty(part: str) -> None:
    triples = Triples.of(library("vvvvv" if part == "test" else "sssss"))
    assert len(getattr(triples, part)) == 0
    assert rows(triples, "train") == {(3, 1, 2), (2, 3, 3), (4, 1, 4), (4, 3, 4)}


def test_removed_nodes_are_known_as_entities() -> None:
    removed = {"paper": np.array([0, 2], dtype=np.int32), "author": np.array([1], dtype=np.int32)}
    assert sorted(Triples.of(replace(library(), removed=removed)).removed.tolist()) == [1, 2, 4]
    assert Triples.of(library()).removed.tolist() == []


def test_each_pair_of_entity_and_relation_has_a_number_of_its_own() -> None:
    triples = Triples.of(library())
    numbers = triples.numbers(triples.train)
    entities, relations = np.divmod(numbers, 4)
    assert (entities.tolist(), relations.tolist()) == (triples.train.entities.tolist(), triples.train.relations.tolist())


def test_some_questions_are_taken_by_row() -> None:
    some = Triples.of(library()).test.take(np.array([1, 0, 1]))
    assert (some.entities.tolist(), some.relations.tolist(), some.answers.tolist()) == ([4, 1, 4], [2, 0, 2], [1, 4, 1])
