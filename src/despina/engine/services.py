"""Two engines as one: programs run on a cluster, and services on this machine, where requests reach them through a socket."""

from collections.abc import Callable, Iterator

from despina.core.job import Observation, Progress, RunSpec
from despina.core.ports import Connection, ProgramEngine, WholeEngine


class EngineWithServices:
    """``core.ports.WholeEngine``: each run is one of the engine that has runs of its kind, as its id tells."""

    def __init__(self, programs: ProgramEngine, *, services: WholeEngine, is_service: Callable[[str], bool]) -> None:
        self._programs = programs
        self._services = services
        self._is_service = is_service

    def submit(self, spec: RunSpec) -> None:
        """Take a run."""
        self._of(spec.run_id).submit(spec)

    def observe(self, run_id: str) -> Observation:
        """What is known of the run."""
        return self._of(run_id).observe(run_id)

    def stop(self, run_id: str) -> None:
        """End the run and every process it started."""
        self._of(run_id).stop(run_id)

    def forget(self, run_id: str) -> None:
        """Delete what is kept of a run that has ended, or never was."""
        self._of(run_id).forget(run_id)

    def read(self, run_id: str, *, offset: int, limit: int) -> tuple[bytes, int]:
        """At most ``limit`` bytes of whole lines of the run's log from ``offset`` on, and the offset after them."""
        return self._of(run_id).read(run_id, offset=offset, limit=limit)

    def course(self, run_id: str, *, limit: int) -> tuple[Progress, ...]:
        """The progress that the run told in the first ``limit`` bytes of its output."""
        return self._of(run_id).course(run_id, limit=limit)

    def connect(self, run_id: str) -> Connection:
        """A connection to a service. Raises OSError when none listens."""
        return self._services.connect(run_id)

    def ended_before(self, moment: int) -> Iterator[str]:
        """The ids of runs that ended before this time."""
        yield from self._services.ended_before(moment)
        yield from self._programs.ended_before(moment)

    def close(self) -> None:
        """Let go of the runs."""
        self._programs.close()
        self._services.close()

    def _of(self, run_id: str) -> ProgramEngine:
        return self._services if self._is_service(run_id) else self._programs
