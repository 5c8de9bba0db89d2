"""The features of one type side by side."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from despina.graph.columns import Column
from despina.graph.faults import Findings
from despina.graph.features import Encoding, HotEncoding, RawEncoding, fit, transform
from despina.graph.features.hot import side_by_side, stack
from despina.graph.features.options import Feature, FeatureType
from despina.graph.graph import Features, Hot
from despina.graph.inference import resolve
from despina.graph.tables import Table

log = logging.getLogger(__name__)

DENSE_WIDTH = 8
"""One-hot and multi-hot features with more columns are kept as the places of their ones: twelve bytes a row and four more for each
further one, instead of four for each column."""
ROWS = 1 << 20
"""Rows that are encoded at a time."""
DROPPED = "it has no values, or a value of its own for each row"
NOTHING_VARIES = "nothing in it varies or occurs often enough"


@dataclass(frozen=True, kw_only=True)
class EncodedFeatures:
    """What became of the features of one node or edge type."""

    features: Features | None
    """None when no feature is encoded."""
    raw: dict[str, list[str]]
    """Features of type ``none``: the cells."""
    encodings: dict[str, Encoding]
    dropped: dict[str, str] = field(default_factory=dict)
    """Feature name → why it has no part in the graph."""
    missing: dict[str, int] = field(default_factory=dict)
    """Feature name → rows without a value, where there are any."""

    @property
    def width(self) -> int:
        """Columns of all features."""
        return self.features.width if self.features else 0


def encode(features: Sequence[Feature], table: Table, findings: Findings) -> EncodedFeatures:
    """Fit and apply the encoders of all features of a table.

    Raises:
        InputFault: ``findings`` has noted that a cell cannot be read as its feature's type, or that a text needs a model that is
            not there.
    """
    dropped = {}
    resolved: list[tuple[Feature, Column]] = []
    for feature in features:
        column = table.column(feature.column)
        with findings.gather():
            as_seen = resolve(feature, column)
            if as_seen is None:
                log.info("feature %s: dropped, since %s", feature.name, DROPPED)
                dropped[feature.name] = DROPPED
            else:
                resolved.append((as_seen, column))
    # Texts of tf-idf are fitted together, since they share a vocabulary; all others each by itself.
    texts = [pair for pair in resolved if pair[0].type is FeatureType.TEXT_TFIDF]
    groups = [[pair] for pair in resolved if pair[0].type is not FeatureType.TEXT_TFIDF] + ([texts] if texts else [])
    encodings: dict[str, Encoding] = {}
    for group in groups:
        with findings.gather():
            fitted = fit([feature for feature, _ in group], [column for _, column in group])
            encodings |= {feature.name: encoding for (feature, _), encoding in zip(group, fitted, strict=True)}
    findings.check()
    for name, encoding in encodings.items():
        if not encoding.width and not isinstance(encoding, RawEncoding):
            log.info("feature %s: left out, since %s", name, NOTHING_VARIES)
            dropped[name] = NOTHING_VARIES
    in_order = {feature.name: encodings[feature.name] for feature, _ in resolved}
    encoded = apply(in_order, {feature.name: column for feature, column in resolved}, findings, dropped=dropped)
    return replace(encoded, missing=_missing({feature.name: table.column(feature.column) for feature in features}))


def apply(encodings: dict[str, Encoding], columns: dict[str, Column], findings: Findings, *,
          dropped: dict[str, str] | None = None) -> EncodedFeatures:
    """Encode columns with encodings that were made before.

    Args:
        encodings: by feature name.
        columns: the column of each.
        findings: collects what is wrong.
        dropped: passed on.

    Raises:
        InputFault: ``findings`` has noted that a cell cannot be read as its encoding needs it.
    """
    hot = [name for name, encoding in encodings.items() if isinstance(encoding, HotEncoding) and encoding.width > DENSE_WIDTH]
    dense = [name for name, encoding in encodings.items() if encoding.width and name not in hot]
    rows = len(next(iter(columns.values()))) if columns else 0
    spans: dict[str, tuple[int, int]] = {}
    width = 0
    for name in dense + hot:
        spans[name] = width, width + encodings[name].width
        width = spans[name][1]
    matrix = np.zeros((rows, width - sum(encodings[name].width for name in hot)), dtype=np.float32)
    for name in dense:
        with findings.gather():
            _fill(encodings[name], columns[name], matrix[:, slice(*spans[name])])
    ones = None
    with findings.gather():
        ones = _hot({name: encodings[name] for name in hot}, columns, rows)
    findings.check()
    return EncodedFeatures(
        features=Features(columns=spans, dense=matrix, hot=ones) if spans else None,
        raw={name: columns[name].text.fill_null("").to_list() for name, encoding in encodings.items()
             if isinstance(encoding, RawEncoding)},
        encodings=encodings, dropped=dropped or {}, missing=_missing(columns))


def _missing(columns: dict[str, Column]) -> dict[str, int]:
    counts = {name: int(column.missing.sum()) for name, column in columns.items()}
    return {name: count for name, count in counts.items() if count}


def _fill(encoding: Encoding, column: Column, out: NDArray[np.float32]) -> None:
    for start in range(0, len(column), ROWS):
        transform(encoding, column.slice(start, ROWS), out[start:start + ROWS])


def _hot(encodings: dict[str, Encoding], columns: dict[str, Column], rows: int) -> Hot | None:
    """The sparse features side by side."""
    if not encodings:
        return None
    parts = (side_by_side([
        encoding.ones(columns[name].slice(start, ROWS)).to_hot(rows=min(ROWS, rows - start), width=encoding.width)
        for name, encoding in encodings.items() if isinstance(encoding, HotEncoding)]) for start in range(0, rows, ROWS))
    return stack(parts, rows=rows, width=sum(encoding.width for encoding in encodings.values()))
