"""Files of an export as tables whose rows remember the file and the line they came from.

Everything is read as text: a cell becomes a number only where the configuration says so, and then a bad one can be named.
Columns are found by their header, never by their position; a ``name:type`` suffix in header or configuration is tolerated.

Files are read a stretch at a time, and of each stretch only what is needed later is kept: numbers as numbers, and texts that recur
as their codes in a dictionary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.columns import Column
from despina.graph.csv_files import CsvFile
from despina.graph.dictionary import Dictionary
from despina.graph.export_folder import locate
from despina.graph.faults import Fault, InputFault
from despina.graph.json_object import suggestion
from despina.graph.parquet_files import ParquetFile

__all__ = ["Column", "CsvFile", "Keep", "Table", "TableFile", "find_file", "plain_name"]

TableFile = CsvFile | ParquetFile

_HEADER_TYPES = {"bool", "boolean", "byte", "short", "int", "long", "float", "double", "string", "date", "datetime"}


class Keep(Enum):
    """In which form the cells of a column are kept."""

    TEXT = auto()
    CODES = auto()
    """As codes in a dictionary of the different texts."""
    NUMBERS = auto()
    """As Float64; what is no finite number is refused."""


def find_file(folder: Path, name: str, separator: str) -> TableFile:
    """The file that the configuration names: Parquet if its name ends so, else CSV.

    Raises:
        InputFault: there is no such file in the folder, or the separator is none.
    """
    path = locate(folder, name)
    if path.suffix.lower() == ".parquet":
        return ParquetFile(name=name, path=path)
    if not separator.isascii() or separator in '"\r\n\0':
        raise InputFault(Fault.INVALID_CONFIGURATION, f"{name}: {separator!r} cannot separate the cells of a file; it must be one "
                         "ASCII character, no double quote and no line end", file=name)
    return CsvFile(name=name, path=path, separator=separator)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Some rows of a file, from 0 without the header."""

    file: TableFile
    rows: range | NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows, perhaps from several files, and those of their columns that were asked for. Missing cells are null."""

    cells: dict[str, pl.Series]
    """Column → its cells: String, Float64, or Int32 where the column has a dictionary."""
    stretches: tuple[Stretch, ...]
    dictionaries: dict[str, Dictionary] = field(default_factory=dict)
    """Of the columns that are kept as codes."""
    dropped: int = 0
    """Rows without any content, which were left out."""

    @classmethod
    def read(cls, file: TableFile, columns: Sequence[str], *, optional: Sequence[str] = ()) -> "Table":
        """Columns of a whole file as text; of the ``optional`` ones those that it has. See ``batches``."""
        keep = dict.fromkeys([*columns, *optional], Keep.TEXT)
        return cls.concat(list(cls.batches(file, keep, {}, optional=optional)))

    @classmethod
    def batches(cls, file: TableFile, keep: Mapping[str, Keep], dictionaries: dict[str, Dictionary], *,
                optional: Sequence[str] = ()) -> Iterator["Table"]:
        """Columns of a file, a stretch of rows at a time, one at least. Rows without any content are left out.

        Args:
            file: what to read.
            keep: the columns, and the form of each.
            dictionaries: those of the columns that are kept as codes; missing ones are added, and all of them grow.
            optional: the columns that may be missing.

        Raises:
            InputFault: a column is missing or ambiguous, the file is not what its name says, a cell contains a NUL byte, or it is
                no number where one is asked for.
        """
        header = file.header()
        has = {plain_name(name) for name in header}
        found = {column: _position(file, header, column) for column in keep
                 if column not in optional or plain_name(column) in has}
        if Keep.CODES in keep.values():
            for column in found:
                if keep[column] is Keep.CODES:
                    dictionaries.setdefault(column, Dictionary())
        start = 0
        for frame in file.batches(found):
            yield cls._of(file, frame, start, keep, dictionaries)
            start += frame.height
        if not start:
            yield cls._of(file, pl.DataFrame(schema=dict.fromkeys(found, pl.String)), 0, keep, dictionaries)

    @classmethod
    def _of(cls, file: TableFile, frame: pl.DataFrame, start: int, keep: Mapping[str, Keep],
            dictionaries: dict[str, Dictionary]) -> "Table":
        rows: range | NDArray[np.int64] = range(start, start + frame.height)
        cells = {}
        for series in frame.get_columns():
            empty = series == ""
            cells[series.name] = series.set(empty, None) if empty.any() else series
        if all(series.null_count() for series in cells.values()):
            filled = ~pl.DataFrame(cells).select(pl.all_horizontal(pl.all().is_null())).to_series()
            if not filled.all():
                rows = start + np.flatnonzero(filled.to_numpy())
                cells = {name: series.filter(filled) for name, series in cells.items()}
        table = cls(cells=cells, stretches=(Stretch(file=file, rows=rows),))
        columns = [table.column(name) for name in cells]
        for column in columns:
            if isinstance(file, ParquetFile):
                column.refuse(column.text.str.contains("\0", literal=True), Fault.INVALID_TEXT, " contains a NUL byte; remove it")
            if keep[column.name] is Keep.NUMBERS:
                column.refuse_unreadable_numbers()
        kept = {column.name: _kept(column, keep[column.name], dictionaries) for column in columns}
        return cls(cells=kept, stretches=table.stretches, dropped=frame.height - len(table), dictionaries={
            name: dictionary for name, dictionary in dictionaries.items() if name in kept and keep[name] is Keep.CODES})

    @classmethod
    def concat(cls, tables: Sequence["Table"]) -> "Table":
        """The rows of all tables one after another; columns that one lacks are missing there."""
        if len(tables) == 1:
            return tables[0]
        cells = {}
        for name in dict.fromkeys(name for table in tables for name in table.cells):
            dtype = next(table.cells[name].dtype for table in tables if name in table.cells)
            cells[name] = pl.concat([table.cells.get(name, pl.Series([None], dtype=dtype).new_from_index(0, len(table)))
                                     for table in tables])
        return cls(cells=cells, stretches=tuple(stretch for table in tables for stretch in table.stretches),
                   dictionaries={name: held for table in tables for name, held in table.dictionaries.items()},
                   dropped=sum(table.dropped for table in tables))

    def __len__(self) -> int:
        return sum(len(stretch.rows) for stretch in self.stretches)

    @property
    def files(self) -> tuple[TableFile, ...]:
        """The files that the rows came from."""
        return tuple(dict.fromkeys(stretch.file for stretch in self.stretches))

    def select(self, columns: Sequence[str], rows: NDArray[np.bool_] | None = None) -> "Table":
        """Some of the columns of the rows for which the mask is true (None: all)."""
        cells = {name: self.cells[name] for name in dict.fromkeys(columns) if name in self.cells}
        stretches = self.stretches
        if rows is not None:
            mask = pl.Series(rows)
            cells = {name: column.filter(mask) for name, column in cells.items()}
            stretches = _of_rows(stretches, rows)
        return Table(cells=cells, stretches=stretches,
                     dictionaries={name: held for name, held in self.dictionaries.items() if name in cells})

    def has(self, column: str) -> bool:
        """Whether the table has the column."""
        return column in self.cells

    def column(self, name: str) -> Column:
        """A column by the name that was asked for when reading; one that is not there has missing cells only."""
        cells = self.cells.get(name)
        if cells is None:
            cells = pl.Series([None], dtype=pl.String).new_from_index(0, len(self))
        return Column(name=name, cells=cells, dictionary=self.dictionaries.get(name), origin=self)

    def places(self, rows: Sequence[int]) -> list[tuple[TableFile, int]]:
        """The file and the line (in a Parquet file the row), from 1, of rows given in rising order."""
        found: list[tuple[TableFile, int]] = []
        first = 0
        for stretch in self.stretches:
            end = first + len(stretch.rows)
            within = [int(stretch.rows[row - first]) for row in rows if first <= row < end]
            if within:
                found += [(stretch.file, line) for line in stretch.file.places(within)]
            first = end
        return found

    def place(self, row: int) -> str:
        """``nodes/airport.csv, line 17``; in a Parquet file ``row 16``."""
        (file, line), = self.places([row])
        return f"{file.name}, {file.unit} {line}"


def _kept(column: Column, keep: Keep, dictionaries: dict[str, Dictionary]) -> pl.Series:
    match keep:
        case Keep.TEXT:
            return column.text
        case Keep.NUMBERS:
            return column.numbers
        case Keep.CODES:
            return encode(column.text, dictionaries[column.name])


def encode(text: pl.Series, dictionary: Dictionary) -> pl.Series:
    """The codes of the texts, which are added to the dictionary where they are new; null where missing."""
    if not text.null_count():
        return pl.Series(text.name, dictionary.add(text))
    present = text.is_not_null().to_numpy()
    codes = np.full(len(text), -1, dtype=np.int32)
    codes[present] = dictionary.add(text.drop_nulls())
    return pl.Series(text.name, codes).set(pl.Series(~present), None)


def _of_rows(stretches: Sequence[Stretch], mask: NDArray[np.bool_]) -> tuple[Stretch, ...]:
    """The stretches that are left of rows for which the mask is true."""
    left, first = [], 0
    for stretch in stretches:
        chosen = np.flatnonzero(mask[first:first + len(stretch.rows)])
        rows = stretch.rows.start + chosen if isinstance(stretch.rows, range) else stretch.rows[chosen]
        left.append(Stretch(file=stretch.file, rows=rows))
        first += len(stretch.rows)
    return tuple(left)


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
        raise InputFault(Fault.AMBIGUOUS_COLUMN, f"{file.name}{file.header_place}: the column '{column}' is there {len(matches)} "
                         "times; names must be unique", file=file.name, column=column)
    raise InputFault(Fault.MISSING_COLUMN, f"{file.name}{file.header_place}: there is no column '{column}'"
                     f"{suggestion(column, header)}; the columns are {', '.join(header)[:1000]}", file=file.name, column=column)
