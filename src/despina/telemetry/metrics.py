"""The metrics of a process. ``docs/observability.md`` has a line for each.

Source: Prometheus documentation, "Metric and label naming" and "Exposition formats" (text format 0.0.4).
"""

import platform
from collections.abc import Mapping
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.registry import Collector

from despina.core.errors import DespinaError
from despina.telemetry.histogram import Histogram

QUICK = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds: of what a client waits for."""
QUICKEST = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Of a statement."""
REMOTE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 240.0)
"""Of a request to another server, with its repetitions."""
LONG = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 259_200.0)
"""Of work, and of waiting for it."""


class Metrics:
    """What a process counts and measures of itself, since it began. All of it may be told from any thread."""

    def __init__(self, build: Mapping[str, str]) -> None:
        """``build``: labels of ``despina_build_info``, beside the versions of Despina and of Python."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the time at which a counter was first used, beside each counter
        self.registry = registry = CollectorRegistry(auto_describe=False)
        self.requests = self._histogram("despina_http_request_seconds", "From a request's headers to its answer.",
                                        ("operation", "code"), QUICK)
        self.refused = Counter("despina_http_refused", "Requests and connections that a limit has refused.", ("limit",),
                               registry=registry)
        self.in_flight = Gauge("despina_http_in_flight", "Requests that count against max_in_flight.", registry=registry)
        self.connections = Gauge("despina_http_connections", "Connections that are open.", registry=registry)
        self.statements = self._histogram("despina_store_statement_seconds", "A statement of the store.", ("statement",), QUICKEST)
        self.s3_requests = self._histogram("despina_s3_request_seconds", "A request to the S3 server, with its repetitions.",
                                           ("action",), REMOTE)
        self.s3_errors = Counter("despina_s3_errors", "Requests to the S3 server that failed in the end.", ("action",),
                                 registry=registry)
        self.s3_retries = Counter("despina_s3_retries", "Repetitions of requests to the S3 server, beside obstore's own.",
                                  ("action",), registry=registry)
        self.passes = self._histogram("despina_reconciler_pass_seconds", "A pass of a reconciler over a job.", ("outcome",), QUICK)
        self.jobs_ended = Counter("despina_jobs_ended", "Jobs that have ended.", ("kind", "status"), registry=registry)
        self.queue = self._histogram("despina_job_queue_seconds", "From a job's creation to the start of its first run.",
                                     ("kind",), LONG)
        self.steps = self._histogram("despina_step_seconds", "A step of a job, from its first run's start to its last one's end.",
                                     ("kind", "step", "status"), LONG)
        self.runs = self._histogram("despina_run_seconds", "A run, from its start to its end.", ("run", "state"), LONG)
        self.retries = Counter("despina_run_retries", "Runs that were begun again since they had been lost.", ("run",),
                               registry=registry)
        info = {"version": version("despina"), "python": platform.python_version(), **build}
        Gauge("despina_build_info", "What this process is.", tuple(info), registry=registry).labels(**info).set(1)
        ProcessCollector(registry=registry)

    def register(self, collector: Collector) -> None:
        """Tell of these metrics, too."""
        self.registry.register(collector)

    def exposition(self) -> str:
        """All of it as Prometheus reads it."""
        return generate_latest(self.registry).decode()

    def listen(self, host: str, port: int) -> int:
        """Tell it to whoever asks at this address, from threads of their own, until the process ends; the port.

        Raises:
            DespinaError: the address cannot be used.
        """
        try:
            server, _ = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise DespinaError(f"Cannot listen on {host} port {port} for metrics: {error.strerror or error}. Choose another with "
                               "--metrics-port.") from None
        return int(server.server_port)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> Histogram:
        made = Histogram(name, text, labels, bounds)
        self.registry.register(made)
        return made
