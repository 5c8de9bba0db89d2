"""``python -m despina.programs.peer``: one of several workers that train a model together, but the first (``peers``).

It is told what to do on standard input (``peers.Order``), takes part in the training, and leaves nothing behind: what comes of it
is the first worker's. The log goes to standard error. Exit status 0 when the training has ended, ``peers.NO_MEMORY`` when there was
not enough memory, and 1 for any other error.
"""

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec

from despina.artifacts import open_artifacts
from despina.programs import allocator
from despina.programs.context import Context

_PR_SET_PDEATHSIG = 1
log = logging.getLogger(__name__)


def main() -> int:
    """Run the worker; returns the exit status."""
    allocator.keep_freed_memory()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from despina.learn.backoff import is_out_of_memory
    from despina.learn.workers import WorkerLost
    from despina.programs.peers import NO_MEMORY, Order
    from despina.programs.train import accompany

    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    _die_with(order.parent)
    torch.set_num_threads(order.threads)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr,  # the course of it is the first worker's to tell
                        format=f"%(asctime)s %(levelname)s worker {order.rank}: %(message)s")
    try:
        accompany(order, Context(folder=Path.cwd(), store=open_artifacts()))
    except WorkerLost as error:
        log.warning("%s", error)
        return 1
    except (MemoryError, RuntimeError) as error:
        log.exception("the training ended")
        return NO_MEMORY if is_out_of_memory(error) else 1
    return 0


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
