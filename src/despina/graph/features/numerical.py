"""Numbers: scaled as they are, or sorted into buckets."""

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.columns import Column
from despina.graph.faults import Fault
from despina.graph.features.hot import Ones
from despina.graph.features.options import Buckets, Feature, Imputer, Norm

BINS = 1 << 16
"""Of the histogram by which the median of more than so many values is found."""


class NumericalEncoding(Frozen, frozen=True, kw_only=True, tag="numerical"):
    """``(value - shift) * scale``, each of the vector's own length (1 without a separator)."""

    separator: str | None
    fill: tuple[float, ...] | None
    """What a missing value is replaced by; None: there must be none."""
    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def width(self) -> int:
        """Columns of the encoded feature."""
        return len(self.shift)

    @classmethod
    def fit(cls, feature: Feature, column: Column) -> "NumericalEncoding":
        """Learn scale and replacement from a column."""
        numbers = _numbers(column, feature.separator)
        fill = _fill(numbers, feature.imputer)
        numbers = _complete(numbers, fill, column)
        shift, scale = np.zeros(numbers.shape[1]), np.ones(numbers.shape[1])
        if feature.norm is Norm.MIN_MAX and len(numbers):
            shift = numbers.min(axis=0)
            span = numbers.max(axis=0) - shift
            np.divide(1.0, span, out=scale, where=span > 0)
        elif feature.norm is Norm.STANDARD and len(numbers):
            # Equal values have no deviation; rounding of their mean must not make one.
            same = numbers.min(axis=0) == numbers.max(axis=0)
            shift = np.where(same, numbers[0], numbers.mean(axis=0))
            np.divide(1.0, numbers.std(axis=0), out=scale, where=~same)
        return cls(separator=feature.separator, fill=fill, shift=tuple(shift.tolist()), scale=tuple(scale.tolist()))

    def transform(self, column: Column, out: NDArray[np.float32]) -> None:
        """Write the scaled numbers into ``out``, ``[rows, width]``."""
        numbers = _numbers(column, self.separator)
        missing = np.isnan(numbers).all(axis=1)
        if missing.all():  # nothing in these rows tells how long the vectors are
            numbers = np.full((len(column), self.width), np.nan)
        if numbers.shape[1] != self.width:
            row = int(np.argmin(missing))
            raise column.error(row, Fault.INVALID_VECTOR, f" has {numbers.shape[1]} values; it must have {self.width}")
        numbers = _complete(numbers, self.fill, column)
        with np.errstate(over="ignore", invalid="ignore"):
            np.multiply(numbers - self.shift, self.scale, out=out, casting="same_kind")
        held = np.asarray(np.isfinite(out).all(axis=1))
        column.refuse(~held, Fault.INVALID_NUMBER, " is too large, or too far from the others, to be held in 32 bits")


class BucketEncoding(Frozen, frozen=True, kw_only=True, tag="bucket_numerical"):
    """One-hot of the bucket that a number lies in; multi-hot with a window. What lies outside goes to the first or last bucket."""

    buckets: Buckets
    fill: tuple[float, ...] | None
    """What a missing value is replaced by; None: there must be none."""

    @property
    def width(self) -> int:
        """Columns of the encoded feature."""
        return self.buckets.count

    @classmethod
    def fit(cls, feature: Feature, column: Column) -> "BucketEncoding":
        """Learn the replacement of missing values; the buckets are given."""
        if feature.buckets is None:
            raise ValueError("a feature of type bucket_numerical has buckets")
        numbers = _numbers(column, None)
        fill = _fill(numbers, feature.imputer)
        _complete(numbers, fill, column)
        return cls(buckets=feature.buckets, fill=fill)

    def ones(self, column: Column) -> Ones:
        """The buckets that the window around each value touches."""
        numbers = _complete(_numbers(column, None), self.fill, column)[:, 0]
        first = self._bucket(numbers - self.buckets.window / 2)
        if self.buckets.window == 0:
            return Ones(rows=np.arange(len(first)), columns=first)
        counts = self._bucket(numbers + self.buckets.window / 2) - first + 1
        ends = np.cumsum(counts)
        within = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
        return Ones(rows=np.repeat(np.arange(len(first)), counts), columns=np.repeat(first, counts) + within)

    def _bucket(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        """The buckets are half-open: a number on the border of two is in the upper one."""
        low, high, count = self.buckets.low, self.buckets.high, self.buckets.count
        # Of the largest numbers products would be infinite; a power of two rounds nothing.
        scale = 2.0 ** -16 if max(abs(low), abs(high)) > 1e300 else 1.0
        position = (np.clip(numbers, low, high) * scale - low * scale) * count / (high * scale - low * scale)
        return np.minimum(np.floor(position), count - 1).astype(np.int64)


def most_typical(values: NDArray[np.float64], imputer: Imputer) -> float:
    """The value that stands for a missing one; 0 when there is none at all."""
    if not len(values):
        return 0.0
    match imputer:
        case Imputer.MEAN:
            with np.errstate(over="ignore"):
                mean = values.mean()
            return float(mean if np.isfinite(mean) else (values / len(values)).sum())
        case Imputer.MEDIAN:
            return median(values)
        case Imputer.MOST_FREQUENT:
            distinct, counts = np.unique(values, return_counts=True)
            return float(distinct[counts.argmax()])


def median(values: NDArray[np.float64]) -> float:
    """The median of finite values, one at least: of many, without a copy of them.

    A histogram tells in which of its bins the middle lies; only what is in these bins is sorted.
    """
    low, high = values.min(), values.max()
    middle = (len(values) - 1) // 2, len(values) // 2
    if len(values) < BINS or not 1e-100 < high / 2 - low / 2 < 1e300:
        return _between(*np.partition(values, middle)[list(middle)].tolist())
    scale = BINS / (high - low)

    def bins(start: int) -> NDArray[np.int64]:
        return np.asarray(np.minimum((values[start:start + BINS] - low) * scale, BINS - 1).astype(np.int64))

    starts = range(0, len(values), BINS)
    below = np.cumsum(sum(np.bincount(bins(start), minlength=BINS) for start in starts))
    first, last = np.searchsorted(below, middle, side="right")
    inside = np.concatenate([values[start:start + BINS][(bins(start) >= first) & (bins(start) <= last)] for start in starts])
    before = below[first - 1] if first else 0
    inside.sort()
    return _between(float(inside[middle[0] - before]), float(inside[middle[1] - before]))


def _between(low: float, high: float) -> float:
    """The number in the middle of two, of which the sum may be too large."""
    return (low + high) / 2 if isfinite(low + high) else low / 2 + high / 2


def _numbers(column: Column, separator: str | None) -> NDArray[np.float64]:
    """``[rows, d]``, NaN in rows without a value."""
    if separator is None:
        column.refuse_unreadable_numbers()
        return column.numbers.reshape(-1, 1)
    return column.vectors(separator)


def _fill(numbers: NDArray[np.float64], imputer: Imputer | None) -> tuple[float, ...] | None:
    if imputer is None:
        return None
    missing = np.isnan(numbers)
    return tuple(most_typical(values[~gaps] if gaps.any() else values, imputer)
                 for values, gaps in zip(numbers.T, missing.T, strict=True))


def _complete(numbers: NDArray[np.float64], fill: tuple[float, ...] | None, column: Column) -> NDArray[np.float64]:
    """The numbers with missing ones replaced. Raises InputFault when one is missing and there is no replacement."""
    missing = np.isnan(numbers)
    if fill is None:
        column.refuse(np.asarray(missing.any(axis=1)), Fault.MISSING_VALUE,
                      "; give the feature an 'imputer' (mean, median or most-frequent) to replace missing values")
        return numbers
    return np.where(missing, fill, numbers) if missing.any() else numbers
