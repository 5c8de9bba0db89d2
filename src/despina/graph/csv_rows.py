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


def has_long_row(text: bytes, separator: str, width: int, rows: int) -> bool:
    """Whether any of the rows has more than ``width`` cells, when none has fewer and there are ``rows`` of them."""
    separators = rows * (width - 1)
    line_ends = rows - (not text.endswith(b"\n"))
    if count(text, separator) == separators and count(text, "\n") == line_ends:
        return False  # if any of them stood inside a cell, there would be too few outside
    return _outside_quotes(text, separator)[0] > separators


def has_short_row(text: bytes, separator: str, width: int) -> bool:
    """Whether any row has fewer than ``width`` cells, when none has more and quoted cells are closed. Empty lines are no rows."""
    separators, ends = _outside_quotes(text if text.endswith(b"\n") else text + b"\n", separator + "\n")
    return separators != (width - 1) * ends and _search(text, separator, width)


def _outside_quotes(text: bytes, characters: str) -> list[int]:
    """How often each of some ASCII characters occurs outside of quoted cells."""
    codes = np.frombuffer(text + bytes(-len(text) % _WORD), dtype=np.uint8)
    outside = ~_odd_so_far(_bits(codes == ord('"')))
    return [int(np.bitwise_count(_bits(codes == ord(character)) & outside).sum()) for character in characters]


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


def _search(text: bytes, separator: str, width: int) -> bool:
    """The same, row by row, for texts that may have a short one."""
    rows = text.replace(b"\r\n", b"\n").replace(b"\r", b" ").decode(errors="replace")  # a return amid a row ends none
    return any(0 < len(cells) < width for cells in csv.reader(StringIO(rows, newline=""), delimiter=separator))
