"""The files of a run: ``<folder>/<run id>/``. Each is written whole, by one writer, once.

::

    spec.json       the run as it was submitted (RunSpec)
    claim           who keeps the run and what it was granted, or that it was stopped before it started (RunClaim)
    progress.jsonl  the program's standard output
    log.txt         the program's standard error
    result.json     the program's last word, written by itself: {"result": {…}} or {"failure_reason": "…"}
    exit.json       how it ended, written when every process of the run is dead (Exit)
    socket          where the program listens, if it is a service
"""

import contextlib
import fcntl
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from despina.core.frozen import Recorded
from despina.core.job import Progress, RunSpec, Usage
from despina.engine.lines import progress_in
from despina.engine.processes import ProcessIdentity
from despina.engine.slots import Needs, Slots

SOCKET = "socket"
_T = TypeVar("_T")
_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,149}")
_GONE = ".gone-"
_TAIL = 16_384
"""Bytes: more than a few lines of progress or of a traceback."""


class RunClaim(Recorded, frozen=True, kw_only=True):
    """Made once in a run's life: by the engine that starts it, or by whoever stops it before."""

    at: int
    """ms since 1970."""
    supervisor: ProcessIdentity | None = None
    """None: the run was stopped before it started."""
    slots: Slots = Slots(cores=0, memory_mib=0)


class Exit(Recorded, frozen=True, kw_only=True):
    """How the program ended: by itself with ``code``, by ``signal``, or unseen (both None: its supervisor was killed)."""

    code: int | None
    signal: int | None
    stopped: bool
    """Whether ``Engine.stop`` ended it."""
    out_of_memory: bool = False
    """Whether the program was killed while the kernel killed something for lack of memory."""
    started_at: int
    finished_at: int
    usage: Usage | None = None
    """Of all processes; None: the end was not seen."""


class LastWord(msgspec.Struct, frozen=True, kw_only=True):
    """What the program says of its end: one of the two."""

    result: dict[str, Any] | None = None
    failure_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """The folder of one run, which need not exist."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def marks(self) -> dict[str, str]:
        """The variables by which the run's processes are known. The folder tells runs of the same id under other engines apart."""
        return {"DESPINA_RUN_ID": self.id, "DESPINA_RUN_FOLDER": str(self.path)}

    @property
    def spec_file(self) -> Path:
        """Where the program finds its spec."""
        return self.path / "spec.json"

    @property
    def log_file(self) -> Path:
        """Where the program's standard error goes."""
        return self.path / "log.txt"

    @property
    def progress_file(self) -> Path:
        """Where the program's standard output goes."""
        return self.path / "progress.jsonl"

    def submit(self, spec: RunSpec) -> bool:
        """Keep the spec; False when there is one. Raises OSError, and then nothing is kept."""
        return self._create("spec.json", spec)

    def claim(self, claim: RunClaim) -> bool:
        """Claim the run; False when another did. Raises OSError, and then the run is not claimed."""
        return self._create("claim", claim)

    def end(self, end: Exit) -> bool:
        """Record the end in the place of a dead supervisor; False when there is a record."""
        return self._create("exit.json", end)

    @property
    def submitted_at(self) -> int | None:
        """When the run was submitted (ns since 1970), or None."""
        try:
            return self.spec_file.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    @property
    def changed_at(self) -> int | None:
        """When the run ended, else was claimed, else its empty folder was made (ns since 1970). None: it waits, or is gone."""
        for name in ("exit.json", "claim", "spec.json", "."):
            with contextlib.suppress(FileNotFoundError):
                changed_at = (self.path / name).stat().st_mtime_ns
                return changed_at if name != "spec.json" else None
        return None

    def read_needs(self) -> Needs | None:
        """What the run asks for, if it was submitted."""
        return self._read("spec.json", Needs)

    def read_claim(self) -> RunClaim | None:
        """The claim, if there is one."""
        return self._read("claim", RunClaim)

    def read_exit(self) -> Exit | None:
        """How the run ended, if it did."""
        return self._read("exit.json", Exit)

    def read_last_word(self) -> LastWord | None:
        """The program's last word, if it left one. Raises msgspec.DecodeError when it cannot be read as one."""
        return self._read("result.json", LastWord)

    def read_progress(self) -> Progress | None:
        """The latest whole line of progress."""
        return next(progress_in(reversed(self._tail("progress.jsonl").splitlines())), None)

    def read_course(self, limit: int) -> tuple[Progress, ...]:
        """All progress in the first ``limit`` bytes of the program's output."""
        try:
            with self.progress_file.open("rb") as file:
                return tuple(progress_in(file.read(limit).splitlines()))
        except FileNotFoundError:
            return ()

    def read_last_log_lines(self, limit: int) -> str:
        """The last lines of the log that are not blank, ``limit`` characters at most; the very last is cut if need be."""
        lines = [line for line in self._tail("log.txt").decode(errors="replace").splitlines() if line.strip()]
        text = "\n".join(lines)
        if len(text) <= limit:
            return text
        start = len(text) - limit
        if text[start - 1] != "\n":
            start = text.find("\n", start) + 1  # 0 when the last line alone is too long
        return text[start:] if start else lines[-1][:limit]

    def connect(self) -> socket.socket:
        """A connection to the service that the run is. Raises OSError when none listens."""
        folder = os.open(self.path, os.O_PATH | os.O_CLOEXEC)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The path of a socket has 107 bytes at most, whatever those of folders have: the way through /proc is short.
            connection.connect(f"/proc/self/fd/{folder}/{SOCKET}")
        except BaseException:
            connection.close()
            raise
        finally:
            os.close(folder)
        return connection

    def delete(self) -> None:
        """Delete the folder and all that is in it; none is no error. Raises OSError."""
        aside = self.path.with_name(f"{_GONE}{self.id}")  # at once it is no run's any more
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _create(self, name: str, content: msgspec.Struct) -> bool:
        self.path.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.path, prefix=".") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            # Runs start in the order of these times, and the file system's own stamps move in steps of some milliseconds.
            now = time.time_ns()
            os.utime(file.fileno(), ns=(now, now))
            os.fsync(file.fileno())
            try:
                (self.path / name).hardlink_to(file.name)
            except FileExistsError:
                return False
        _sync(self.path)
        _sync(self.path.parent)
        return True

    def _read(self, name: str, kind: type[_T]) -> _T | None:
        try:
            content = (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise msgspec.DecodeError(f"{self.id}/{name}: {error}") from error

    def _tail(self, name: str) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                return file.read(_TAIL)
        except FileNotFoundError:
            return b""


def is_run_id(text: str) -> bool:
    """Whether a text may be the id of a run."""
    return _RUN_ID.fullmatch(text) is not None


def checked(run_id: str) -> str:
    """The run id. Raises ValueError unless it is 1-150 letters, digits, dots, hyphens and underscores, the first of them no dot."""
    if not is_run_id(run_id):
        raise ValueError(
            f"The run id {run_id[:200]!r} must be 1-150 letters, digits, dots, hyphens or underscores, the first no dot.")
    return run_id


class Runs:
    """The folder of all runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, run_id: str) -> RunFolder:
        """The folder of a run, known or not.

        Raises:
            ValueError: ``run_id`` is not 1-150 letters, digits, dots, hyphens and underscores, or begins with a dot.
        """
        return RunFolder(path=self.folder / checked(run_id))

    def ids(self) -> list[str]:
        """The ids of all runs there are folders of."""
        with os.scandir(self.folder) as entries:
            return [entry.name for entry in entries if is_run_id(entry.name) and entry.is_dir()]

    def ended_before(self, moment: int) -> Iterator[RunFolder]:
        """The folders of runs that were last written to before this time (ms since 1970) and do not wait; some may still run.

        What an interrupted ``RunFolder.delete`` has left is deleted on the way.
        """
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.startswith(_GONE):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif is_run_id(entry.name) and entry.is_dir():
                    run = RunFolder(path=self.folder / entry.name)
                    changed_at = run.changed_at
                    if changed_at is not None and changed_at < moment * 1_000_000:
                        yield run

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder against all other engines on it, of this process and of others. The lock dies with its process."""
        with (self.folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _sync(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
