"""The page of a job as it is made, whatever its record and its artefacts hold."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.api.fakes import NOW, FakeEndpoints, FakeJobs, processing_job
from tests.unit.api.test_jobs import with_trials

from despina.api.console import job_log, job_view
from despina.api.console.descriptions import Descriptions
from despina.api.console.job_trials import scatters, trials
from despina.api.console.page import ConsoleRequest, Edge
from despina.api.console.static_files import StaticFiles
from despina.api.console.table import PAGES, Table
from despina.api.console.templates import Templates
from despina.api.metrics import EndpointMetrics
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.core import plans
from despina.core.errors import AccessDenied
from despina.core.job import Job, JobKind, RunState, Status, TrainWork, Usage
from despina.core.names import Cluster
from despina.core.report import Course, DataReport, JobReport, ModelReport, Point
from despina.core.requests import CustomTraining, StartModelTraining
from despina.core.roles import ParameterGroup

NO_ROLES = ParameterGroup()
TABLE = Table(PAGES)
TEMPLATES = Templates(StaticFiles(), TABLE.navigation)


class Reported(FakeJobs):
    """Jobs with the reports that a test gives them."""

    def __init__(self, report: JobReport) -> None:
        super().__init__()
        self.told = report
        self.add(report.job)

    def report(self, kind: JobKind, job_id: str) -> JobReport:
        return self.told


def training_job(*states: RunState) -> Job:
    request = StartModelTraining(id="tr", data_processing_job_id="dp", train_model_s3_location="s3://bucket/models",
                                 max_hpo_number_of_training_jobs=max(1, len(states)))
    return with_trials(plans.new_job(request, job_id="tr", now=NOW, source="s3://bucket/processed", memory_mib=1), *states)


def page_of(report: JobReport, query: str = "", *, allowed: bool = True, group: ParameterGroup = NO_ROLES) -> str:
    job = report.job
    (methods, path), target = TABLE.find(f"/console/{job.kind}/{job.id}"), f"/console/{job.kind}/{job.id}"
    assert methods is not None

    def authorize(action: str, resource: str | None) -> None:
        if not allowed:
            raise AccessDenied(f"{action} on {resource}")

    request = ConsoleRequest(
        id="request", page=methods["GET"], plane=ControlPlane(Reported(report), FakeEndpoints()), cluster=Cluster(), token="token",
        settings=ApiSettings(parameter_group=group), now=NOW + 60_000, origin="http://localhost", target=target, path=path,
        query=dict(pair.split("=") for pair in query.split("&") if pair),
        edge=Edge(render=TEMPLATES.render, authorize=authorize, invoke=lambda *_: (b"", ""), open_session=lambda *_: "",
                  seen=EndpointMetrics().seen, descriptions=Descriptions(), audit_folder=None))
    reply = methods["GET"].handler(request)
    assert reply.status == 200
    return reply.body.decode()


NUMBERS = st.integers() | st.floats(allow_nan=False) | st.just(10**400)
JSON = st.recursive(st.none() | st.booleans() | NUMBERS | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | (
    st.dictionaries(st.text(max_size=5), inner, max_size=3)), max_leaves=6)
COUNTS = st.dictionaries(st.text(max_size=3), st.integers(0, 9))
FIGURES = st.dictionaries(st.sampled_from(["acc", "F1", "classes", "count"]), JSON, max_size=4)
METRICS = st.dictionaries(st.sampled_from(["valid", "test", "train"]), FIGURES, max_size=3)
TYPES = st.builds(lambda kind, features: {"type": kind, "count": 3, "features": features},
                  st.text(max_size=4) | st.lists(st.text(max_size=4), min_size=3, max_size=3),
                  st.lists(st.fixed_dictionaries({"name": st.text(max_size=4), "type": st.text(max_size=4)}), max_size=2))
LABELS = st.fixed_dictionaries({"type": st.text(max_size=4)}, optional={
    "parts": st.dictionaries(st.sampled_from(["train", "test"]), st.integers(0, 9)),
    "classes": st.dictionaries(st.sampled_from(["train", "other"]), COUNTS, max_size=2),
    "values": st.dictionaries(st.sampled_from(["train", "other"]), st.dictionaries(st.text(max_size=3), st.none() | st.floats()))})
DATA = st.fixed_dictionaries({}, optional={
    "status": st.sampled_from(["Completed", "Failed", "InProgress", "?"]), "nodes": st.lists(TYPES, max_size=2),
    "labels": st.lists(LABELS, max_size=2), "estimate": st.dictionaries(
        st.sampled_from(["nodes", "processingMinutes", "peakMemoryBytes"]), st.none() | NUMBERS | st.text(max_size=3)),
    "seconds": st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False)), "peak_memory_bytes": st.integers(),
    "findings": st.lists(st.fixed_dictionaries({"name": st.text(max_size=4), "text": st.text(max_size=9)}), max_size=2)})


@settings(deadline=None, max_examples=40)
@example(data={}, metrics={"test": {"acc": 10**400}}, floor=None, objective=10**400)
@given(data=DATA, metrics=METRICS, floor=st.none() | METRICS, objective=JSON)
def test_there_is_a_page_whatever_a_job_has_left(data: Any, metrics: Any, floor: Any, objective: Any) -> None:
    model = msgspec.convert({"model": "rgcn", "metric": "acc", "metrics": metrics,
                             "floor": None if floor is None else {"name": "majority", "metrics": floor}}, ModelReport)
    job = training_job(RunState.SUCCEEDED, RunState.FAILED, RunState.RUNNING, RunState.PENDING)
    tuning = job.steps[-1]
    runs = tuple(replace(run, result={"objective": objective}) for run in tuning.runs)
    page_of(JobReport(job=plans.with_step(job, replace(tuning, runs=runs)), courses={}, model=model, best="run-0"))
    page_of(JobReport(job=processing_job(), courses={}, data=msgspec.convert(data, DataReport)))


def report_of(*trials: tuple[dict[str, Any], float | None], maximize: bool = True) -> JobReport:
    """A training job whose trials have these hyperparameters and objectives; with None they have failed."""
    states = [RunState.FAILED if objective is None else RunState.SUCCEEDED for _, objective in trials]
    job = training_job(*states)
    tuning = job.steps[-1]
    runs = tuple(replace(run, result=None if objective is None else {"objective": objective, "epoch": 2},
                         spec=replace(run.spec, work=TrainWork(processed="s3://b/p", output="s3://b/t", parameters=given)))
                 for run, (given, objective) in zip(tuning.runs, trials, strict=True))
    course = Course(points=(Point(epoch=1, loss=2.0, value=0.5),), usage=Usage(cpu_seconds=1.0, peak_memory_bytes=2**20))
    values = {run.id: objective for run, (_, objective) in zip(runs, trials, strict=True) if objective is not None}
    return JobReport(job=plans.with_step(job, replace(tuning, runs=runs)), courses={run.id: course for run in runs},
                     maximize=maximize, best=(max if maximize else min)(values, key=lambda run: values[run]))


MIXED = report_of(({"lr": 0.1, "fanout": [3], "same": 1}, 0.5), ({"lr": 0.02, "fanout": [2], "same": 1}, 0.9),
                  ({"lr": 0.3, "fanout": [1, 2], "same": 1}, None), ({"fanout": [9], "same": 1}, 0.7))


@pytest.mark.parametrize(("query", "numbers"), [
    ({}, [1, 2, 3, 4]),
    ({"sort": "trial", "order": "desc"}, [4, 3, 2, 1]),
    ({"sort": "objective", "order": "asc"}, [2, 1, 4, 3]),  # the failed one told 0.6 before
    ({"sort": "p:lr"}, [2, 1, 3, 4]),
    ({"sort": "p:lr", "order": "desc"}, [3, 1, 2, 4]),
    ({"sort": "p:fanout"}, [3, 2, 1, 4]),
    ({"sort": "nonsense", "order": "sideways"}, [1, 2, 3, 4]),
], ids=str)
def test_trials_are_sorted_and_what_has_no_value_comes_last(query: dict[str, str], numbers: list[int]) -> None:
    shown = trials(MIXED, NOW, query)
    if "objective" in query.values():
        assert shown.rows[0].is_best
        finals = [row.objective for row in shown.rows if row.is_final]
        assert finals == sorted(finals, key=lambda value: -(value or 0))
    else:
        assert [row.number for row in shown.rows] == numbers


@pytest.mark.parametrize(("maximize", "order", "said"), [
    (True, "asc", "descending"), (True, "desc", "ascending"), (False, "asc", "ascending"), (False, "desc", "descending")], ids=str)
def test_the_heading_says_which_way_the_metric_goes(maximize: bool, order: str, said: str) -> None:
    page = page_of(report_of(({}, 0.5), ({}, 0.1), maximize=maximize), f"sort=objective&order={order}")
    assert page.count(f'aria-sort="{said}"') == 1
    assert page.count("aria-sort") == 1


def test_of_errors_the_least_comes_first() -> None:
    shown = trials(report_of(({}, 0.5), ({}, 0.1), maximize=False), NOW, {"sort": "objective"})
    assert [(row.number, row.is_best) for row in shown.rows] == [(2, True), (1, False)]


def test_hyperparameters_that_differ_are_columns_and_the_others_are_told_once() -> None:
    shown = trials(MIXED, NOW, {})
    assert shown.differing == ("fanout", "lr")
    assert shown.shared == {"same": 1}
    assert [chart.x for chart in scatters(shown, MIXED)] == ["lr"], "of the three that succeeded, two have a number"
    page = page_of(MIXED, "sort=p:lr&order=desc&trial=2&scale=log")
    assert 'aria-sort="descending"' in page
    assert "Curves: trial 2" in page


def test_buttons_are_for_who_may_press_them() -> None:
    done = replace(MIXED, job=replace(MIXED.job, status=Status.COMPLETED))
    for job in (replace(MIXED.job, status=Status.FAILED), replace(MIXED.job, status=Status.STOPPED, swept=True)):
        assert "Create endpoint" not in page_of(replace(MIXED, job=job))
    assert "Create endpoint" in page_of(done)
    assert "Create endpoint" not in page_of(done, allowed=False)
    assert "Cancel" in page_of(MIXED)
    assert "Cancel" not in page_of(MIXED, allowed=False)


def test_where_a_role_must_be_named_the_form_asks_for_it() -> None:
    done, role = replace(MIXED, job=replace(MIXED.job, status=Status.COMPLETED)), "arn:aws:iam::123456789012:role/NeptuneML"
    assert f"<option>{role}</option>" in page_of(done, group=ParameterGroup(roles=(role,)))
    assert 'name="role"' not in page_of(done, group=ParameterGroup(roles=(role,), default=role))
    assert 'name="role"' not in page_of(done)


@pytest.mark.parametrize(("status", "changes", "is_live"), [
    (Status.IN_PROGRESS, {}, True), (Status.COMPLETED, {}, False), (Status.STOPPED, {}, False),
    (Status.STOPPED, {"clean": True, "stop_requested": True}, True),
    (Status.STOPPED, {"clean": True, "stop_requested": True, "swept": True}, False)], ids=str)
def test_a_page_is_brought_up_to_date_as_long_as_something_may_change(status: Status, changes: Any, is_live: bool) -> None:
    page = page_of(replace(MIXED, job=replace(MIXED.job, status=status, **changes)))
    assert ('id="job" data-live=' in page) is is_live


def test_parameters_stand_under_the_names_of_the_api_first_what_was_chosen() -> None:
    request = StartModelTraining(id="tr", data_processing_job_id="dp", train_model_s3_location="s3://bucket/models",
                                 subnets=("subnet-1", "subnet-2"),
                                 custom_model_training_parameters=CustomTraining(source_s3_directory_path="s3://bucket/code"))
    found = {parameter.name: (parameter.text, parameter.is_default) for parameter in job_view.parameters(
        replace(training_job(), request=request))}
    assert found["subnets"] == ("subnet-1, subnet-2", False)
    assert found["customModelTrainingParameters.sourceS3DirectoryPath"] == ("s3://bucket/code", False)
    assert found["maxHPONumberOfTrainingJobs"] == ("2", True)
    assert "id" not in found
    assert [is_default for _, is_default in found.values()] == sorted(is_default for _, is_default in found.values())


@given(text=st.binary(max_size=60))
def test_a_log_is_shown_without_what_steers_a_terminal(text: bytes) -> None:
    shown = job_log.plain(text)
    assert all(character.isprintable() or character in "\t\n" for character in shown)
    assert shown.count("\n") == text.count(b"\n")


@pytest.mark.parametrize(("text", "shown"), [
    (b"\x1b[1;31mred\x1b[0m plain", "red plain"), (b"\x1b]0;title\x07text", "text"), (b"10%\r 50%\r100%\n", "100%\n"),
    (b"windows\r\n", "windows\n"), ("größe ✓".encode(), "größe ✓"), (b"\xff\x00", "\ufffd\ufffd")], ids=repr)
def test_what_a_log_shows(text: bytes, shown: str) -> None:
    assert job_log.plain(text) == shown
