"""Starts one run: its supervisor, and then the claim that lets the supervisor go on."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from despina.engine.folder import RunClaim, RunFolder
from despina.engine.processes import identity
from despina.engine.slots import Slots

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """How runs are started: which program, in which environment, and how long they may take to end."""

    module: str
    environment: Mapping[str, str]
    grace_seconds: float
    bound: bool = False
    """Whether the run ends when this process does."""

    def __call__(self, run: RunFolder, slots: Slots) -> tuple[RunClaim, int] | None:
        """Start the run, unless it is stopped first: then None.

        The supervisor waits at a pipe until the claim is made. So a run is claimed exactly when its supervisor is there, and an
        engine that dies on the way leaves either both or neither.

        Returns:
            The claim, and the pidfd of the supervisor, which the caller must reap and close.

        Raises:
            OSError: the supervisor could not be started or the claim not be written. The run has not started.
        """
        gate, opener = os.pipe()
        try:
            pid = self._spawn(run, slots, gate)
            claimed = False
            try:
                claim = RunClaim(at=time.time_ns() // 1_000_000, supervisor=identity(pid), slots=slots)
                claimed = run.claim(claim)
            finally:
                if not claimed:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
            if not claimed:
                return None
            os.write(opener, b"\n")
            return claim, os.pidfd_open(pid)
        finally:
            os.close(gate)
            os.close(opener)

    def _spawn(self, run: RunFolder, slots: Slots, gate: int) -> int:
        program = (sys.executable, "-m", self.module, str(run.spec_file))
        supervisor = (sys.executable, "-I", "-S", str(_SUPERVISOR), str(run.path), str(self.grace_seconds),
                      str(os.getpid() if self.bound else 0))
        return os.posix_spawn(
            sys.executable,
            (*supervisor, *program),
            {**os.environ, **self.environment, **dict.fromkeys(_THREADS, str(max(1, slots.cores))), "PYTHONUNBUFFERED": "1",
             **run.marks},
            file_actions=(
                (os.POSIX_SPAWN_DUP2, gate, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(run.log_file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ),
            setsid=True,
            # Blocked from its first instruction on: a stop that comes before the supervisor can read it is kept, not deadly.
            setsigmask=(signal.SIGTERM, signal.SIGUSR1),
        )
