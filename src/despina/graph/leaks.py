"""Features that give the label away: a model that has them learns nothing that holds for new nodes or edges."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from despina.graph.columns import Column
from despina.graph.features.options import Feature
from despina.graph.schema import CLASSIFICATIONS, Label
from despina.graph.tables import Table

LOOKED_AT = 200_000
"""So many rows at most, the first ones, tell whether a feature determines the label."""
LINEAR = 0.9999
"""A number is the twin of a numerical label when the two correlate so much."""


def find_leaks(table: Table, features: Sequence[Feature], label: Label, kind: str) -> list[str]:
    """A warning for each feature that determines the label.

    A feature does when every labelled row has a value, when each value occurs with one label only, and when there are at most half
    as many values as labelled rows: values that hardly ever occur twice determine anything. So does a number that is a linear
    function of a numerical label. A label that never varies is none that could be given away.

    Args:
        table: the columns of the features and of the label.
        features: those of the type.
        label: what is predicted.
        kind: how the warning calls the type.
    """
    if not label.column:
        return []
    column = table.column(label.column).slice(0, LOOKED_AT)
    numbers = label.task not in CLASSIFICATIONS
    suspected = [feature for feature in features
                 if _gives_away(table.column(feature.column).slice(0, LOOKED_AT), column, numbers=numbers)]
    return [f"the feature '{feature.name}' (column '{feature.column}') determines the label '{label.column}' of all labelled rows "
            f"of {kind}{f' among the first {LOOKED_AT}' if len(table) > LOOKED_AT else ''}; leave it out unless it is known of new "
            "ones before their label is" for feature in suspected]


def _gives_away(values: Column, label: Column, *, numbers: bool) -> bool:
    codes, _ = label.coded
    rows = np.flatnonzero(codes >= 0)
    return _determines(values.coded[0][rows], codes[rows]) or (numbers and _correlates(values, label))


def _determines(values: NDArray[np.int32], labels: NDArray[np.int32]) -> bool:
    if not len(labels) or (values < 0).any() or labels.min() == labels.max():
        return False
    label_of = np.full(values.max() + 1, -1, dtype=np.int32)
    label_of[values] = labels  # of several for one value, one wins
    return bool((label_of[values] == labels).all() and np.count_nonzero(label_of >= 0) <= len(labels) / 2)


def _correlates(values: Column, label: Column) -> bool:
    both = ~(np.isnan(values.numbers) | np.isnan(label.numbers))
    if both.sum() < len(label) - label.missing.sum() or both.sum() < 10:
        return False
    first, second = _scaled(values.numbers[both]), _scaled(label.numbers[both])
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return False
    return bool(abs(np.corrcoef(first, second)[0, 1]) >= LINEAR)


def _scaled(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers divided by the largest magnitude, since squares of those above 1e154 are infinite."""
    with np.errstate(under="ignore"):  # what is so much smaller counts as 0
        return numbers / (np.abs(numbers).max() or 1)
