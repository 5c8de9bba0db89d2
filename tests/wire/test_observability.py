"""What a server tells whoever runs it: its metrics, as Prometheus' own client reads them, its log, and traces, as OTLP has them."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.exports import set_epochs
from tests.otlp import Receiver, attributes, receiving
from tests.scraping import Scrape, read, scrape
from tests.serving import PATIENCE_SECONDS, Server, wait_for

from despina.telemetry.traces import open_traces

EPOCHS = 200
CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
"""A trace, and the span of a client in it."""


@dataclass(frozen=True)
class Told:
    """What a server told while it processed, trained with one trial that was killed and tried again, and served."""

    server: Server
    during: Scrape
    after: Scrape
    epochs: tuple[int, int]
    """Of the trial, just before and just after ``during``."""
    received: Receiver
    """Of traces, that of the training among them: it is ``CLIENT``'s."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, export: Path) -> Iterator[Told]:
    with receiving() as received:
        environment = {"DESPINA_LOG_FORMAT": "json", "OTEL_EXPORTER_OTLP_ENDPOINT": received.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        server = Server(tmp_path_factory.mktemp("told") / "data", environment=environment).start()
        try:
            yield work(server, export, received)
        finally:
            server.stop()
            kill(server)


def kill(server: Server) -> None:
    """End all of its runs as the kernel would."""
    for pid in server.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def work(server: Server, export: Path, received: Receiver) -> Told:
    processed = server.process(export)["processingJob"]["outputLocation"]
    set_epochs(server.path(processed), EPOCHS)
    body = {"id": "tr", "dataProcessingJobId": "dp", "trainModelS3Location": "s3://test/models", "maxHPONumberOfTrainingJobs": 1}
    server.request("POST", "/ml/modeltraining", json.dumps(body).encode(), {"traceparent": f"00-{CLIENT[0]}-{CLIENT[1]}-01"})
    before = wait_for("the metric of an epoch", lambda: (
        "best" in (said := server.wait_for_run("modeltraining", "tr", "trial", step=1)["progress"]) and said))["step"]
    during = scrape(server)
    after = server.wait_for_run("modeltraining", "tr", "trial")["progress"]["step"]
    kill(server)
    assert server.wait_until_ended("modeltraining", "tr")["status"] == "Completed"
    server.boto3().create_ml_endpoint(id="ep", mlModelTrainingJobId="tr")
    wait_for("the endpoint", lambda: server.request("GET", "/ml/endpoints/ep")[2]["status"] == "InService")
    server.request("POST", "/endpoints/ep/invocations", b"{}")
    server.request("GET", "/nowhere")
    server.request("GET", "/ml/modeltraining?maxItems=ten")
    wait_for("the job's span", lambda: [span for span in received.of_trace(CLIENT[0]) if span.name == "modeltraining job"])
    wait_for("the last request's", lambda: [span for span in received.spans if attributes(span).get("url.path") == "/nowhere"])
    return Told(server, during, scrape(server), (before, after), received)


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
    environment = {"DESPINA_REQUESTS_PER_SECOND": "1", "DESPINA_MAX_BODY_BYTES": "10", "DESPINA_MAX_HEADER_BYTES": "1024",
                   "DESPINA_LOG_LEVEL": "DEBUG"}
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
    asked = [line for line in server.log().splitlines() if "DEBUG despina.access: GET /ml/modeltraining: 200, " in line]
    assert len(asked) == codes.count(200), "with DEBUG the log has every request"
    assert all("[request_id=" in line and "operation=ListMLModelTrainingJobs]" in line for line in asked)


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


# traces


def test_a_training_job_is_one_connected_trace(told: Told) -> None:
    received = told.received
    spans = received.of_trace(CLIENT[0])
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    (request,) = [span for span in spans if span.parent_span_id.hex() == CLIENT[1]]
    assert request.name == "StartMLModelTrainingJob"
    assert all(span.parent_span_id in by_id for span in spans if span is not request)

    def above(span: Span) -> list[str]:
        return [span.name, *above(by_id[span.parent_span_id])] if span is not request else [request.name]

    found = {tuple(above(span)) for span in spans}
    job = ("modeltraining job", "StartMLModelTrainingJob")
    expected = [("store.create", job[1]), job, ("reconcile", *job), ("store.write", "reconcile", *job)]
    expected += [(f"{kind} run", *job) for kind in ("strategy", "trial", "transform")]
    expected += [(stage, "trial run", *job) for stage in ("load", "train", "evaluate", "put")]
    expected += [("epochs", "trial run", *job), ("predict", "transform run", *job)]
    assert set(expected) <= found, found
    assert received.services == {"despina"}


def test_spans_say_what_they_are_of_and_how_long_it_took(told: Told) -> None:
    received = told.received
    spans = received.of_trace(CLIENT[0])
    recorded = {run["id"]: run for run in told.server.details("modeltraining", "tr")["details"]["runs"]}
    runs = [span for span in spans if span.name.endswith(" run")]
    assert {attributes(span)["despina.run.id"] for span in runs} > set(recorded)
    (lost,) = [span for span in runs if attributes(span)["despina.run.id"] not in recorded]
    assert (attributes(lost)["despina.run.state"], lost.status.code) == ("lost", Status.STATUS_CODE_ERROR)
    for span in (span for span in runs if span is not lost):
        run = recorded[str(attributes(span)["despina.run.id"])]
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (run["startedAt"] * 10**6, run["finishedAt"] * 10**6)
        assert attributes(span)["despina.job.id"] == "tr"
    (trial,) = [span for span in runs if attributes(span).get("despina.run.attempt") == 2]
    epochs = [attributes(span) for span in spans if span.name == "epochs" and span.parent_span_id == trial.span_id]
    assert (epochs[0]["despina.epoch.first"], epochs[-1]["despina.epoch.last"]) == (1, EPOCHS), "those of the lost attempt, too"
    assert all(after["despina.epoch.first"] == int(before["despina.epoch.last"]) + 1 for before, after in pairwise(epochs))
    assert {"despina.loss", "despina.metric.acc", "despina.examples_per_second"} <= set(epochs[-1])
    assert 0 < sum(span.name == "reconcile" for span in spans) <= 14, "passes that changed nothing are not told"


def test_what_belongs_to_no_trace_begins_one_and_health_is_in_none(told: Told) -> None:
    roots = [span for span in told.received.spans if not span.parent_span_id]
    assert {"StartMLDataProcessingJob", "InvokeEndpoint"} <= {span.name for span in roots}
    assert all(span.kind == Span.SPAN_KIND_SERVER for span in roots), "nothing but requests"
    assert not [span for span in told.received.spans if attributes(span).get("url.path") == "/healthz"]
    (missing,) = [span for span in roots if attributes(span)["url.path"] == "/nowhere"]
    assert attributes(missing)["http.response.status_code"] == 404
    assert missing.status.code == Status.STATUS_CODE_UNSET, "the client's fault"


def test_a_receiver_that_is_away_holds_nobody_up(tmp_path: Path, export: Path) -> None:
    with receiving() as gone:
        pass
    server = Server(tmp_path / "data", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": gone.url}).start()
    server.process(export)
    server.stop()
    assert "opentelemetry" in server.log(), "the log tells of it"


@pytest.mark.parametrize(("environment", "reason"), [
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', and only http/protobuf is spoken"),
    ({"OTEL_SDK_DISABLED": "true"}, None)])
def test_no_traces_and_why(environment: dict[str, str], reason: str | None, caplog: pytest.LogCaptureFixture) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", **environment}
    assert open_traces(asked, service="despina") is None
    assert [record.getMessage() for record in caplog.records] == ([f"There are no traces: {reason}."] if reason else [])


def test_without_the_extra_the_log_says_what_to_install(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delitem(sys.modules, "despina.telemetry.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert open_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, service="despina") is None
    (record,) = caplog.records
    assert "pip install 'despina[otel]'" in record.getMessage()


# dashboard and alerts


def queries() -> dict[str, str]:
    """Every query of the dashboard and of the alerts, by where it stands."""
    deploy = Path(__file__).parents[2] / "deploy"
    dashboard = json.loads((deploy / "grafana" / "despina.json").read_text(encoding="utf-8"))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    found = {f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "5m")
             for panel in dashboard["panels"] for target in panel.get("targets", [])}
    rules = yaml.safe_load((deploy / "prometheus" / "despina.rules.yml").read_text(encoding="utf-8"))
    return found | {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}


def selected(node: Any) -> Iterator[tuple[str, set[str]]]:
    """The metrics that a parsed query selects, each with the labels by which it is told apart, here or above."""
    if isinstance(node, promql_parser.VectorSelector):
        assert node.name is not None
        yield node.name, {matcher.name for matcher in node.matchers.matchers}
        return
    modifier = getattr(node, "modifier", None)
    labels = set(modifier.labels) if isinstance(node, promql_parser.AggregateExpr) and modifier is not None else set()
    below = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")] + list(getattr(node, "args", []))
    for part in below:
        if part is not None:
            yield from ((name, has | labels) for name, has in selected(part))


def test_every_query_of_the_dashboard_and_of_the_alerts_asks_for_what_is_served() -> None:
    described, asked = documented(), set()
    for place, query in queries().items():
        found = list(selected(promql_parser.parse(query)))
        assert found, place
        for name, labels in found:
            family = re.sub(r"_(bucket|count|sum)$", "", name)
            assert family in described, (place, name)
            kind, known = described[family]
            assert (kind == "histogram") == (family != name), (place, name)
            assert labels <= known | {"instance"} | ({"le"} if name.endswith("_bucket") else set()), (place, name)
            asked.add(family)
    assert {name for name in described if name.startswith("despina_")} <= asked, "what nobody looks at need not be served"


def test_a_reconciler_has_a_port_for_its_metrics(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-m", "despina", "reconcile", "--data-dir", str(tmp_path), "--metrics-port", "0"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            line = process.stderr.readline()
            url = re.search(r"Metrics are at (http://127\.0\.0\.1:\d+/metrics)\.", line)
            assert url, line
            with urllib.request.urlopen(url[1], timeout=PATIENCE_SECONDS) as answer:
                found = read(answer.read().decode())
            # It says so on its standard output, which is there until then, and ends at a signal from then on.
            assert process.stdout.readline() == "Despina reconciles\n"
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert {"despina_reconciler_pass_seconds", "despina_job_queue_seconds", "despina_build_info"} <= set(found.types)
    assert "despina_jobs" not in found.types, "that is for the API"
    assert set(found.types) <= set(documented())
