"""Categories: one of them in each cell, or a set."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.columns import Column, split_cells
from despina.graph.features.hot import Ones
from despina.graph.features.options import Feature

MAX_CATEGORIES = 100
"""Of a single-valued category; with more, the 99 commonest and ``OTHER`` are kept, as documented. Sets of categories have an option
of their own, ``max_categories``: the documented limit would lose most of a bag of words."""
ROWS = 1 << 16
"""Cells that are counted at a time."""


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
        codes, texts = column.coded
        cells = np.zeros(len(texts), dtype=np.int64)
        for start in range(0, len(codes), ROWS):
            cells += np.bincount(codes[start:start + ROWS] + 1, minlength=len(texts) + 1)[1:]
        owners, values = _members(texts, feature.separator)
        counts = (pl.DataFrame({"owner": owners, "value": values, "cells": cells[owners]}).filter(pl.col("cells") > 0)
                  .unique(["owner", "value"]).select("value", "cells").group_by("value").sum()
                  .sort(["cells", "value"], descending=[True, False]))
        most = MAX_CATEGORIES if feature.separator is None else feature.max_categories
        other = len(counts) > most
        kept = counts["value"].head(most - 1 if other else most)
        return cls(separator=feature.separator, values=tuple(kept.to_list()), other=other)

    def ones(self, column: Column) -> Ones:
        """The categories of each row."""
        codes, texts = column.coded
        owners, values = _members(texts, self.separator)
        known = dict(zip(self.values, range(len(self.values)), strict=True))
        positions = values.replace_strict(known, default=len(known) if self.other else -1, return_dtype=pl.Int32).to_numpy()
        rows = np.flatnonzero(codes >= 0)
        codes = codes[rows]
        if self.separator is None:  # a text is its own only member
            return Ones.where(rows, positions[codes])
        # In the order of their columns, and each column once, for each text; so are those of each row then.
        pairs = np.unique(np.stack([owners, positions], axis=1)[positions >= 0], axis=0)
        owners, positions = pairs[:, 0], pairs[:, 1]
        starts = np.searchsorted(owners, np.arange(len(texts) + 1))
        counts = np.diff(starts)[codes]
        ends = np.cumsum(counts)
        members = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[codes] - ends + counts, counts)
        return Ones(rows=np.repeat(rows, counts), columns=positions[members])


def _members(texts: pl.Series, separator: str | None) -> tuple[NDArray[np.int64], pl.Series]:
    """The categories in different texts one after another, and the number of the text of each."""
    owners = np.arange(len(texts))
    if separator is None:
        return owners, texts
    parts = split_cells(texts, separator)
    values = parts.explode()
    full = (values != "").to_numpy()
    return np.repeat(owners, parts.list.len().to_numpy())[full], values.filter(pl.Series(full))
