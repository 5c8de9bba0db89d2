"""Training: it learns, it is repeatable, it keeps the best model, and every hyperparameter acts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.learn.graphs import changed, communities, hot_of, labels_of, numbers_of_users

from despina.core.errors import WorkFailed
from despina.core.hyperparameters import End
from despina.core.pruning import Averages
from despina.graph.graph import Features, Graph
from despina.graph.sampling import NeighbourSampler
from despina.learn import trainer
from despina.learn.batches import sampled
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import Hyperparameters, read_parameters
from despina.learn.metrics import measure
from despina.learn.models import GraphShape, Model
from despina.learn.predictor import embed, predict_graph
from despina.learn.supervised import Supervised
from despina.learn.trainer import Trained

ACCURACY = Evaluation(metric="acc")
WHOLE = {"num-hidden": 32, "num-epochs": 30, "lr": 0.02, "enable-early-stop": False}
BATCHES = WHOLE | {"batch-size": 8, "num-epochs": 8}


def train(graph: Graph, parameters: dict[str, Any], *, evaluation: Evaluation = ACCURACY, seed: int = 0,
          epochs: list[float | None] | None = None) -> tuple[Trained, NDArray[np.float32]]:
    """The model, and its probabilities for all nodes; the metric after each epoch goes into ``epochs``."""
    given = read_parameters(parameters)
    seen: list[float | None] = [] if epochs is None else epochs
    torch.manual_seed(seed)
    objective = Supervised(graph, given, evaluation, seed=seed)
    trained = trainer.train(objective, given, evaluation, on_epoch=lambda epoch, _best: seen.append(epoch.value))
    return trained, predict_graph(objective.model, graph, given).values[graph.target.node_type]


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES], ids=["whole graph", "batches"])
@pytest.mark.parametrize("changes", [{}, {"num-bases": 2}, {"use-edge-features": True}, {"num-layer": 3, "fanout": [3]}], ids=str)
def test_it_learns_what_features_alone_do_not_tell(parameters: dict[str, Any], changes: dict[str, Any]) -> None:
    graph = communities()
    _, probabilities = train(graph, parameters | changes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert measure("acc", probabilities[graph.target.nodes.test], labels_of(graph)[graph.target.nodes.test]) >= 0.9


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES], ids=["whole graph", "batches"])
def test_several_labels_are_learned(parameters: dict[str, Any]) -> None:
    graph = communities(multilabel=True)
    _, probabilities = train(graph, parameters, evaluation=Evaluation(metric="F1"))
    assert (probabilities[graph.target.nodes.test, 2] > 0.5).all(), "everybody has the third label, on top of another"
    assert measure("F1", probabilities[graph.target.nodes.test], labels_of(graph)[graph.target.nodes.test]) >= 0.9


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES], ids=["whole graph", "batches"])
@pytest.mark.parametrize("hot", [False, True])
def test_the_same_seed_gives_the_same_model_and_another_one_another(parameters: dict[str, Any], hot: bool) -> None:
    graph = communities(hot=hot)
    first, again, other = (train(graph, parameters, seed=seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_model_kept_is_that_of_the_best_epoch() -> None:
    graph = communities()
    epochs: list[float | None] = []
    trained, probabilities = train(graph, WHOLE | {"lr": 0.3}, epochs=epochs)
    assert len(epochs) == 30
    values = [value for value in epochs if value is not None]
    assert trained.value == max(values)
    assert trained.epoch == values.index(max(values)) + 1
    assert trained.value == measure("acc", probabilities[graph.target.nodes.valid], labels_of(graph)[graph.target.nodes.valid])


def test_labels_of_validation_and_test_nodes_are_not_looked_at() -> None:
    graph = communities()
    labels = labels_of(graph).copy()
    hidden = ~graph.target.nodes.train
    labels[hidden & (labels >= 0)] = 1 - labels[hidden & (labels >= 0)]
    # With one evaluation, at the end, there is no best epoch to choose by the validation labels either.
    once = Evaluation(metric="acc", frequency="evaluate_every_pct", every=1.0)
    honest, blind = (train(one, WHOLE, evaluation=once)[1]
                     for one in (graph, changed(graph, labels=labels)))
    np.testing.assert_array_equal(honest, blind)


@pytest.mark.parametrize(("evaluation", "parameters", "measured"), [
    (Evaluation(metric="acc", every=4.0), WHOLE | {"num-epochs": 10}, [4, 8, 10]),
    (Evaluation(metric="acc", frequency="evaluate_every_pct", every=0.5), WHOLE | {"num-epochs": 10}, [5, 10]),
    (Evaluation(metric="acc", frequency="evaluate_every_batch", every=8.0), BATCHES | {"num-epochs": 5}, [2, 4, 5]),
])
def test_the_model_is_measured_as_often_as_asked(evaluation: Evaluation, parameters: dict[str, Any], measured: list[int],
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = trainer._Judge.look

    def noted(judge: Any, epoch: int) -> float:
        looks.append(epoch)
        return look(judge, epoch)

    monkeypatch.setattr(trainer._Judge, "look", noted)
    train(communities(), parameters, evaluation=evaluation)
    assert looks == measured


CHANGES: dict[str, Any] = {
    "batch-size": 4, "concat-node-embed": False, "dropout": 0.6, "edge-num-hidden": 3, "fanout": [1], "l2norm": 0.5,
    "layer-norm": False, "lr": 0.005, "num-bases": 2, "num-epochs": 2, "num-hidden": 8, "num-layer": 1, "per-feat-name-embed": True,
    "sparse-lr": 0.1, "use-class-weight": True, "use-edge-features": False, "use-self-loop": False}
NEEDS_MORE = {"enable-early-stop", "window-for-early-stop", "low-mem", "num-propagation"}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_every_hyperparameter_acts(name: str) -> None:
    base = {"num-hidden": 16, "num-epochs": 4, "use-edge-features": True, "fanout": [3], "batch-size": 8,
            "enable-early-stop": False}
    last = Evaluation(metric="acc", frequency="evaluate_every_pct", every=1.0)
    before, after = (train(communities(), parameters, evaluation=last)[1] for parameters in (base, base | {name: CHANGES[name]}))
    assert not np.array_equal(before, after)


def test_no_hyperparameter_is_left_out_of_these_tests() -> None:
    assert set(CHANGES) | NEEDS_MORE == set(Hyperparameters.__struct_encode_fields__)


@pytest.mark.parametrize(("changes", "stops"), [
    ({}, True), ({"enable-early-stop": False}, False), ({"window-for-early-stop": 50}, False)])
def test_training_stops_early_when_it_is_to(changes: dict[str, Any], stops: bool) -> None:
    epochs: list[float | None] = []
    # A learning rate this high makes the metric jump about.
    jumpy = WHOLE | {"lr": 0.3, "num-epochs": 40, "enable-early-stop": True, "window-for-early-stop": 2}
    train(communities(), jumpy | changes, epochs=epochs)
    assert (len(epochs) < 40) is stops


def test_training_that_diverges_says_so() -> None:
    graph = communities()
    users = graph.features["user"]
    features = {"user": replace(users, dense=np.full_like(users.dense, np.nan))}
    with pytest.raises(WorkFailed, match=r"diverged in epoch 1: the loss is nan\. A lower lr \(it is 0\.02\) may help"):
        train(replace(graph, features=features), WHOLE)


def test_without_training_nodes_there_is_nothing_to_learn() -> None:
    graph = communities()
    nobody = np.zeros_like(graph.target.nodes.train)
    with pytest.raises(WorkFailed, match="no 'user' with a 'side' is in the training part"):
        train(changed(graph, train=nobody), WHOLE)


def test_without_validation_nodes_the_training_nodes_are_judged() -> None:
    graph = communities()
    trained, probabilities = train(changed(graph, valid=np.zeros_like(graph.target.nodes.valid)), WHOLE)
    assert trained.value == measure("acc", probabilities[graph.target.nodes.train], labels_of(graph)[graph.target.nodes.train])


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES], ids=["whole graph", "batches"])
@pytest.mark.parametrize("by_feature", [False, True])
def test_it_learns_what_only_wide_features_tell(parameters: dict[str, Any], by_feature: bool) -> None:
    graph = communities()
    users = Features(columns={"party": (0, 4), "noise": (4, 9)}, dense=np.zeros((80, 0), dtype=np.float32),
                     hot=hot_of(([2 * (i >= 40) + i % 2, 4 + i % 5] for i in range(80)), 9))
    graph = replace(graph, features={"user": users}, edges={}, edge_features={})
    changes = {"concat-node-embed": False, "per-feat-name-embed": by_feature}
    _, probabilities = train(graph, parameters | changes)
    test = graph.target.nodes.test
    assert measure("acc", probabilities[test], labels_of(graph)[test]) >= 0.9


@pytest.mark.parametrize("by_feature", [False, True])
def test_a_batch_with_all_neighbours_sees_what_the_whole_graph_shows(by_feature: bool) -> None:
    graph = communities(hot=True)
    parameters = WHOLE | {"use-edge-features": True, "num-epochs": 2, "per-feat-name-embed": by_feature}
    given = read_parameters(parameters)
    torch.manual_seed(0)
    model = Model(GraphShape.of(graph), given)
    seeds = np.array([30, 2, 11])
    batch = sampled(graph, NeighbourSampler(graph, (1000, 1000), seed=0).sample({"user": seeds}), edge_features=True)
    whole = predict_graph(model, graph, given).embeddings["user"]
    np.testing.assert_allclose(embed(model, batch)["user"].numpy(), whole[seeds], rtol=1e-4, atol=1e-5)


def test_when_the_time_is_over_training_ends_after_the_step_with_the_best_model() -> None:
    graph, given, steps = communities(), read_parameters(WHOLE | {"num-epochs": 1_000}), iter(range(20))
    torch.manual_seed(0)
    objective = Supervised(graph, given, ACCURACY, seed=0)
    trained = trainer.train(objective, given, ACCURACY, on_epoch=lambda *_: None, on_step=lambda: next(steps) == 11)
    assert (trained.ended, len(trained.curve)) == (End.TIME, 12)
    assert trained.value == max(epoch.value or 0 for epoch in trained.curve)


def test_a_model_whose_time_is_over_before_any_evaluation_is_measured_once() -> None:
    graph, given = communities(), read_parameters(WHOLE)
    once = Evaluation(metric="acc", frequency="evaluate_every_pct", every=1.0)
    objective = Supervised(graph, given, once, seed=0)
    trained = trainer.train(objective, given, once, on_epoch=lambda *_: None, on_step=lambda: True)
    assert (trained.ended, trained.epoch, len(trained.curve)) == (End.TIME, 1, 1)
    assert trained.value == objective.measure() > 0


def test_a_training_whose_time_is_over_with_its_last_step_was_whole() -> None:
    graph, given = communities(), read_parameters(WHOLE | {"num-epochs": 1})
    objective = Supervised(graph, given, ACCURACY, seed=0)
    assert trainer.train(objective, given, ACCURACY, on_epoch=lambda *_: None, on_step=lambda: True).ended is End.EPOCHS


@pytest.mark.parametrize(("thresholds", "epochs"), [(((4, 1.1),), 4), (((4, 0.0), (8, 1.1)), 8), (((4, 0.0),), 30)])
def test_a_training_that_is_worse_than_others_were_is_pruned(thresholds: Averages, epochs: int) -> None:
    graph, given = communities(), read_parameters(WHOLE)
    objective = Supervised(graph, given, ACCURACY, seed=0)
    trained = trainer.train(objective, given, ACCURACY, on_epoch=lambda *_: None, thresholds=thresholds)
    assert len(trained.curve) == epochs
    assert trained.ended is (End.EPOCHS if epochs == 30 else End.PRUNED)


def test_of_errors_lower_is_better_than_the_threshold() -> None:
    graph, given = numbers_of_users(), read_parameters(WHOLE | {"num-epochs": 8})
    errors = Evaluation(metric="mse")
    ends = []
    for threshold in (0.0, 1e9):
        objective = Supervised(graph, given, errors, seed=0)
        ends.append(trainer.train(objective, given, errors, on_epoch=lambda *_: None, thresholds=((4, threshold),)).ended)
    assert ends == [End.PRUNED, End.EPOCHS]
