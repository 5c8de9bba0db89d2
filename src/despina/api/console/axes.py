"""Axes of charts: which part of the numbers they show, and round numbers to mark on them."""

import math
from collections.abc import Iterable
from fractions import Fraction

from despina.core.frozen import Frozen

LARGEST, SMALLEST = 1e300, 1e-300
"""What is beyond them is shown as they are, or as 0: sums and differences of what is shown are numbers then, too."""
WANTED = 5
"""Stretches between ticks, about."""
MOST_LOG_TICKS = 8
_SAME = 1e-8
"""Numbers that differ by a smaller part of their size are drawn as one."""
_MANTISSAS = (1, 2, 5)


class Tick(Frozen, frozen=True, kw_only=True):
    """A round number on an axis."""

    value: float
    label: str


class Axis(Frozen, frozen=True, kw_only=True):
    """An axis from ``low`` to ``high``, linear or logarithmic."""

    low: float
    high: float
    ticks: tuple[Tick, ...]
    log: bool = False

    def place(self, value: float | None) -> float | None:
        """Where a number lies: 0 is the beginning and 1 the end. None for what cannot be shown."""
        number = usable(value)
        if number is None or (self.log and number <= 0):
            return None
        if not self.log:
            return (number - self.low) / (self.high - self.low)
        low, high = math.log10(self.low), math.log10(self.high)
        return (math.log10(number) - low) / (high - low)


def usable(value: float | None) -> float | None:
    """The number as it is shown; None for none, and for what is no finite number."""
    if value is None:
        return None
    size = abs(value)
    if SMALLEST <= size <= LARGEST:  # nearly always, and charts have thousands of them
        return value
    if size < SMALLEST:
        return 0.0
    return math.copysign(LARGEST, value) if math.isfinite(value) else None


def linear(values: Iterable[float | None], *, whole: bool = False, tight: bool = False) -> Axis:
    """A linear axis for these numbers; from 0 to 1 if there are none.

    Args:
        values: What is to be shown.
        whole: Whether only whole numbers are to be marked, as of epochs.
        tight: Whether it ends where the numbers do, and not at ticks.
    """
    numbers = [number for value in values if (number := usable(value)) is not None]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    size = max(abs(low), abs(high))
    if high - low <= size * _SAME:
        pad = max(size / 10, 1.0 if whole or not size else 0.0)
        low, high = low - pad, high + pad
    step = _round_step((high - low) / WANTED)
    step = max(step, Fraction(1)) if whole else step
    first, last = low / step, high / step
    if tight:
        places = [n for n in range(math.floor(first), math.ceil(last) + 1) if low <= n * step <= high]
    else:
        places = list(range(math.floor(first), math.ceil(last) + 1))
        low, high = float(places[0] * step), float(places[-1] * step)
    return Axis(low=low, high=high, ticks=tuple(Tick(value=float(n * step), label=_label(float(n * step), step)) for n in places))


def logarithmic(values: Iterable[float | None]) -> Axis | None:
    """A logarithmic axis for the positive ones of these numbers; None if there are none."""
    numbers = [number for value in values if (number := usable(value)) is not None and number > 0]
    if not numbers:
        return None
    least, most = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    low = max(number for number in _round_ones(least - 1, least + 1) if number <= min(numbers))
    high = min(number for number in _round_ones(most - 1, most + 1) if number >= max(numbers) and number > low)
    ticks = [number for number in _round_ones(least - 1, min(most, least + 3)) if low <= number <= high]
    if len(ticks) > MOST_LOG_TICKS:
        powers = range(least + (low > Fraction(10) ** least), most + (high == Fraction(10) ** most))
        ticks = [Fraction(10) ** power for power in powers[::-(-len(powers) // MOST_LOG_TICKS)]]
    return Axis(low=float(low), high=float(high), log=True,
                ticks=tuple(Tick(value=float(number), label=_label(float(number), number)) for number in ticks))


def _round_ones(least: int, most: int) -> list[Fraction]:
    """1, 2 and 5 times the powers of ten between these."""
    return [Fraction(10) ** power * mantissa for power in range(least, most + 1) for mantissa in _MANTISSAS]


def _round_step(least: float) -> Fraction:
    """The least of 1, 2 and 5 times a power of ten that is not less."""
    power = math.floor(math.log10(least))
    return next(step for step in _round_ones(power, power + 1) if step >= least * (1 - _SAME))


def _label(value: float, step: Fraction) -> str:
    """The number with as many digits as tell it from its neighbours, ``step`` away."""
    if not value:
        return "0"
    if 1e-5 < abs(value) < 1e6:
        digits = max(0, -math.floor(math.log10(step)))
        return f"{value:,.{digits}f}".replace("-", "−")
    return f"{value:.10g}".replace("e+", "e").replace("-", "−")
