"""Trainings that find no memory, run out of time, or build on earlier ones, through the program."""

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace as replace_graph
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.learn.graphs import communities, random_links
from tests.unit.programs.test_training import MODEL, OUTPUT, PARAMETERS, PROCESSED, TRAIN, Place

from despina.core.hyperparameters import End, TrialResult
from despina.core.job import Earlier, RunSpec, TrainWork, TransformWork, Trial
from despina.graph.ids import Ids
from despina.programs import train, transform


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.below(tmp_path)


def result_of(work: TrainWork, place: Place) -> TrialResult:
    return msgspec.convert(train.run(work, place.context), TrialResult)


def test_without_enough_memory_the_batch_is_halved_until_it_fits(place: Place, tmp_path: Path) -> None:
    # A batch of 2,048 scores 1,024 random entities each by 128 numbers: 1 GiB. The process may have three quarters of one.
    place.prepare(random_links(nodes=1_000, edges=600), model_type="kge")
    parameters: dict[str, Any] = {"num-hidden": 128, "num-epochs": 1, "batch-size": 2048, "num-negs": 1024, "neg-share": False}
    spec = tmp_path / "run" / "spec.json"
    spec.write_bytes(msgspec.json.encode(RunSpec(run_id="r", work=replace(TRAIN, parameters=parameters))))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (3 << 28, 3 << 28))

    ran = subprocess.run(
        [sys.executable, "-m", "despina.programs", str(spec)], capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=limit, env={"DESPINA_S3_FOLDER": str(tmp_path / "s3"), "PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"})
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "out of memory: going on with batch-size 540" in ran.stderr
    used = place.json("model/training-report.json")["hyperparameters"]["batch-size"]
    assert used < 600
    assert f"going on with batch-size {used}" in ran.stderr


def test_an_attempt_after_one_that_was_killed_for_lack_of_memory_has_half_the_batch(place: Place) -> None:
    place.prepare(communities())
    train.run(replace(TRAIN, halvings=2), place.context)
    assert place.json("model/training-report.json")["hyperparameters"]["batch-size"] == 7, "a quarter of 31 training nodes"


def test_a_training_whose_time_is_over_leaves_the_best_model_and_says_so(place: Place) -> None:
    place.prepare(communities())
    work = replace(TRAIN, until=time.time_ns() // 1_000_000 - 1)
    result = result_of(work, place)
    assert (result.ended, result.epoch) == (End.TIME, 1)
    report = place.json("model/training-report.json")
    assert (report["ended"], len(report["curve"])) == ("time out", 1)
    assert (place.bucket / "model" / "model.safetensors").is_file()


def test_a_result_has_what_later_trials_are_held_against(place: Place) -> None:
    place.prepare(communities(), eval_frequency={"type": "evaluate_every_epoch", "value": 1})
    result = result_of(TRAIN, place)
    curve = place.json("model/training-report.json")["curve"]
    ((epoch, average),) = result.averages
    assert epoch == 4
    assert average == pytest.approx(sum(point["value"] for point in curve[:4]) / 4)
    assert result_of(replace(TRAIN, thresholds=((4, 1.1),)), place).ended is End.PRUNED


def test_a_training_that_builds_on_another_begins_where_that_ended(place: Place) -> None:
    before = communities()
    place.prepare(before)
    long = replace(TRAIN, parameters=PARAMETERS | {"num-epochs": 40, "lr": 0.02})
    train.run(long, place.context)
    reached = place.json("model/training-report.json")["curve"][-1]["value"]
    grown = replace_graph(before, node_ids=before.node_ids | {"item": Ids.of([*before.node_ids["item"][:-1], "new-1"])})
    grown.save(place.bucket / "grown" / "graph")
    (place.bucket / "grown" / "model-hpo-configuration.json").write_bytes(
        (place.bucket / "processed" / "model-hpo-configuration.json").read_bytes())
    short = replace(TRAIN, processed="s3://bucket/grown", output="s3://bucket/again", parameters=PARAMETERS | {"num-epochs": 1})
    values = []
    for work in (short, replace(short, earlier=Earlier(model=MODEL, processed=PROCESSED))):
        train.run(work, place.context)
        values.append(place.json("again/training-report.json")["curve"][0]["value"])
    cold, warm = values
    assert warm >= reached - 0.1 > cold, "after one epoch"
    report = place.json("again/training-report.json")["warm_start"]
    assert report["tensors"] == report["of"]
    assert report["known_nodes"] == {"user": 80, "item": 12}


def test_the_report_of_the_job_has_all_trials(place: Place) -> None:
    place.prepare(communities())
    train.run(TRAIN, place.context)
    assert place.json("model/training-report.json")["trials"] == []
    trials = (Trial(name="first", parameters={"lr": 0.1}, objective=0.5, ended=End.EPOCHS, seconds=2.5),
              Trial(name="second", parameters={"lr": 9.0}, ended="diverged", seconds=0.5))
    transform.run(TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT, trials=trials), place.context)
    assert place.json("output/training-report.json")["trials"] == json.loads(msgspec.json.encode(trials))


def test_tensorboard_reads_the_curves(place: Place) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place.prepare(communities(), eval_frequency={"type": "evaluate_every_epoch", "value": 1})
    train.run(TRAIN, place.context)
    events = EventAccumulator(str(place.bucket / "model" / "events")).Reload()
    curve = place.json("model/training-report.json")["curve"]
    for tag, member in (("train/loss", "loss"), ("valid/acc", "value")):
        scalars = events.Scalars(tag)
        assert [scalar.step for scalar in scalars] == [1, 2, 3, 4, 5]
        assert [scalar.value for scalar in scalars] == pytest.approx([point[member] for point in curve])
        assert scalars[0].wall_time <= scalars[-1].wall_time <= time.time()


def test_tensorboard_reads_the_hyperparameters(place: Place) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    place.prepare(communities())
    train.run(TRAIN, place.context)
    events = EventAccumulator(str(place.bucket / "model" / "events")).Reload()
    begun, experiment = (events.SummaryMetadata(tag).plugin_data.content
                         for tag in (metadata.SESSION_START_INFO_TAG, metadata.EXPERIMENT_TAG))
    told = metadata.parse_session_start_info_plugin_data(begun).hparams
    given = place.json("model/training-report.json")["hyperparameters"]
    assert set(told) == set(given)
    for name, value in given.items():
        kind = told[name].WhichOneof("kind")
        assert getattr(told[name], kind) == (json.dumps(value) if isinstance(value, list) else value), name
        assert isinstance(value, bool) == (kind == "bool_value"), name
    (measured,) = metadata.parse_experiment_plugin_data(experiment).metric_infos
    assert measured.name.tag == "valid/acc"
