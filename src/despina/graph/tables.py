"""Files of an export as tables whose rows remember the file and the line they came from.

Everything is read as text: a cell becomes a number only where the configuration says so, and then a bad one can be named.
Columns are found by their header, never by their position; a ``name:type`` suffix in header or configuration is tolerated.

Files are read a stretch at a time, and of each stretch only what is needed later is kept: numbers as numbers, and texts that recur
as their codes in a dictionary.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.columns import Cells, Column, code, read_numbers
from despina.graph.csv_files import CsvFile
from despina.graph.dictionary import Dictionary
from despina.graph.export_folder import locate
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.growing import Growing
from despina.graph.json_object import suggestion
from despina.graph.parquet_files import ParquetFile

__all__ = ["Column", "CsvFile", "Keep", "Table", "TableBuilder", "TableFile", "find_file", "plain_name"]

TableFile = CsvFile | ParquetFile
Item = TypeVar("Item")
AHEAD = 3
"""Stretches that are parsed ahead of the one that is worked on."""

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

    cells: dict[str, Cells]
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
                optional: Sequence[str] = (), pool: Executor | None = None,
                findings: Findings | None = None) -> Iterator["Table"]:
        """Columns of a file, a stretch of rows at a time, one at least. Rows without any content are left out.

        Args:
            file: what to read.
            keep: the columns, and the form of each.
            dictionaries: those of the columns that are kept as codes; missing ones are added, and all of them grow.
            optional: the columns that may be missing.
            pool: parses ahead; None: each stretch is parsed when it is asked for.
            findings: notes cells that are no numbers where they are asked for, and takes them as missing; None: they are raised.

        Raises:
            InputFault: a column is missing or ambiguous, the file is not what its name says, a cell contains a NUL byte, or it is
                no number where one is asked for.
        """
        notes = nullcontext if findings is None else findings.gather
        header = file.header()
        has = {plain_name(name) for name in header}
        found = {column: _position(file, header, column) for column in keep
                 if column not in optional or plain_name(column) in has}
        numbers = [column for column in found if keep[column] is Keep.NUMBERS]
        coded = {column: dictionaries.setdefault(column, Dictionary()) for column in found if keep[column] is Keep.CODES}
        start = 0
        for batch in in_order((partial(_parsed, piece, numbers) for piece in file.pieces(found, numbers)), pool):
            table = cls._of(file, batch, start, coded, pool)
            with notes():
                table._refuse_unreadable(batch)
            yield table
            start += batch.height
        if not start:
            nothing = pl.DataFrame(schema=dict.fromkeys(found, pl.String))
            yield cls._of(file, _parsed(lambda: nothing, numbers), 0, coded, None)

    @classmethod
    def _of(cls, file: TableFile, batch: "_Batch", start: int, coded: dict[str, Dictionary], pool: Executor | None) -> "Table":
        rows: range | NDArray[np.int64] = range(start, start + batch.height)
        if batch.filled is not None:
            rows = start + np.flatnonzero(batch.filled)
        text = cls(cells=dict(batch.text), stretches=(Stretch(file=file, rows=rows),))
        if isinstance(file, ParquetFile):
            for name, series in batch.text.items():
                holds = series.str.contains("\0", literal=True)
                text.column(name).refuse(holds, Fault.INVALID_TEXT, " contains a NUL byte; remove it")
        cells: dict[str, Cells] = {**text.cells, **batch.numbers}
        texts = [batch.text[name] for name in coded]
        several = pool if len(coded) > 1 else None
        cells |= zip(coded, several.map(code, texts, coded.values()) if several else map(code, texts, coded.values()), strict=True)
        return cls(cells=cells, stretches=text.stretches, dictionaries=coded, dropped=batch.height - len(text))

    def _refuse_unreadable(self, batch: "_Batch") -> None:
        """Raise InputFault if any cells of the batch that this table was made of are no numbers and should be."""
        findings = Findings()
        for name in batch.numbers:
            if name in batch.text:
                with findings.gather():
                    Column(name=name, cells=batch.text[name], origin=self).refuse_unreadable_numbers()
        findings.check()

    @classmethod
    def concat(cls, tables: Iterable["Table"]) -> "Table":
        """The rows of all tables one after another; columns that one lacks are missing there."""
        builder = TableBuilder()
        for table in tables:
            builder.add(table)
        return builder.take()

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
            cells = {name: column.filter(pl.Series(rows)) if isinstance(column, pl.Series) else column[rows]
                     for name, column in cells.items()}
            stretches = _of_rows(stretches, rows)
        return Table(cells=cells, stretches=stretches, dropped=self.dropped if rows is None else 0,
                     dictionaries={name: held for name, held in self.dictionaries.items() if name in cells})

    def has(self, column: str) -> bool:
        """Whether the table has the column."""
        return column in self.cells

    def column(self, name: str) -> Column:
        """A column by the name that was asked for when reading; one that is not there has missing cells only."""
        cells = self.cells.get(name)
        if cells is None:
            cells = _no_text(name, len(self))
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


class TableBuilder:
    """Puts tables together, one after another, holding numbers and codes only once."""

    def __init__(self) -> None:
        self._texts: dict[str, list[pl.Series]] = {}
        self._arrays: dict[str, Growing] = {}
        self._stretches: list[Stretch] = []
        self._dictionaries: dict[str, Dictionary] = {}
        self._rows = 0
        self._dropped = 0

    def add(self, table: Table) -> None:
        """Add the rows of a table."""
        for name, cells in table.cells.items():
            self._add(name, cells)
        self._rows += len(table)
        self._stretches += table.stretches
        self._dictionaries |= table.dictionaries
        self._dropped += table.dropped
        self._fill()

    def _add(self, name: str, cells: Cells) -> None:
        if isinstance(cells, pl.Series):
            texts = self._texts.setdefault(name, [])
            if not texts and self._rows:
                texts.append(_no_text(name, self._rows))
            texts.append(cells)
            return
        array = self._arrays.setdefault(name, Growing(cells.dtype.type))
        if not len(array) and self._rows:
            array.append(_no_values(cells.dtype, self._rows))
        array.append(cells)

    def _fill(self) -> None:
        """Columns that the last table lacks are missing there."""
        for name, texts in self._texts.items():
            if (lacking := self._rows - sum(map(len, texts))) > 0:
                texts.append(_no_text(name, lacking))
        for array in self._arrays.values():
            if (lacking := self._rows - len(array)) > 0:
                array.append(_no_values(array.dtype, lacking))

    def take(self) -> Table:
        """The table; the builder is not used afterwards."""
        cells: dict[str, Cells] = {name: pl.concat(texts, rechunk=True) for name, texts in self._texts.items()}
        cells |= {name: array.take() for name, array in self._arrays.items()}
        return Table(cells=cells, stretches=tuple(self._stretches), dictionaries=self._dictionaries, dropped=self._dropped)


def _no_text(name: str, count: int) -> pl.Series:
    return pl.Series(name, [None], dtype=pl.String).new_from_index(0, count)


def _no_values(dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    return np.full(count, np.nan if dtype.kind == "f" else -1, dtype=dtype)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Some rows of a file."""

    height: int
    """Rows in the file, those without content included."""
    text: dict[str, pl.Series]
    """Of columns that are kept as numbers only if one of them cannot be read."""
    numbers: dict[str, NDArray[np.float64]]
    """Of the columns that are kept as numbers; NaN where missing, or no finite number."""
    filled: NDArray[np.bool_] | None
    """Which rows have any content; None: all."""


def _parsed(piece: Callable[[], pl.DataFrame], numbers: Sequence[str]) -> _Batch:
    """What can be done in any thread and any order."""
    frame, filled = piece(), None
    cells = {series.name: series for series in frame.get_columns()}
    if all(series.null_count() for series in cells.values()):
        some = ~pl.DataFrame(cells).select(pl.all_horizontal(pl.all().is_null())).to_series()
        if not some.all():
            filled = some.to_numpy()
            cells = {name: series.filter(some) for name, series in cells.items()}
    return _Batch(height=frame.height, filled=filled, numbers={name: read_numbers(cells[name]) for name in numbers},
                  text={name: series for name, series in cells.items() if series.dtype == pl.String})


def in_order(tasks: Iterable[Callable[[], Item]], pool: Executor | None) -> Iterator[Item]:
    """The results of tasks in their order, a few of which the pool works on ahead."""
    if pool is None:
        for task in tasks:
            yield task()
        return
    begun: deque[Future[Item]] = deque()
    try:
        for task in tasks:
            begun.append(pool.submit(task))
            if len(begun) > AHEAD:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


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
