"""What is told becomes metrics."""

import pytest
from msgspec.structs import replace
from tests.scraping import Scrape, read

from despina.core import plans
from despina.core.errors import ArtifactError, LeaseLost
from despina.core.job import Job, Observation, RunState, Status
from despina.core.lifecycle import Seen, advance
from despina.core.requests import StartDataProcessing
from despina.telemetry.metrics import Metrics
from despina.telemetry.watch import Watch

T = 1_700_000_000_000


def new_job() -> Job:
    request = StartDataProcessing(id="dp", input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out")
    return plans.new_job(request, job_id="dp", now=T, source="s3://bucket/in", memory_mib=256)


def told_of(*passes: Observation) -> Scrape:
    """What is served after passes over a job whose live run was seen so, each twice: the second pass sees nothing new."""
    metrics = Metrics({})
    watch, job = Watch(metrics), new_job()
    for seen in passes:
        for _ in range(2):
            live = {run.id: seen for run in job.runs if run.state.is_live}
            after, _ = advance(job, Seen(now=T + 60_000, runs=live))
            if after != job:
                watch.written(job, after)
            job = after
            seen = replace(seen, state=RunState.PENDING) if seen.state is RunState.LOST else seen  # noqa: PLW2901
    return read(metrics.exposition())


def test_a_run_that_is_seen_first_when_it_has_ended_has_waited_too() -> None:
    found = told_of(Observation(state=RunState.SUCCEEDED, result={"output": "s3://bucket/out"}, started_at=T + 4_000,
                                finished_at=T + 10_000))
    assert found.value("despina_job_queue_seconds_sum", kind="dataprocessing") == 4
    assert found.value("despina_job_queue_seconds_count", kind="dataprocessing") == 1
    assert found.value("despina_run_seconds_sum", run="process", state="succeeded") == 6
    assert found.value("despina_step_seconds_sum", kind="dataprocessing", step="processingJob", status="Completed") == 6
    assert found.value("despina_jobs_ended_total", kind="dataprocessing", status="Completed") == 1


def test_a_run_that_is_lost_three_times_is_two_retries_and_one_failure() -> None:
    lost = Observation(state=RunState.LOST, started_at=T + 1_000, finished_at=T + 2_000)
    found = told_of(lost, lost, lost)
    assert found.value("despina_run_retries_total", run="process") == 2
    assert found.value("despina_run_seconds_count", run="process", state="failed") == 1
    assert found.total("despina_run_seconds_count") == 1
    assert found.value("despina_jobs_ended_total", kind="dataprocessing", status="Failed") == 1
    assert found.total("despina_job_queue_seconds_count") == 0, "nobody saw it start before it was lost"


def test_requests_to_the_s3_server() -> None:
    metrics = Metrics({})
    watch = Watch(metrics)
    with watch.s3_request("s3:GetObject"):
        watch.s3_retry("s3:GetObject")
    with pytest.raises(FileNotFoundError), watch.s3_request("s3:GetObject"):
        raise FileNotFoundError
    with pytest.raises(ArtifactError), watch.s3_request("s3:PutObject"):
        raise ArtifactError("away")
    found = read(metrics.exposition())
    assert found.value("despina_s3_request_seconds_count", action="s3:GetObject") == 2
    assert found.value("despina_s3_request_seconds_count", action="s3:PutObject") == 1
    assert found.value("despina_s3_retries_total", action="s3:GetObject") == 1
    assert found.value("despina_s3_errors_total", action="s3:GetObject") is None, "that there is no such key is an answer"
    assert found.value("despina_s3_errors_total", action="s3:PutObject") == 1
    for name in ("despina_s3_request_seconds", "despina_s3_retries_total", "despina_s3_errors_total"):
        assert found.labels[name] == {"action"}


def test_what_becomes_of_passes() -> None:
    metrics = Metrics({})
    watch, job = Watch(metrics), new_job()
    with watch.reconciling(job):
        pass
    with pytest.raises(LeaseLost), watch.reconciling(job):
        raise LeaseLost
    with pytest.raises(OSError, match="full"), watch.reconciling(job):
        raise OSError("full")
    found = read(metrics.exposition())
    assert [found.value("despina_reconciler_pass_seconds_count", outcome=outcome)
            for outcome in ("done", "lease_lost", "failed")] == [1, 1, 1]


def test_a_job_that_is_stopped() -> None:
    metrics, job = Metrics({}), new_job()
    Watch(metrics).written(job, replace(job, status=Status.STOPPED))
    Watch(metrics).written(replace(job, status=Status.STOPPED), replace(job, status=Status.STOPPED, swept=True))
    assert read(metrics.exposition()).value("despina_jobs_ended_total", kind="dataprocessing", status="Stopped") == 1
