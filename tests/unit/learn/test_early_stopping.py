"""The rule of early stopping."""

from hypothesis import given
from hypothesis import strategies as st

from despina.learn.early_stopping import EarlyStopping


@given(st.lists(st.integers(0, 64), max_size=30), st.integers(1, 6))
def test_it_stops_when_the_newest_is_worse_than_the_mean_of_the_window_before(sixty_fourths: list[int], window: int) -> None:
    stopping = EarlyStopping(window)
    values = [number / 64 for number in sixty_fourths]
    for i, value in enumerate(values):
        before = values[max(0, i - window):i]
        expected = len(before) == window and value < sum(before) / window
        assert stopping.stops_at(value) is expected


def test_a_metric_that_stands_still_does_not_stop() -> None:
    stopping = EarlyStopping(3)
    assert not any(stopping.stops_at(0.1) for _ in range(10)), "0.1 + 0.1 + 0.1 > 3 * 0.1 in floating point"
    assert stopping.stops_at(0.09)
