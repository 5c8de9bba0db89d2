"""Parquet files of an export, read as the text that a CSV file would hold in their place."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from despina.graph.faults import Fault, InputFault

ROWS = 1 << 18
"""So many rows are read at a time."""
_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What a damaged file makes the reader raise."""


@dataclass(frozen=True, kw_only=True)
class ParquetFile:
    """A Parquet file of the export. Numbers, booleans and times become text: ``1.5``, ``true``, ``1995-01-31T00:00:00Z``."""

    name: str
    """As the configuration spells it."""
    path: Path

    def header(self) -> list[str]:
        """The names of the columns. Raises InputFault if the file cannot be read."""
        try:
            return list(pl.read_parquet_schema(self.path))
        except _FAULTS as error:
            raise self._fault(error) from error

    def pieces(self, columns: Mapping[str, int], numbers: Collection[str] = ()) -> Iterator[Callable[[], pl.DataFrame]]:  # noqa: ARG002
        """The text of some columns, given as the name each is to have and its position, some rows at a time.

        Each piece is made when it is called, in any thread. Missing cells are null. Columns of ``numbers`` have text as well.

        Raises:
            InputFault: the file is damaged, or a column holds what has no text of its own: lists, structures, bytes.
        """
        names = self.header()
        try:
            batches = pl.scan_parquet(self.path, glob=False).select(names[position] for position in sorted(set(columns.values())))
            for frame in batches.collect_batches(chunk_size=ROWS, maintain_order=True):
                yield partial(self._piece, frame, {name: names[position] for name, position in columns.items()})
        except _FAULTS as error:
            raise self._fault(error) from error

    def _piece(self, frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
        return pl.DataFrame({name: self._text(frame[own]) for name, own in names.items()})

    def places(self, rows: Sequence[int]) -> list[int]:
        """The numbers of data rows, given from 0, as they are told to users, from 1."""
        return [row + 1 for row in rows]

    unit = "row"
    """What ``places`` counts."""

    @property
    def header_place(self) -> str:
        """Where the names of the columns stand: Parquet has no line for them."""
        return ""

    def _text(self, column: pl.Series) -> pl.Series:
        kind = column.dtype
        if isinstance(kind, pl.Datetime):
            utc = column.dt.convert_time_zone("UTC") if kind.time_zone else column
            return utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
        if kind.is_nested() or isinstance(kind, pl.Binary | pl.Object | pl.Duration):
            raise InputFault(Fault.MALFORMED_FILE, f"{self.name}, column '{column.name}': the type of the column is {kind}; it "
                             "must hold text, numbers, booleans or times (several values in one cell are text with a separator, "
                             "such as 'a;b')", file=self.name, column=column.name)
        text = column.cast(pl.String)
        return text.set(text == "", None)

    def _fault(self, error: BaseException) -> InputFault:
        return InputFault(Fault.MALFORMED_FILE, f"{self.name}: this is not a whole Parquet file ({str(error)[:200]}); write it "
                          "again", file=self.name)
