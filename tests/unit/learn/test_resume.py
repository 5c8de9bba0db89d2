"""A training that was killed goes on where it was, and comes to what it would have come to."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.unit.learn.graphs import communities, fan_clubs, ratings

from despina.core.task import Task
from despina.graph.graph import Graph
from despina.learn import trainer
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import parameters_of, read_parameters
from despina.learn.resume import FILE, Epoch, TrainingState
from despina.learn.tasks import objective_of
from despina.learn.trainer import Trained, train

COMMON = {"num-hidden": 8, "num-epochs": 8, "window-for-early-stop": 2}
CASES: dict[str, tuple[Callable[[], Graph], dict[str, Any], str]] = {
    "whole graph": (communities, {"batch-size": 1024}, "acc"),
    "batches": (communities, {"batch-size": 8, "fanout": [2]}, "acc"),
    "edges": (lambda: ratings(Task.EDGE_REGRESSION), {"batch-size": 64}, "mse"),
    "links": (fan_clubs, {"batch-size": 1024}, "mrr"),
    "embedding": (fan_clubs, {"batch-size": 32, "num-negs": 8, "gamma": 6.0}, "mrr"),
    "links in batches": (fan_clubs, {"batch-size": 32, "fanout": [2]}, "mrr"),
}


class Killed(Exception):
    pass


def run(case: str, folder: Path, *, killed_after: int | None = None, go_on: bool = False,
        once: bool = False) -> tuple[Trained, dict[str, torch.Tensor]]:
    """Train, and keep each state; perhaps until an epoch, perhaps from the state that was kept."""
    make, parameters, metric = CASES[case]
    graph = make()
    model = "transe" if case == "embedding" else "rgcn"
    given = read_parameters(COMMON | parameters, parameters_of(model, graph.target.task))
    evaluation = Evaluation(metric=metric, frequency="evaluate_every_pct") if once else Evaluation(metric=metric)
    objective = objective_of(graph, model, given, evaluation, seed=3)

    def on_epoch(point: Epoch, _best: float | None) -> None:
        if killed_after is not None and point.epoch > killed_after:
            raise Killed

    trained = train(objective, given, evaluation, on_epoch=on_epoch, keep=lambda state: state.save(folder),
                    kept=TrainingState.load(folder) if go_on else None)
    return trained, objective.model.state_dict()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("killed_after", [1, 2])
def test_what_comes_of_it_is_what_would_have_come(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str,
                                                  killed_after: int) -> None:
    monkeypatch.setattr(trainer, "SHARE", float("inf"))  # each state is kept
    whole, model = run(case, tmp_path)
    (tmp_path / FILE).unlink(missing_ok=True)
    with pytest.raises(Killed):
        run(case, tmp_path, killed_after=killed_after)
    again, same = run(case, tmp_path, go_on=True)
    assert [(point.epoch, point.loss, point.value) for point in again.curve] == [
        (point.epoch, point.loss, point.value) for point in whole.curve]
    assert (again.epoch, again.value, again.ended) == (whole.epoch, whole.value, whole.ended)
    for name, tensor in model.items():
        torch.testing.assert_close(same[name], tensor, rtol=0, atol=0, msg=name)


def test_a_training_goes_on_that_was_not_measured_yet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trainer, "SHARE", float("inf"))
    whole, model = run("whole graph", tmp_path, once=True)
    (tmp_path / FILE).unlink()
    with pytest.raises(Killed):
        run("whole graph", tmp_path, killed_after=2, once=True)
    again, same = run("whole graph", tmp_path, go_on=True, once=True)
    assert again.value == whole.value
    for name, tensor in model.items():
        torch.testing.assert_close(same[name], tensor, rtol=0, atol=0, msg=name)


def test_keeping_takes_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each takes a second of a clock, and each epoch half a second: after one, there is none for 20 seconds."""
    clock = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock) / 2)
    monkeypatch.setitem(COMMON, "num-epochs", 60)
    monkeypatch.setitem(COMMON, "enable-early-stop", False)
    kept: list[int] = []
    monkeypatch.setattr(TrainingState, "save", lambda state, _folder: kept.append(len(state.progress.curve)))
    run("whole graph", tmp_path)
    assert kept[0] == 1
    assert 1 < len(kept) < 10


@pytest.mark.parametrize("content", [None, b"", b"{}", bytes([16, *[0] * 7]) + b'{"a":1}        '], ids=str)
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    assert TrainingState.load(tmp_path) is None
