"""The latencies of an endpoint in words and as bars; the template draws them."""

from despina.api.latencies import Latencies
from despina.core.frozen import Frozen

WIDTH, HEIGHT, FOOT = 560, 130, 26
"""Of the drawing, and of the part below the bars, where the bounds stand."""
_LABELS = 9
"""Bounds that there is room for."""


class Bar(Frozen, frozen=True, kw_only=True):
    """A bucket of the histogram, drawn."""

    x: float
    y: float
    width: float
    height: float
    label: str
    """Its upper bound, which stands below its right end; empty where there is no room."""
    count: int
    text: str
    """What it says when it is pointed at, and in the table."""


class Drawn(Frozen, frozen=True, kw_only=True):
    """The histogram."""

    count: int
    half: str
    most: str
    """What half of the requests, and 95 %, did not exceed."""
    bars: tuple[Bar, ...]
    """From the fastest that occurred to the slowest."""


def seconds(value: float | None) -> str:
    """``0.8 ms``, ``12 ms``, ``1.5 s``; ``–`` for none."""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.2g} ms" if value < 0.01 else f"{value * 1000:.0f} ms"
    return f"{value:.2g} s"


def at_most(latencies: Latencies, share: float) -> str:
    """What this share of the requests did not exceed: ``5 ms``, ``over 10 s``; ``–`` if there are none."""
    value = latencies.quantile(share)
    return f"over {seconds(value)}" if value == latencies.bounds[-1] else seconds(value)


def drawn(latencies: Latencies) -> Drawn | None:
    """The histogram; None: nobody has asked."""
    filled = [i for i, count in enumerate(latencies.buckets) if count]
    if not filled:
        return None
    first, last = max(0, filled[0] - 1), min(len(latencies.buckets) - 1, filled[-1] + 1)
    shown = range(first, last + 1)
    tallest = max(latencies.buckets)
    sparse = 2 if len(shown) > _LABELS else 1
    width = min(WIDTH / len(shown), 80)
    bars = []
    for place, i in enumerate(shown):
        count = latencies.buckets[i]
        height = (HEIGHT - FOOT - 16) * count / tallest
        low = seconds(latencies.bounds[i - 1]) if i else "0"
        endless = i == len(latencies.bounds)
        bars.append(Bar(
            x=round(place * width + 2, 1), y=round(HEIGHT - FOOT - height, 1), width=round(width - 4, 1), height=round(height, 1),
            label="" if endless or place % sparse else seconds(latencies.bounds[i]), count=count,
            text=f"over {low}" if endless else f"{low} to {seconds(latencies.bounds[i])}"))
    return Drawn(count=latencies.count, half=at_most(latencies, 0.5), most=at_most(latencies, 0.95), bars=tuple(bars))
