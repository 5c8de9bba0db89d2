"""Times: year, month, weekday and hour, each one-hot."""

import numpy as np
import polars as pl

from despina.core.frozen import Frozen
from despina.graph.columns import Column
from despina.graph.faults import Fault
from despina.graph.features.hot import Ones
from despina.graph.features.numerical import most_typical
from despina.graph.features.options import DatetimePart, Feature

MAX_YEARS = 100


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

    @classmethod
    def fit(cls, feature: Feature, column: Column) -> "DatetimeEncoding":
        """Learn which parts vary, and which years there are."""
        times = _instants(column)
        fill = None
        if feature.imputer is not None:
            fill = int(most_typical(times.drop_nulls().to_physical().cast(pl.Float64).to_numpy(), feature.imputer))
        calendar = {DatetimePart.MONTH: range(1, 13), DatetimePart.WEEKDAY: range(1, 8), DatetimePart.HOUR: range(24)}
        parts = {}
        for part in feature.datetime_parts:
            seen = _part(times.drop_nulls(), part).value_counts(name="\0count", sort=True)
            if len(seen) > 1:
                years = sorted(seen[times.name].head(MAX_YEARS).to_list())
                parts[part] = tuple(calendar.get(part, years))
        return cls(fill=fill, parts=parts)

    def ones(self, column: Column) -> Ones:
        """The parts of each time."""
        times = _instants(column)
        if self.fill is not None:
            times = times.fill_null(pl.Series([self.fill]).cast(times.dtype)[0])
        present = times.is_not_null().arg_true().to_numpy()
        times, start = times.drop_nulls(), 0
        columns = np.empty((len(present), len(self.parts)), dtype=np.int32)
        for number, (part, steps) in enumerate(self.parts.items()):
            known = dict(zip(steps, range(start, start + len(steps)), strict=True))
            columns[:, number] = _part(times, part).replace_strict(known, default=-1, return_dtype=pl.Int32).to_numpy()
            start += len(steps)
        return Ones.where(np.repeat(present, len(self.parts)), columns.ravel())


def _instants(column: Column) -> pl.Series:
    times = column.instants
    if times.null_count() > column.missing.sum():
        column.refuse(times.is_null().to_numpy() & ~column.missing, Fault.INVALID_TIME,
                      " is not a time; write it as in 1995-01-31T00:00:00Z")
    return times


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
