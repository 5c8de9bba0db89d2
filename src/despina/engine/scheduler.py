"""The thread of the local engine: starts what fits, in the order of submission, services first, and tells of every change."""

import bisect
import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import NamedTuple

import msgspec

from despina.core.frozen import RECORD_VERSION
from despina.core.job import RunState
from despina.engine.folder import RunClaim, RunFolder, Runs
from despina.engine.journal import Journal
from despina.engine.outcome import find_end
from despina.engine.processes import open_process
from despina.engine.slots import Needs, Slots, grant

_logger = logging.getLogger(__name__)

Launch = Callable[[RunFolder, Slots], tuple[RunClaim, int] | None]

_LINGERING_MS = 50
"""How soon to look again at a run whose supervisor is dead and whose processes are being killed."""
_TROUBLE_MS = 1000
"""How soon to try again when the folder cannot be read or a run not be started (a full disk, no process left)."""


class Place(NamedTuple):
    """A run that waits; places compare in the order in which runs start."""

    is_work: bool
    submitted_at: int
    run_id: str
    needs: Needs


class Scheduler:
    """Looks at the runs that something has happened to: a supervisor has ended, a run is touched, another engine has noted it.

    What it remembers of the others is what their folders say; all of them are looked at only when it begins, and after trouble.
    """

    def __init__(self, *, runs: Runs, machine: Slots, launch: Launch, on_change: Callable[[str], None]) -> None:
        self._runs = runs
        self._journal = Journal(runs.folder)
        self._machine = machine
        self._launch = launch
        self._on_change = on_change
        self._touched: SimpleQueue[str] = SimpleQueue()
        self._running: dict[str, RunClaim] = {}
        self._waiting: dict[str, Place] = {}
        self._queue: list[Place] = []
        """The places of the runs that wait, the next one first."""
        self._told: dict[str, RunState | None] = {}
        """The runs that are being looked at: as they were when they were told of last."""
        self._stirred: set[str] = set()
        """The runs whose supervisor has ended."""
        self._supervisors: dict[int, str] = {}
        """Run ids by the pidfds of their supervisors."""
        self._closing = False
        self._lock = threading.Lock()
        self._bell: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._work, name="despina-engine", daemon=True)
        self._thread.start()

    def announce(self, run_id: str) -> None:
        """Have the engines look at a run that was submitted or stopped: this one at once, others with the next event of theirs."""
        with contextlib.suppress(OSError):  # they find it when it is asked for
            self._journal.note(run_id)
        self._touch(run_id)

    def follow(self, run_id: str, state: RunState) -> None:
        """See to it that the end of a run that is live is told, whichever engine started it."""
        if self._known(run_id) is not state:
            self._touch(run_id)

    def close(self) -> None:
        """End the thread, and no run."""
        self._closing = True
        self._ring()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _touch(self, run_id: str) -> None:
        """Have the thread look at once, and tell if this run, pending a moment ago, is something else by then."""
        self._touched.put(run_id)
        self._ring()

    def _ring(self) -> None:
        with self._lock:
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def _known(self, run_id: str) -> RunState | None:
        """The state of a live run as of the last look."""
        if run_id in self._running:
            return RunState.RUNNING
        return RunState.PENDING if run_id in self._waiting else None

    def _work(self) -> None:
        while not self._closing:
            touched = self._take_touched()
            self._told |= touched
            try:
                wait_ms = self._look(touched.keys())
            except Exception:
                _logger.exception("The engine could not start the runs that wait; it will try again.")
                self._journal.lose_place()
                wait_ms = _TROUBLE_MS
            else:
                told, self._told = self._told, {}
                for run_id in sorted(run_id for run_id, state in told.items() if self._known(run_id) is not state):
                    self._tell(run_id)
            self._sleep(wait_ms)
        self._let_go()

    def _take_touched(self) -> dict[str, RunState | None]:
        """The runs touched since the last look: pending, as far as anyone was told."""
        touched: dict[str, RunState | None] = {}
        with contextlib.suppress(Empty):
            while True:
                touched[self._touched.get_nowait()] = RunState.PENDING
        return touched

    def _look(self, touched: Iterable[str]) -> int | None:
        """Start what fits; the time (ms) after which to look again if nothing happens."""
        with self._runs.lock():
            news = self._journal.news()
            if news is None:
                news = {*self._runs.ids(), *self._running, *self._waiting}
            stirred, self._stirred = self._stirred, set()
            for run_id in {*news, *touched, *stirred}:
                self._read(run_id)
            while self._queue and self._start(self._queue[0]):
                pass
        lingering = {run_id for run_id, claim in self._running.items() if not self._watch(run_id, claim)}
        self._stirred |= lingering
        return _LINGERING_MS if lingering else None

    def _read(self, run_id: str) -> None:
        """Take what the run's folder says."""
        self._told.setdefault(run_id, self._known(run_id))
        self._drop(run_id)
        run = self._runs[run_id]
        try:
            claim = run.read_claim()
            if claim is None:
                needs, submitted_at = run.read_needs(), run.submitted_at
                # Of a newer version's run the programs beside this engine may not know what to do.
                if needs is not None and submitted_at is not None and needs.version <= RECORD_VERSION:
                    # Services do not wait behind runs that do not fit.
                    place = self._waiting[run_id] = Place(needs.share != 0, submitted_at, run_id, needs)
                    bisect.insort(self._queue, place)
            elif find_end(run, claim) is None:
                self._running[run_id] = claim
        except msgspec.DecodeError:
            _logger.exception("The files of the run in %s cannot be read; it is left alone.", run.path)

    def _drop(self, run_id: str) -> None:
        self._running.pop(run_id, None)
        place = self._waiting.pop(run_id, None)
        if place is not None:
            del self._queue[bisect.bisect_left(self._queue, place)]

    def _start(self, place: Place) -> bool:
        """Start the run that is the next, if it fits and was not stopped; whether to go on with the one behind it."""
        self._read(place.run_id)
        if place.run_id not in self._waiting:
            return True
        slots = grant(self._machine, [claim.slots for claim in self._running.values()], place.needs)
        if slots is None:
            return False
        self._journal.note(place.run_id)  # first: no other engine may overlook that the slots are taken
        started = self._launch(self._runs[place.run_id], slots)
        self._read(place.run_id)
        if started is not None:
            self._running[place.run_id], pidfd = started
            self._supervisors[pidfd] = place.run_id
        return True

    def _watch(self, run_id: str, claim: RunClaim) -> bool:
        """Have the end of the run's supervisor wake the thread; False when it has ended."""
        if run_id not in self._supervisors.values():
            pidfd = open_process(claim.supervisor) if claim.supervisor else None
            if pidfd is None:
                return False
            self._supervisors[pidfd] = run_id
        return True

    def _sleep(self, wait_ms: int | None) -> None:
        """Wait for a touch or the end of a supervisor, and reap it if it is this process's child."""
        poll = select.poll()
        bell = self._bell
        assert bell is not None  # noqa: S101 - only this thread takes it away
        for descriptor in (bell, *self._supervisors):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(wait_ms):
            if descriptor == bell:
                os.eventfd_read(bell)
                continue
            with contextlib.suppress(ChildProcessError):  # another process's
                os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
            self._stirred.add(self._supervisors.pop(descriptor))
            os.close(descriptor)

    def _tell(self, run_id: str) -> None:
        try:
            self._on_change(run_id)
        except Exception:
            _logger.exception("The listener failed for run %s.", run_id)

    def _let_go(self) -> None:
        for pidfd in self._supervisors:
            os.close(pidfd)
        with self._lock:
            if self._bell is not None:
                os.close(self._bell)
                self._bell = None
