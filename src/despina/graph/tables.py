"""Files of an export as tables of text that remember the file and the line each row came from.

Everything is read as text: a cell becomes a number only where the configuration says so, and then a bad one can be named.
Columns are found by their header, never by their position; a ``name:type`` suffix in header or configuration is tolerated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.errors import WorkFailed
from despina.graph.csv_files import CsvFile
from despina.graph.export_folder import locate
from despina.graph.json_object import suggestion
from despina.graph.parquet_files import ParquetFile

__all__ = ["Column", "CsvFile", "Table", "find_file", "plain_name", "split_cells"]

TableFile = CsvFile | ParquetFile

_ROW, _FILE = "\0row", "\0file"
"""The columns that hold where a row came from; no header can have these names."""

_HEADER_TYPES = {"bool", "boolean", "byte", "short", "int", "long", "float", "double", "string", "date", "datetime"}
_TIME_FORMS = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")
"""ISO 8601 with an offset or Z, which is what the exporter writes; without one; with a blank; a day alone. UTC if not said."""


def find_file(folder: Path, name: str, separator: str) -> TableFile:
    """The file that the configuration names: Parquet if its name ends so, else CSV.

    Raises:
        WorkFailed: there is no such file in the folder, or the separator is none.
    """
    path = locate(folder, name)
    if path.suffix.lower() == ".parquet":
        return ParquetFile(name=name, path=path)
    if not separator.isascii() or separator in '"\r\n\0':
        raise WorkFailed(f"{name}: {separator!r} cannot separate the cells of a file; it must be one ASCII character, no "
                         "double quote and no line end")
    return CsvFile(name=name, path=path, separator=separator)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text, perhaps from several files. Missing cells are null or empty."""

    frame: pl.DataFrame
    files: tuple[TableFile, ...]

    @classmethod
    def read(cls, file: TableFile, columns: Sequence[str], *, optional: Sequence[str] = ()) -> "Table":
        """Read columns of a file; of the ``optional`` ones those that it has. Rows without any content are left out.

        Raises:
            WorkFailed: a column is missing or ambiguous, the file is not what its name says, or a cell contains a NUL byte.
        """
        header = file.header()
        found = {column: _position(file, header, column) for column in dict.fromkeys(columns)}
        found |= {column: _position(file, header, column) for column in optional
                  if any(plain_name(name) == plain_name(column) for name in header)}
        text = file.read(found)
        frame = text.with_row_index(_ROW).with_columns(pl.lit(0, dtype=pl.UInt16).alias(_FILE))
        if all(column.null_count() for column in text.get_columns()):
            frame = frame.filter(~text.select(pl.all_horizontal(pl.all().is_null())).to_series())
        table = cls(frame=frame, files=(file,))
        for name, holds in text.select(pl.all().str.contains("\0", literal=True).any()).row(0, named=True).items():
            if holds:
                column = table.column(name)
                raise column.error(int(column.text.str.contains("\0", literal=True).arg_max() or 0),
                                   " contains a NUL byte; remove it")
        return table

    @classmethod
    def concat(cls, tables: Sequence["Table"]) -> "Table":
        """The rows of all tables one after another; columns that one lacks are missing there."""
        if len(tables) == 1:
            return tables[0]
        frames: list[pl.DataFrame] = []
        files: list[TableFile] = []
        for table in tables:
            frames.append(table.frame.with_columns(pl.col(_FILE) + len(files)))
            files.extend(table.files)
        return cls(frame=pl.concat(frames, how="diagonal"), files=tuple(files))

    def __len__(self) -> int:
        return self.frame.height

    def select(self, columns: Sequence[str], rows: NDArray[np.bool_] | None) -> "Table":
        """Some of the columns of the rows for which the mask is true (None: all)."""
        frame = self.frame[[_ROW, _FILE, *dict.fromkeys(columns)]]
        return Table(frame=frame if rows is None else frame.filter(pl.Series(rows)), files=self.files)

    def has(self, column: str) -> bool:
        """Whether the table has the column."""
        return column in self.frame.columns

    def column(self, name: str) -> "Column":
        """A column by the name that was asked for when reading."""
        return Column(table=self, name=name)

    def place(self, row: int) -> str:
        """``nodes/airport.csv, line 17``; in a Parquet file ``row 16``."""
        file = self.files[self.frame[_FILE][row]]
        return f"{file.name}{file.place(self.frame[_ROW][row])}"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table, as text, as numbers and as times; each is parsed when first asked for."""

    table: Table
    name: str

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def text(self) -> pl.Series:
        """The cells; null where missing."""
        cells = self.table.frame[self.name] if self.table.has(self.name) else pl.Series([None] * len(self), dtype=pl.String)
        empty = cells == ""
        return cells.set(empty, None) if empty.any() else cells

    @cached_property
    def numbers(self) -> pl.Series:
        """Float64; null where missing or not a finite number."""
        numbers = self.text.cast(pl.Float64, strict=False)
        unusable = ~numbers.is_finite()
        return numbers.set(unusable, None) if unusable.any() else numbers

    @cached_property
    def instants(self) -> pl.Series:
        """Times in milliseconds, UTC; null where missing or not a time."""
        read: pl.Series | None = None
        for form in _TIME_FORMS:
            if read is not None and read.null_count() == self.text.null_count():
                break
            times = self.text.str.to_datetime(form, time_unit="ms", time_zone="UTC", strict=False)
            read = times if read is None else read.zip_with(read.is_not_null(), times)
        return read if read is not None else self.text

    def error(self, row: int, message: str) -> WorkFailed:
        """The error to be raised about a cell: ``message`` follows its place and its value."""
        cell = self.text[row]
        shown = "the cell is empty" if cell is None else f"'{cell[:100]}'".replace("\0", "\\0")
        return WorkFailed(f"{self.table.place(row)}, column '{self.name}': {shown}{message}")

    def split(self, separator: str) -> pl.Series:
        """The cells' parts; see ``split_cells``."""
        return split_cells(self.text, separator)


def split_cells(text: pl.Series, separator: str) -> pl.Series:
    """Lists of the parts of each cell; a separator inside a part is written ``\\;``. Null where missing."""
    escaped = f"\\{separator}"
    if not text.str.contains(escaped, literal=True).any():
        return text.str.split(separator)
    parts = text.str.replace_all(escaped, "\0", literal=True).str.split(separator)
    return parts.list.eval(pl.element().str.replace_all("\0", separator, literal=True))


def plain_name(header: str) -> str:
    """The name of a column without the type that some exports append: ``dist:int``, ``genre:string[]``."""
    name, colon, kind = header.rpartition(":")
    return name if colon and kind.removesuffix("[]").lower() in _HEADER_TYPES else header


def _position(file: TableFile, header: list[str], column: str) -> int:
    matches = [i for i, name in enumerate(header) if name == column]
    matches = matches or [i for i, name in enumerate(header) if plain_name(name) == plain_name(column)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise WorkFailed(f"{file.name}{file.header_place}: the column '{column}' is there {len(matches)} times; "
                         "names must be unique")
    raise WorkFailed(f"{file.name}{file.header_place}: there is no column '{column}'{suggestion(column, header)}; "
                     f"the columns are {', '.join(header)[:1000]}")
