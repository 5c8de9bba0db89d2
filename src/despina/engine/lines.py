"""Pieces of a log, and lines of progress, as ``core.ports.RunLogs`` gives them out."""

import contextlib
from collections.abc import Iterable, Iterator

import msgspec

from despina.core.job import Progress


def check(offset: int, limit: int) -> None:
    """Raises ValueError for an offset or a limit that makes no sense."""
    if offset < 0 or limit < 1:
        raise ValueError(f"The log is read from offset 0 on and 1 byte or more at a time, not {limit} bytes from {offset}.")


def whole_lines(text: bytes, limit: int, *, over: bool) -> bytes:
    """Of what was read with this limit, the whole lines; all of it if the log is over and ends there, or a line is longer."""
    whole = text.rfind(b"\n") + 1
    if whole and not (over and len(text) < limit):
        return text[:whole]
    return text if whole or over or len(text) >= limit else b""


def progress_in(lines: Iterable[bytes]) -> Iterator[Progress]:
    """The progress that lines of a program's output tell. It may print other lines, and be in the middle of one."""
    decoder = msgspec.json.Decoder(Progress)
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            yield decoder.decode(line)
