"""Sums over linked nodes, propagation, and the correction of predictions by residuals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.learn.graphs import KNOWS, changed, communities, labels_of, numbers_of_users, ratings

from despina.core.errors import WorkFailed
from despina.core.task import Task
from despina.graph.graph import Graph, both_directions
from despina.learn import residuals, trainer
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import propagates, read_parameters
from despina.learn.metrics import measure
from despina.learn.neighbours import TELEPORT, Neighbours
from despina.learn.predictor import predict_graph
from despina.learn.residuals import STRENGTHS, choose_strength, correct
from despina.learn.tasks import objective_of

ACCURACY, MSE = Evaluation(metric="acc"), Evaluation(metric="mse")


def matrix(graph: Graph, *, own: bool) -> NDArray[np.float64]:
    """The weights, laid out."""
    sources, destinations = graph.edges[KNOWS].ends()
    weights = np.zeros((80, 80))
    np.add.at(weights, (sources, destinations), 1)
    weights += weights.T + (np.eye(80) if own else 0)
    degrees = np.maximum(weights.sum(axis=1), 1)
    laid_out: NDArray[np.float64] = weights / np.sqrt(np.outer(degrees, degrees))
    return laid_out


@pytest.mark.parametrize("own", [False, True])
def test_sums_are_over_both_directions_and_so_are_gradients(own: bool) -> None:
    graph = communities()
    vectors = torch.randn(80, 3, requires_grad=True)
    neighbours, laid_out = Neighbours(graph, own=own), torch.from_numpy(matrix(graph, own=own)).float()
    torch.testing.assert_close(neighbours.sum(vectors), laid_out @ vectors, rtol=1e-4, atol=1e-5)
    seed = torch.randn(80, 3)
    gradient, = torch.autograd.grad(neighbours.sum(vectors), vectors, seed)
    torch.testing.assert_close(gradient, laid_out.T @ seed, rtol=1e-4, atol=1e-5)


def test_propagation_is_that_of_the_paper() -> None:
    graph = communities()
    laid_out, vectors = matrix(graph, own=True), np.random.default_rng(0).normal(size=(80, 2))
    expected = vectors
    for _ in range(3):
        expected = (1 - TELEPORT) * laid_out @ expected + TELEPORT * vectors
    found = Neighbours(graph, own=True).propagate(torch.from_numpy(vectors).float(), 3)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def predictions(graph: Graph, random: np.random.Generator) -> NDArray[np.float32]:
    """Bad ones."""
    if not graph.target.classes:
        return (110 + random.normal(size=(80, 1))).astype(np.float32)
    scores = random.random((80, len(graph.target.classes))).astype(np.float32)
    return scores if graph.target.multilabel else scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("graph", "evaluation"), [
    (numbers_of_users(), MSE), (communities(), ACCURACY), (communities(multilabel=True), Evaluation(metric="F1"))],
    ids=["numbers", "classes", "several"])
def test_the_correction_tells_what_links_tell(graph: Graph, evaluation: Evaluation) -> None:
    values = predictions(graph, np.random.default_rng(0))
    strength = choose_strength(graph, values, evaluation)
    part, corrected = graph.target.nodes, correct(graph, values, strength)
    assert strength in STRENGTHS[1:]
    before, after = (measure(evaluation.metric, one[part.test], labels_of(graph)[part.test]) for one in (values, corrected))
    assert after < before if evaluation is MSE else after > before
    assert corrected.dtype == np.float32
    if graph.target.classes and not graph.target.multilabel:
        np.testing.assert_allclose(corrected.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(corrected[part.train], values[part.train], rtol=1e-5)


@pytest.mark.parametrize("graph", [numbers_of_users(), communities()], ids=["numbers", "classes"])
def test_labels_outside_the_training_part_have_no_influence_on_the_correction(graph: Graph) -> None:
    values = predictions(graph, np.random.default_rng(0))
    labels: NDArray[Any] = labels_of(graph).copy()
    hidden = ~graph.target.nodes.train
    labels[hidden] = labels[hidden][::-1]
    blind = changed(graph, labels=labels)
    np.testing.assert_array_equal(correct(graph, values, 0.9), correct(blind, values, 0.9))


def test_without_links_or_a_validation_part_nothing_is_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = numbers_of_users()
    values = predictions(graph, np.random.default_rng(0))
    assert choose_strength(graph, values, MSE) > 0.0
    nobody = np.array([], dtype=np.int32)
    alone = replace(graph, edges=graph.edges | both_directions(KNOWS, nobody, nobody, graph.node_counts))
    assert choose_strength(alone, values, MSE) == 0.0
    assert choose_strength(changed(graph, valid=np.zeros(80, dtype=np.bool_)), values, MSE) == 0.0
    np.testing.assert_array_equal(correct(graph, values, 0.0), values)
    monkeypatch.setattr(residuals, "MOST_LINKS", 10)
    assert choose_strength(graph, values, MSE) == 0.0


def test_propagated_features_are_learned_from_few_labels() -> None:
    graph = communities(hot=True)
    few = changed(graph, train=np.isin(np.arange(80), [0, 1, 2, 3, 50, 51, 52, 53]))
    given = read_parameters({"num-layer": 0, "num-propagation": 10, "num-epochs": 60, "num-hidden": 32, "lr": 0.02,
                             "layer-norm": False, "concat-node-embed": False, "enable-early-stop": False})
    objective = objective_of(few, "rgcn", given, ACCURACY, seed=0)
    trainer.train(objective, given, ACCURACY, on_epoch=lambda *_: None)
    test = few.target.nodes.test
    found = predict_graph(objective.model, few, given).values["user"]
    assert measure("acc", found[test], labels_of(few)[test]) > 0.8


@pytest.mark.parametrize(("graph", "parameters", "text"), [
    (ratings(Task.EDGE_CLASS), {}, "and edges are predicted; it must be 0"),
    (communities(), {"batch-size": 8}, "trained in batches; it must be 0, or the graph have at most 4000000 edges"),
], ids=["edges", "batches"])
def test_propagation_that_cannot_be_is_refused(graph: Graph, parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(WorkFailed, match=text):
        propagates(graph, read_parameters({"num-propagation": 10} | parameters))
