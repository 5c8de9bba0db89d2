"""What every program is given beside its work."""

import resource
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from despina.core.job import Progress, Usage
from despina.core.ports import ArtifactStore

if TYPE_CHECKING:
    from despina.telemetry.spans import Traces


@dataclass(frozen=True, kw_only=True)
class Context:
    """The surroundings of one run."""

    folder: Path
    """The run's own folder; temporary files go here."""
    store: ArtifactStore
    estimate: dict[str, Any] | None = None
    """What the work is expected to take; every line of progress tells it."""
    traces: "Traces | None" = None
    """Whatever is done is to be found there, if they are wanted."""

    def estimated(self, estimate: dict[str, Any]) -> "Context":
        """The same surroundings, from which ``report`` tells this estimate too.

        Args:
            estimate: as JSON, of at most some thousand characters: of a run's progress only the last 16 KiB are read.
        """
        return replace(self, estimate=estimate)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Around a part of the work, for its trace."""
        return nullcontext() if self.traces is None else self.traces.inside(name)

    def report(self, step: int, of: int, unit: str, *, metric: str | None = None, value: float | None = None,
               best: float | None = None, loss: float | None = None, rate: float | None = None) -> None:
        """Tell how far the run has come, and what it has used: one ``Progress`` line on standard output."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        progress = Progress(at=time.time_ns() // 1_000_000, step=step, of=of, unit=unit, metric=metric, value=value, best=best,
                            estimate=self.estimate, loss=loss, rate=rate,
                            usage=Usage(cpu_seconds=round(used.ru_utime + used.ru_stime, 3),
                                        peak_memory_bytes=used.ru_maxrss * 1024))
        sys.stdout.write(msgspec.json.encode(progress).decode() + "\n")
        sys.stdout.flush()
