"""Labels of nodes and edges are learned, as classes and as numbers, of the graph as a whole and in batches."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.learn.graphs import RATES, REVIEWS, numbers_of_users, ratings

from despina.core.errors import WorkFailed
from despina.core.task import Task
from despina.graph.graph import Graph
from despina.learn import batches, supervised
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import read_parameters
from despina.learn.metrics import errors, measure
from despina.learn.predictor import Predictions, predict_graph
from despina.learn.questions import Question
from despina.learn.supervised import Supervised
from despina.learn.trainer import Trained, train

WHOLE = {"num-hidden": 32, "num-epochs": 100, "lr": 0.005, "batch-size": 4096, "enable-early-stop": False, "dropout": 0.0}
BATCHES = WHOLE | {"batch-size": 64, "num-epochs": 25}
MSE, ACCURACY = Evaluation(metric="mse"), Evaluation(metric="acc")


def learned(graph: Graph, parameters: dict[str, Any], evaluation: Evaluation, seed: int = 0) -> tuple[Trained, Predictions]:
    torch.manual_seed(seed)
    given = read_parameters(parameters)
    objective = Supervised(graph, given, evaluation, seed=seed)
    trained = train(objective, given, evaluation, on_epoch=lambda *_: None)
    return trained, predict_graph(objective.model, graph, given)


def of_part(graph: Graph, predictions: Predictions, part: str) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """What is predicted of a part, and the truth."""
    chosen = [(predictions.values[kind][getattr(labelled, part)], labelled.labels[getattr(labelled, part)])
              for kind, labelled in graph.target.by_type.items() if labelled.labels is not None]
    return np.concatenate([values for values, _ in chosen]), np.concatenate([labels for _, labels in chosen])


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES], ids=["whole graph", "batches"])
def test_numbers_of_edges_are_learned(parameters: dict[str, Any]) -> None:
    graph = ratings(Task.EDGE_REGRESSION)
    trained, predictions = learned(graph, parameters, MSE)
    assert {kind: values.shape for kind, values in predictions.values.items()} == {RATES: (600, 1), REVIEWS: (600, 1)}
    values, truth = of_part(graph, predictions, "test")
    assert errors(values[:, 0], truth)["r2"] > 0.7
    values, truth = of_part(graph, predictions, "valid")
    assert trained.value == pytest.approx(errors(values[:, 0], truth)["mse"], rel=1e-4)


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES], ids=["whole graph", "batches"])
def test_classes_of_edges_are_learned(parameters: dict[str, Any]) -> None:
    graph = ratings(Task.EDGE_CLASS)
    trained, predictions = learned(graph, parameters, ACCURACY)
    np.testing.assert_allclose(predictions.values[RATES].sum(axis=1), 1, rtol=1e-5)
    values, truth = of_part(graph, predictions, "test")
    assert measure("acc", values, truth) > max(truth.mean(), 1 - truth.mean()) + 0.1
    assert trained.value == measure("acc", *of_part(graph, predictions, "valid"))


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES | {"batch-size": 8}], ids=["whole graph", "batches"])
def test_numbers_of_nodes_are_learned(parameters: dict[str, Any]) -> None:
    graph = numbers_of_users()
    _, predictions = learned(graph, parameters, MSE)
    values, truth = of_part(graph, predictions, "test")
    assert predictions.values["user"].shape == (80, 1)
    assert errors(values[:, 0], truth)["r2"] > 0.7


def test_the_features_of_the_edge_itself_are_seen() -> None:
    graph = ratings(Task.EDGE_REGRESSION)
    _, seen = learned(graph, WHOLE, MSE)
    _, blind = learned(replace(graph, edge_features={}), WHOLE, MSE)
    with_feature, without = (errors(of_part(graph, one, "test")[0][:, 0], of_part(graph, one, "test")[1])["mse"]
                             for one in (seen, blind))
    assert with_feature < 0.7 * without


@pytest.mark.parametrize("task", [Task.EDGE_REGRESSION, Task.EDGE_CLASS])
def test_labels_outside_the_training_part_are_not_looked_at(task: Task) -> None:
    graph = ratings(task)
    last = Evaluation(metric="mse" if task is Task.EDGE_REGRESSION else "acc", frequency="evaluate_every_pct", every=1.0)
    hidden: dict[Any, Any] = {}
    for kind, part in graph.target.by_type.items():
        assert part.labels is not None
        other = 1 - part.labels if task is Task.EDGE_CLASS else part.labels + 50
        hidden[kind] = replace(part, labels=np.where(part.train | (part.labels == -1), part.labels, other))
    blind = replace(graph, target=replace(graph.target, by_type=hidden))
    first, second = (learned(one, WHOLE | {"num-epochs": 5}, last)[1] for one in (graph, blind))
    np.testing.assert_array_equal(first.values[RATES], second.values[RATES])


def test_equal_numbers_are_learned_without_a_division_by_their_deviation() -> None:
    graph = numbers_of_users()
    same = replace(graph.target.nodes, labels=np.full(80, 7, dtype=np.float32))
    _, predictions = learned(replace(graph, target=replace(graph.target, by_type={"user": same})), WHOLE, MSE)
    assert np.isfinite(predictions.values["user"]).all()


def test_without_training_edges_there_is_nothing_to_learn() -> None:
    graph = ratings(Task.EDGE_CLASS)
    nothing: dict[Any, Any] = {kind: replace(part, train=np.zeros_like(part.train)) for kind, part in graph.target.by_type.items()}
    with pytest.raises(WorkFailed, match="with a 'stars' is in the training part: nothing to learn from"):
        learned(replace(graph, target=replace(graph.target, by_type=nothing)), WHOLE, ACCURACY)


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES], ids=["whole graph", "batches"])
@pytest.mark.parametrize("task", [Task.EDGE_REGRESSION, Task.EDGE_CLASS])
def test_the_label_of_an_edge_is_hidden_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any],
                                                             task: Task) -> None:
    """Messages carry the labels of all other training edges, and of no others."""
    graph = ratings(task)
    given = read_parameters(parameters)
    objective = Supervised(graph, given, MSE if task is Task.EDGE_REGRESSION else ACCURACY, seed=0)
    carried, asked = list[Any](), list[NDArray[np.int64]]()
    answer = Question.answer

    def noting(make: Any) -> Any:
        def made(*arguments: Any, **options: Any) -> Any:
            labels = options.get("labels", arguments[-1])
            carried.append({kind: columns.copy() for kind, columns in labels.items()})
            return make(*arguments, **options)
        return made

    def noted(question: Question, *arguments: Any) -> Any:
        asked.append(question.members)
        return answer(question, *arguments)

    monkeypatch.setattr(supervised, "relabelled", noting(batches.relabelled))
    monkeypatch.setattr(supervised, "sampled", noting(batches.sampled))
    monkeypatch.setattr(Question, "answer", noted)
    for step in objective.steps():
        step()
    train_part = np.concatenate([part.train for part in graph.target.by_type.values()])
    assert len(asked) == len(carried) == objective.per_epoch
    for members, labels in zip(asked, carried, strict=True):
        shown = np.concatenate([labels[kind][:, 0] for kind in (RATES, REVIEWS)]) > 0
        expected = train_part.copy()
        expected[members] = False
        np.testing.assert_array_equal(shown, expected)
        assert not np.concatenate([labels[kind] for kind in (RATES, REVIEWS)])[~shown].any()


def test_labels_travel_with_messages() -> None:
    """Without any edge feature, and with one end that says nothing, the other edges of an end tell its level."""
    graph = replace(ratings(Task.EDGE_REGRESSION), edge_features={})
    _, predictions = learned(graph, WHOLE | {"concat-node-embed": False}, MSE)
    values, truth = of_part(graph, predictions, "test")
    assert errors(values[:, 0], truth)["r2"] > 0.5
