"""Hints: which jobs to look at now. They save the reconciler from polling; a lost hint costs time and nothing else."""

import threading

from despina.core import plans
from despina.core.job import JobKind


class Hints:
    """Keys of jobs, given from any thread and taken by the reconciler. A job is in it once, however often it was named."""

    def __init__(self) -> None:
        self._keys: dict[tuple[JobKind, str], None] = {}
        self._changed = threading.Condition()
        self._closed = False

    def wake(self, kind: JobKind, job_id: str) -> None:
        """Look at this job: its wish has changed."""
        with self._changed:
            self._keys[kind, job_id] = None
            self._changed.notify()

    def wake_run(self, run_id: str) -> None:
        """Look at the job of this run: it has started or ended."""
        self.wake(*plans.job_of_run(run_id))

    def take(self) -> tuple[JobKind, str] | None:
        """The oldest hint, or None."""
        with self._changed:
            key = next(iter(self._keys), None)
            if key is not None:
                del self._keys[key]
            return key

    def wait(self, seconds: float) -> None:
        """Return when there is a hint, when closed, or after this time."""
        with self._changed:
            self._changed.wait_for(lambda: self._keys or self._closed, timeout=seconds)

    def close(self) -> None:
        """End all waiting, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
