"""Trainings of several workers, as an engine starts them: what they leave, and what becomes of them when one is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit.learn.graphs import communities, fan_clubs
from tests.unit.programs.test_training import PROCESSED, Place

from despina.core.job import StrategyWork
from despina.graph.faults import InputFault
from despina.learn import checkpoint
from despina.learn.evaluation import evaluate
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.predictor import predict_graph
from despina.programs import strategy

TIME_LIMIT = 60
BATCHES: dict[str, Any] = {"num-hidden": 8, "num-epochs": 3, "batch-size": 16, "enable-early-stop": False}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.below(tmp_path)


@contextmanager
def started(place: Place, name: str, **work: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A training in a process of its own, whose files are in the folder of this name."""
    folder = place.context.folder / name
    folder.mkdir()
    spec = {"run_id": name, "work": {"type": "train", "processed": PROCESSED, "output": f"s3://bucket/{name}", "instance_count": 2,
                                     "parameters": BATCHES} | work}
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    with (folder / "log.txt").open("wb") as log, (folder / "progress.jsonl").open("wb") as progress, subprocess.Popen(
            [sys.executable, "-m", "despina.programs", "spec.json"], cwd=folder, stderr=log, stdout=progress,
            env=os.environ | {"DESPINA_S3_FOLDER": str(place.bucket.parent), "OMP_NUM_THREADS": "2"}) as process:
        try:
            yield process
        finally:
            process.kill()


def log_of(place: Place, name: str) -> str:
    return (place.context.folder / name / "log.txt").read_text(encoding="utf-8")


def until(condition: Callable[[], Any]) -> Any:
    """What the condition says as soon as it says anything."""
    deadline = time.monotonic() + TIME_LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline
        os.sched_yield()
    return found


def children(process: "subprocess.Popen[bytes]") -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()]


def test_two_workers_leave_one_model(place: Place) -> None:
    place.prepare(communities())
    with started(place, "run") as process:
        assert process.wait(TIME_LIMIT) == 0, log_of(place, "run")
    report = place.json("run/training-report.json")
    assert report["instance_count"] == 2
    assert [point["epoch"] for point in report["curve"]] == [1, 2, 3]
    assert "worker 1" not in log_of(place, "run"), "the log is the first worker's alone"
    assert "2 workers train together, with 1 threads each" in log_of(place, "run")


def test_a_graph_that_is_trained_as_a_whole_has_one_worker(place: Place) -> None:
    place.prepare(communities())
    with started(place, "run", parameters=BATCHES | {"batch-size": 1024}) as process:
        assert process.wait(TIME_LIMIT) == 0, log_of(place, "run")
    assert place.json("run/training-report.json")["instance_count"] == 1
    assert "one worker trains, though instance_count is 2" in log_of(place, "run")


def test_a_table_that_was_divided_is_one_file_and_goes_on_after_a_kill(place: Place) -> None:
    place.prepare(fan_clubs(), model_type="kge")
    table = {"num-hidden": 8, "num-epochs": 100_000, "batch-size": 64, "num-negs": 8, "enable-early-stop": False}
    with started(place, "lost", parameters=table) as process:
        until(lambda: len(list(place.bucket.glob("lost/state/worker-*/?/*.safetensors"))) == 4)
        os.kill(children(process)[0], signal.SIGKILL)
        assert process.wait(TIME_LIMIT) == -signal.SIGKILL
    with started(place, "again", attempts=["s3://bucket/lost"], parameters=table, until=0) as process:
        assert process.wait(TIME_LIMIT) == 0, log_of(place, "again")
    assert "going on after epoch" in log_of(place, "again")
    model, description = checkpoint.load(place.bucket / "again")
    assert isinstance(model, KnowledgeGraphEmbedding)
    assert not list(place.bucket.glob("again/state/**/*.safetensors"))
    measured = evaluate(model, fan_clubs(), predict_graph(model, fan_clubs(), description.given))
    assert measured["valid"]["mrr"] == pytest.approx(description.value)
    assert measured["test"] == pytest.approx(place.json("again/training-report.json")["metrics"]["test"])


@pytest.mark.parametrize("first", [False, True], ids=["another worker", "the first worker"])
def test_a_worker_that_is_killed_takes_the_run_with_it(place: Place, *, first: bool) -> None:
    place.prepare(communities())
    endless = BATCHES | {"num-epochs": 100_000}
    with started(place, "lost", parameters=endless) as process:
        until(lambda: list(place.bucket.glob("lost/state/*.safetensors")))
        (other,) = children(process)
        os.kill(process.pid if first else other, signal.SIGKILL)
        assert process.wait(TIME_LIMIT) == -signal.SIGKILL, "killed: lost, and no failure of its own"
    until(lambda: not Path(f"/proc/{other}").exists())
    assert not (place.context.folder / "lost" / "result.json").exists()

    curve = place.bucket / "again" / "training-report.json"
    with started(place, "again", attempts=["s3://bucket/lost"], parameters=endless, until=0) as process:
        assert process.wait(TIME_LIMIT) == 0, log_of(place, "again")
    assert "going on after epoch" in log_of(place, "again")
    assert json.loads(curve.read_bytes())["ended"] == "time out"


@pytest.mark.parametrize("count", [0, 65, 1.5, "2", True, None])
def test_an_instance_count_out_of_range_is_refused(place: Place, count: Any) -> None:
    place.prepare(communities(), instance_count=count)
    with pytest.raises(InputFault, match=r"models\[0\].instance_count: is the number of workers .* a whole number from 1 to 64"):
        strategy.run(StrategyWork(processed=PROCESSED, trials=1), place.context)


def test_a_key_that_is_nearly_right_is_refused_with_the_right_one(place: Place) -> None:
    place.prepare(communities(), instanceCount=2)
    with pytest.raises(InputFault, match=r"unknown key 'instanceCount' .did you mean 'instance_count'"):
        strategy.run(StrategyWork(processed=PROCESSED, trials=1), place.context)


def test_the_strategy_tells_how_many_workers_a_trial_has_and_what_they_need(place: Place) -> None:
    changes: dict[str, Any] = {"fixed-param": [{"param": "batch-size", "type": "int", "default": 16}],
                               "3-tier-param": [], "2-tier-param": [], "1-tier-param": []}
    place.prepare(communities(), instance_count=3, **changes)
    several = strategy.run(StrategyWork(processed=PROCESSED, trials=1), place.context)
    place.prepare(communities(), **changes)
    one = strategy.run(StrategyWork(processed=PROCESSED, trials=1), place.context)
    assert (several["instance_count"], one["instance_count"]) == (3, 1)
    assert several["memory_mib"] == 3 * one["memory_mib"]
