"""Forgets what the engine keeps of runs that are of no use any more: their folders, logs and scratch files. Records stay.

A run is of no use when it ended long ago and no job that is still in progress, and no endpoint, waits for it: a job that nobody has
looked at for longer still finds what its runs left. So are the runs that no record knows, which a restored database leaves behind.
"""

import logging
import threading

from despina.core import plans
from despina.core.endpoint import endpoint_of_run, is_endpoint_run
from despina.core.ports import Clock, EndpointStore, JobStore, ProgramEngine

log = logging.getLogger("despina.retention")

EVERY_SECONDS = 3600.0
"""How often the runs are looked through."""
REST_SECONDS = 0.1
"""The rest after each ``AT_ONCE`` runs that are forgotten: others have work to do on the same disk."""
AT_ONCE = 100


class Retention:
    """Keeps ended runs for ``keep_ms`` (ms). Any number may work on one store. Call ``run`` in a thread, or ``step`` by hand."""

    def __init__(self, *, jobs: JobStore, endpoints: EndpointStore, engine: ProgramEngine, clock: Clock, keep_ms: int) -> None:
        self._jobs, self._endpoints, self._engine, self._clock = jobs, endpoints, engine, clock
        self._keep_ms = keep_ms
        self._closing = threading.Event()

    def close(self) -> None:
        """End ``run`` after the run it is at."""
        self._closing.set()

    def run(self) -> None:
        """Look through the runs now and then until ``close`` is called."""
        while not self._closing.is_set():
            try:
                forgotten = self.step()
                if forgotten:
                    log.info("%d runs that ended long ago are forgotten", forgotten)
            except ConnectionError as error:
                log.warning("What is kept of old runs could not be looked through; it goes on in an hour: %s", error)
            except Exception:  # the thread must outlive a lost database
                log.exception("What is kept of old runs could not be looked through; it goes on in an hour.")
            self._closing.wait(EVERY_SECONDS)

    def step(self) -> int:
        """Look through all runs once; how many are forgotten."""
        forgotten = 0
        for run_id in self._engine.ended_before(self._clock.now() - self._keep_ms):
            if self._closing.is_set():
                break
            if self._is_needed(run_id):
                continue
            try:
                self._engine.forget(run_id)
            except (OSError, ValueError) as error:
                log.warning("The run %s could not be forgotten: %s", run_id, error)
                continue
            forgotten += 1
            if forgotten % AT_ONCE == 0:
                self._closing.wait(REST_SECONDS)
        return forgotten

    def _is_needed(self, run_id: str) -> bool:
        if is_endpoint_run(run_id):
            stored = self._endpoints.get(endpoint_of_run(run_id))
            return stored is not None and any(replica.spec.run_id == run_id for replica in stored.endpoint.replicas)
        try:
            job = self._jobs.get(*plans.job_of_run(run_id))
        except ValueError:  # no run of a job at all
            return False
        return job is not None and not job.status.is_terminal and any(run.id == run_id and run.state.is_live for run in job.runs)
