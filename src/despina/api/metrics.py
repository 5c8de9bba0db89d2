"""What ``/metrics`` tells of jobs and endpoints, beside what the process measures of itself (``despina.telemetry.metrics``)."""

import logging
import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from despina.api.calls import Called
from despina.api.latencies import Latencies, Seen
from despina.api.service import ControlPlane
from despina.core.endpoint import Endpoint
from despina.core.errors import DespinaError, StoreError
from despina.core.job import Job, JobKind, RunKind, RunState, Status
from despina.telemetry.histogram import Child, Histogram
from despina.telemetry.metrics import QUICK, Metrics

logger = logging.getLogger("despina.api")


class RequestMetrics:
    """The requests of this process, counted in the event loop alone."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._children: dict[tuple[str, int], Child] = {}

    def answered(self, operation: Called | None, status: int, seconds: float, failure: Exception | None) -> None:
        """A request was answered, after so long."""
        key = operation.name if operation is not None else "none", status
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._metrics.requests.child(key)
        child.add(seconds)
        if failure is not None and isinstance(failure, DespinaError) and failure.limit is not None:
            self._metrics.refused.labels(failure.limit).inc()


class Measured:
    """The invocations of one endpoint."""

    def __init__(self, endpoint_id: str, latency: Histogram) -> None:
        self.in_flight = 0
        self.errors = 0
        self._labels, self._latency = (endpoint_id,), latency

    def begin(self) -> float:
        """An invocation begins; what ``end`` must be told."""
        self.in_flight += 1
        return time.perf_counter()

    def end(self, begun: float, *, answered: bool) -> None:
        """The invocation is over: it was answered, or it was an error."""
        self.in_flight -= 1
        self.errors += not answered
        self._latency.observe(self._labels, time.perf_counter() - begun)


class EndpointMetrics:
    """The invocations of all endpoints, by id."""

    def __init__(self) -> None:
        self._measured: dict[str, Measured] = {}
        self._latency = Histogram("despina_endpoint_latency_seconds", "From an invocation's arrival to its answer.", ("endpoint",),
                                  QUICK)

    def of(self, endpoint_id: str) -> Measured:
        """What is counted of an endpoint."""
        measured = self._measured.get(endpoint_id)
        if measured is None:
            measured = self._measured[endpoint_id] = Measured(endpoint_id, self._latency)
        return measured

    def seen(self, endpoint_id: str) -> Seen:
        """What was counted of an endpoint so far."""
        measured = self._measured.get(endpoint_id)
        return Seen(latencies=Latencies(bounds=QUICK, buckets=tuple(self._latency.child((endpoint_id,)).buckets)),
                    errors=measured.errors if measured else 0, in_flight=measured.in_flight if measured else 0)

    def collect(self, endpoints: tuple[Endpoint, ...]) -> Iterator[Metric]:
        """Of these endpoints. What was counted of others is forgotten."""
        known = {endpoint.id for endpoint in endpoints}
        for name in set(self._measured) - known:
            del self._measured[name]  # in place: the event loop goes on counting meanwhile
        self._latency.keep(set(known))
        info = GaugeMetricFamily("despina_endpoint_info", "An endpoint: its status, and the model and version in service.",
                                 labels=("endpoint", "status", "model", "version"))
        replicas = GaugeMetricFamily("despina_endpoint_replicas", "Replicas that answer.", labels=("endpoint",))
        in_flight = GaugeMetricFamily("despina_endpoint_in_flight", "Invocations that are not answered yet.", labels=("endpoint",))
        errors = CounterMetricFamily("despina_endpoint_errors", "Invocations that were answered with an error.",
                                     labels=("endpoint",))
        for endpoint in endpoints:
            version, measured = endpoint.serving, self.of(endpoint.id)
            model, number = (version.model, version.number) if version else ("", 0)
            info.add_metric((endpoint.id, endpoint.status, model, str(number)), 1)
            replicas.add_metric((endpoint.id,), len(endpoint.answering))
            in_flight.add_metric((endpoint.id,), measured.in_flight)
            errors.add_metric((endpoint.id,), measured.errors)
        yield from (info, replicas, in_flight, errors)
        yield from self._latency.collect()


class PlaneCollector(Collector):
    """The jobs and endpoints as the store has them when Prometheus asks."""

    def __init__(self, plane: ControlPlane, endpoints: EndpointMetrics) -> None:
        self._plane, self._endpoints = plane, endpoints

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``. If the store cannot be read ``despina_store_up`` says so, and nothing else."""
        up = GaugeMetricFamily("despina_store_up", "Whether the job store could be read just now.")
        found: tuple[Metric, ...] = ()
        try:
            counts, trainings = self._plane.jobs.active()
            found = (_jobs(counts), *_trainings(trainings), *self._endpoints.collect(self._plane.endpoints.all()))
        except StoreError as error:
            logger.warning("The metrics are without jobs and endpoints: %s", error)
        up.add_metric((), 1 if found else 0)
        yield from (up, *found)


def _jobs(counts: dict[tuple[JobKind, Status], int]) -> Metric:
    family = GaugeMetricFamily("despina_jobs", "Jobs that have not ended.", labels=("kind", "status"))
    for kind in JobKind:
        for status in (Status.IN_PROGRESS, Status.STOPPING):
            family.add_metric((kind, status), counts.get((kind, status), 0))
    return family


def _trainings(jobs: tuple[Job, ...]) -> Iterator[Metric]:
    """The newest of the trials that run."""
    labels = ("job_id", "trial")
    epoch = GaugeMetricFamily("despina_training_epoch", "The last epoch that a running trial has ended.", labels=labels)
    epochs = GaugeMetricFamily("despina_training_epochs", "The epochs that it has at most.", labels=labels)
    metric = GaugeMetricFamily("despina_training_metric", "Its metric on the validation part, as it was measured last.",
                               labels=(*labels, "metric"))
    best = GaugeMetricFamily("despina_training_metric_best", "The best value of its metric so far.", labels=(*labels, "metric"))
    running = [(job.id, run) for job in jobs for run in job.runs if run.kind is RunKind.TRIAL and run.state is RunState.RUNNING]
    loss = GaugeMetricFamily("despina_training_loss", "The loss of the last step of its last epoch.", labels=labels)
    rate = GaugeMetricFamily("despina_training_examples_per_second", "The examples a second of its last epoch.", labels=labels)
    for job_id, run in running:
        said, place = run.progress, (job_id, str(run.number))
        if said is None or said.unit != "epoch":
            continue
        epoch.add_metric(place, said.step)
        epochs.add_metric(place, said.of)
        for family, value in ((loss, said.loss), (rate, said.rate)):
            if value is not None:
                family.add_metric(place, value)
        if said.value is not None:
            metric.add_metric((*place, said.metric or ""), said.value)
        if said.best is not None:
            best.add_metric((*place, said.metric or ""), said.best)
    yield from (epoch, epochs, loss, rate, metric, best)
