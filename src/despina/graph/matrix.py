"""The features of one type side by side in one matrix."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from despina.graph.features import Encoding, RawEncoding, fit, transform
from despina.graph.features.options import Feature
from despina.graph.inference import resolve
from despina.graph.tables import Column, Table

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EncodedFeatures:
    """What became of the features of one node or edge type."""

    matrix: NDArray[np.float32] | None
    """``[rows, d]``; None when no feature is encoded."""
    columns: dict[str, tuple[int, int]]
    """Feature name → its columns ``[start, stop)``."""
    raw: dict[str, list[str]]
    """Features of type ``none``: the cells."""
    encodings: dict[str, Encoding]

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return 0 if self.matrix is None else self.matrix.shape[1]


def encode(features: Sequence[Feature], table: Table) -> EncodedFeatures:
    """Fit and apply the encoders of all features of a table.

    Raises:
        WorkFailed: a cell cannot be read as its feature's type; a text needs word vectors, and there are none.
    """
    resolved: list[Feature] = []
    sources: list[Column] = []
    for feature in features:
        column = table.column(feature.column)
        as_seen = resolve(feature, column)
        if as_seen is None:
            log.info("feature %s: dropped, since it has no values or a name of its own for each row", feature.name)
        else:
            resolved.append(as_seen)
            sources.append(column)
    encodings = fit(resolved, sources)
    fitted = {feature.name: (encoding, column) for feature, encoding, column in zip(resolved, encodings, sources, strict=True)}
    columns: dict[str, tuple[int, int]] = {}
    width = 0
    for name, (encoding, _) in fitted.items():
        if encoding.width:
            columns[name] = width, width + encoding.width
            width += encoding.width
        elif not isinstance(encoding, RawEncoding):
            log.info("feature %s: left out, since nothing in it varies or occurs often enough", name)
    matrix = np.zeros((len(table), width), dtype=np.float32)
    for name, (start, stop) in columns.items():
        transform(*fitted[name], matrix[:, start:stop])
    return EncodedFeatures(
        matrix=matrix if columns else None, columns=columns,
        raw={name: column.text.fill_null("").to_list() for name, (encoding, column) in fitted.items()
             if isinstance(encoding, RawEncoding)},
        encodings={name: encoding for name, (encoding, _) in fitted.items()})
