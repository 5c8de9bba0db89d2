"""Sweeps: deleting what cancelled jobs wrote, as ``clean`` asks. What an outage keeps from it is tried again until it is done."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from despina.core import plans
from despina.core.errors import ArtifactError, ArtifactsUnavailable, DespinaError, LeaseLost
from despina.core.job import Job, Status
from despina.core.location import Location
from despina.core.ports import ArtifactStore, Clock, JobStore, Lease

log = logging.getLogger("despina.reconciler")

LEASE_MS = 5_000
"""How long a job is held by a reconciler that died."""
FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 300_000
"""A sweep that failed is tried again after a second, then after twice as long each time, after this time at the latest."""
LONGEST_OUTAGE_MS = 30_000
"""While the artefacts cannot be reached, they are asked this often at least, whatever job it is for."""
NOTE = "The artefacts could not be deleted yet; it is tried again. "


class Sweeper:
    """Sweeps for a reconciler, which gives other jobs their turns only between two calls."""

    def __init__(self, *, store: JobStore, artifacts: ArtifactStore, clock: Clock) -> None:
        self._store = store
        self._artifacts = artifacts
        self._clock = clock
        self._away_until = 0

    def sweep(self, lease: Lease, job: Job) -> tuple[Job, int | None]:
        """Delete what a stopped job wrote, if that is wished and not done: the job then, and when (ms) it is to be swept again.

        What was under way when the job's last process died may arrive after its death: a first sweep leaves nothing that a client
        could see, and only a later one is the last. Each deletes all that it can.
        """
        if job.status is not Status.STOPPED or not job.clean or job.swept:
            return job, None
        if self._clock.now() < self._away_until:
            # Each attempt keeps all other jobs waiting for as long as the server is waited for: one for all of them is enough.
            return _noted(job, "They cannot be reached."), self._away_until
        try:
            with self._held(lease):
                removed = self._delete(job)
        except ArtifactError as error:
            log.warning("%s %s: its artefacts could not be deleted, it is tried again: %s", job.kind, job.id, error)
            pause = min(FIRST_PAUSE_MS << min(job.failed_sweeps, 30), LONGEST_PAUSE_MS)
            if isinstance(error, ArtifactsUnavailable):
                pause = min(pause, LONGEST_OUTAGE_MS)
                self._away_until = self._clock.now() + pause
            return replace(_noted(job, str(error)), failed_sweeps=job.failed_sweeps + 1), self._clock.now() + pause
        self._away_until = 0
        log.info("%s %s: %d files deleted", job.kind, job.id, removed)
        job = replace(job, notes=_other_notes(job))
        settled = max((run.finished_at or 0 for run in job.runs), default=0) + self._artifacts.latest_ms(Location.parse(job.prefix))
        return (replace(job, swept=True), None) if self._clock.now() >= settled else (job, settled)

    def _delete(self, job: Job) -> int:
        removed = sum(self._artifacts.delete(location) for location in plans.outputs(job))
        prefix = Location.parse(job.prefix)
        if next(iter(self._artifacts.list(prefix)), None) is None:
            self._artifacts.delete(prefix)  # the empty folder
        return removed

    @contextmanager
    def _held(self, lease: Lease) -> Iterator[None]:
        """Hold the job while the block works, however long: another reconciler would do the same work, and then a third one."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(LEASE_MS / 3000):
                try:
                    self._store.renew(lease, until=self._clock.now() + LEASE_MS)
                except LeaseLost:
                    return  # there is a new wish; the sweep goes on, and its record is refused
                except DespinaError as error:
                    log.warning("the lease of %s %s could not be renewed: %s", lease.kind, lease.id, error)

        thread = threading.Thread(target=renew, name="despina-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _noted(job: Job, reason: str) -> Job:
    return replace(job, notes=(*_other_notes(job), NOTE + reason))


def _other_notes(job: Job) -> tuple[str, ...]:
    return tuple(note for note in job.notes if not note.startswith(NOTE))
