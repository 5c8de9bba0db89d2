"""One column of a table: its cells as text, as numbers, as times and as codes; each form is made when first asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.dictionary import Dictionary
from despina.graph.faults import MOST, Fault, Finding, InputFault

BLANKS = " \t"
"""Around a number they count not; a number's cell that has nothing else is missing."""
SHOWN = 100
"""Characters of a value that messages show."""
_TIME_FORMS = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")
"""ISO 8601 with an offset or Z, which is what the exporter writes; without one; with a blank; a day alone. UTC if not said."""

Cells = pl.Series | NDArray[np.float64] | NDArray[np.int32]
"""Texts (String, null where missing), numbers (NaN where missing), or codes in a dictionary of texts (-1 where missing)."""


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
    """A column. Codes come with their ``dictionary``."""

    name: str
    cells: Cells
    dictionary: Dictionary | None = None
    origin: Origin

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells are missing."""
        if isinstance(self.cells, pl.Series):
            return self.cells.is_null().to_numpy()
        return np.asarray(self.cells < 0) if self.dictionary is not None else np.isnan(self.cells)

    @cached_property
    def text(self) -> pl.Series:
        """The cells as String; null where missing."""
        if self.dictionary is not None:
            return self._of_texts(self.dictionary.texts)
        if isinstance(self.cells, pl.Series):
            return self.cells
        return pl.Series(self.name, self.cells, nan_to_null=True).cast(pl.String)

    @cached_property
    def coded(self) -> tuple[NDArray[np.int32], pl.Series]:
        """The code of each cell, -1 where missing, and the text of each code."""
        if self.dictionary is not None:
            return np.asarray(self.cells, dtype=np.int32), self.dictionary.texts
        dictionary = Dictionary()
        return code(self.text, dictionary), dictionary.texts

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The cells as numbers; NaN where missing or not a finite number."""
        if self.dictionary is not None:
            return np.append(read_numbers(self.dictionary.texts), np.nan)[self.cells]  # the last one is that of the code -1
        return read_numbers(self.cells) if isinstance(self.cells, pl.Series) else np.asarray(self.cells, dtype=np.float64)

    @cached_property
    def instants(self) -> pl.Series:
        """Times in milliseconds, UTC; null where missing or not a time."""
        return read_instants(self.text) if self.dictionary is None else self._of_texts(read_instants(self.dictionary.texts))

    def vectors(self, separator: str) -> NDArray[np.float64]:
        """The numbers in each cell, ``[rows, d]``, NaN in rows without a value.

        Raises:
            InputFault: cells have different numbers of values, or one of them is no finite number.
        """
        if "_vectors" not in self.__dict__:
            self.__dict__["_vectors"] = _vectors(self, separator)
        made: NDArray[np.float64] = self.__dict__["_vectors"]
        return made

    def slice(self, start: int, count: int) -> "Column":
        """Some of the rows."""
        part = Column(name=self.name, cells=self.cells[start:start + count], dictionary=self.dictionary,
                      origin=_Shifted(origin=self.origin, by=start))
        for form in ("text", "numbers", "instants", "_vectors"):  # what is made already is not made again
            if form in self.__dict__:
                part.__dict__[form] = self.__dict__[form][start:start + count]
        return part

    def _of_texts(self, made: pl.Series) -> pl.Series:
        """What was made of the dictionary's texts, of each cell's own; null where it is missing."""
        codes = pl.Series(self.name, self.cells)
        return made.gather(codes.set(codes < 0, None) if self.missing.any() else codes).alias(self.name)

    def refuse_unreadable_numbers(self) -> None:
        """Raise InputFault if a cell is there that is not a finite number."""
        if self.dictionary is None and not isinstance(self.cells, pl.Series):
            return
        unreadable = np.isnan(self.numbers) & ~self.missing
        if unreadable.any():
            self.refuse(unreadable & (self.text.str.strip_chars(BLANKS) != "").fill_null(value=False).to_numpy(),
                        Fault.INVALID_NUMBER, " is not a finite number")

    def refuse(self, rows: pl.Series | NDArray[np.bool_], name: Fault, message: str) -> None:
        """Raise the InputFault about the rows for which the mask is true, if there are any."""
        mask = rows.to_numpy() if isinstance(rows, pl.Series) else rows
        if mask.any():
            raise self.errors(np.flatnonzero(mask)[:MOST].tolist(), name, lambda row: message)  # noqa: ARG005 - of all rows alike

    def error(self, row: int, name: Fault, message: str) -> InputFault:
        """The error to be raised about a cell: ``message`` follows its place and its value."""
        return self.errors([row], name, lambda row: message)  # noqa: ARG005

    def errors(self, rows: Sequence[int], name: Fault, message: Callable[[int], str]) -> InputFault:
        """The error to be raised about the cells of these rows, one at least, in rising order."""
        findings = []
        for row, (file, line) in zip(rows, self.origin.places(rows), strict=True):
            cell = self.slice(row, 1).text[0]
            value = None if cell is None else str(cell)[:SHOWN].replace("\0", "\\0")
            shown = "the cell is empty" if value is None else f"'{value}'"
            text = f"{file.name}, {file.unit} {line}, column '{self.name}': {shown}{message(row)}"
            findings.append(Finding(name=name, text=text, file=file.name, line=line, column=self.name, value=value))
        return InputFault.of(tuple(findings))


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


def _vectors(column: Column, separator: str) -> NDArray[np.float64]:
    text = column.text.str.strip_chars(BLANKS)
    text = text.set(text == "", None)
    parts = split_cells(text, separator)
    lengths = parts.list.len()
    width = int(lengths.drop_nulls().first() or 1)  # type: ignore[arg-type]
    if (lengths.drop_nulls() != width).any():
        row = int((lengths != width).fill_null(value=False).arg_max() or 0)
        raise column.error(row, Fault.INVALID_VECTOR, f" has {lengths[row]} values; the rows before it have {width}")
    present = np.flatnonzero(text.is_not_null().to_numpy())
    values = read_numbers(parts.drop_nulls().explode())
    if np.isnan(values).any():
        at = int(np.isnan(values).argmax())
        raise column.error(int(present[at // width]), Fault.INVALID_VECTOR,
                           f": its value number {at % width + 1} is not a finite number")
    vectors = np.full((len(column), width), np.nan)
    vectors[present] = values.reshape(-1, width)
    return vectors


def code(text: pl.Series, dictionary: Dictionary) -> NDArray[np.int32]:
    """The codes of the texts, which are added to the dictionary where they are new; -1 where missing."""
    if not text.null_count():
        return dictionary.add(text)
    codes = np.full(len(text), -1, dtype=np.int32)
    codes[text.is_not_null().to_numpy()] = dictionary.add(text.drop_nulls())
    return codes


def split_cells(text: pl.Series, separator: str) -> pl.Series:
    """Lists of the parts of each cell; a separator inside a part is written ``\\;``. Null where missing."""
    escaped = f"\\{separator}"
    if not text.str.contains(escaped, literal=True).any():
        return text.str.split(separator)
    parts = text.str.replace_all(escaped, "\0", literal=True).str.split(separator)
    return parts.list.eval(pl.element().str.replace_all("\0", separator, literal=True))


def read_numbers(text: pl.Series) -> NDArray[Any]:
    """Texts, or numbers, as float64; NaN where missing or not a finite number."""
    read = text.cast(pl.Float64, strict=False)
    if text.dtype == pl.String and read.null_count() > text.null_count():
        read = text.str.strip_chars(BLANKS).cast(pl.Float64, strict=False)
    numbers = read.fill_null(float("nan")).to_numpy()
    infinite = np.isinf(numbers)
    return np.where(infinite, np.nan, numbers) if infinite.any() else numbers


def read_instants(text: pl.Series) -> pl.Series:
    """Texts as times in milliseconds, UTC; null where missing or not a time."""
    read: pl.Series | None = None
    for form in _TIME_FORMS:
        if read is not None and read.null_count() == text.null_count():
            break
        times = text.str.to_datetime(form, time_unit="ms", time_zone="UTC", strict=False)
        read = times if read is None else read.zip_with(read.is_not_null(), times)
    return read if read is not None else text
