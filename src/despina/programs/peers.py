"""The other workers of a training: the run's own program is the first, and starts them.

::

    with together(order, graph, context) as workers:
        ...                        # the others do the same in ``programs.peer``

They are child processes on the machine where the run is, among which its cores are divided; on a Ray cluster, which ``RAY_ADDRESS``
names, they are on its nodes (``ray_peers``). A worker that was killed takes the run with it, by the same signal, so that the run
counts as lost, and is tried again from the state that it kept.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import torch
from msgspec.structs import replace

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.core.job import TrainWork
from despina.learn.workers import ALONE, WorkerLost, Workers, join, leave, meeting_place
from despina.programs.context import Context

log = logging.getLogger(__name__)

NO_MEMORY = os.EX_OSERR
"""The exit status of a worker that found no memory."""
LAST_MOMENT = 10.0
"""Seconds that another worker has to end, once it does not answer any more."""
LOOPBACK = "127.0.0.1"
STDERR = 2
"""Standard output has the run's progress, which is told by the first worker alone."""


class Order(Frozen, frozen=True, kw_only=True):
    """What a worker is told beside what the run is."""

    work: TrainWork
    """Its parameters are those of the attempt that all workers make together."""
    host: str = LOOPBACK
    port: int = 0
    """Where the first worker waits."""
    rank: int = 0
    threads: int = 1
    """To compute with."""
    parent: int = 0
    """The process with which the worker is to die."""


class Peer(Protocol):
    """A worker that was started."""

    def wait(self, seconds: float) -> int | None:
        """How it ended: its exit status, or minus the signal that killed it, a lost node's too. None: after so long it has not."""
        ...

    def end(self) -> None:
        """Kill it, if it has not ended."""
        ...


class Launcher(Protocol):
    """Starts workers."""

    host: str
    """The address at which they reach this process."""
    threads: int
    """That each worker, this one too, is to compute with."""

    def start(self, order: Order) -> Peer:
        """Start the worker that is told this."""
        ...


@contextmanager
def local_peers(context: Context, count: int) -> Iterator[Launcher]:
    """What starts workers as child processes."""
    yield _LocalPeers(context, count)


class _LocalPeers:
    def __init__(self, context: Context, count: int) -> None:
        self._context = context
        self.host = LOOPBACK
        self.threads = max(1, torch.get_num_threads() // count)

    def start(self, order: Order) -> Peer:
        """Start a child process in a folder of its own."""
        folder = self._context.folder / f"worker-{order.rank}"
        folder.mkdir(exist_ok=True)
        child = subprocess.Popen([sys.executable, "-m", "despina.programs.peer"], stdin=subprocess.PIPE, cwd=folder, stdout=STDERR)
        assert child.stdin is not None  # noqa: S101 - it is a pipe
        with child.stdin as order_pipe:
            order_pipe.write(msgspec.json.encode(replace(order, parent=os.getpid())))
        return _Child(child, folder)


class _Child:
    def __init__(self, child: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._child, self._folder = child, folder

    def wait(self, seconds: float) -> int | None:
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def launch_here(context: Context, count: int) -> AbstractContextManager[Launcher]:
    """What starts workers where this run is: on a Ray cluster, or on this machine alone."""
    if os.environ.get("RAY_ADDRESS"):
        from despina.programs.ray_peers import ray_peers
        return ray_peers(context, count)
    return local_peers(context, count)


@contextmanager
def together(work: TrainWork, context: Context, *, count: int,
             launch: Callable[[Context, int], AbstractContextManager[Launcher]] = launch_here) -> Iterator[Workers]:
    """Start the other workers of a training, and end them afterwards, whatever happens.

    Args:
        work: The run's, with the parameters that this attempt is to have.
        context: The run's.
        count: Of workers, this one among them.
        launch: What makes the launcher.

    Raises:
        WorkFailed: another worker failed.
        MemoryError: another worker found no memory.
    """
    if count == 1:
        yield ALONE
        return
    with launch(context, count) as start:
        peers, threads = list[Peer](), torch.get_num_threads()
        torch.set_num_threads(start.threads)
        try:
            place = meeting_place(start.host)
            order = Order(work=work, host=start.host, port=place.port, threads=start.threads)
            peers += [start.start(replace(order, rank=rank)) for rank in range(1, count)]
            log.info("%d workers train together, with %d threads each", count, start.threads)
            yield join(place, rank=0, count=count, look=lambda: _look(peers))
        except WorkerLost as error:
            _end_as(peers, error)
            raise
        finally:
            for peer in peers:
                peer.end()
            leave()
            torch.set_num_threads(threads)


def _look(peers: Sequence[Peer]) -> None:
    """Raise WorkerLost if a worker has ended before it was there."""
    for rank, peer in enumerate(peers, start=1):
        if peer.wait(0) is not None:
            raise WorkerLost(f"worker {rank} has ended before it met the others")


def _end_as(peers: Sequence[Peer], error: WorkerLost) -> None:
    """End as the worker did that does not answer."""
    log.warning("%s", error)
    statuses = {rank: peer.wait(LAST_MOMENT / len(peers)) for rank, peer in enumerate(peers, start=1)}
    log.warning("how the other workers ended: %s", statuses)
    # Those that only missed the others have failed as well: what happened first is what is rarer.
    if NO_MEMORY in statuses.values():
        raise MemoryError("another worker found no memory") from error
    for rank, status in statuses.items():
        if status is None or status < 0:
            log.error("worker %d was killed, or its machine is gone: so is this run", rank)
            logging.shutdown()
            os.kill(os.getpid(), -status if status else signal.SIGKILL)
    failed = [rank for rank, status in statuses.items() if status]
    raise WorkFailed(f"worker {failed[0] if failed else 1} of {len(peers) + 1} failed; the log of the run says why") from error
