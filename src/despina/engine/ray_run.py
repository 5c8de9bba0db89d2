"""A run on a node of a Ray cluster: what Ray starts there, ``python -m despina.engine.ray_run FILES ORDER``.

Three processes::

    entrypoint   Ray's child. It lives exactly as long as the run, so that the cores stay taken, and passes Ray's SIGTERM on
    keeper       has the run's folder, starts its supervisor, and tells of it (``ray_record``)
    supervisor   the same as the local engine's: the run's whole process tree is below it

Ray ends a job by killing the entrypoint and its descendants, some seconds after SIGTERM whatever they still do, and without those
that have left the family. So the keeper is no descendant: it sees Ray's SIGTERM, the end of the entrypoint, or that of Ray's own
process above it (which ends with its node's raylet), and has the supervisor end the tree. So does a supervisor whose keeper dies.
"""

import contextlib
import os
import platform
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from despina.core.job import Observation, RunState
from despina.engine.folder import RunClaim, RunFolder, Runs
from despina.engine.launcher import Launcher
from despina.engine.outcome import describe, find_end
from despina.engine.ray_jobs import RayJobs, RayUnreachable
from despina.engine.ray_record import PIECE, Order, file_of, mark_of, unpack
from despina.engine.slots import Slots
from despina.engine.supervisor import STOP, TERMINATE

CACHE = "DESPINA_CACHE_FOLDER"
"""The variable that names the folder which the runs of a machine share for what they download."""
_INTERVAL_MS = 500
"""How often the record is brought up to date."""
_LOG = "job-driver-"
"""Ray sends the entrypoint's output to a file of this prefix in its log folder: there ours lie."""


class Teller:
    """Writes the run's files in the log folder of the node's Ray session."""

    def __init__(self, files: str) -> None:
        log = Path("/proc/self/fd/1").readlink()
        if not log.name.startswith(_LOG):
            raise OSError(f"The entrypoint was not started by Ray: its output goes to {log}, not to {_LOG}….log.")
        self._folder = log.parent / file_of(files, "")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._last: Observation | None = None
        self._copied = {"log": 0, "progress": 0}

    def tell(self, observation: Observation, run: RunFolder | None = None) -> None:
        """Write the record, if there is news, after what the run's log and progress have more than before."""
        if run is not None:
            self._copy("log", run.log_file)
            self._copy("progress", run.progress_file)
        if observation != self._last:
            unfinished = self._folder / ".record.json"
            unfinished.write_bytes(msgspec.json.encode(observation))
            unfinished.rename(self._folder / "record.json")
            self._last = observation

    def _copy(self, name: str, file: Path) -> None:
        with contextlib.suppress(FileNotFoundError), file.open("rb") as source:
            source.seek(self._copied[name])
            while text := source.read(PIECE - self._copied[name] % PIECE):
                with (self._folder / f"{name}.{self._copied[name] // PIECE}").open("ab") as piece:
                    piece.write(text)
                self._copied[name] += len(text)


class Keeper:
    """Keeps the run: one process, no thread."""

    def __init__(self, order: Order, run: RunFolder, teller: Teller, *, lifeline: int, parent: int) -> None:
        """``lifeline``: the end of a pipe from the entrypoint, which says that Ray stops the job, or ends with it; ``parent``: the
        pidfd of Ray's process above the entrypoint."""
        self._order = order
        self._run = run
        self._teller = teller
        self._above = (lifeline, parent)

    def keep(self) -> Observation:
        """Run the program, unless it is stopped first, and tell of it until nothing is left of it; its end."""
        order, now = self._order, time.time_ns() // 1_000_000
        if self._word(self._above, wait_ms=0) is not None or _is_marked(order):
            return Observation(state=RunState.STOPPED, finished_at=now)
        self._run.submit(order.spec)
        self._teller.tell(Observation(state=RunState.RUNNING, started_at=now))
        launch = Launcher(module=order.module, environment={}, grace_seconds=order.grace_seconds, bound=True)
        started = launch(self._run, Slots(cores=order.cores, memory_mib=order.spec.memory_mib))
        assert started is not None  # noqa: S101 - nobody else claims a run in this folder
        claim, supervisor = started
        self._watch(claim, supervisor)
        while (end := find_end(self._run, claim)) is None:
            time.sleep(0.05)  # what is left of a run whose supervisor was killed is being killed
        return describe(self._run, claim, end)

    def _watch(self, claim: RunClaim, supervisor: int) -> None:
        """Tell of the run, and pass on a word from above, until its supervisor has ended."""
        assert claim.supervisor is not None  # noqa: S101 - it was just started
        above: tuple[int, ...] = self._above
        while not _ready((supervisor,), 0):
            word = self._word((*above, supervisor), wait_ms=_INTERVAL_MS)
            if word is not None:
                signal.pidfd_send_signal(supervisor, word)
                above = ()
            progress = self._run.read_progress()
            self._teller.tell(Observation(state=RunState.RUNNING, progress=progress, started_at=claim.at), self._run)
        os.waitpid(claim.supervisor.pid, 0)
        os.close(supervisor)

    def _word(self, watched: Sequence[int], *, wait_ms: int) -> signal.Signals | None:
        """What those above want done to the run, within ``wait_ms``: STOP, or TERMINATE when they have died."""
        ready = _ready(watched, wait_ms)
        lifeline, parent = self._above
        if lifeline in ready:
            return STOP if os.read(lifeline, 1) else TERMINATE
        return TERMINATE if parent in ready else None


def _ready(descriptors: Sequence[int], wait_ms: int) -> set[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(wait_ms)}


def _is_marked(order: Order) -> bool:
    """Whether the run was stopped while it waited. Ray stops it, too, as soon as it can: no reason not to run that its HTTP server
    cannot be reached from this node."""
    with contextlib.suppress(RayUnreachable):
        return RayJobs(order.cluster, token=os.environ.get("RAY_AUTH_TOKEN")).get(mark_of(order.submission_id)) is not None
    return False


def _read(word: str) -> Order:
    """The order, if this node can carry it out. Raises ValueError."""
    mine = version("despina")
    try:
        order = unpack(word)
    except ValueError as error:
        raise ValueError(f"The node {platform.node()} cannot read the run's order ({error}); it has Despina {mine}.") from error
    if order.version != mine:
        raise ValueError(f"The node {platform.node()} has Despina {mine}, and the server {order.version}: they must be the same.")
    return order


def _detached() -> bool:
    """Go on twice, as the entrypoint (False), and in a process which is nobody's descendant and in a session of its own (True)."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    return True


def _keep(keeper: Keeper, teller: Teller, run: RunFolder, outcome: int) -> None:
    """The life of the keeper; what it writes to ``outcome`` is the entrypoint's exit status."""
    end = keeper.keep()
    teller.tell(end, run)
    shutil.rmtree(run.path.parent, ignore_errors=True)
    os.write(outcome, b"0" if end.state is RunState.SUCCEEDED else b"1")


def _clean_up(run: RunFolder, teller: Teller) -> None:
    """In the place of a keeper that was killed, tell the run's end, which the supervisor brings about, and remove the folder."""
    claim = run.read_claim()
    if claim is not None:
        while (end := find_end(run, claim)) is None:
            time.sleep(0.05)
        teller.tell(describe(run, claim, end))
    shutil.rmtree(run.path.parent, ignore_errors=True)


def main(files: str, word: str) -> int:
    """The life of the entrypoint; returns its exit status."""
    # Until there is a keeper to tell, SIGTERM waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    teller = Teller(files)
    try:
        order = _read(word)
    except ValueError as error:
        teller.tell(Observation(state=RunState.FAILED, failure_reason=str(error)))
        return 1
    os.environ.setdefault(CACHE, str(Path(tempfile.gettempdir()) / f"despina-cache-{os.getuid()}"))
    parent = os.pidfd_open(os.getppid())
    run = Runs(Path(tempfile.mkdtemp(prefix="despina-")))[order.spec.run_id]
    lifeline, word_to_keeper = os.pipe()
    outcome, word_from_keeper = os.pipe()
    if _detached():
        os.close(word_to_keeper)
        try:
            _keep(Keeper(order, run, teller, lifeline=lifeline, parent=parent), teller, run, word_from_keeper)
        except BaseException:  # noqa: BLE001 - a forked process must not return into its parent's code
            traceback.print_exc()
        os._exit(0)
    os.close(word_from_keeper)

    def pass_on(_number: int, _frame: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # the keeper has ended
            os.write(word_to_keeper, b"\n")

    signal.signal(signal.SIGTERM, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    status = os.read(outcome, 1)
    if not status:
        _clean_up(run, teller)
    return 0 if status == b"0" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
