"""The loop that writes the facts: claim a due job, observe its runs, advance it, write it, and only then do what is to be done.

Any number of reconcilers may work on one store. A pass may be cut off anywhere: what was written is done again by the next pass,
and submitting or stopping twice is once.
"""

import logging
import threading

from msgspec.structs import replace

from despina.control import tuner
from despina.control.hints import Hints
from despina.control.sweeping import LEASE_MS, Sweeper
from despina.core import plans
from despina.core.errors import LeaseLost, WorkFailed
from despina.core.job import Job, JobKind, RunState, Status
from despina.core.lifecycle import Command, Seen, Stop, advance, next_moment
from despina.core.ports import ArtifactStore, Claim, Clock, Engine, JobStore, ListQuery
from despina.core.telemetry import SILENCE, Telemetry

log = logging.getLogger("despina.reconciler")

LOOK_AGAIN_MS = 5_000
"""How often a running job is looked at although nothing was reported."""
LONGEST_QUEUED_MS = 300_000
"""… and at one whose runs only wait: when it has waited as long again, after this time at the latest. Engines tell of starts."""
STOPPING_MS = 250
"""… while its runs are being stopped."""
OUTAGE_MS = 30_000
"""How often the log says that the engine cannot be reached."""
TELL_EVERY_MS = 60_000
"""How often it is told that there are jobs of a newer version."""
LONGEST_WAIT_MS = 1_000
"""Wishes written by other processes are seen after this time at the latest, also where the database tells nothing of them."""


class Reconciler:
    """Brings jobs to their ends.

    Call ``run`` in a thread of its own, or ``step`` by hand.
    """

    def __init__(self, *, store: JobStore, engine: Engine, artifacts: ArtifactStore, clock: Clock,
                 hints: Hints[tuple[JobKind, str]], stalled_after: int, telemetry: Telemetry = SILENCE) -> None:
        """``stalled_after``: how long (ms) a trial may give no sign of life."""
        self._stalled_after = stalled_after
        self._telemetry = telemetry
        self._store = store
        self._engine = engine
        self._sweeper = Sweeper(store=store, artifacts=artifacts, clock=clock)
        self._clock = clock
        self._hints = hints
        self._closing = threading.Event()
        self._outage_told = -OUTAGE_MS
        self._tell_at = 0

    def close(self) -> None:
        """End ``run`` after the pass it is in."""
        self._closing.set()
        self._hints.close()

    def run(self) -> None:
        """Reconcile until ``close`` is called. An error of a pass is logged, and the job is taken up again later."""
        begun = False
        while not self._closing.is_set():
            try:
                if not begun:
                    self._look_at_all()
                    begun = True
                while not self._closing.is_set() and self.step():
                    pass
                self._wait()
            except ConnectionError as error:
                self._tell_of_outage(error)
                self._closing.wait(1.0)
            except Exception:  # the loop must outlive a full disk or a lost database
                log.exception("A reconciler's pass failed; it goes on in a second.")
                self._closing.wait(1.0)

    def _tell_of_outage(self, error: ConnectionError) -> None:
        """Say that jobs wait for the engine, now and then: each of them will find the same."""
        now = self._clock.now()
        if now - self._outage_told >= OUTAGE_MS:
            log.error("Jobs wait for their engine: %s They are tried again every %d s.", error, LOOK_AGAIN_MS // 1000)
            self._outage_told = now

    def step(self) -> bool:
        """One pass over one job: one that was hinted at, else the one that has been due longest. False if there was none."""
        key = self._hints.take()
        now = self._clock.now()
        claim = self._store.claim(now=now, until=now + LEASE_MS, key=key)
        if claim is None:
            return key is not None
        try:
            with self._telemetry.reconciling(claim.job):
                due_at = self._pass(claim)
        except LeaseLost:
            # The wish has changed or another reconciler has taken over: what was computed here is out of date.
            return True
        except Exception:
            self._store.release(claim.lease, due_at=now + LOOK_AGAIN_MS)
            raise
        self._store.release(claim.lease, due_at=due_at)
        return True

    def _look_at_all(self) -> None:
        """Hint at every job that has not ended: what happened while nobody was here was told to nobody."""
        for kind in JobKind:
            query: ListQuery | None = ListQuery(kind=kind, limit=1_000, statuses=(Status.IN_PROGRESS, Status.STOPPING))
            while query is not None:
                page = self._store.list_ids(query)
                for job_id in page.ids:
                    self._hints.wake((kind, job_id))
                query = replace(query, after=page.next) if page.next else None

    def _pass(self, claim: Claim) -> int | None:
        """Observe, advance, write, do; the time at which the job is due again."""
        now = self._clock.now()
        runs = {run.id: self._engine.observe(run.id) for run in claim.job.runs if run.state.is_live}
        seen = Seen(now=now, runs=runs, stalled_after=self._stalled_after)
        job, commands = advance(claim.job, seen)
        try:
            job = tuner.fill(job)
        except WorkFailed as error:
            job, commands = replace(job, failure_reason=str(error)), ()
        job, sweep_at = self._sweeper.sweep(claim.lease, job)
        if job != claim.job:
            self._store.write(claim.lease, job)
            self._telemetry.written(claim.job, job)
            if job.status is not claim.job.status:
                log.info("%s %s: %s%s", job.kind, job.id, job.status, f" ({job.failure_reason})" if job.failure_reason else "")
        for command in commands:
            self._do(job, command)
        if job.status.is_terminal:
            return sweep_at
        return self._due(job, commands, seen)

    def _do(self, job: Job, command: Command) -> None:
        if isinstance(command, Stop):
            self._engine.stop(command.run_id)
            return
        spec = next(run.spec for run in job.runs if run.id == command.run_id)
        self._engine.submit(replace(spec, traceparent=self._telemetry.traceparent_of(job, spec.run_id)))
        if plans.trials_wanted(job) > 1:
            # While the strategy run works there is time to import what proposes the second trial.
            tuner.warm()

    def _due(self, job: Job, commands: tuple[Command, ...], seen: Seen) -> int:
        pause = LOOK_AGAIN_MS
        if any(isinstance(command, Stop) for command in commands) or job.failure_reason is not None:
            pause = STOPPING_MS
        elif seen.runs and all(run.state is RunState.PENDING for run in seen.runs.values()) and not commands:
            since = max(job.created_at, *(run.finished_at or 0 for run in job.runs))
            pause = min(max(seen.now - since, LOOK_AGAIN_MS), LONGEST_QUEUED_MS)
        due = seen.now + pause
        return min(due, next_moment(job, seen) or due)

    def _wait(self) -> None:
        now = self._clock.now()
        if now >= self._tell_at:
            left_alone = self._store.left_alone()
            if left_alone:
                log.warning("%d jobs are left to processes of the newer version of Despina that has written them", left_alone)
            self._tell_at = now + TELL_EVERY_MS
        due = self._store.next_due()
        pause = LONGEST_WAIT_MS if due is None else min(max(due - now, 0), LONGEST_WAIT_MS)
        self._hints.wait(pause / 1000)
