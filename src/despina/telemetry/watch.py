"""What the parts tell, into metrics, traces and the log's entries."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

from despina.core.errors import LeaseLost
from despina.core.job import Job
from despina.core.telemetry import Silence
from despina.telemetry import changes
from despina.telemetry.histogram import Histogram
from despina.telemetry.logs import about
from despina.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from despina.telemetry.spans import Traces


class Watch:
    """A ``Telemetry`` that keeps metrics, and makes traces if they are wanted."""

    def __init__(self, metrics: Metrics, traces: "Traces | None" = None) -> None:
        self._metrics, self._traces = metrics, traces

    def statement(self, name: str) -> AbstractContextManager[None]:
        """See ``Telemetry``."""
        timed = _Timed(self._metrics.statements, name)
        return timed if self._traces is None else _both(timed, self._traces.inside(f"store.{name}"))

    @contextmanager
    def s3_request(self, action: str) -> Iterator[None]:
        """See ``Telemetry``."""
        span = self._traces.inside(action.replace(":", "."), {"rpc.method": action}) if self._traces is not None else nullcontext()
        with _Timed(self._metrics.s3_requests, action), span:
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
            with self._traces.reconciling(job) if self._traces is not None else nullcontext():
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
        if self._traces is not None:
            self._trace(self._traces, before, after)
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
        return None if self._traces is None else self._traces.traceparent()

    def traceparent_of(self, job: Job, run_id: str) -> str | None:
        """See ``Telemetry``."""
        return None if self._traces is None else self._traces.traceparent_of(job, run_id)

    @staticmethod
    def _trace(traces: "Traces", before: Job, after: Job) -> None:
        # Progress alone is no news: it is written whenever it is seen.
        ended, lost = tuple(changes.ended_runs(before, after)), tuple(changes.lost_runs(before, after))
        if ended or lost or len(after.runs) != len(before.runs) or after.status is not before.status:
            traces.changed()
        for run in ended:
            traces.run_ended(after, run)
        for run in lost:
            traces.run_lost(after, run)
        if after.status.is_terminal and not before.status.is_terminal:
            traces.job_ended(after)


class ProgramWatch(Silence):
    """A ``Telemetry`` of a program, which has no metrics of its own."""

    def __init__(self, traces: "Traces") -> None:
        self._traces = traces

    def s3_request(self, action: str) -> AbstractContextManager[None]:
        """See ``Telemetry``."""
        return self._traces.inside(action.replace(":", "."), {"rpc.method": action})


@contextmanager
def _both(one: AbstractContextManager[None], other: AbstractContextManager[None]) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(one)
        stack.enter_context(other)
        yield


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
