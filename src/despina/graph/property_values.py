"""Properties of a few nodes or edges, given as values rather than in files: encoded as those of an export were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from despina.graph.columns import Column
from despina.graph.faults import Findings
from despina.graph.features import Encoding
from despina.graph.graph import Features
from despina.graph.matrix import apply

LIST_SEPARATOR = ";"
"""Between the values of a list, where the encoding does not say another one."""


@dataclass(frozen=True)
class _Source:
    """What messages say of where values came from: ``subgraph nodes of type 'airport', item 3``."""

    name: str
    unit: str = "item"


@dataclass(frozen=True)
class _Origin:
    source: _Source

    @property
    def files(self) -> Sequence[_Source]:
        return (self.source,)

    def places(self, rows: Sequence[int], /) -> Sequence[tuple[_Source, int]]:
        return [(self.source, row + 1) for row in rows]


def encode_values(encodings: Mapping[str, Encoding], rows: Sequence[Mapping[str, Any]], source: str) -> Features | None:
    """The encoded features of some nodes or edges of one type, a row each; None if none of its features is encoded.

    Args:
        encodings: Of the type, by feature name.
        rows: Feature name → value: a text, a number, a truth value or a list of these. What is not there is missing; names that are
            not encoded are passed over.
        source: Where they came from, for messages.

    Raises:
        InputFault: a value cannot be read as its encoding needs it, or is missing where there is no imputer.
    """
    origin = _Origin(_Source(source))
    columns = {name: Column(name=name, origin=origin, cells=pl.Series(
        name, [_cell(row.get(name), getattr(encoding, "separator", None)) for row in rows], dtype=pl.String))
        for name, encoding in encodings.items()}
    return apply(dict(encodings), columns, Findings()).features


def _cell(value: Any, separator: str | None) -> str | None:
    """A value as it would stand in a file; None: nothing would."""
    if isinstance(value, list):
        between = separator or LIST_SEPARATOR
        return between.join((_cell(item, None) or "").replace(between, f"\\{between}") for item in value) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None or value == "" else str(value)
