"""CSV files of an export, plain or gzip, read as text. What the fast reader refuses is read again, slowly, to say why and where."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from despina.core.errors import WorkFailed
from despina.graph.short_rows import first_short_row

if TYPE_CHECKING:
    from _csv import Reader  # what csv.reader returns has no public name

MAX_CELL = 2**31 - 1
"""Characters; Python's reader, which looks for the line of a fault, would refuse long texts."""
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """A CSV file (RFC 4180, UTF-8) of the export. Compressed ones are known by their first bytes, whatever their name."""

    name: str
    """As the configuration spells it."""
    path: Path
    separator: str

    def header(self) -> list[str]:
        """The names of the columns.

        Raises:
            WorkFailed: the file is empty, cannot be read, or its first line is not CSV.
        """
        try:
            with self._text(errors="strict") as text:
                names = next(self._reader(text))
        except StopIteration:
            raise WorkFailed(f"{self.name}: the file is empty; its first line must name the columns") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise self._fault(str(error)) from error
        if not names:
            raise WorkFailed(f"{self.name}, line 1: the line is empty; the first line must name the columns")
        if any("\0" in name for name in names):
            raise self._fault("a column name contains a NUL byte")
        return names

    def read(self, columns: Mapping[str, int]) -> pl.DataFrame:
        """The text of some columns, given as the name each is to have and its position. Missing cells are null.

        Raises:
            WorkFailed: the file is not CSV in UTF-8, or a row has more or fewer cells than the header.
        """
        try:
            # All columns are read, for only then a row with too many cells is refused.
            frame = pl.read_csv(self.path, separator=self.separator, infer_schema=False, raise_if_empty=False, glob=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._fault(str(error)) from error
        if frame.width != len(self.header()):
            raise self._fault("its header is not that of its rows")
        if frame.width > 1 and frame.to_series(-1).null_count():  # a short row has nothing in the last column
            with self._bytes() as content:
                short = first_short_row(content, self.separator, frame.width)
            if short:
                raise WorkFailed(self._wrong_count(*short, frame.width))
        return pl.DataFrame({name: frame.to_series(position) for name, position in columns.items()})

    def place(self, row: int) -> str:
        """``, line 17``: where a data row, from 0, begins; quoted cells may span lines."""
        with self._text(errors="replace") as text:
            reader = self._reader(text, strict=False)
            for _ in islice(reader, row + 1):  # the header and the rows before it
                pass
            return f", line {reader.line_num + 1}"

    @property
    def header_place(self) -> str:
        """Where the names of the columns stand."""
        return ", line 1"

    def _reader(self, text: Iterator[str], *, strict: bool = True) -> "Reader":
        csv.field_size_limit(MAX_CELL)
        return csv.reader(text, delimiter=self.separator, strict=strict)

    @contextmanager
    def _bytes(self) -> Iterator[BufferedReader | gzip.GzipFile]:
        """The content, decompressed."""
        try:
            with self.path.open("rb") as file:
                compressed = file.peek(2)[:2] == _GZIP
                if not compressed:
                    yield file
                    return
                with gzip.open(file) as content:
                    yield content
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise WorkFailed(f"{self.name}: the gzip file is damaged or cut off ({error}); write it again") from error
        except OSError as error:
            raise WorkFailed(f"{self.name}: the file cannot be read: {error.strerror}") from error

    @contextmanager
    def _text(self, errors: str) -> Iterator[TextIOWrapper]:
        with self._bytes() as content, TextIOWrapper(content, encoding="utf-8-sig", errors=errors, newline="") as text:
            yield text

    def _fault(self, reason: str) -> WorkFailed:
        """What is wrong with a file that the fast reader refused; the reader's own reason if that cannot be found out."""
        return WorkFailed(self._encoding_fault() or self._structure_fault()
                          or f"{self.name}: this is not a CSV file: {reason[:200]}")

    def _encoding_fault(self) -> str | None:
        with self._bytes() as content:
            for number, raw in enumerate(content, 1):
                if number == 1 and raw.startswith(_UTF_16):
                    return f"{self.name}, line 1: the file is in UTF-16; save it in UTF-8"
                if number == 1 and raw.startswith(b"PAR1"):
                    return f"{self.name}, line 1: this looks like a Parquet file; the name of one must end in .parquet"
                if b"\0" in raw:
                    return (f"{self.name}, line {number}: there is a NUL byte, as in UTF-16 or binary data; save the file as text "
                            "in UTF-8")
                try:
                    raw.decode()
                except UnicodeDecodeError as error:
                    return (f"{self.name}, line {number}: the byte {raw[error.start]:#04x} is not UTF-8; "
                            "save the file in that encoding")
        return None

    def _structure_fault(self) -> str | None:
        row: list[str] = []
        line, width = 1, 0
        quoted = re.compile(rf'(^|{re.escape(self.separator)})"(?:[^"]|"")*"(?=[{re.escape(self.separator)}\r\n]|$)')
        try:
            with self._text(errors="replace") as text:
                reader = self._reader(_remembering(text, row))
                for cells in reader:
                    width = width or len(cells)
                    if cells and len(cells) != width:
                        return self._wrong_count(line, len(cells), width)
                    if '"' in quoted.sub(r"\1", "".join(row)):
                        return f"{self.name}, line {line}: {_QUOTES}"
                    if row[-1].endswith("\r"):
                        return f"{self.name}, line {line}: the line ends in a carriage return alone; end lines in a line feed"
                    row.clear()
                    line = reader.line_num + 1
        except csv.Error as error:
            return f"{self.name}, line {line}: {error}; {_QUOTES}"
        return None

    def _wrong_count(self, line: int, cells: int, width: int) -> str:
        advice = (f"a cell that contains '{self.separator}' must be in double quotes" if cells > width
                  else f"write a '{self.separator}' for each cell without a value too")
        return f"{self.name}, line {line}: it has {cells} cell{'s' * (cells > 1)}, but the header has {width}; {advice}"


_QUOTES = "a cell that contains a double quote must itself be in double quotes, with the one inside written twice"


def _remembering(lines: Iterator[str], seen: list[str]) -> Iterator[str]:
    for line in lines:
        seen.append(line)
        yield line
