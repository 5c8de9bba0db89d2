"""Encoders: properties to numbers. ``fit`` learns an encoding from a column, ``transform`` applies it to the same or another one.

An encoding is plain data and can be stored, so that later data are encoded in the same way. Encodings are fitted on all rows of a
type, in all parts of the split. Source: Neptune user guide, "Feature encoding in Neptune ML".
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.schema import DatetimePart, Feature, FeatureType, Imputer, Norm
from despina.graph.tables import Column

MAX_CATEGORIES = 100
"""Of a single-valued category; with more, the 99 commonest and ``OTHER`` are kept, as documented."""
MAX_MULTI_CATEGORIES = 10_000
"""The same for cells of several categories, where the documented limit would lose most of a bag of words."""
MAX_YEARS = 100


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


class CategoryEncoding(Frozen, frozen=True, kw_only=True, tag="category"):
    """One-hot, or multi-hot when there is a separator. A missing cell is all zeros, as is an unknown value without ``OTHER``."""

    separator: str | None
    values: tuple[str, ...]
    """Commonest first, ties in the order of their names."""
    other: bool
    """Whether a last column stands for all other values."""

    @property
    def width(self) -> int:
        """Columns of the encoded feature."""
        return len(self.values) + self.other


class DatetimeEncoding(Frozen, frozen=True, kw_only=True, tag="datetime"):
    """One-hot for each part, side by side. A missing time, or a part not seen when fitting, is all zeros."""

    fill: int | None
    """What a missing time is replaced by (ms since 1970, UTC)."""
    parts: dict[DatetimePart, tuple[int, ...]]
    """The values that have a column: the years seen, all months, weekdays (Monday = 1) and hours. Parts that do not vary are left
    out."""

    @property
    def width(self) -> int:
        """Columns of the encoded feature."""
        return sum(len(values) for values in self.parts.values())


class RawEncoding(Frozen, frozen=True, kw_only=True, tag="none"):
    """Not encoded."""

    @property
    def width(self) -> int:
        """Columns of the encoded feature."""
        return 0


Encoding = NumericalEncoding | CategoryEncoding | DatetimeEncoding | RawEncoding


def fit(feature: Feature, column: Column) -> Encoding:
    """Learn how to encode a feature whose type is no longer ``auto``.

    Raises:
        WorkFailed: a cell cannot be read as the feature's type, or is missing where there is no imputer.
    """
    match feature.type:
        case FeatureType.NUMERICAL:
            return _fit_numerical(feature, column)
        case FeatureType.CATEGORY:
            return _fit_category(feature, column)
        case FeatureType.DATETIME:
            return _fit_datetime(feature, column)
        case _:
            return RawEncoding()


def transform(encoding: Encoding, column: Column, out: NDArray[np.float32]) -> None:
    """Write the encoded column into ``out``, ``[rows, encoding.width]`` of zeros.

    Raises:
        WorkFailed: a cell cannot be read as the encoding needs it.
    """
    match encoding:
        case NumericalEncoding():
            numbers = _numbers(column, encoding.separator)
            if numbers.shape[1] != encoding.width:
                raise column.error(int(column.text.is_not_null().arg_max() or 0),
                                   f" has {numbers.shape[1]} values; it must have {encoding.width}")
            if encoding.fill is not None:
                numbers = np.where(np.isnan(numbers), encoding.fill, numbers)
            else:
                _require_all(column)
            np.multiply(numbers - encoding.shift, encoding.scale, out=out, casting="same_kind")
        case CategoryEncoding():
            rows, values = _members(column, encoding.separator)
            known = dict(zip(encoding.values, range(len(encoding.values)), strict=True))
            unknown = len(known) if encoding.other else -1
            _mark(out, rows, values.replace_strict(known, default=unknown, return_dtype=pl.Int32).to_numpy())
        case DatetimeEncoding():
            times, start = _instants(column), 0
            if encoding.fill is not None:
                times = times.fill_null(pl.Series([encoding.fill]).cast(times.dtype)[0])
            present = times.is_not_null().arg_true().to_numpy()
            for part, steps in encoding.parts.items():
                codes = _part(times.drop_nulls(), part).replace_strict(
                    dict(zip(steps, range(len(steps)), strict=True)), default=-1, return_dtype=pl.Int32)
                _mark(out[:, start:start + len(steps)], present, codes.to_numpy())
                start += len(steps)


def _fit_numerical(feature: Feature, column: Column) -> NumericalEncoding:
    numbers = _numbers(column, feature.separator)
    fill = None
    if feature.imputer is None:
        _require_all(column)
    else:
        fill = tuple(_typical(values[~np.isnan(values)], feature.imputer) for values in numbers.T)
        numbers = np.where(np.isnan(numbers), fill, numbers)
    shift, scale = np.zeros(numbers.shape[1]), np.ones(numbers.shape[1])
    if feature.norm is Norm.MIN_MAX and len(numbers):
        shift = numbers.min(axis=0)
        span = numbers.max(axis=0) - shift
        np.divide(1.0, span, out=scale, where=span > 0)
    elif feature.norm is Norm.STANDARD:
        total = numbers.sum(axis=0)
        np.divide(1.0, total, out=scale, where=total != 0)
    return NumericalEncoding(separator=feature.separator, fill=fill, shift=tuple(shift.tolist()), scale=tuple(scale.tolist()))


def _numbers(column: Column, separator: str | None) -> NDArray[np.float64]:
    """``[rows, d]``, NaN in rows without a value."""
    if separator is None:
        unreadable = column.numbers.is_null() & column.text.is_not_null()
        if unreadable.any():
            raise column.error(int(unreadable.arg_max() or 0), " is not a finite number")
        return column.numbers.fill_null(float("nan")).to_numpy().reshape(-1, 1)
    parts = column.split(separator)
    lengths = parts.list.len()
    width = int(lengths.drop_nulls().first() or 1)  # type: ignore[arg-type]
    if (lengths.drop_nulls() != width).any():
        row = int((lengths != width).fill_null(value=False).arg_max() or 0)
        raise column.error(row, f" has {lengths[row]} values; the rows before it have {width}")
    present = column.text.is_not_null().arg_true().to_numpy()
    values = parts.drop_nulls().explode().cast(pl.Float64, strict=False)
    readable = values.is_finite().fill_null(value=False)
    if not readable.all():
        at = int((~readable).arg_max() or 0)
        raise column.error(int(present[at // width]), f": its value number {at % width + 1} is not a finite number")
    numbers = np.full((len(column), width), np.nan)
    numbers[present] = values.to_numpy().reshape(-1, width)
    return numbers


def _require_all(column: Column) -> None:
    if column.text.null_count():
        raise column.error(int(column.text.is_null().arg_max() or 0),
                           "; give the feature an 'imputer' (mean, median or most-frequent) to replace missing values")


def _typical(values: NDArray[np.float64], imputer: Imputer) -> float:
    """The value that stands for a missing one; 0 when there is none at all."""
    if not len(values):
        return 0.0
    match imputer:
        case Imputer.MEAN:
            return float(values.mean())
        case Imputer.MEDIAN:
            return float(np.median(values))
        case Imputer.MOST_FREQUENT:
            distinct, counts = np.unique(values, return_counts=True)
            return float(distinct[counts.argmax()])


def _fit_category(feature: Feature, column: Column) -> CategoryEncoding:
    _, values = _members(column, feature.separator)
    counts = values.value_counts(name="\0count").sort(["\0count", values.name], descending=[True, False])
    most = MAX_CATEGORIES if feature.separator is None else MAX_MULTI_CATEGORIES
    other = len(counts) > most
    kept = counts[values.name].head(most - 1 if other else most)
    return CategoryEncoding(separator=feature.separator, values=tuple(kept.to_list()), other=other)


def _members(column: Column, separator: str | None) -> tuple[NDArray[Any], pl.Series]:
    """The categories of all cells one after another, and the row of each; none for missing cells."""
    rows = column.text.is_not_null().arg_true()
    if separator is None:
        return rows.to_numpy(), column.text.drop_nulls()
    parts = column.split(separator).drop_nulls()
    rows, values = pl.Series(np.repeat(rows.to_numpy(), parts.list.len().to_numpy())), parts.explode()
    full = values != ""
    return rows.filter(full).to_numpy(), values.filter(full)


def _mark(out: NDArray[np.float32], rows: NDArray[Any], codes: NDArray[Any]) -> None:
    """Set ``out[row, code]`` to 1 for each pair; a code of -1 has no column."""
    known = codes >= 0
    if not known.all():
        rows, codes = rows[known], codes[known]
    out[rows, codes] = 1


def _fit_datetime(feature: Feature, column: Column) -> DatetimeEncoding:
    times = _instants(column)
    fill = None
    if feature.imputer is not None:
        fill = int(_typical(times.drop_nulls().to_physical().cast(pl.Float64).to_numpy(), feature.imputer))
    calendar = {DatetimePart.MONTH: range(1, 13), DatetimePart.WEEKDAY: range(1, 8), DatetimePart.HOUR: range(24)}
    parts = {}
    for part in feature.datetime_parts:
        seen = _part(times.drop_nulls(), part).value_counts(name="\0count", sort=True)
        if len(seen) > 1:
            years = sorted(seen[times.name].head(MAX_YEARS).to_list())
            parts[part] = tuple(calendar.get(part, years))
    return DatetimeEncoding(fill=fill, parts=parts)


def _instants(column: Column) -> pl.Series:
    unreadable = column.instants.is_null() & column.text.is_not_null()
    if unreadable.any():
        raise column.error(int(unreadable.arg_max() or 0), " is not a time; write it as in 1995-01-31T00:00:00Z")
    return column.instants


def _part(times: pl.Series, part: DatetimePart) -> pl.Series:
    match part:
        case DatetimePart.YEAR:
            return times.dt.year()
        case DatetimePart.MONTH:
            return times.dt.month()
        case DatetimePart.WEEKDAY:
            return times.dt.weekday()
        case DatetimePart.HOUR:
            return times.dt.hour()
