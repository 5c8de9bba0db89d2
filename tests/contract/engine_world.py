"""What the engines' tests share. Nothing in them sleeps: a test waits for the engine's call, for a word of the program, or for the
end of a socket that all of the run's processes hold."""

import socket
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from tests.ray_cluster import RayCluster

from despina.core.job import Observation, ProcessWork, RunSpec
from despina.core.ports import Engine, WholeEngine
from despina.engine import open_engine, open_local
from despina.engine.folder import RunClaim
from despina.engine.local import LocalEngine

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds after which a wait is a failure."""
MODULE = "tests.contract.engine_programs"
ENVIRONMENT = {"PYTHONPATH": str(REPOSITORY), "GIVEN": "given"}
AnyEngine = TypeVar("AnyEngine", bound=WholeEngine)


class World(Generic[AnyEngine]):
    """Engines on the same runs, and a telephone for the programs."""

    GRACE_SECONDS = 0.2

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engines: list[AnyEngine] = []
        self.calls: list[Call] = []
        self.changed = threading.Condition()
        self.changes: list[str] = []
        self.submitted: set[str] = set()
        self.switchboard = socket.socket(socket.AF_UNIX)
        self.switchboard.bind(f"{folder}/s")
        self.switchboard.listen(16)
        self.switchboard.settimeout(PATIENCE)

    def open(self) -> AnyEngine:
        """One more engine."""
        raise NotImplementedError

    def note(self, run_id: str) -> None:
        with self.changed:
            self.changes.append(run_id)
            self.changed.notify_all()

    def spec(self, run_id: str, behaviour: str, *, share: int = 8, memory_mib: int = 1) -> RunSpec:
        self.submitted.add(run_id)
        work = ProcessWork(input=behaviour, output=str(self.folder), config_file_name="-")
        return RunSpec(run_id=run_id, work=work, share=share, memory_mib=memory_mib)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a change, as the engines tell it, after which the condition holds."""
        with self.changed:
            while not holds():
                assert self.changed.wait(PATIENCE), f"Nothing was told after {self.changes}."

    def hear_of(self, run_id: str) -> None:
        """Wait until an engine has told of the run."""
        self.until(lambda: run_id in self.changes)

    def end(self, engine: Engine, run_id: str) -> Observation:
        """The observation of the run when it has ended."""
        self.until(lambda: (state := engine.observe(run_id).state) is not None and not state.is_live)
        return engine.observe(run_id)

    def run(self, behaviour: str) -> Observation:
        """The end of a run that behaves so."""
        engine = self.open()
        engine.submit(self.spec("run", behaviour, share=4))
        return self.end(engine, "run")

    def call(self) -> "Call":
        """The next program that calls."""
        line, _ = self.switchboard.accept()
        line.settimeout(PATIENCE)
        self.calls.append(Call(line))
        return self.calls[-1]

    def close(self) -> None:
        """End every run and every engine."""
        engine = self.open()
        runs = [run_id for run_id in self.submitted if engine.observe(run_id).state is not None]
        for run_id in runs:
            engine.stop(run_id)
        for run_id in runs:
            self.end(engine, run_id)
        for opened in self.engines:
            opened.close()
        for call in self.calls:
            call.hang_up()
        self.switchboard.close()


class LocalWorld(World[LocalEngine]):
    """Engines on one folder of this machine."""

    def __init__(self, folder: Path, runs: str = "runs") -> None:
        super().__init__(folder)
        self.runs = folder / runs

    def open(self, *, cores: int = 8, memory_mib: int = 10_000, grace_seconds: float = World.GRACE_SECONDS) -> LocalEngine:
        engine = open_local(folder=self.runs, module=MODULE, environment=ENVIRONMENT, on_change=self.note,
                            cores=cores, memory_mib=memory_mib, grace_seconds=grace_seconds)
        self.engines.append(engine)
        return engine

    def claim(self, run_id: str) -> RunClaim:
        return msgspec.json.decode((self.runs / run_id / "claim").read_bytes(), type=RunClaim)

    def supervisor(self, run_id: str) -> int:
        """The process that keeps the run."""
        claim = self.claim(run_id)
        assert claim.supervisor is not None
        return claim.supervisor.pid


class RayWorld(World[WholeEngine]):
    """Engines on one cluster, under a name that no other test has."""

    def __init__(self, folder: Path, cluster: RayCluster) -> None:
        super().__init__(folder)
        self.cluster = cluster
        self.deployment = uuid.uuid4().hex[:8]

    def open(self) -> WholeEngine:
        engine = open_engine(self.cluster.url, folder=self.folder / "services", module=MODULE, environment=ENVIRONMENT,
                             on_change=self.note, grace_seconds=self.GRACE_SECONDS, deployment=self.deployment,
                             is_service=lambda run_id: run_id.startswith("service"))
        self.engines.append(engine)
        return engine


class Call:
    """A program on the line."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._words = line.makefile("r")
        run_id, pid = self.hear().split()
        self.run_id, self.pid = run_id, int(pid)

    @property
    def supervisor(self) -> int:
        """The process that keeps the run: the program's parent."""
        return int(Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b") ")[2].split()[1])

    def hear(self) -> str:
        """The next thing said; nothing when everyone on the other end is dead."""
        return self._words.readline().rstrip("\n")

    def say(self, word: str) -> None:
        self._line.sendall(f"{word}\n".encode())

    def hang_up(self) -> None:
        self._words.close()
        self._line.close()
