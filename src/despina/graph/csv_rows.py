"""Where the rows of a CSV file end, and whether they have as many cells as the header, found out without parsing them."""

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 18
"""Bytes that are looked at together: few enough to stay in the processor's cache."""
_WORD = 64
MAX_ROW = 1 << 28
"""Bytes; a quote that is opened and never closed would else make a row of a whole file."""


class Readable(Protocol):
    """A binary file."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


class EndlessRow(Exception):
    """A row is longer than ``MAX_ROW`` bytes."""


def whole_rows(content: Readable, *, chunk: int) -> Iterator[bytes]:
    """The first row, the header, by itself, and then all others, about ``chunk`` bytes at a time. Only the last may lack its end.

    Raises:
        EndlessRow: a row does not end.
    """
    rest, header_read = b"", False
    while block := content.read(chunk):
        text = rest + block if rest else block
        if not header_read:
            after = _end_of_first(text)
            if after:
                header_read = True
                yield text[:after]
                text = text[after:]
        end = _end_of_last(text) if header_read else 0
        if end:
            yield text[:end]
        rest = text[end:]
        if len(rest) > MAX_ROW:
            raise EndlessRow(f"a row has more than {MAX_ROW} bytes")
    if rest:
        yield rest


def _end_of_first(text: bytes) -> int:
    """Where the second row begins; 0 if the first does not end here."""
    after = text.find(b"\n") + 1
    while after and text.count(b'"', 0, after) % 2:
        after = text.find(b"\n", after) + 1
    return after


def _end_of_last(text: bytes) -> int:
    """The end of the last row that ends here, in a text that begins with a row; 0 if none does."""
    after = text.rfind(b"\n") + 1
    quotes = count(text, '"') - text.count(b'"', after)
    while after and quotes % 2:  # the line ends inside a cell
        before = text.rfind(b"\n", 0, after - 1) + 1
        quotes -= text.count(b'"', before, after)
        after = before
    return after


def count(text: bytes, character: str) -> int:
    """How often an ASCII character occurs: faster than ``bytes.count`` where it does every few bytes."""
    codes = np.frombuffer(text, dtype=np.uint8)
    return sum(int(np.count_nonzero(codes[start:start + _BLOCK] == ord(character))) for start in range(0, len(codes), _BLOCK))


def has_long_row(text: bytes, separator: str, width: int, rows: int) -> bool:
    """Whether any of the rows has more than ``width`` cells, when none has fewer and there are ``rows`` of them."""
    separators = rows * (width - 1)
    line_ends = rows - (not text.endswith(b"\n"))
    if count(text, separator) == separators and count(text, "\n") == line_ends:
        return False  # if any of them stood inside a cell, there would be too few outside
    characters = np.frombuffer(text + bytes(-len(text) % _WORD), dtype=np.uint8)
    outside = ~_odd_so_far(_bits(characters == ord('"')))
    return int(np.bitwise_count(_bits(characters == ord(separator)) & outside).sum()) > separators


def first_short_row(content: Readable, separator: str, width: int) -> tuple[int, int] | None:
    """The line, from 1, and the number of cells of the first row with fewer than ``width``; None if there is none.

    Empty lines are no rows. The file is one that the fast reader has taken: no row has too many cells, each quoted one is closed.
    """
    line, rest = 1, b""
    while block := content.read(_BLOCK):
        text = rest + block
        end, whole = _rows(text, separator, width)
        short = None if whole else _search(text[:end], separator, width)
        if short:
            return line + short[0], short[1]
        line += text.count(b"\n", 0, end)
        rest = text[end:]
    short = _search(rest, separator, width)
    return (line + short[0], short[1]) if short else None


def _rows(text: bytes, separator: str, width: int) -> tuple[int, bool]:
    """Where the last row that ends in the text does so, and whether all rows up to there have ``width`` cells, by their sum."""
    characters = np.frombuffer(text + bytes(-len(text) % _WORD), dtype=np.uint8)
    outside = ~_odd_so_far(_bits(characters == ord('"')))
    ends = _bits(characters == ord("\n")) & outside
    with_ends = np.flatnonzero(ends)
    if not len(with_ends):
        return 0, True
    last = int(with_ends[-1])
    after = int(ends[last]).bit_length()
    separators = (_bits(characters == ord(separator)) & outside)[:last + 1]
    separators[last] &= np.uint64((1 << after) - 1)
    return last * _WORD + after, bool(np.bitwise_count(separators).sum() == (width - 1) * np.bitwise_count(ends).sum())


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """One bit for each flag, the lowest first."""
    return np.packbits(flags, bitorder="little").view(np.uint64)


def _odd_so_far(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bit is set where the number of set bits up to and with it is odd."""
    for distance in (1, 2, 4, 8, 16, 32):
        bits = bits ^ (bits << np.uint64(distance))
    odd = bits >> np.uint64(_WORD - 1)
    odd_before: NDArray[np.uint64] = np.bitwise_xor.accumulate(odd) ^ odd
    return bits ^ (np.uint64(0) - odd_before)  # 0 - 1 has all bits set


def _search(text: bytes, separator: str, width: int) -> tuple[int, int] | None:
    """The lines before the first short row, and its number of cells: row by row, for texts that may have one."""
    rows = text.replace(b"\r\n", b"\n").replace(b"\r", b" ").decode(errors="replace")  # a return amid a row ends none
    reader, lines = csv.reader(StringIO(rows, newline=""), delimiter=separator), 0
    for cells in reader:
        if cells and len(cells) < width:
            return lines, len(cells)
        lines = reader.line_num
    return None
