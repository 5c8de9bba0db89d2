"""Quantiles of a histogram, and how it is drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from despina.api.console.latency_chart import HEIGHT, WIDTH, at_most, drawn, seconds
from despina.api.latencies import Latencies

BOUNDS = (0.001, 0.01, 0.1, 1.0)
many = st.lists(st.integers(0, 1000), min_size=len(BOUNDS) + 1, max_size=len(BOUNDS) + 1).map(tuple)


def test_quantiles_lie_evenly_within_their_bucket() -> None:
    latencies = Latencies(bounds=BOUNDS, buckets=(0, 10, 10, 0, 0))
    assert latencies.quantile(0.25) == pytest.approx(0.0055)
    assert latencies.quantile(0.5) == pytest.approx(0.01)
    assert latencies.quantile(0.95) == pytest.approx(0.091)
    assert Latencies(bounds=BOUNDS, buckets=(0, 0, 0, 0, 3)).quantile(0.5) == 1.0
    assert at_most(Latencies(bounds=BOUNDS, buckets=(0, 0, 0, 0, 3)), 0.5) == "over 1 s"
    assert Latencies(bounds=BOUNDS, buckets=(0, 0, 0, 0, 0)).quantile(0.5) is None


@given(buckets=many, shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_quantiles_rise(buckets: tuple[int, ...], shares: tuple[float, float]) -> None:
    low, high = (Latencies(bounds=BOUNDS, buckets=buckets).quantile(share) for share in sorted(shares))
    assert (low is None) == (high is None) == (not sum(buckets))
    assert low is None or high is None or 0 <= low <= high <= BOUNDS[-1]


@given(buckets=many)
def test_all_bars_are_in_the_drawing_and_none_is_lost(buckets: tuple[int, ...]) -> None:
    chart = drawn(Latencies(bounds=BOUNDS, buckets=buckets))
    assert (chart is None) == (not sum(buckets))
    if chart is not None:
        assert sum(bar.count for bar in chart.bars) == sum(buckets) == chart.count
        assert all(bar.x >= 0 and bar.width > 0 and bar.x + bar.width <= WIDTH and 0 <= bar.y <= HEIGHT for bar in chart.bars)
        assert all((bar.height > 0) == (bar.count * (HEIGHT - 42) / max(buckets) >= 0.05) or not bar.count for bar in chart.bars)


def test_seconds_as_people_read_them() -> None:
    assert [seconds(value) for value in (None, 0.0005, 0.0023, 0.0123, 0.5, 1.5, 10.0)] == [
        "–", "0.5 ms", "2.3 ms", "12 ms", "500 ms", "1.5 s", "10 s"]
