"""The thread of the local engine: starts what fits, in the order of submission, services first, and tells of every change."""

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

import msgspec

from despina.core.job import RunState
from despina.engine.folder import RunClaim, RunFolder, Runs
from despina.engine.outcome import find_end
from despina.engine.processes import open_process
from despina.engine.slots import Needs, Slots, grant

_logger = logging.getLogger(__name__)

Launch = Callable[[RunFolder, Slots], tuple[RunClaim, int] | None]

_LINGERING_MS = 50
"""How soon to look again at a run whose supervisor is dead and whose processes are being killed."""
_TROUBLE_MS = 1000
"""How soon to try again when the folder cannot be read or a run not be started (a full disk, no process left)."""


class Scheduler:
    """Looks at the folder whenever a supervisor ends or a run is touched. It knows nothing that is not on disk."""

    def __init__(self, *, runs: Runs, machine: Slots, launch: Launch, on_change: Callable[[str], None]) -> None:
        self._runs = runs
        self._machine = machine
        self._launch = launch
        self._on_change = on_change
        self._touched: SimpleQueue[str] = SimpleQueue()
        self._live: dict[str, RunState] = {}
        """The live runs as of the last look."""
        self._over: set[str] = set()
        self._supervisors: dict[int, str] = {}
        """Run ids by the pidfds of their supervisors."""
        self._closing = False
        self._lock = threading.Lock()
        self._bell: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._work, name="despina-engine", daemon=True)
        self._thread.start()

    def touch(self, run_id: str) -> None:
        """Have the thread look at once, and tell if this run, pending a moment ago, is something else by then."""
        self._touched.put(run_id)
        self._ring()

    def follow(self, run_id: str) -> None:
        """See to it that the end of a run that is live is told, whichever engine started it."""
        if run_id not in self._live:
            self.touch(run_id)

    def close(self) -> None:
        """End the thread, and no run."""
        self._closing = True
        self._ring()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _ring(self) -> None:
        with self._lock:
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def _work(self) -> None:
        while not self._closing:
            touched = self._take_touched()
            before = self._live | touched
            self._over -= touched.keys()  # its folder may have been deleted and made again
            try:
                now, wait_ms = self._look()
            except Exception:
                _logger.exception("The engine could not start the runs that wait; it will try again.")
                now, wait_ms = before, _TROUBLE_MS
            self._live = now
            for run_id in sorted({run_id for run_id, _ in before.items() ^ now.items()}):
                self._tell(run_id)
            self._sleep(wait_ms)
        self._let_go()

    def _take_touched(self) -> dict[str, RunState]:
        """The runs touched since the last look: pending, as far as anyone was told."""
        touched = {}
        with contextlib.suppress(Empty):
            while True:
                touched[self._touched.get_nowait()] = RunState.PENDING
        return touched

    def _look(self) -> tuple[dict[str, RunState], int | None]:
        """Start what fits; the live runs, and the time (ms) after which to look again if nothing happens."""
        with self._runs.lock():
            running, waiting = self._survey()
            while waiting:
                run, needs = waiting[0]
                slots = grant(self._machine, [claim.slots for claim in running.values()], needs)
                if slots is None:
                    break
                started = self._launch(run, slots)
                if started is not None:
                    running[run.id], pidfd = started
                    self._supervisors[pidfd] = run.id
                del waiting[0]
        lingering = [run_id for run_id, claim in running.items() if not self._watch(run_id, claim)]
        states = dict.fromkeys(running, RunState.RUNNING) | {run.id: RunState.PENDING for run, _ in waiting}
        return states, _LINGERING_MS if lingering else None

    def _survey(self) -> tuple[dict[str, RunClaim], list[tuple[RunFolder, Needs]]]:
        """The runs that run, with their claims; and those that wait, in the order of their submission."""
        running: dict[str, RunClaim] = {}
        waiting: list[tuple[int, RunFolder, Needs]] = []
        for run_id in self._runs.ids():
            if run_id in self._over:
                continue
            run = self._runs[run_id]
            try:
                claim = run.read_claim()
                if claim is None:
                    needs, submitted_at = run.read_needs(), run.submitted_at
                    if needs is not None and submitted_at is not None:
                        waiting.append((submitted_at, run, needs))
                elif find_end(run, claim) is None:
                    running[run_id] = claim
                else:
                    self._over.add(run_id)
            except msgspec.DecodeError:
                _logger.exception("The files of the run in %s cannot be read; it is left alone.", run.path)
                self._over.add(run_id)
        # Services do not wait behind runs that do not fit.
        waiting.sort(key=lambda item: (item[2].share != 0, item[0], item[1].id))
        return running, [(run, needs) for _, run, needs in waiting]

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
            del self._supervisors[descriptor]
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
