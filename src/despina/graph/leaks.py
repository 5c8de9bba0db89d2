"""Features that give the label away: a model that has them learns nothing that holds for new nodes or edges."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from despina.graph.columns import Column
from despina.graph.features.options import Feature
from despina.graph.schema import CLASSIFICATIONS, Label
from despina.graph.tables import Table

LOOKED_AT = 1_000_000
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
    codes, _ = column.coded
    rows = np.flatnonzero(codes >= 0)
    if len(np.unique(codes[rows])) < 2:
        return []
    determined = []
    for feature in features:
        values = table.column(feature.column).slice(0, LOOKED_AT)
        if _determines(values.coded[0][rows], codes[rows]) or (label.task not in CLASSIFICATIONS and _correlates(values, column)):
            determined.append(f"the feature '{feature.name}' (column '{feature.column}') determines the label '{label.column}' of "
                              f"all {len(rows)} labelled rows of {kind}; leave it out unless it is known of new ones before their "
                              "label is")
    return determined


def _determines(values: NDArray[np.int32], labels: NDArray[np.int32]) -> bool:
    if (values < 0).any():
        return False
    distinct = len(np.unique(values))
    return distinct <= len(values) / 2 and len(np.unique(values.astype(np.int64) << 32 | labels)) == distinct


def _correlates(values: Column, label: Column) -> bool:
    both = ~(values.numbers.is_null() | label.numbers.is_null()).to_numpy()
    if both.sum() < len(label) - label.missing.sum() or both.sum() < 10:
        return False
    first, second = values.numbers.to_numpy()[both], label.numbers.to_numpy()[both]
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return False
    return bool(abs(np.corrcoef(first, second)[0, 1]) >= LINEAR)
