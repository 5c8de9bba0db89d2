"""What the plainest models reach, by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.learn.graphs import LIKES, RATES, changed, communities, fan_clubs, labels_of, numbers_of_users, ratings

from despina.core.task import Task
from despina.graph.graph import Graph, Labelled, both_directions
from despina.learn import floors
from despina.learn.floors import floor


def test_the_commonest_class_is_the_floor_of_classes() -> None:
    graph = communities()
    name, measured = floor(graph)
    train, test = (labels_of(graph)[mask] for mask in (graph.target.nodes.train, graph.target.nodes.test))
    assert name == "majority"
    assert measured["test"]["acc"] == (test == np.bincount(train).argmax()).mean()
    assert measured["test"]["roc_auc"] == 0.5


def test_with_several_labels_each_class_is_as_likely_as_it_is_common() -> None:
    _, measured = floor(communities(multilabel=True))
    assert measured["valid"]["classes"]["anyone"]["recall"] == 1.0, "everybody has it"
    assert measured["valid"]["roc_auc"] == 0.5


def test_the_mean_is_the_floor_of_numbers() -> None:
    graph = numbers_of_users()
    name, measured = floor(graph)
    train, valid = (labels_of(graph)[mask].astype(np.float64) for mask in (graph.target.nodes.train, graph.target.nodes.valid))
    assert name == "mean"
    assert measured["valid"]["mse"] == pytest.approx(((valid - train.mean()) ** 2).mean(), rel=1e-5)


def test_the_levels_of_both_ends_are_the_floor_of_numbers_of_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that are the sum of two levels are told exactly when nothing pulls levels to 0."""
    monkeypatch.setattr(floors, "PULL", 1e-9)
    graph = ratings(Task.EDGE_REGRESSION)
    part = graph.target.by_type[RATES]
    sources, destinations = graph.edges[RATES].ends()
    exact = replace(part, labels=(3 * sources - 2.0 * destinations).astype(np.float32))
    name, measured = floor(replace(graph, target=replace(graph.target, by_type={RATES: exact})))
    assert name == "bias"
    assert measured["test"]["rmse"] < 0.2
    plain = float(np.std(exact.labels)) if exact.labels is not None else 0.0
    assert measured["test"]["rmse"] < 0.01 * plain


def test_levels_are_pulled_to_the_mean() -> None:
    graph = ratings(Task.EDGE_REGRESSION)
    _, measured = floor(graph)
    assert 0 < measured["test"]["r2"] < 1


def links(train: list[tuple[int, int]], test: list[tuple[int, int]]) -> Graph:
    """Links between three users and four items; the others are removed."""
    graph = fan_clubs()
    sources, destinations = np.array([*train, *test], dtype=np.int32).T
    mask = np.arange(len(sources)) < len(train)
    by_type: dict[Any, Labelled] = {LIKES: Labelled(labels=None, train=mask, valid=np.zeros_like(mask), test=~mask)}
    return replace(graph, edges=both_directions(LIKES, sources.copy(), destinations.copy(), graph.node_counts),
                   target=replace(graph.target, by_type=by_type),
                   removed={"item": np.arange(4, 24, dtype=np.int32), "user": np.arange(3, 60, dtype=np.int32)})


def test_the_most_popular_come_first_of_links() -> None:
    """Item 0 has three training edges, 1 and 2 one each, 3 none; of users 0 has two, 1 two, 2 one."""
    graph = links([(0, 0), (1, 0), (2, 0), (0, 1), (1, 2)], [(2, 1), (0, 3)])
    name, measured = floor(graph)
    # User 2 asks: item 0 is known, 1 ties with 2 and beats 3: rank 1.5. User 0 asks: 0 and 1 are known, 2 is before 3: rank 2.
    # Item 1 is asked for: user 0 is known; 1 is before 2: rank 2. Item 3: users 0 and 1 tie before 2, rank 1.5.
    assert name == "popularity"
    assert measured["test"]["mrr"] == pytest.approx(np.mean([1 / 1.5, 1 / 2, 1 / 2, 1 / 1.5]))
    assert measured["test"]["count"] == 4


def test_without_a_validation_part_the_training_part_takes_its_place() -> None:
    graph = communities()
    _, measured = floor(changed(graph, valid=np.zeros_like(graph.target.nodes.valid)))
    assert measured["valid"]["count"] == graph.target.nodes.train.sum()
