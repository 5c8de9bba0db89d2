"""The spans of requests, jobs, passes, runs and what is done in them. Only this file knows OpenTelemetry.

The trace of a job is that of the request which started it: ``Job.traceparent`` is the request's span. The spans of a job and of its
runs are told when they have ended, by whoever writes that, and are known to others before: their ids follow from it. So any number
of processes add to one trace, and none has to outlive what it traces.
"""

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version

from msgspec.structs import replace
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from despina.core.job import Job, Run, RunState, Status

FLUSH_SECONDS = 1.0
"""How long a process that ends tries to send its last spans."""
_W3C = TraceContextTextMapPropagator()
_given_id: ContextVar[int | None] = ContextVar("given_id", default=None)


@dataclass
class _Pass:
    """A reconciler's pass."""

    spans: list[ReadableSpan] = field(default_factory=list)
    is_told: bool = False
    """Whether it has changed anything: of a job that runs for hours most passes see nothing new, and are not worth a line."""


_pass: ContextVar[_Pass | None] = ContextVar("pass", default=None)


class _Ids(RandomIdGenerator):
    def generate_span_id(self) -> int:
        return _given_id.get() or super().generate_span_id()


class _Held(SpanProcessor):
    """Keeps the spans of a pass until it is known whether they are told."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor

    def on_end(self, span: ReadableSpan) -> None:
        held = _pass.get()
        if held is None:
            self._processor.on_end(span)
        else:
            held.spans.append(span)

    def shutdown(self) -> None:
        self._processor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._processor.force_flush(timeout_millis)


class Traces:
    """Makes spans."""

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.version": version("despina")})
        if resource.attributes.get("service.name", "").startswith("unknown_service"):  # type: ignore[union-attr]
            resource = resource.merge(Resource({"service.name": service}))
        self._processor = processor
        self._provider = TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)
        self._provider.add_span_processor(_Held(processor))
        self._tracer = self._provider.get_tracer("despina", version("despina"))
        self._base: Context | None = None

    @classmethod
    def exported(cls, service: str) -> "Traces":
        """Spans are sent as the variables ``OTEL_*`` say."""
        return cls(service, BatchSpanProcessor(OTLPSpanExporter()))

    @contextmanager
    def request(self, headers: Mapping[str, str], attributes: Mapping[str, str]) -> Iterator[Span]:
        """Around a request, in the trace that its headers name; ``attributes`` by OpenTelemetry's names."""
        with self._tracer.start_as_current_span("request", _W3C.extract(headers), SpanKind.SERVER, attributes) as span:
            yield span

    @staticmethod
    def judge(span: Span, *, failed: bool) -> None:
        """Say of a request's span whether the server has failed."""
        if failed:
            span.set_status(StatusCode.ERROR)

    @contextmanager
    def inside(self, name: str, attributes: Mapping[str, str | int | float] | None = None) -> Iterator[None]:
        """Around a part of what is being traced in this thread, or by this program; of nothing else there are no spans."""
        if trace.get_current_span().get_span_context().is_valid:
            within = None
        elif self._base is not None:
            within = self._base
        else:
            yield
            return
        kind = SpanKind.CLIENT if "." in name else SpanKind.INTERNAL
        with self._tracer.start_as_current_span(name, within, kind, attributes, record_exception=False,
                                                set_status_on_exception=False) as span:
            try:
                yield
            except FileNotFoundError:
                raise  # of a store: that there is no such thing is an answer
            except Exception as error:
                span.record_exception(error)
                span.set_status(StatusCode.ERROR, str(error))
                raise

    @contextmanager
    def reconciling(self, job: Job) -> Iterator[None]:
        """Around a pass over a job."""
        above = _remote(job.traceparent, f"job {job.kind} {job.id}")
        if above is None:
            yield
            return
        held = _Pass()
        token = _pass.set(held)
        try:
            with self._tracer.start_as_current_span("reconcile", above, attributes=_of(job)):
                yield
        except Exception:
            held.is_told = True
            raise
        finally:
            _pass.reset(token)
            if held.is_told:
                for span in held.spans:
                    self._processor.on_end(span)

    def job_ended(self, job: Job) -> None:
        """Tell of a job from its creation to now."""
        self._tell(f"{job.kind} job", job, above=None, own=f"job {job.kind} {job.id}",
                   times=(job.created_at, time.time_ns() // 1_000_000), attributes={"despina.job.status": job.status},
                   failure=job.failure_reason if job.status is Status.FAILED else None)

    def run_ended(self, job: Job, run: Run) -> None:
        """Tell of a run from its start to its end, if it had both."""
        if run.started_at is not None and run.finished_at is not None:
            told: dict[str, str | int] = {
                "despina.run.id": run.id, "despina.run.state": run.state, "despina.run.attempt": run.attempt}
            self._tell(f"{run.kind} run", job, above=f"job {job.kind} {job.id}", own=f"run {run.id}",
                       times=(run.started_at, run.finished_at), attributes=told,
                       failure=run.failure_reason if run.state in {RunState.FAILED, RunState.LOST} else None)

    def run_lost(self, job: Job, run: Run) -> None:
        """Tell of a run, as it was known before it was lost: what its program has told belongs to it."""
        now = time.time_ns() // 1_000_000
        self.run_ended(job, replace(run, state=RunState.LOST, started_at=run.started_at or now, finished_at=now,
                                    failure_reason=run.failure_reason or "It ended without a word."))

    def changed(self) -> None:
        """The pass that this thread is in has changed something."""
        held = _pass.get()
        if held is not None:
            held.is_told = True

    def traceparent(self) -> str | None:
        """Of the span that this thread is in."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get("traceparent")

    def traceparent_of(self, job: Job, run_id: str) -> str | None:
        """Of the span that a run of this job will have when it has ended."""
        context = _remote(job.traceparent, f"run {run_id}")
        carrier: dict[str, str] = {}
        if context is not None:
            _W3C.inject(carrier, context)
        return carrier.get("traceparent")

    def belong_to(self, traceparent: str | None) -> None:
        """Whatever this process does belongs to this span, unless it belongs to one of its own."""
        context = _W3C.extract({"traceparent": traceparent or ""})
        self._base = context if trace.get_current_span(context).get_span_context().is_valid else None

    def passed(self, name: str, begun_ns: int, attributes: Mapping[str, str | int | float]) -> None:
        """Tell of what this program has done since then. It belongs to the run itself: of one that is killed no stage is told."""
        if self._base is not None:
            self._tracer.start_span(name, self._base, attributes=attributes, start_time=begun_ns).end()

    def close(self) -> None:
        """Send what is left. If nobody takes it, OpenTelemetry would try for ten seconds: nobody waits so long."""
        sending = threading.Thread(target=self._provider.shutdown, name="despina-traces", daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS)

    def _tell(self, name: str, job: Job, *, above: str | None, own: str, times: tuple[int, int],
              attributes: Mapping[str, str | int], failure: str | None) -> None:
        """A span of the trace of a job, below that of ``above``; its id follows from what is its ``own``. Times are in ms."""
        context = _remote(job.traceparent, above)
        if job.traceparent is None or context is None:
            return
        token = _given_id.set(_id(job.traceparent, own))
        try:
            span = self._tracer.start_span(name, context, attributes={**_of(job), **attributes}, start_time=times[0] * 1_000_000)
        finally:
            _given_id.reset(token)
        if failure is not None:
            span.set_status(StatusCode.ERROR, failure)
        span.end(max(times) * 1_000_000)


def _remote(traceparent: str | None, own: str | None) -> Context | None:
    """Where spans below that of ``own`` belong, in this trace; without ``own`` below the span that it names."""
    if traceparent is None:
        return None
    context = _W3C.extract({"traceparent": traceparent})
    known = trace.get_current_span(context).get_span_context()
    if not known.is_valid:
        return None
    if own is None:
        return context
    below = trace.SpanContext(known.trace_id, _id(traceparent, own), is_remote=True, trace_flags=known.trace_flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(below), context)


def _id(traceparent: str, own: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{traceparent} {own}".encode()).digest()[:8], "big") or 1


def _of(job: Job) -> dict[str, str]:
    return {"despina.job.kind": job.kind, "despina.job.id": job.id}
