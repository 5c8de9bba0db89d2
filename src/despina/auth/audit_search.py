"""Looking the newest entries of the audit log up, from its end backwards: it may have hundreds of megabytes."""

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from despina.auth.audit import Entry, files
from despina.core.errors import UnreadableParameter
from despina.core.frozen import Frozen

_CHUNK = 256 * 1024
MAX_READ = 32 * 2**20
"""Bytes that one search reads; where it stops the next one may go on."""


class Outcome(StrEnum):
    """How a call ended."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """Not permitted (403)."""
    FAILED = "failed"
    """With any other error."""


class Wanted(Frozen, frozen=True, kw_only=True):
    """Which entries are looked for; what is empty does not count."""

    principal: str = ""
    """A part of the principal's ARN, or of the access key's id."""
    event_name: str = ""
    resource_id: str = ""
    outcome: Outcome | None = None

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is one of them."""
        return (self.principal in f"{entry.principal or ''} {entry.access_key_id or ''}"
                and self.event_name in {"", entry.event_name}
                and self.resource_id in {"", entry.resource_id}
                and (self.outcome is None or self.outcome is outcome(entry)))

    def needles(self) -> tuple[bytes, ...]:
        """What the text of each of them has in it: where one of these is missing nothing need be read more closely."""
        texts = [_inner(self.principal)] if self.principal else []
        texts += [b'"eventName":"' + _inner(self.event_name) + b'"'] if self.event_name else []
        texts += [b'"resourceId":"' + _inner(self.resource_id) + b'"'] if self.resource_id else []
        return (*texts, *({Outcome.REFUSED: (b'"status":403',), Outcome.FAILED: (b'"errorCode":',)}.get(self.outcome, ())
                          if self.outcome else ()))


class Found(NamedTuple):
    """A page of entries."""

    entries: tuple[Entry, ...]
    """The newest first."""
    older: str | None
    """Where to go on; None: there is nothing older."""
    searched: int
    """Bytes that were read."""


def outcome(entry: Entry) -> Outcome:
    """How the call of an entry ended."""
    return Outcome.SUCCEEDED if entry.error_code is None else Outcome.REFUSED if entry.status == 403 else Outcome.FAILED


def newest(folder: Path, wanted: Wanted, *, count: int, before: str | None = None, most: int = MAX_READ) -> Found:
    """The newest entries that are wanted.

    Args:
        folder: Of the audit log.
        wanted: Which.
        count: So many at most.
        before: ``Found.older`` of the page before, also when the file has been put aside since.
        most: Bytes to be read, about.

    Raises:
        UnreadableParameter: ``before`` is nothing that a search gave.
    """
    start = _place(before) if before else None
    found: list[Entry] = []
    decoder, needles, read = msgspec.json.Decoder(Entry), wanted.needles(), 0
    for path in reversed(files(folder)):
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            known = os.fstat(file)
            if start is not None and start[0] != known.st_ino:
                continue
            end, start = (start[1] if start is not None else known.st_size), None
            for lines, begin in _backwards(file, end, needles):
                for line, place in lines:
                    entry = _entry(decoder, line) if all(needle in line for needle in needles) else None
                    if entry is not None and wanted.fits(entry):
                        found.append(entry)
                        if len(found) == count:
                            return Found(tuple(found), f"{known.st_ino}-{place}", read + end - place)
                if read + end - begin >= most:
                    return Found(tuple(found), f"{known.st_ino}-{begin}", read + end - begin)
            read += end
        finally:
            os.close(file)
    return Found(tuple(found), None, read)


def _backwards(file: int, end: int, needles: tuple[bytes, ...]) -> Iterator[tuple[Iterator[tuple[bytes, int]], int]]:
    """Stretches of whole lines, from the end on: the lines, the last first, each with its place; and where the stretch begins.

    A stretch in which one of the ``needles`` is missing has no lines.
    """
    place, rest = end, b""
    while place > 0:
        size = min(_CHUNK, place)
        place -= size
        data = os.pread(file, size, place) + rest
        cut = data.find(b"\n") + 1 if place else 0
        if place and not cut:
            rest = data
            continue
        rest = data[:cut]
        fits = all(needle in data for needle in needles)
        yield (_lines(data[cut:], place + cut) if fits else iter(()), place + cut)


def _lines(whole: bytes, begin: int) -> Iterator[tuple[bytes, int]]:
    end = begin + len(whole)
    for line in reversed(whole.split(b"\n")):
        yield line, end - len(line)
        end -= len(line) + 1


def _entry(decoder: "msgspec.json.Decoder[Entry]", line: bytes) -> Entry | None:
    """What is no entry, such as a line that a full disk has cut short, is none."""
    try:
        return decoder.decode(line) if line else None
    except msgspec.MsgspecError:
        return None


def _inner(text: str) -> bytes:
    """As it stands in JSON, without the quotes."""
    return msgspec.json.encode(text)[1:-1]


def _place(token: str) -> tuple[int, int]:
    inode, dash, offset = token.partition("-")
    if not dash or not inode.isdecimal() or not offset.isdecimal() or len(token) > 50:
        raise UnreadableParameter(f"The value '{token[:100]}' of 'before' is not one that an earlier page gave.")
    return int(inode), int(offset)
