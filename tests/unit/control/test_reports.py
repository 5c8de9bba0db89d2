"""What is shown of a job: from its runs, from what it wrote, and when that is gone or is not what it should be."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from despina.artifacts import open_artifacts
from despina.control.reports import MODEL_REPORT, Reports, points
from despina.core import plans
from despina.core.hyperparameters import Strategy, TrialResult
from despina.core.job import (
    Job,
    Progress,
    Run,
    RunKind,
    RunSpec,
    RunState,
    Status,
    Step,
    StepName,
    TrainedModel,
    TrainWork,
    Usage,
)
from despina.core.location import Location
from despina.core.ports import JobStore
from despina.core.report import Point
from despina.core.requests import StartDataProcessing, StartModelTraining, StartModelTransform, StartRequests
from despina.store import open_store

NOW = 1_700_000_000_000


class World:
    """A store, artefacts in a folder, and what runs have told."""

    def __init__(self, store: JobStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.told: dict[str, tuple[Progress, ...]] = {}
        self.reports = Reports(store=store, logs=self, artifacts=open_artifacts(folder))

    def course(self, run_id: str, *, limit: int) -> tuple[Progress, ...]:
        return self.told.get(run_id, ())

    def read(self, run_id: str, *, offset: int, limit: int) -> tuple[bytes, int]:
        return b"", offset

    def write(self, location: str, name: str, content: bytes) -> None:
        place = Location.parse(location)
        folder = self.folder / place.bucket / place.key
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(":memory:")
    yield World(store, tmp_path)
    store.close()


def said(step: int, value: float | None = None, *, loss: float | None = None, at: int = 0) -> Progress:
    return Progress(at=NOW + at, step=step, of=9, unit="epoch", metric="acc", value=value, best=value, loss=loss)


def new(request: StartRequests, *, later: int = 0, source: str = "s3://bucket/in") -> Job:
    model = TrainedModel(trial="trial", location="s3://bucket/trials/0", learned_from=source)
    return plans.new_job(request, job_id=request.id or "", now=NOW + later, source=source, memory_mib=1,
                         model=model if isinstance(request, StartModelTransform) else None)


def training(*trials: Run) -> Job:
    """A training job that has tuned so far."""
    job = new(StartModelTraining(id="tr", data_processing_job_id="dp", train_model_s3_location="s3://bucket/models"))
    strategy = Strategy(metric="acc", maximize=True, tunable=(), fixed={}, memory_mib=1)
    first = job.steps[0]
    runs = tuple(replace(run, state=RunState.SUCCEEDED, started_at=NOW, result=msgspec.to_builtins(strategy)) for run in first.runs)
    job = plans.with_step(job, replace(first, runs=runs))
    return plans.with_step(job, Step(name=StepName.TUNING, resource_name="tuning", runs=trials))


def trial(number: int, state: RunState = RunState.RUNNING, **rest: Any) -> Run:
    work = TrainWork(processed="s3://bucket/p", output=f"s3://bucket/trials/{number}", parameters={"lr": 0.1})
    result = msgspec.to_builtins(TrialResult(objective=rest.pop("objective"), epoch=1)) if "objective" in rest else None
    return Run(id=f"t{number}", kind=RunKind.TRIAL, number=number, name=f"trial-{number}", state=state, started_at=NOW,
               spec=RunSpec(run_id=f"t{number}", work=work), result=result, **rest)


def report_of(*curve: tuple[int, float, float]) -> bytes:
    return json.dumps({"model": "rgcn", "metric": "acc", "cpu_seconds": 2.5, "peak_memory_bytes": 7, "something": "new", "curve": [
        {"epoch": epoch, "loss": loss, "value": value, "seconds": epoch} for epoch, loss, value in curve]}).encode()


def test_signs_of_life_are_no_epochs() -> None:
    told = (said(0), said(0, at=5000), said(1, 0.5, loss=2.0, at=6000), said(1, 0.5, loss=2.0, at=11_000), said(2, 0.6, at=12_000),
            Progress(at=NOW, step=1, of=2, unit="file"))
    assert points(told) == (Point(epoch=1, loss=2.0, value=0.5, seconds=6.0), Point(epoch=2, value=0.6, seconds=12.0))


def test_the_curves_of_a_live_trial_are_what_it_has_told(world: World) -> None:
    usage = Usage(cpu_seconds=1.5, peak_memory_bytes=2**20)
    world.told["t0"] = (said(1, 0.5, loss=2.0),)
    report = world.reports.of(training(trial(0, progress=replace(said(1, 0.5), usage=usage)), trial(1)))
    assert report.courses["t0"].points == (Point(epoch=1, loss=2.0, value=0.5, seconds=0.0),)
    assert report.courses["t0"].usage == usage
    assert report.courses["t1"].points == ()
    assert (report.best, report.maximize) == ("t0", True)
    assert report.gone == ()


def test_the_curves_of_a_trial_that_succeeded_are_those_of_its_report(world: World) -> None:
    world.told["t0"] = (said(2, 0.6, loss=1.0),)  # its second attempt
    world.write("s3://bucket/trials/0", MODEL_REPORT, report_of((1, 2.0, 0.5), (2, 1.0, 0.6)))
    report = world.reports.of(training(trial(0, RunState.SUCCEEDED, objective=0.6), trial(1, RunState.SUCCEEDED, objective=0.7)))
    assert [point.epoch for point in report.courses["t0"].points] == [1, 2]
    assert report.courses["t0"].usage == Usage(cpu_seconds=2.5, peak_memory_bytes=7)
    assert report.best == "t1"
    assert len(report.gone) == 1
    assert "1 of 2 trials" in report.gone[0]
    assert "run_retention_days" in report.gone[0]


def test_without_its_report_the_curves_are_what_the_run_told(world: World) -> None:
    world.told["t0"] = (said(1, 0.5),)
    report = world.reports.of(training(trial(0, RunState.SUCCEEDED, objective=0.5)))
    assert [point.value for point in report.courses["t0"].points] == [0.5]
    assert report.gone == ()


def test_of_a_cleaned_job_nothing_is_read(world: World) -> None:
    world.write("s3://bucket/trials/0", MODEL_REPORT, report_of((1, 2.0, 0.5)))
    job = replace(training(trial(0, RunState.SUCCEEDED, objective=0.5)), swept=True, status=Status.STOPPED)
    report = world.reports.of(job)
    assert report.courses["t0"].points == ()
    assert "clean" in report.gone[0]


def test_a_user_s_own_model_has_the_curve_of_its_metric(world: World) -> None:
    world.write("s3://bucket/trials/0", MODEL_REPORT, b'{"model": "custom", "metric": "acc", "value": 0.6, "values": [0.5, 0.6]}')
    report = world.reports.of(training(trial(0, RunState.SUCCEEDED, objective=0.6)))
    assert report.courses["t0"].points == (Point(epoch=1, value=0.5), Point(epoch=2, value=0.6))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["status", "nodes", "labels", "findings", "curve", "metric", "model", "metrics", "type", "count"]), inner,
        max_size=4), max_leaves=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(content=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_lies_in_the_place_of_a_report_nothing_fails(world: World, content: bytes) -> None:
    job = replace(new(StartDataProcessing(id="dp", input_data_s3_location="s3://bucket/in",
                                          processed_data_s3_location="s3://bucket/out")), status=Status.COMPLETED)
    world.write(job.steps[0].output_location or "", "processing-report.json", content)
    world.write("s3://bucket/trials/0", MODEL_REPORT, content)
    for one in (job, training(trial(0, RunState.SUCCEEDED, objective=0.6))):
        report = world.reports.of(one)
        assert report.data is not None or report.gone


def test_a_huge_report_is_not_read(world: World) -> None:
    world.write("s3://bucket/trials/0", MODEL_REPORT, report_of((1, 2.0, 0.5)) + b" " * 2**22)
    assert world.reports.of(training(trial(0, RunState.SUCCEEDED, objective=0.5))).courses["t0"].points == ()


def test_jobs_that_build_on_each_other_find_each_other(world: World) -> None:
    processing = StartDataProcessing(id="dp", input_data_s3_location="s3://b/in", processed_data_s3_location="s3://bucket/out")
    requests: tuple[StartRequests, ...] = (
        processing, replace(processing, id="dp2", previous_data_processing_job_id="dp"),
        StartModelTraining(id="tr", data_processing_job_id="dp", train_model_s3_location="s3://bucket/models"),
        StartModelTraining(id="tr2", data_processing_job_id="dp2", previous_model_training_job_id="tr",
                           train_model_s3_location="s3://bucket/models"),
        StartModelTransform(id="tf", data_processing_job_id="dp2", ml_model_training_job_id="tr",
                            model_transform_output_s3_location="s3://bucket/transformed"))
    made = (new(request, later=i) for i, request in enumerate(requests))
    jobs = {job.id: world.store.create(job, invocation=None, max_active=9) for job in made}

    def around(job_id: str) -> tuple[set[str], set[str]]:
        report = world.reports.of(jobs[job_id])
        return {job.id for job in report.before}, {job.id for job in report.after}

    assert around("dp") == (set(), {"dp2", "tr"})
    assert around("dp2") == ({"dp"}, {"tr2", "tf"})
    assert around("tr") == ({"dp"}, {"tr2", "tf"})
    assert around("tr2") == ({"dp2", "tr"}, set())
    assert around("tf") == ({"dp2", "tr"}, set())
