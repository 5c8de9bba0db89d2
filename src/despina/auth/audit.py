"""The audit log: who asked for what, and what came of it. JSON lines in ``audit.jsonl``, which is put aside when it is large.

The names of its members follow CloudTrail where it has them (CloudTrail user guide, "CloudTrail record contents").
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from despina.core.frozen import Frozen

logger = logging.getLogger(__name__)

FILE = "audit.jsonl"
MAX_BYTES = 16 * 2**20
"""Of the file that is written to, before it is put aside."""
KEPT = 16
"""Files put aside; the oldest of more are deleted."""


class Entry(Frozen, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One call. It never holds a secret, a session token or a signature."""

    event_time: str
    """UTC, ISO 8601."""
    request_id: str
    """As the answer's ``x-amzn-RequestId``."""
    event_name: str
    """The operation."""
    action: str
    """With the prefix of its service."""
    source_ip_address: str
    status: int
    """The answer's HTTP status."""
    principal: str | None = None
    """An ARN; None when the signature could not be traced to one."""
    access_key_id: str | None = None
    """As the request names it."""
    resource_id: str | None = None
    """The id of the job or endpoint."""
    error_code: str | None = None
    """The exception's name; None: it succeeded."""
    error_message: str | None = None
    """Of a refusal: why."""
    user_agent: str | None = None


def event_time(ms: int) -> str:
    """The form of ``Entry.event_time``, from milliseconds since 1970."""
    return f"{_second(ms // 1000)}.{ms % 1000:03}Z"


@lru_cache(4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


class AuditLog:
    """Writes entries. Several processes may write into one folder; one object belongs to one thread.

    What has been flushed is in the hands of the operating system: it outlives the process, not a power failure. If it cannot be
    written the log of the server says so, and the calls go on.

    Args:
        folder: Where the files lie.
        soon: Is given ``flush``, to be called soon, when an entry is added to none: an event loop's ``call_soon``, so that the
            calls of one turn are written together. None: every entry is written at once.
        max_bytes: Of a file, before it is put aside.
        kept: Files put aside.
    """

    def __init__(self, folder: Path, *, soon: Callable[[Callable[[], None]], object] | None = None, max_bytes: int = MAX_BYTES,
                 kept: int = KEPT) -> None:
        self._folder, self._path = folder, folder / FILE
        self._max_bytes, self._kept = max_bytes, kept
        self._file: int | None = None
        self._inode = 0
        self._encode = msgspec.json.Encoder().encode
        self._torn = False
        self._soon = soon
        self._waiting: list[bytes] = []

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self._folder

    def write(self, entry: Entry) -> None:
        """Add an entry."""
        self._waiting.append(self._encode(entry) + b"\n")
        if self._soon is None:
            self.flush()
        elif len(self._waiting) == 1:
            self._soon(self.flush)

    def flush(self) -> None:
        """Write what was added."""
        lines, self._waiting = b"".join(self._waiting), []
        try:
            self._append(lines)
        except OSError as error:
            logger.error("The audit log %s cannot be written: %s. Perhaps not in it: %s", self._path, error.strerror,  # noqa: TRY400
                         lines.decode())

    def close(self) -> None:
        """Write what was added, and close the file."""
        if self._waiting:
            self.flush()
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, lines: bytes) -> None:
        file = self._opened()
        if self._torn:
            # On a full disk a part was written: the next entry begins a line of its own.
            lines = b"\n" + lines
        self._torn = os.write(file, lines) < len(lines)
        if self._torn:
            raise OSError(None, "the disk took only a part of it")
        if os.lseek(file, 0, os.SEEK_CUR) >= self._max_bytes:
            self._put_aside()

    def _opened(self) -> int:
        """The file, opened anew if another process has put it aside."""
        if self._file is not None:
            try:
                if os.stat(self._path).st_ino == self._inode:  # noqa: PTH116 - twice as fast, on every call
                    return self._file
            except FileNotFoundError:
                pass
            self._close()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._inode = os.fstat(self._file).st_ino
        return self._file

    def _put_aside(self) -> None:
        now = datetime.now(UTC)
        with suppress(FileNotFoundError):  # another process has just done it
            self._path.rename(self._folder / f"audit-{now:%Y%m%dT%H%M%S%f}-{os.getpid()}.jsonl")
        self._close()
        for old in _put_aside_files(self._folder)[:-self._kept]:
            old.unlink(missing_ok=True)


def read(folder: Path) -> Iterator[Entry]:
    """The entries, the oldest first; what is not one, such as a line that a full disk has cut short, is left out."""
    decoder = msgspec.json.Decoder(Entry)
    for path in files(folder):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            for line in file:
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError:
                    continue


def files(folder: Path) -> list[Path]:
    """The files of the log, the oldest first; the last one is written to, and need not be there."""
    return [*_put_aside_files(folder), folder / FILE]


def _put_aside_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("audit-*.jsonl"))
