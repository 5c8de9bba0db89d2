"""CSV files of an export, plain or gzip, read as text. What the fast reader refuses is read again, slowly, to say why and where."""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, StringIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from despina.graph.csv_rows import EndlessRow, Layout, whole_rows
from despina.graph.faults import Fault, InputFault

if TYPE_CHECKING:
    from _csv import Reader  # what csv.reader returns has no public name

CHUNK = 8 * 2**20
"""Bytes that are parsed at a time."""
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
            InputFault: the file is empty, cannot be read, or its first line is not CSV.
        """
        try:
            with self._text(errors="strict") as text:
                names = next(self._reader(text))
        except StopIteration:
            raise self._malformed("the file is empty; its first line must name the columns") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise self._fault(str(error)) from error
        if not names:
            raise self._malformed("the line is empty; the first line must name the columns", line=1)
        if any("\0" in name for name in names):
            raise self._fault("a column name contains a NUL byte")
        return names

    def pieces(self, columns: Mapping[str, int], numbers: Collection[str] = ()) -> Iterator[Callable[[], pl.DataFrame]]:
        """The text of some columns, given as the name each is to have and its position, some rows at a time.

        Each piece is parsed when it is called, in any thread. Empty lines are rows without any content; missing cells are null. Of
        the columns ``numbers`` a piece has finite numbers, or text if one of them cannot be read.

        Raises:
            InputFault: the file is not CSV in UTF-8, or a row has more or fewer cells than the header.
        """
        header = self.header()
        with self._bytes() as content:
            rows = whole_rows(content, chunk=CHUNK)
            try:
                if list(self._reader(StringIO(next(rows).decode("utf-8-sig"), newline=""))) != [header]:
                    raise self._fault("its header is not that of its rows")
                for text in rows:
                    yield partial(self._parse, text, len(header), columns, numbers)
            except (EndlessRow, csv.Error, UnicodeDecodeError) as error:
                raise self._fault(str(error)) from error

    def _parse(self, text: bytes, width: int, columns: Mapping[str, int], numbers: Collection[str]) -> pl.DataFrame:
        """Some columns of these rows. Raises InputFault if one has not ``width`` cells."""
        if not text.isascii() and not _is_utf_8(text):
            raise self._fault("it is not UTF-8")
        if b"\0" in text:
            raise self._fault("there is a NUL byte")
        text = text if text.endswith(b"\n") else text + b"\n"
        rows = text.lstrip(b"\r\n")
        blank = text.count(b"\n", 0, len(text) - len(rows)) if width > 1 else 0
        if blank:  # the fast reader takes the number of columns from the first line
            filled = self._parse(rows, width, columns, numbers) if rows else pl.DataFrame(schema={
                name: pl.Float64 if name in numbers else pl.String for name in columns})
            nothing = pl.DataFrame({name: pl.Series(name, [None] * blank, dtype=kind) for name, kind in filled.schema.items()})
            return pl.concat([nothing, filled])
        layout = Layout(text, self.separator)
        if layout.has_stray_quote():  # the fast reader would leave it out
            raise self._fault("a cell with a double quote is not in double quotes")
        wanted = sorted({*columns.values(), width - 1})  # a short row has nothing in the last column
        floats = {columns[name] for name in numbers}
        frame = self._read(text, width, wanted, floats) if len(wanted) < width else None
        if frame is None or frame.to_series(-1).null_count():
            # Only when all columns are read, long rows are refused; then short ones can be told by the sum of all cells.
            frame = self._read(text, width, None, floats)
            if width > 1 and frame.to_series(-1).null_count() and layout.has_short_row(width):
                raise self._fault("a row has too few cells")
        elif layout.has_long_row(width, frame.height):
            raise self._fault("a row has too many cells")
        return pl.DataFrame({name: frame[str(position)] for name, position in columns.items()})

    def _read(self, text: bytes, width: int, positions: list[int] | None, floats: Collection[int]) -> pl.DataFrame:
        schema = {str(position): pl.Float64 if position in floats else pl.String for position in range(width)}
        try:
            frame = pl.read_csv(text, has_header=False, schema=schema, columns=positions, separator=self.separator,
                                infer_schema=False, raise_if_empty=False, null_values="")  # also of two quotes
            if all(frame[str(position)].is_finite().all() for position in floats):
                return frame
        except pl.exceptions.PolarsError as error:
            if not floats:
                raise self._fault(str(error)) from error
        return self._read(text, width, positions, ())

    def places(self, rows: Sequence[int]) -> list[int]:
        """The lines on which data rows, given from 0 in rising order, begin; quoted cells may span lines."""
        lines = []
        with self._text(errors="replace") as text:
            reader = self._reader(text, strict=False)
            read = -1  # the header
            for row in rows:
                for _ in islice(reader, row - read):
                    pass
                read = row
                lines.append(reader.line_num + 1)
        return lines

    unit = "line"
    """What ``places`` counts."""

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
            raise self._malformed(f"the gzip file is damaged or cut off ({error}); write it again") from error
        except OSError as error:
            raise InputFault(Fault.UNREADABLE_FILE, f"{self.name}: the file cannot be read: {error.strerror}",
                             file=self.name) from error

    @contextmanager
    def _text(self, errors: str) -> Iterator[TextIOWrapper]:
        with self._bytes() as content, TextIOWrapper(content, encoding="utf-8-sig", errors=errors, newline="") as text:
            yield text

    def _malformed(self, message: str, *, line: int | None = None) -> InputFault:
        place = self.name if line is None else f"{self.name}, line {line}"
        return InputFault(Fault.MALFORMED_FILE, f"{place}: {message}", file=self.name, line=line)

    def _fault(self, reason: str) -> InputFault:
        """What is wrong with a file that the fast reader refused; the reader's own reason if that cannot be found out."""
        return self._encoding_fault() or self._structure_fault() or self._malformed(f"this is not a CSV file: {reason[:200]}")

    def _encoding_fault(self) -> InputFault | None:
        with self._bytes() as content:
            for number, raw in enumerate(content, 1):
                if number == 1 and raw.startswith(_UTF_16):
                    return self._malformed("the file is in UTF-16; save it in UTF-8", line=1)
                if number == 1 and raw.startswith(b"PAR1"):
                    return self._malformed("this looks like a Parquet file; the name of one must end in .parquet", line=1)
                if b"\0" in raw:
                    return self._malformed("there is a NUL byte, as in UTF-16 or binary data; save the file as text in UTF-8",
                                           line=number)
                try:
                    raw.decode()
                except UnicodeDecodeError as error:
                    return self._malformed(f"the byte {raw[error.start]:#04x} is not UTF-8; save the file in that encoding",
                                           line=number)
        return None

    def _structure_fault(self) -> InputFault | None:
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
                        return self._malformed(_QUOTES, line=line)
                    if row[-1].endswith("\r"):
                        return self._malformed("the line ends in a carriage return alone; end lines in a line feed", line=line)
                    row.clear()
                    line = reader.line_num + 1
        except csv.Error as error:
            return self._malformed(f"{error}; {_QUOTES}", line=line)
        return None

    def _wrong_count(self, line: int, cells: int, width: int) -> InputFault:
        advice = (f"a cell that contains '{self.separator}' must be in double quotes" if cells > width
                  else f"write a '{self.separator}' for each cell without a value too")
        return self._malformed(f"it has {cells} cell{'s' * (cells > 1)}, but the header has {width}; {advice}", line=line)


_QUOTES = "a cell that contains a double quote must itself be in double quotes, with the one inside written twice"


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _remembering(lines: Iterator[str], seen: list[str]) -> Iterator[str]:
    for line in lines:
        seen.append(line)
        yield line
