"""Rows of a CSV file with fewer cells than its header, which the fast reader fills up without a word."""

import csv
from io import StringIO
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 18
"""Bytes that are looked at together: few enough to stay in the processor's cache."""
_WORD = 64


class Readable(Protocol):
    """A binary file."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


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
