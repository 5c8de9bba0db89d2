"""What happens in the folder of all runs, so that no engine on it has to look through the folder again and again.

``<folder>/.journal`` has a line with the id of each run that was submitted or stopped or is about to be started. It only says where
to look: what is so, the runs' own files say, and an engine that finds no place to go on in it looks at all of them.
"""

import contextlib
import os
import time
from pathlib import Path

from despina.engine.folder import is_run_id

_LONGEST = 1 << 20
"""Bytes after which a new journal is begun: some 5,000 runs."""


class Journal:
    """A place in the journal of the runs in ``folder``. All but ``note`` is called with the folder's lock held."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".journal"
        self._first_line: bytes | None = None
        """Which journal it is that was read."""
        self._offset = 0

    def note(self, run_id: str) -> None:
        """Have the other engines look at this run. Raises OSError, and then they find it later, or not at all."""
        with self._path.open("ab", buffering=0) as file:
            file.write(f"\n{run_id}\n".encode())  # the line before may have been cut off by a full disk

    def news(self) -> set[str] | None:
        """The runs noted since the last call; None the first time, or if a new journal was begun meanwhile: they may be any."""
        try:
            return self._read()
        except FileNotFoundError:
            self._begin()
            return None

    def lose_place(self) -> None:
        """Have the next call of ``news`` return None."""
        self._first_line = None

    def _read(self) -> set[str] | None:
        with self._path.open("rb") as file:
            first_line = file.readline()
            if first_line != self._first_line:
                self._first_line, self._offset = first_line, file.seek(0, os.SEEK_END)
                return None
            file.seek(self._offset)
            text = file.read()
        whole = text[:text.rfind(b"\n") + 1]
        self._offset += len(whole)
        if self._offset > _LONGEST:
            with contextlib.suppress(OSError):  # on a full disk the old one will do
                self._begin()
        return {run_id for run_id in whole.decode(errors="replace").split() if is_run_id(run_id)}

    def _begin(self) -> None:
        """Begin a new journal. Whoever notes a run at this moment may still write to the old one: next time all runs are news."""
        beside = self._path.with_name(".journal.new")
        beside.write_bytes(f"{os.getpid()}.{time.time_ns()}\n".encode())
        beside.replace(self._path)
        self.lose_place()
