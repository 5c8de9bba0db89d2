"""The first rows of an export's files, and how many rows there are, without reading large files whole."""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path

import numpy as np
import polars as pl

from despina.graph.csv_rows import EndlessRow, whole_rows
from despina.graph.parquet_files import ParquetFile
from despina.graph.tables import Keep, Table, TableFile

ROWS = 20_000
"""Of a Parquet file."""
_BLOCKS, _BLOCK = 16, 1 << 16
"""Of a large file so many pieces of so many bytes are looked at for line ends: rows grow longer as the numbers in their ids do."""
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The first rows of a file."""

    table: Table
    rows: int
    """Of the whole file; exact when ``whole`` is true, and of Parquet files."""
    whole: bool
    """Whether the table has all rows."""


def sample(file: TableFile, columns: Sequence[str], *, size: int, copy: Path) -> Sample:
    """Read some columns of the first rows.

    Args:
        file: one of the export.
        columns: as for ``Table.read``.
        size: bytes of a CSV file's text; a row that is longer is read to its end.
        copy: where to put those bytes, if the file has more. Faults in the table are looked up there: it must stay as long.

    Raises:
        InputFault: what ``Table.read`` finds wrong in those rows.
    """
    if isinstance(file, ParquetFile):
        return _of_parquet(file, columns)
    head = _head(file.path, size)
    if head is None:
        table = Table.read(file, columns)
        return Sample(table=table, rows=len(table), whole=True)
    copy.write_bytes(head.text)
    table = Table.read(replace(file, path=copy), columns)
    return Sample(table=table, rows=len(table) + round(len(table) * head.rest), whole=False)


def texts(file: TableFile, column: str, *, optional: bool = False) -> Iterator[pl.Series]:
    """The cells of one column that are not missing, some rows at a time; nothing of an ``optional`` column that is not there."""
    for table in Table.batches(file, {column: Keep.TEXT}, {}, optional=[column] if optional else []):
        if table.has(column):
            yield table.column(column).text.drop_nulls()


def _of_parquet(file: ParquetFile, columns: Sequence[str]) -> Sample:
    file.header()  # raises what is to be said of a file that is none
    rows = int(pl.scan_parquet(file.path, glob=False).select(pl.len()).collect().item())
    table = next(Table.batches(file, dict.fromkeys(columns, Keep.TEXT), {}))
    if len(table) > ROWS:
        table = table.select(columns, np.arange(len(table)) < ROWS)
    return Sample(table=table, rows=rows, whole=len(table) == rows)


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The first rows of a CSV file, the header's among them."""

    text: bytes
    rest: float
    """How many times as many rows follow."""


class _Unzipped:
    """The text of a gzip file, up to its end or to where it is damaged. ``tell`` counts compressed bytes."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._unzip = zlib.decompressobj(wbits=31)
        self._block = b""
        self.length = 0
        """Bytes of text so far."""

    def read(self, size: int, /) -> bytes:
        text = b""
        while len(text) < size and (self._block or self._fill()):
            if self._unzip.eof:  # there is another one behind it
                self._unzip = zlib.decompressobj(wbits=31)
            try:
                text += self._unzip.decompress(self._block, size - len(text))
            except zlib.error:
                break
            self._block = self._unzip.unused_data or self._unzip.unconsumed_tail
        self.length += len(text)
        return text

    def readinto(self, buffer: memoryview, /) -> int:
        text = self.read(len(buffer))
        buffer[:len(text)] = text
        return len(text)

    def tell(self) -> int:
        return self._file.tell() - len(self._block)

    def _fill(self) -> bool:
        self._block = self._file.read(_BLOCK)
        return bool(self._block)


def first_lines(path: Path, *, size: int) -> tuple[list[bytes], int]:
    """About ``size`` bytes of whole lines of a text file, plain or gzip, and about how many lines it has. Raises OSError."""
    with path.open("rb") as file:
        content = _opened(file)
        text = content.read(size)
        if not content.read(1):
            lines = text.splitlines()
            return lines, len(lines)
        text = text[:text.rfind(b"\n") + 1] or text
        lines = text.splitlines()
        return lines, len(lines) + round(len(lines) * _rest(file, content, text))


def _head(path: Path, size: int) -> _Head | None:
    """About ``size`` bytes up to a row's end; None when the file has no more than that, or when only reading it whole tells."""
    try:
        with path.open("rb") as file:
            content = _opened(file)
            rows = whole_rows(content, chunk=size)
            header, body = next(rows, b""), next(rows, b"")
            if not body or not content.read(1):
                return None
            return _Head(text=header + body, rest=_rest(file, content, header + body))
    except (EndlessRow, OSError):
        return None


def _opened(file: BufferedReader) -> BufferedReader | _Unzipped:
    return _Unzipped(file) if file.peek(2)[:2] == _GZIP else file


def _rest(file: BufferedReader, content: BufferedReader | _Unzipped, head: bytes) -> float:
    """How many times as many lines follow the head: told by compressed sizes, or by line ends here and there in the file."""
    total = os.fstat(file.fileno()).st_size
    if isinstance(content, _Unzipped):
        return max(0.0, total * content.length / content.tell() / len(head) - 1)
    return _lines_after(file, len(head), total) / max(1, head.count(b"\n"))


def _lines_after(file: BufferedReader, start: int, total: int) -> float:
    """About how many lines there are from ``start`` on."""
    lines = seen = 0
    for number in range(_BLOCKS):
        file.seek(start + (total - start) * (2 * number + 1) // (2 * _BLOCKS))
        block = file.read(_BLOCK)
        lines += block.count(b"\n")
        seen += len(block)
    return (total - start) * lines / seen
