"""What Prometheus reads at ``/metrics``: how endpoints are asked and how fast they answer, as far as this process has seen.

Source: Prometheus documentation, "Exposition formats" (text format 0.0.4) and "Histograms and summaries".
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from despina.api.latencies import Latencies, Seen
from despina.core.endpoint import Endpoint

BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds of the latency histogram's buckets, in seconds."""


class Measured:
    """The invocations of one endpoint."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.errors = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)
        """Invocations by latency; the last one is for what took longer than all bounds."""

    def begin(self) -> float:
        """An invocation begins; what ``end`` must be told."""
        self.in_flight += 1
        return time.perf_counter()

    def end(self, begun: float, *, answered: bool) -> None:
        """The invocation is over: it was answered, or it was an error."""
        taken = time.perf_counter() - begun
        self.in_flight -= 1
        self.errors += not answered
        self.seconds += taken
        self.buckets[bisect_left(BOUNDS, taken)] += 1


class EndpointMetrics:
    """The invocations of all endpoints, by id."""

    def __init__(self) -> None:
        self._measured: dict[str, Measured] = {}

    def of(self, endpoint_id: str) -> Measured:
        """What is counted of an endpoint."""
        measured = self._measured.get(endpoint_id)
        if measured is None:
            measured = self._measured[endpoint_id] = Measured()
        return measured

    def seen(self, endpoint_id: str) -> Seen:
        """What was counted of an endpoint so far."""
        measured = self._measured.get(endpoint_id, Measured())
        return Seen(latencies=Latencies(bounds=BOUNDS, buckets=tuple(measured.buckets)), errors=measured.errors,
                    in_flight=measured.in_flight)

    def exposition(self, endpoints: Iterable[Endpoint]) -> str:
        """The text that Prometheus reads. What was counted of endpoints that are gone is forgotten."""
        known = {endpoint.id: endpoint for endpoint in endpoints}
        self._measured = {name: measured for name, measured in self._measured.items() if name in known}
        lines = []
        for name, kind, text, rows in (
                ("despina_endpoint_info", "gauge", "An endpoint: its status, and the model and version in service.",
                 _infos(known.values())),
                ("despina_endpoint_replicas", "gauge", "Replicas that answer.",
                 (f'{{endpoint="{name}"}} {len(endpoint.answering)}' for name, endpoint in known.items())),
                ("despina_endpoint_in_flight", "gauge", "Invocations that are not answered yet.",
                 (f'{{endpoint="{name}"}} {self.of(name).in_flight}' for name in known)),
                ("despina_endpoint_errors_total", "counter", "Invocations that were answered with an error.",
                 (f'{{endpoint="{name}"}} {self.of(name).errors}' for name in known))):
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *(f"{name}{row}" for row in rows)]
        lines += ["# HELP despina_endpoint_latency_seconds From an invocation's arrival to its answer.",
                  "# TYPE despina_endpoint_latency_seconds histogram"]
        for name in known:
            lines += _histogram(name, self.of(name))
        return "\n".join(lines) + "\n"


def _infos(endpoints: Iterable[Endpoint]) -> Iterator[str]:
    for endpoint in endpoints:
        version = endpoint.serving
        yield (f'{{endpoint="{endpoint.id}",status="{endpoint.status}",model="{version.model if version else ""}",'
               f'version="{version.number if version else 0}"}} 1')


def _histogram(endpoint_id: str, measured: Measured) -> Iterator[str]:
    name, total = "despina_endpoint_latency_seconds", 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), measured.buckets, strict=True):
        total += count
        yield f'{name}_bucket{{endpoint="{endpoint_id}",le="{bound}"}} {total}'
    yield f'{name}_sum{{endpoint="{endpoint_id}"}} {measured.seconds:.6f}'
    yield f'{name}_count{{endpoint="{endpoint_id}"}} {total}'
