"""Waits for jobs and endpoints, and shows how far they are: in place on a terminal, elsewhere as plain lines."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from despina.cli import exits
from despina.cli.client import NoAnswer, Unavailable

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
"""How long a server that has answered before may be away or in trouble, as when it or its database is started anew."""
QUIET_SECONDS = 10.0
"""How long no plain line tells of numbers that have grown."""


class Look(NamedTuple):
    """What was seen of one thing that is waited for."""

    name: str
    bars: Sequence[str]
    """For a terminal, each cut to its width."""
    line: str
    """For everything else."""
    phase: object
    """A change of it is told at once."""
    exit: int | None = None
    """Its exit status, once it has ended."""
    end: str = ""
    """What is printed of the end on standard output."""


class Waiting:
    """Waits for several things at once.

    Args:
        look: Sees the one of a name, for a screen of so many columns.
        timeout: Seconds, or None.
        quiet: Whether nothing is to be shown but the ends.
    """

    def __init__(self, look: Callable[[str, int], Look], *, timeout: float | None, quiet: bool) -> None:
        self._look = look
        self._until = None if timeout is None else time.monotonic() + timeout
        self._screen = Screen(quiet=quiet)
        self._last_answer: float | None = None

    def run(self, names: Sequence[str]) -> int:
        """Wait until all have ended; the exit status of the worst end, or that of a time-out."""
        open_, ends = list(names), list[int]()
        try:
            while open_:
                looks = {name: look for name in open_ if (look := self._seen(name)) is not None}
                ended = {name: look for name, look in looks.items() if look.exit is not None}
                if ended:
                    self._screen.clear()
                for look in ended.values():
                    print(look.end, flush=True)
                    ends.append(look.exit or exits.DONE)
                open_ = [name for name in open_ if name not in ended]
                self._screen.show([looks[name] for name in open_ if name in looks])
                if open_ and not self._pause():
                    self._screen.clear()
                    print(f"despina: the time of --timeout is over: {len(open_)} of {len(names)} have not ended.", file=sys.stderr)
                    return exits.TIMED_OUT
        except KeyboardInterrupt:
            self._screen.clear()
            print("despina: no longer waiting; the work goes on.", file=sys.stderr)
            raise
        return exits.worst(ends)

    def _seen(self, name: str) -> Look | None:
        """None while a server that has answered before does not."""
        try:
            look = self._look(name, self._screen.columns)
        except (NoAnswer, Unavailable):
            if self._last_answer is None or time.monotonic() - self._last_answer > PATIENCE_SECONDS:
                raise
            return None
        self._last_answer = time.monotonic()
        return look

    def _pause(self) -> bool:
        left = POLL_SECONDS if self._until is None else min(POLL_SECONDS, self._until - time.monotonic())
        if left <= 0:
            return False
        time.sleep(left)
        return True


class Screen:
    """Standard error, on which progress is shown."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._lines = 0
        self._told: dict[str, tuple[object, str, float]] = {}

    @property
    def columns(self) -> int:
        """The width that lines may have."""
        return max(20, os.get_terminal_size(sys.stderr.fileno()).columns - 1) if self._live else 1000

    def show(self, looks: Sequence[Look]) -> None:
        """Show these in place of what was shown before."""
        if self._quiet:
            return
        if not self._live:
            for look in looks:
                self._tell(look)
            return
        lines = [line for look in looks for line in look.bars]
        self.clear()
        print("".join(f"{line}\n" for line in lines), end="", file=sys.stderr, flush=True)
        self._lines = len(lines)

    def clear(self) -> None:
        """Take away what is shown in place."""
        if self._lines:
            print(f"\x1b[{self._lines}A\x1b[J", end="", file=sys.stderr, flush=True)
            self._lines = 0

    def _tell(self, look: Look) -> None:
        phase, line, at = self._told.get(look.name, (None, "", 0.0))
        if look.phase != phase or (look.line != line and time.monotonic() - at >= QUIET_SECONDS):
            print(look.line, file=sys.stderr, flush=True)
            self._told[look.name] = look.phase, look.line, time.monotonic()
