"""One column of a table: its cells as text, as numbers, as times and as codes; each form is made when first asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.dictionary import Dictionary
from despina.graph.faults import MOST, Fault, Finding, InputFault

SHOWN = 100
"""Characters of a value that messages show."""
_TIME_FORMS = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")
"""ISO 8601 with an offset or Z, which is what the exporter writes; without one; with a blank; a day alone. UTC if not said."""


class File(Protocol):
    """A file as far as messages need it."""

    @property
    def name(self) -> str:
        """As the configuration spells it."""
        ...

    @property
    def unit(self) -> str:
        """``line`` or ``row``."""
        ...


class Origin(Protocol):
    """What knows where rows came from: a table."""

    @property
    def files(self) -> Sequence[File]:
        """The files that the rows came from."""
        ...

    def places(self, rows: Sequence[int], /) -> Sequence[tuple[File, int]]:
        """The file and line of rows given in rising order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column. ``cells`` are String, Float64, or Int32 codes in ``dictionary``; null where missing."""

    name: str
    cells: pl.Series
    dictionary: Dictionary | None = None
    origin: Origin

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def missing(self) -> pl.Series:
        """Which cells are missing."""
        return self.cells.is_null()

    @cached_property
    def text(self) -> pl.Series:
        """The cells as String; null where missing."""
        if self.dictionary is not None:
            return self.dictionary.texts.gather(self.cells).alias(self.name)
        return self.cells.cast(pl.String)

    @cached_property
    def coded(self) -> tuple[NDArray[np.int32], pl.Series]:
        """The code of each cell, -1 where missing, and the text of each code."""
        if self.dictionary is not None:
            return self.cells.fill_null(-1).to_numpy(), self.dictionary.texts
        dictionary = Dictionary()
        codes = np.full(len(self), -1, dtype=np.int32)
        codes[(~self.missing).to_numpy()] = dictionary.add(self.text.drop_nulls())
        return codes, dictionary.texts

    @cached_property
    def numbers(self) -> pl.Series:
        """Float64; null where missing or not a finite number."""
        if self.cells.dtype == pl.Float64:
            return self.cells
        return self._through_dictionary(read_numbers)

    @cached_property
    def instants(self) -> pl.Series:
        """Times in milliseconds, UTC; null where missing or not a time."""
        return self._through_dictionary(read_instants)

    def slice(self, start: int, count: int) -> "Column":
        """Some of the rows."""
        part = Column(name=self.name, cells=self.cells.slice(start, count), dictionary=self.dictionary,
                      origin=_Shifted(origin=self.origin, by=start))
        for form in ("text", "numbers", "instants"):  # what is made already is not made again
            if form in self.__dict__:
                part.__dict__[form] = self.__dict__[form].slice(start, count)
        return part

    def _through_dictionary(self, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
        """What ``read`` makes of the texts, of each different one once."""
        return read(self.dictionary.texts).gather(self.cells) if self.dictionary is not None else read(self.text)

    def refuse_unreadable_numbers(self) -> None:
        """Raise InputFault if a cell is there that is not a finite number."""
        if self.numbers.null_count() > self.cells.null_count():
            self.refuse(self.numbers.is_null() & ~self.missing, Fault.INVALID_NUMBER, " is not a finite number")

    def refuse(self, rows: pl.Series | NDArray[np.bool_], name: Fault, message: str) -> None:
        """Raise the InputFault about the rows for which the mask is true, if there are any."""
        mask = rows if isinstance(rows, pl.Series) else pl.Series(rows)
        if mask.any():
            raise self.errors(mask.arg_true().head(MOST).to_list(), name, lambda row: message)  # noqa: ARG005 - of all rows alike

    def error(self, row: int, name: Fault, message: str) -> InputFault:
        """The error to be raised about a cell: ``message`` follows its place and its value."""
        return self.errors([row], name, lambda row: message)  # noqa: ARG005

    def errors(self, rows: Sequence[int], name: Fault, message: Callable[[int], str]) -> InputFault:
        """The error to be raised about the cells of these rows, one at least, in rising order."""
        findings = []
        for row, (file, line) in zip(rows, self.origin.places(rows), strict=True):
            cell = self._cell(row)
            value = None if cell is None else cell[:SHOWN].replace("\0", "\\0")
            shown = "the cell is empty" if value is None else f"'{value}'"
            text = f"{file.name}, {file.unit} {line}, column '{self.name}': {shown}{message(row)}"
            findings.append(Finding(name=name, text=text, file=file.name, line=line, column=self.name, value=value))
        return InputFault.of(tuple(findings))

    def _cell(self, row: int) -> str | None:
        cell = self.cells[row]
        if cell is None or self.dictionary is None:
            return None if cell is None else str(cell)
        return str(self.dictionary.texts[cell])


@dataclass(frozen=True, kw_only=True)
class _Shifted:
    """Where the rows of a part of a column came from."""

    origin: Origin
    by: int

    @property
    def files(self) -> Sequence[File]:
        return self.origin.files

    def places(self, rows: Sequence[int], /) -> Sequence[tuple[File, int]]:
        return self.origin.places([row + self.by for row in rows])


def split_cells(text: pl.Series, separator: str) -> pl.Series:
    """Lists of the parts of each cell; a separator inside a part is written ``\\;``. Null where missing."""
    escaped = f"\\{separator}"
    if not text.str.contains(escaped, literal=True).any():
        return text.str.split(separator)
    parts = text.str.replace_all(escaped, "\0", literal=True).str.split(separator)
    return parts.list.eval(pl.element().str.replace_all("\0", separator, literal=True))


def read_numbers(text: pl.Series) -> pl.Series:
    """Texts as Float64; null where missing or not a finite number."""
    numbers = text.cast(pl.Float64, strict=False)
    unusable = ~numbers.is_finite()
    return numbers.set(unusable, None) if unusable.any() else numbers


def read_instants(text: pl.Series) -> pl.Series:
    """Texts as times in milliseconds, UTC; null where missing or not a time."""
    read: pl.Series | None = None
    for form in _TIME_FORMS:
        if read is not None and read.null_count() == text.null_count():
            break
        times = text.str.to_datetime(form, time_unit="ms", time_zone="UTC", strict=False)
        read = times if read is None else read.zip_with(read.is_not_null(), times)
    return read if read is not None else text
