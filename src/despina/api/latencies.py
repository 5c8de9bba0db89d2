"""Latencies as a histogram has them: how many, and what most took."""

from despina.core.frozen import Frozen


class Latencies(Frozen, frozen=True, kw_only=True):
    """Invocations by how long they took."""

    bounds: tuple[float, ...]
    """Upper bounds of the buckets, in seconds, ascending."""
    buckets: tuple[int, ...]
    """One more than bounds: the last one is for what took longer than all of them."""

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.buckets)

    def quantile(self, share: float) -> float | None:
        """The time, in seconds, that this share of them did not exceed; None: there are none.

        Within a bucket they are taken to lie evenly; what took longer than all bounds is told as the last bound (Prometheus
        documentation, "histogram_quantile").
        """
        rank, below, low = share * self.count, 0, 0.0
        for bound, count in zip(self.bounds, self.buckets, strict=False):
            if count and below + count >= rank:
                return low + (bound - low) * (rank - below) / count
            below, low = below + count, bound
        return self.bounds[-1] if self.count else None


class Seen(Frozen, frozen=True, kw_only=True):
    """What a server process has seen of an endpoint since it began."""

    latencies: Latencies
    errors: int
    in_flight: int
