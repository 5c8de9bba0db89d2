"""What a server tells whoever runs it: its metrics, as Prometheus' own client reads them, and its log."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.exports import set_epochs
from tests.scraping import Scrape, scrape
from tests.serving import Server, wait_for

EPOCHS = 300


@dataclass(frozen=True)
class Told:
    """What a server told while it processed, trained with one trial that was killed and tried again, and served."""

    server: Server
    during: Scrape
    after: Scrape
    epochs: tuple[int, int]
    """Of the trial, just before and just after ``during``."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, export: Path) -> Iterator[Told]:
    server = Server(tmp_path_factory.mktemp("told") / "data", environment={"DESPINA_LOG_FORMAT": "json"}).start()
    try:
        processed = server.process(export)["processingJob"]["outputLocation"]
        set_epochs(server.path(processed), EPOCHS)
        server.boto3().start_ml_model_training_job(
            id="tr", dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=1)
        before = wait_for("the metric of an epoch", lambda: (
            "best" in (said := server.wait_for_run("modeltraining", "tr", "trial", step=1)["progress"]) and said))["step"]
        during = scrape(server)
        after = server.wait_for_run("modeltraining", "tr", "trial")["progress"]["step"]
        for pid in server.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert server.wait_until_ended("modeltraining", "tr")["status"] == "Completed"
        server.boto3().create_ml_endpoint(id="ep", mlModelTrainingJobId="tr")
        wait_for("the endpoint", lambda: server.request("GET", "/ml/endpoints/ep")[2]["status"] == "InService")
        server.request("POST", "/endpoints/ep/invocations", b"{}")
        server.request("GET", "/nowhere")
        server.request("GET", "/ml/modeltraining?maxItems=ten")
        yield Told(server, during, scrape(server), (before, after))
    finally:
        server.stop()
        for pid in server.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_jobs_are_counted_when_they_end(told: Told) -> None:
    assert told.during.value("despina_jobs", kind="modeltraining", status="InProgress") == 1
    assert told.during.total("despina_jobs") == 1
    assert told.during.value("despina_jobs_ended_total", kind="dataprocessing", status="Completed") == 1
    assert told.during.value("despina_jobs_ended_total", kind="modeltraining", status="Completed") is None
    assert told.after.value("despina_jobs_ended_total", kind="modeltraining", status="Completed") == 1
    assert told.after.total("despina_jobs") == 0
    assert told.after.total("despina_jobs_ended_total") == 2


def test_waits_steps_and_runs_are_counted_once(told: Told) -> None:
    for kind in ("dataprocessing", "modeltraining"):
        assert told.after.value("despina_job_queue_seconds_count", kind=kind) == 1
    steps = [("dataprocessing", "processingJob"), ("modeltraining", "hpoJob"), ("modeltraining", "processingJob")]
    for kind, step in steps:
        assert told.after.value("despina_step_seconds_count", kind=kind, step=step, status="Completed") == 1
    assert told.after.total("despina_step_seconds_count") == len(steps)
    for run in ("process", "strategy", "trial", "transform"):
        assert told.after.value("despina_run_seconds_count", run=run, state="succeeded") == 1
    assert told.after.total("despina_run_seconds_count") == 4
    assert told.during.total("despina_run_retries_total") == 0
    assert told.after.value("despina_run_retries_total", run="trial") == 1
    assert told.after.total("despina_run_retries_total") == 1
    trial = next(run for run in told.server.details("modeltraining", "tr")["details"]["runs"] if run["kind"] == "trial")
    assert told.after.value("despina_run_seconds_sum", run="trial", state="succeeded") == pytest.approx(
        (trial["finishedAt"] - trial["startedAt"]) / 1000)


def test_a_training_is_seen_while_it_runs_and_no_longer(told: Told) -> None:
    place = {"job_id": "tr", "trial": "0"}
    epoch = told.during.value("despina_training_epoch", **place)
    assert epoch is not None
    assert told.epochs[0] <= epoch <= told.epochs[1]
    assert told.during.value("despina_training_epochs", **place) == EPOCHS
    assert (told.during.value("despina_training_loss", **place) or 0) > 0
    assert (told.during.value("despina_training_examples_per_second", **place) or 0) > 36, "an epoch of 36 takes less than a second"
    value = told.during.value("despina_training_metric", **place, metric="acc")
    best = told.during.value("despina_training_metric_best", **place, metric="acc")
    assert value is not None
    assert best is not None
    assert 0 < value <= best <= 1
    assert [name for name, _ in told.after.samples if name.startswith("despina_training_")] == []


def test_requests_by_operation_and_status(told: Told) -> None:
    requests = "despina_http_request_seconds_count"
    assert told.after.value(requests, operation="StartMLModelTrainingJob", code="200") == 1
    assert told.after.value(requests, operation="ListMLModelTrainingJobs", code="400") == 1
    assert told.after.value(requests, operation="none", code="404") == 1
    assert told.after.value(requests, operation="InvokeEndpoint", code="424") == 1
    assert told.after.value("despina_endpoint_errors_total", endpoint="ep") == 1
    seconds = told.after.total("despina_http_request_seconds_sum", operation="StartMLModelTrainingJob")
    assert 0 < seconds < 60
    assert (told.after.value("despina_http_connections") or 0) >= 1
    assert told.after.value("despina_http_in_flight") == 0, "a scrape is none"


def test_the_store_and_the_reconciler_are_measured(told: Told) -> None:
    for statement in ("create", "write", "release", "claim_by_key", "commit"):
        assert told.after.total("despina_store_statement_seconds_count", statement=statement) > 0, statement
    assert told.after.value("despina_store_statement_seconds_count", statement="create") == 2
    assert (told.after.value("despina_reconciler_pass_seconds_count", outcome="done") or 0) >= 8
    assert told.after.value("despina_store_up") == 1
    assert (told.after.value("process_resident_memory_bytes") or 0) > 2**20
    (info,) = [dict(labels) for name, labels in told.after.samples if name == "despina_build_info"]
    assert (info["engine"], info["store"]) == ("local", "sqlite")


def test_what_a_limit_refuses_is_counted(tmp_path: Path) -> None:
    environment = {"DESPINA_REQUESTS_PER_SECOND": "1", "DESPINA_MAX_BODY_BYTES": "10", "DESPINA_MAX_HEADER_BYTES": "1024"}
    server = Server(tmp_path / "data", environment=environment).start()
    try:
        codes = [server.request("GET", "/ml/modeltraining")[0] for _ in range(4)]
        while server.request("POST", "/ml/modeltraining", b"{" + b" " * 20)[0] == 429:
            codes.append(429)
        server.request("GET", "/healthz", headers={"x-long": "x" * 2000})
        found = scrape(server)
    finally:
        server.stop()
    assert codes.count(429) > 0
    assert found.value("despina_http_refused_total", limit="requests_per_second") == codes.count(429)
    assert found.value("despina_http_refused_total", limit="max_body_bytes") == 1
    assert found.value("despina_http_refused_total", limit="max_header_bytes") == 1
    assert found.total("despina_http_request_seconds_count", code="429") == codes.count(429)


def entries(server: Server) -> list[dict[str, Any]]:
    """Its log, each line of which is JSON."""
    return [json.loads(line) for line in server.log().splitlines()]


def test_every_line_of_the_log_is_json_and_says_what_it_belongs_to(told: Told) -> None:
    found = entries(told.server)
    assert all({"time", "level", "logger", "message"} <= set(entry) for entry in found)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"]) for entry in found)
    (completed,) = [entry for entry in found if entry["message"] == "modeltraining tr: Completed"]
    assert (completed["job_kind"], completed["job_id"], completed["logger"]) == ("modeltraining", "tr", "despina.reconciler")
    assert "request_id" not in completed
    status, headers, _ = told.server.request("GET", "/ml/modeltraining/tr?surprise=1")
    assert status == 200
    (warned,) = [entry for entry in entries(told.server) if "surprise" in entry["message"]]
    assert warned["request_id"] == headers["x-amzn-requestid"]
    assert (warned["operation"], warned["job_id"], warned["level"]) == ("GetMLModelTrainingJob", "tr", "WARNING")


ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|")


def documented() -> dict[str, tuple[str, set[str]]]:
    """The metrics of ``docs/observability.md``: type and labels."""
    page = Path(__file__).parents[2] / "docs" / "observability.md"
    rows = [match.groups() for line in page.read_text(encoding="utf-8").splitlines() if (match := ROW.match(line))]
    assert len(rows) == len({name for name, _, _ in rows})
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_each_metric_is_documented_and_each_documented_one_is_served(told: Told) -> None:
    described = documented()
    assert set(described) == set(told.after.types)
    assert {name: kind for name, (kind, _) in described.items()} == told.after.types
    seen = {name: told.during.labels.get(name, set()) | told.after.labels.get(name, set()) for name in described}
    has_samples = set(told.during.labels) | set(told.after.labels)
    for name in has_samples:
        assert seen[name] == described[name][1], name
    # Nothing was refused, and there was no S3 server: other tests see to these.
    assert set(described) - has_samples == {"despina_http_refused_total", "despina_s3_request_seconds", "despina_s3_errors_total",
                                            "despina_s3_retries_total"}
    assert all(told.after.texts.values())
