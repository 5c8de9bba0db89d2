"""Categories: one of them in each cell, or a set."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.features.hot import mark
from despina.graph.features.options import Feature
from despina.graph.tables import Column

MAX_CATEGORIES = 100
"""Of a single-valued category; with more, the 99 commonest and ``OTHER`` are kept, as documented. Sets of categories have an option
of their own, ``max_categories``: the documented limit would lose most of a bag of words."""


class CategoryEncoding(Frozen, frozen=True, kw_only=True, tag="category"):
    """One-hot, or multi-hot when there is a separator.

    A missing cell is all zeros: of a set, it is the empty set. So is an unknown value without ``OTHER``.
    """

    separator: str | None
    values: tuple[str, ...]
    """Commonest first, ties in the order of their names."""
    other: bool
    """Whether a last column stands for all other values."""

    @property
    def width(self) -> int:
        """Columns of the encoded feature."""
        return len(self.values) + self.other

    @classmethod
    def fit(cls, feature: Feature, column: Column) -> "CategoryEncoding":
        """Learn the categories of a column."""
        _, values = _members(column, feature.separator)
        counts = values.value_counts(name="\0count").sort(["\0count", values.name], descending=[True, False])
        most = MAX_CATEGORIES if feature.separator is None else feature.max_categories
        other = len(counts) > most
        kept = counts[values.name].head(most - 1 if other else most)
        return cls(separator=feature.separator, values=tuple(kept.to_list()), other=other)

    def transform(self, column: Column, out: NDArray[np.float32]) -> None:
        """Mark the categories of each row in ``out``, ``[rows, width]`` of zeros."""
        rows, values = _members(column, self.separator)
        known = dict(zip(self.values, range(len(self.values)), strict=True))
        unknown = len(known) if self.other else -1
        mark(out, rows, values.replace_strict(known, default=unknown, return_dtype=pl.Int32).to_numpy())


def _members(column: Column, separator: str | None) -> tuple[NDArray[Any], pl.Series]:
    """The categories of all cells one after another, and the row of each; none for missing cells."""
    rows = column.text.is_not_null().arg_true()
    if separator is None:
        return rows.to_numpy(), column.text.drop_nulls()
    parts = column.split(separator).drop_nulls()
    rows, values = pl.Series(np.repeat(rows.to_numpy(), parts.list.len().to_numpy())), parts.explode()
    full = values != ""
    return rows.filter(full).to_numpy(), values.filter(full)
