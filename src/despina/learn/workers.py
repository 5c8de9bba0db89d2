"""Workers that train one model together: processes, each with a part of every step.

They speak by torch's collective operations (gloo, over TCP). Each worker calls the same operations in the same order, so whatever
decides what comes next is either computed from the same numbers by all, or decided by the first worker and told to the others.
"""

import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import TCPStore  # torch.distributed has the same name, and does not say so to type checkers

from despina.learn.backoff import is_out_of_memory

TIME_OUT = timedelta(minutes=30)
"""How long a worker waits for the others in one operation. A worker whose process ends is noticed at once, since its connections
are closed; this is for a node that is gone without a word, and longer than an evaluation by the first worker takes."""
LOOK = 0.05
"""Seconds between two looks for workers that are not there yet."""
_SIOCGIFADDR = 0x8915
"""``netdevice(7)``: the address of an interface."""


class WorkerLost(Exception):
    """Another worker does not answer any more."""


class Workers:
    """The workers of a training, as one of them sees them. ``ALONE`` stands for a training of one worker.

    Args:
        rank: This worker's number, from 0.
        count: How many there are.
    """

    def __init__(self, *, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @property
    def is_first(self) -> bool:
        """Whether this worker decides, reports and keeps."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This worker's stretch of so many things; those of all workers are as equal as can be, and some are empty if need be."""
        return slice(count * self.rank // self.count, count * (self.rank + 1) // self.count)

    def seed(self, *numbers: int) -> tuple[int, ...]:
        """A seed of this worker's own, of these numbers: that of the first worker is what one worker would have."""
        return numbers if self.is_first else (*numbers, self.rank)

    def sum(self, tensor: Tensor) -> Tensor:
        """Make a tensor the sum of all workers' tensors, which have its shape."""
        return self._reduce(tensor, dist.ReduceOp.SUM)

    def largest(self, tensor: Tensor) -> Tensor:
        """Make each number of a tensor the largest of all workers'."""
        return self._reduce(tensor, dist.ReduceOp.MAX)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all workers, which have the same shape, in the order of their ranks."""
        if self.count == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.count)]
        self._together(lambda: dist.all_gather(found, tensor.contiguous()))
        return found

    def spread(self, tensor: Tensor, of: int = 0) -> Tensor:
        """Make a tensor what it is at one worker."""
        if self.count > 1:
            self._together(lambda: dist.broadcast(tensor, of))
        return tensor

    def told(self, content: bytes) -> bytes:
        """What the first worker has for ``content``."""
        length = int(self.spread(torch.tensor(len(content))))
        room = torch.frombuffer(bytearray(content), dtype=torch.uint8) if self.is_first and length else torch.empty(
            length, dtype=torch.uint8)
        return bytes(self.spread(room).tolist()) if length else b""

    def first(self, asked: Callable[[], float]) -> float:
        """What the first worker finds, to the last bit; the others wait for it."""
        if self.count == 1:
            return asked()
        return self.spread(torch.tensor(asked() if self.is_first else 0.0, dtype=torch.float64)).item()

    def _reduce(self, tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        if self.count > 1:
            self._together(lambda: dist.all_reduce(tensor, operation))
        return tensor

    def _together(self, operation: Callable[[], object]) -> None:
        try:
            operation()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise WorkerLost(f"worker {self.rank} waited for another that does not answer: {error}") from error


ALONE = Workers()


def nothing() -> Tensor:
    """The loss of a worker that has no part in a step."""
    return torch.zeros(())


def meeting_place(host: str) -> TCPStore:
    """Where workers find each other: the first one opens it at its own address, at a port that is free. Raises WorkerLost."""
    return _store(host, 0, is_first=True)


def join(place: TCPStore, *, rank: int, count: int, look: Callable[[], None] = lambda: None) -> Workers:
    """Join the workers that meet at a place. Returns when all are there; ``leave`` ends it.

    Args:
        place: The first worker's own, or the one that ``find`` found.
        rank: This worker's number, from 0.
        count: How many there will be.
        look: Called again and again while others are missing; what it raises ends the waiting.

    Raises:
        WorkerLost: one of them has gone again.
    """
    os.environ["GLOO_SOCKET_IFNAME"] = _interface_towards(place.host)
    here = [f"worker {number}" for number in range(count)]
    try:
        place.set(here[rank], "here")
        while not place.check(here):
            look()
            time.sleep(LOOK)
        dist.init_process_group("gloo", store=place, rank=rank, world_size=count, timeout=TIME_OUT)
    except RuntimeError as error:
        raise WorkerLost(f"worker {rank} did not meet the others at {place.host}: {error}") from error
    return Workers(rank=rank, count=count)


def find(host: str, port: int) -> TCPStore:
    """The place that the first worker has opened. Raises WorkerLost."""
    return _store(host, port, is_first=False)


def leave() -> None:
    """Close the connections to the other workers."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _store(host: str, port: int, *, is_first: bool) -> TCPStore:
    try:
        return TCPStore(host, port, None, is_first, timeout=TIME_OUT, wait_for_workers=False)
    except RuntimeError as error:
        raise WorkerLost(f"there is no meeting place of workers at {host}:{port}: {error}") from error


def _interface_towards(host: str) -> str:
    """The network interface by which this machine reaches a host: gloo would take that of the machine's own name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # sends nothing: it only chooses the way
        own = probe.getsockname()[0]
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:
                continue  # it has no address
            if socket.inet_ntoa(answer[20:24]) == own:
                return name
    raise OSError(f"no network interface of this machine has the address {own}, by which it would reach {host}")
