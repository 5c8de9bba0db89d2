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

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a buffer as far as there are bytes; 0 at the end."""
        ...


class EndlessRow(Exception):
    """A row is longer than ``MAX_ROW`` bytes."""


def whole_rows(content: Readable, *, chunk: int) -> Iterator[bytes]:
    """The first row, the header, by itself, and then all others, about ``chunk`` bytes at a time. Only the last may lack its end.

    Raises:
        EndlessRow: a row does not end.
    """
    buffer = bytearray(min(chunk, 1 << 16))
    held, header_read = 0, False
    while read := content.readinto(memoryview(buffer)[held:]):
        held += read
        end = _end_of_last(buffer, held) if header_read else _end_of_first(buffer, held)
        if end and (not header_read or held == len(buffer) >= chunk):
            header_read = True
            yield bytes(memoryview(buffer)[:end])
            buffer[:held - end] = buffer[end:held]
            held -= end
        if held == len(buffer):
            if held > MAX_ROW:
                raise EndlessRow(f"a row has more than {MAX_ROW} bytes")
            buffer.extend(bytes(held))
    if held:
        yield bytes(memoryview(buffer)[:held])


def _end_of_first(text: bytearray, size: int) -> int:
    """Where the second row begins; 0 if the first does not end in so many bytes."""
    after = text.find(b"\n", 0, size) + 1
    while after and text.count(b'"', 0, after) % 2:
        after = text.find(b"\n", after, size) + 1
    return after


def _end_of_last(text: bytearray, size: int) -> int:
    """The end of the last row that ends in so many bytes of a text that begins with a row; 0 if none does."""
    after = text.rfind(b"\n", 0, size) + 1
    quotes = count(memoryview(text)[:after], '"')
    while after and quotes % 2:  # the line ends inside a cell
        before = text.rfind(b"\n", 0, after - 1) + 1
        quotes -= text.count(b'"', before, after)
        after = before
    return after


def count(text: bytes | memoryview, character: str) -> int:
    """How often an ASCII character occurs: faster than ``bytes.count`` where it does every few bytes."""
    codes = np.frombuffer(text, dtype=np.uint8)
    return sum(int(np.count_nonzero(codes[start:start + _BLOCK] == ord(character))) for start in range(0, len(codes), _BLOCK))


class Layout:
    """Where quotes are in some rows, and what ends a cell: one bit for each byte, 64 in a word, the lowest first.

    Args:
        text: rows, the last one with its end.
        separator: an ASCII character.
    """

    def __init__(self, text: bytes, separator: str) -> None:
        self._text, self._separator = text, separator
        self._quotes, self._ends = _places(text, '"'), _places(text, separator, "\n")
        self._inside = _odd_so_far(self._quotes)
        """From an opening quote up to the byte before the closing one."""
        self._cells = self._outside(self._ends)

    def has_stray_quote(self) -> bool:
        """Whether a quote neither opens nor closes a cell, nor is one of two that stand for one inside of a quoted cell."""
        around, opening = self._ends | self._quotes, self._quotes & self._inside
        if (opening & ~_after(around)).any():
            return True
        if b"\r" in self._text:
            around |= _places(self._text, "\r")
        return bool((self._quotes & ~opening & ~_before(around)).any())

    def has_long_row(self, width: int, rows: int) -> bool:
        """Whether any of the rows has more than ``width`` cells, when none has fewer and there are ``rows`` of them."""
        return self._cells > rows * width

    def has_short_row(self, width: int) -> bool:
        """Whether any row has fewer than ``width`` cells, when none has more and cells are closed. Empty lines are no rows."""
        fewer = self._cells < width * self._outside(_places(self._text, "\n"))
        return fewer and _search(self._text, self._separator, width)

    def _outside(self, bits: NDArray[np.uint64]) -> int:
        """How many of them are outside of quoted cells."""
        return int(np.bitwise_count(bits & ~self._inside).sum())


def _places(text: bytes, *characters: str) -> NDArray[np.uint64]:
    """Where any of some ASCII characters is."""
    codes = np.frombuffer(text, dtype=np.uint8)
    places = np.zeros(-(-len(codes) // _WORD), dtype=np.uint64)
    for start in range(0, len(codes), _BLOCK):
        block = codes[start:start + _BLOCK]
        any_of = block == ord(characters[0])
        for character in characters[1:]:
            any_of |= block == ord(character)
        packed = np.packbits(any_of, bitorder="little")
        places.view(np.uint8)[start // 8:start // 8 + len(packed)] = packed
    return places


def _after(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The bytes after these, and the first of all."""
    moved = bits << np.uint64(1)
    moved[1:] |= bits[:-1] >> np.uint64(_WORD - 1)
    moved[:1] |= np.uint64(1)
    return moved


def _before(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The bytes before these."""
    moved = bits >> np.uint64(1)
    moved[:-1] |= bits[1:] << np.uint64(_WORD - 1)
    return moved


def _odd_so_far(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bit is set where the number of set bits up to and with it is odd."""
    for distance in (1, 2, 4, 8, 16, 32):
        bits = bits ^ (bits << np.uint64(distance))
    odd = bits >> np.uint64(_WORD - 1)
    odd_before: NDArray[np.uint64] = np.bitwise_xor.accumulate(odd) ^ odd
    return bits ^ (np.uint64(0) - odd_before)  # 0 - 1 has all bits set


def _search(text: bytes, separator: str, width: int) -> bool:
    """The same, row by row, for texts that may have a short one."""
    rows = text.replace(b"\r\n", b"\n").replace(b"\r", b" ").decode(errors="replace")  # a return amid a row ends none
    return any(0 < len(cells) < width for cells in csv.reader(StringIO(rows, newline=""), delimiter=separator))
