"""Numbers of edges by Bayesian matrix factorisation, and their share in predictions."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.learn.graphs import communities, fan_clubs, ratings

from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph, Labelled, Target, both_directions
from despina.graph.ids import Ids
from despina.learn import correction, factorisation
from despina.learn.configuration import Evaluation

RATED = EdgeType("user", "rated", "film")
USERS, FILMS = 60, 50
ERRORS = Evaluation(metric="mse")


def of_two_tastes(*, known: float = 0.6, noise: float = 0.1) -> Graph:
    """Everybody's rating of every film: a level of both, and a taste that agrees or does not. Some are known."""
    random = np.random.default_rng(0)
    users, films = (grid.ravel().astype(np.int32) for grid in np.meshgrid(np.arange(USERS), np.arange(FILMS), indexing="ij"))
    levels = [random.normal(size=count) for count in (USERS, FILMS)]
    tastes = [random.choice([-1, 1], count) for count in (USERS, FILMS)]
    labels = levels[0][users] + levels[1][films] + tastes[0][users] * tastes[1][films] + noise * random.normal(size=len(users))
    drawn = random.random(len(users))
    part = Labelled(labels=labels.astype(np.float32), train=drawn < known, valid=(drawn >= known) & (drawn < known + 0.1),
                    test=drawn >= known + 0.1)
    counts = {"user": USERS, "film": FILMS}
    return Graph(node_ids={name: Ids.of(map(str, range(count))) for name, count in counts.items()}, features={}, edge_features={},
                 raw_features={}, edges=both_directions(RATED, users, films, counts),
                 target=Target(task=Task.EDGE_REGRESSION, property_name="stars", by_type={RATED: part}))


def part_of(graph: Graph) -> tuple[Labelled, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    part = graph.target.by_type[RATED]
    assert part.labels is not None
    return part, part.labels


def test_it_finds_the_tastes_that_levels_do_not_tell() -> None:
    graph = of_two_tastes()
    part, labels = part_of(graph)
    found = factorisation.factorised(graph, RATED)[:, 0]
    assert found.shape == labels.shape
    error = np.sqrt(np.mean((found - labels)[part.test] ** 2))
    assert error < 0.3, "tastes alone have a deviation of 1, the noise has 0.1"


def test_with_noise_alone_it_says_little_more_than_the_mean() -> None:
    graph = of_two_tastes()
    part, labels = part_of(graph)
    noise = np.random.default_rng(1).normal(size=len(labels)).astype(np.float32)
    noisy = replace(graph, target=replace(graph.target, by_type={RATED: replace(part, labels=noise)}))
    found = factorisation.factorised(noisy, RATED)[:, 0]
    assert np.sqrt(np.mean((found - noise)[part.test] ** 2)) < 1.1


def test_pairs_are_predicted_as_edges_are(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = of_two_tastes()
    expected = factorisation.factorised(graph, RATED)[:, 0]
    found = factorisation.Factorisation(graph, RATED)
    for row in (0, 777, len(expected) - 1):  # the edges are a grid
        assert found.predict(row // FILMS, row % FILMS) == pytest.approx(expected[row], rel=1e-4)
    monkeypatch.setattr(factorisation, "MOST_BYTES", 4 * 11 * (USERS + FILMS) * 10)
    some = factorisation.Factorisation(graph, RATED)
    rows = range(0, len(expected), 97)
    difference = [some.predict(row // FILMS, row % FILMS) - expected[row] for row in rows]
    assert 0 < np.abs(difference).max() < 0.5, "of fewer samples it is nearly the same"


def test_of_new_nodes_what_is_true_of_all() -> None:
    graph = of_two_tastes()
    found = factorisation.Factorisation(graph, RATED)
    for film in (0, 7, FILMS - 1):
        others = np.mean([found.predict(user, film) for user in range(USERS)])
        assert found.predict(USERS, film) == pytest.approx(others, abs=0.4)
    assert found.predict(USERS + 3, FILMS + 5) == found.predict(USERS, FILMS)


def test_only_labels_of_the_training_part_are_looked_at() -> None:
    graph = of_two_tastes()
    part, labels = part_of(graph)
    changed = replace(part, labels=np.where(part.train, labels, -labels - 5))
    other = replace(graph, target=replace(graph.target, by_type={RATED: changed}))
    np.testing.assert_array_equal(factorisation.factorised(graph, RATED), factorisation.factorised(other, RATED))


def test_predictions_lie_among_the_training_labels() -> None:
    graph = of_two_tastes(known=0.1)
    part, labels = part_of(graph)
    found = factorisation.factorised(graph, RATED)
    assert labels[part.train].min() <= found.min() <= found.max() <= labels[part.train].max() + 1e-5


def test_without_a_training_label_there_is_nothing_to_say() -> None:
    graph = of_two_tastes()
    part, _ = part_of(graph)
    none = replace(part, train=np.zeros_like(part.train))
    empty = replace(graph, target=replace(graph.target, by_type={RATED: none}))
    assert not factorisation.is_for(empty)
    assert not factorisation.factorised(empty, RATED).any()
    assert factorisation.Factorisation(empty, RATED).predict(1, 1) == 0


@pytest.mark.parametrize(("graph", "expected"), [
    (ratings(Task.EDGE_REGRESSION), True), (ratings(Task.EDGE_CLASS), False), (communities(), False), (fan_clubs(), False)])
def test_it_is_for_numbers_of_edges(graph: Graph, expected: bool) -> None:
    assert factorisation.is_for(graph) is expected


def test_the_share_is_chosen_on_the_validation_part() -> None:
    graph = of_two_tastes()
    part, labels = part_of(graph)
    nothing: correction.Values = {RATED: np.zeros((len(labels), 1), dtype=np.float32)}
    share, values = correction.choose(graph, nothing, ERRORS)
    assert share == 1.0
    np.testing.assert_allclose(values[RATED], factorisation.factorised(graph, RATED), atol=1e-6)
    np.testing.assert_array_equal(correction.corrected(graph, nothing, share)[RATED], values[RATED])
    perfect: correction.Values = {RATED: labels[:, None].copy()}
    assert correction.choose(graph, perfect, ERRORS)[0] == 0.0
    unjudged = replace(part, valid=np.zeros_like(part.valid))
    blind = replace(graph, target=replace(graph.target, by_type={RATED: unjudged}))
    assert correction.choose(blind, nothing, ERRORS) == (0.0, nothing)
