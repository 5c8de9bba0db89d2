"""The local engine: runs are child processes of this machine, and everything known of them lies in their folders."""

import os
import socket
import time
from collections.abc import Callable, Iterator

from despina.core.job import Observation, Progress, RunSpec, RunState
from despina.engine.folder import RunClaim, Runs
from despina.engine.lines import check, whole_lines
from despina.engine.outcome import describe, find_end
from despina.engine.processes import open_process, send
from despina.engine.scheduler import Launch, Scheduler
from despina.engine.slots import Slots
from despina.engine.supervisor import STOP


class LocalEngine:
    """``core.ports.Engine``, ``RunLogs``, ``ServingRuns`` and ``KeptRuns`` on one machine. Any number of them may work on one
    folder at once.

    Every verb raises ValueError for a run id that is not 1-150 letters, digits, dots, hyphens or underscores or begins with a dot,
    and OSError when the folder cannot be read or written.
    """

    def __init__(self, *, runs: Runs, machine: Slots, launch: Launch, on_change: Callable[[str], None]) -> None:
        self._runs = runs
        self._scheduler = Scheduler(runs=runs, machine=machine, launch=launch, on_change=on_change)

    def submit(self, spec: RunSpec) -> None:
        """Take a run; durable on return. It starts when those submitted before it have started and it fits."""
        run = self._runs[spec.run_id]
        if run.submitted_at is None and run.read_claim() is None and run.submit(spec):
            self._scheduler.announce(spec.run_id)

    def observe(self, run_id: str) -> Observation:
        """What is known of the run. Never waits. Whoever sees a live run is told when it ends."""
        run = self._runs[run_id]
        claim = run.read_claim()
        if claim is None:
            if run.submitted_at is None:
                return Observation(state=None)
            self._scheduler.follow(run_id, RunState.PENDING)
            return Observation(state=RunState.PENDING)
        end = find_end(run, claim)
        if end is None:
            self._scheduler.follow(run_id, RunState.RUNNING)
            return Observation(state=RunState.RUNNING, progress=run.read_progress(), started_at=claim.at)
        return describe(run, claim, end)

    def stop(self, run_id: str) -> None:
        """End the run and every process it started. Returns at once."""
        run = self._runs[run_id]
        claim = run.read_claim()
        if claim is None and run.claim(RunClaim(at=time.time_ns() // 1_000_000)):
            self._scheduler.announce(run_id)
            return
        claim = claim or run.read_claim()  # a start was faster
        if claim is None or claim.supervisor is None or run.read_exit() is not None:
            return
        pidfd = open_process(claim.supervisor)
        if pidfd is None:
            find_end(run, claim)
            return
        try:
            send(pidfd, STOP)
        finally:
            os.close(pidfd)

    def forget(self, run_id: str) -> None:
        """Delete the folder of a run that has ended, or never was."""
        run = self._runs[run_id]
        claim = run.read_claim()
        if claim is not None and find_end(run, claim) is None:
            raise ValueError(f"The run {run_id} has not ended: it cannot be forgotten.")
        run.delete()

    def ended_before(self, moment: int) -> Iterator[str]:
        """See ``core.ports.KeptRuns``. It takes one or two looks at a file for each run that is kept."""
        for run in self._runs.ended_before(moment):
            claim = run.read_claim()
            if claim is None or find_end(run, claim) is not None:
                yield run.id

    def connect(self, run_id: str) -> socket.socket:
        """A connection to the service that a run is. Raises OSError when none listens."""
        return self._runs[run_id].connect()

    def read(self, run_id: str, *, offset: int, limit: int) -> tuple[bytes, int]:
        """At most ``limit`` bytes (1 or more) of the run's log from ``offset`` on, and the offset after them.

        Only whole lines, unless the run is over or a line is longer than ``limit``.
        """
        check(offset, limit)
        run = self._runs[run_id]
        claim = run.read_claim()
        over = claim is not None and find_end(run, claim) is not None  # first: nothing is written to the log afterwards
        try:
            with run.log_file.open("rb") as log:
                log.seek(offset)
                text = log.read(limit)
        except FileNotFoundError:
            return b"", offset
        text = whole_lines(text, limit, over=over)
        return text, offset + len(text)

    def course(self, run_id: str, *, limit: int) -> tuple[Progress, ...]:
        """The progress in the first ``limit`` bytes of the program's output."""
        return self._runs[run_id].read_course(limit)

    def close(self) -> None:
        """End the engine's thread; the runs go on."""
        self._scheduler.close()
