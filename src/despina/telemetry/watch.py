"""What the parts tell, into metrics and the log's entries."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from despina.core.errors import LeaseLost
from despina.core.job import Job
from despina.telemetry import changes
from despina.telemetry.histogram import Histogram
from despina.telemetry.logs import about
from despina.telemetry.metrics import Metrics


class Watch:
    """A ``Telemetry`` that keeps metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def statement(self, name: str) -> AbstractContextManager[None]:
        """See ``Telemetry``."""
        return _Timed(self._metrics.statements, name)

    @contextmanager
    def s3_request(self, action: str) -> Iterator[None]:
        """See ``Telemetry``."""
        with _Timed(self._metrics.s3_requests, action):
            try:
                yield
            except FileNotFoundError:
                raise  # an answer
            except Exception:
                self._metrics.s3_errors.labels(action).inc()
                raise

    def s3_retry(self, action: str) -> None:
        """See ``Telemetry``."""
        self._metrics.s3_retries.labels(action).inc()

    @contextmanager
    def reconciling(self, job: Job) -> Iterator[None]:
        """See ``Telemetry``. What is logged meanwhile belongs to the job."""
        token = about.set(_About(job))
        begun, outcome = time.perf_counter(), "failed"
        try:
            yield
            outcome = "done"
        except LeaseLost:
            outcome = "lease_lost"
            raise
        finally:
            self._metrics.passes.observe((outcome,), time.perf_counter() - begun)
            about.reset(token)

    def written(self, before: Job, after: Job) -> None:
        """See ``Telemetry``."""
        metrics = self._metrics
        waited = changes.queued(before, after)
        if waited is not None:
            metrics.queue.observe((after.kind,), waited / 1000)
        for run in changes.lost_runs(before, after):
            metrics.retries.labels(run.kind).inc()
        for run in changes.ended_runs(before, after):
            seconds = changes.took(run)
            if seconds is not None:
                metrics.runs.observe((run.kind, run.state), seconds)
        for step in changes.ended_steps(before, after):
            seconds = changes.took(*step.runs)
            if seconds is not None:
                metrics.steps.observe((after.kind, step.name, step.status), seconds)
        if after.status.is_terminal and not before.status.is_terminal:
            metrics.jobs_ended.labels(after.kind, after.status).inc()

    def traceparent(self) -> str | None:
        """See ``Telemetry``."""
        return None

    def traceparent_of(self, job: Job, run_id: str) -> str | None:  # noqa: ARG002
        """See ``Telemetry``."""
        return None


class _About:
    """A job that is being reconciled."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def told(self) -> dict[str, str | None]:
        """See ``logs.About``."""
        return {"job_kind": self._job.kind, "job_id": self._job.id}


class _Timed(AbstractContextManager[None]):
    """Measures how long a block takes."""

    __slots__ = ("_begun", "_histogram", "_label")

    def __init__(self, histogram: Histogram, label: str) -> None:
        self._histogram, self._label = histogram, label

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._histogram.observe((self._label,), time.perf_counter() - self._begun)
