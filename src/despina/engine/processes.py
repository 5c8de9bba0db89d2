"""Processes as Linux shows them (proc(5), pidfd_open(2)): told apart across restarts, watched, and found by what marks them."""

import contextlib
import errno
import os
import select
import signal
from collections.abc import Mapping
from pathlib import Path

from despina.core.frozen import Recorded

_PROC = Path("/proc")


class ProcessIdentity(Recorded, frozen=True, kw_only=True):
    """One process and no other: process ids are used again, also by the next boot."""

    pid: int
    start_time: int
    """Clock ticks from the machine's boot to the process's start."""
    boot_id: str


def identity(pid: int) -> ProcessIdentity:
    """Who the process is. Raises OSError when there is no such process."""
    return ProcessIdentity(pid=pid, start_time=_start_time(pid), boot_id=_boot_id())


def open_process(who: ProcessIdentity) -> int | None:
    """A pidfd of the process, to be closed by the caller, or None when it has ended."""
    if who.boot_id != _boot_id():
        return None
    try:
        pidfd = os.pidfd_open(who.pid)
    except OSError as error:
        if error.errno in {errno.ESRCH, errno.EINVAL, errno.ENOENT}:  # the latter two: the id is now a thread's
            return None
        raise
    try:
        # The pidfd comes first: should the id go to another process after it, the start times differ.
        alive = not has_ended(pidfd) and _start_time(who.pid) == who.start_time
    except OSError:
        alive = False
    if not alive:
        os.close(pidfd)
    return pidfd if alive else None


def has_ended(pidfd: int) -> bool:
    """Whether the process is dead, be it reaped or not."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def send(pidfd: int, number: signal.Signals) -> None:
    """Send a signal; a process that has ended in the meantime is not an error."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def kill_marked(marks: Mapping[str, str]) -> int:
    """Kill every process that was started with all these variables in its environment; how many there were.

    What they start meanwhile is found by the next call: all are dead when it returns 0.
    """
    wanted = {os.fsencode(f"{name}={value}") for name, value in marks.items()}
    return sum(_kill_if_marked(int(entry.name), wanted) for entry in _PROC.iterdir() if entry.name.isdigit())


def _kill_if_marked(pid: int, wanted: set[bytes]) -> bool:
    if pid == os.getpid() or not _is_marked(pid, wanted):
        return False
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Looked at again, because the id may have gone to another process before the pidfd was there.
        if not _is_marked(pid, wanted):
            return False
        send(pidfd, signal.SIGKILL)
    finally:
        os.close(pidfd)
    return True


def _is_marked(pid: int, wanted: set[bytes]) -> bool:
    try:
        return wanted <= set((_PROC / str(pid) / "environ").read_bytes().split(b"\0"))
    except OSError:  # it has ended, or is another user's
        return False


def _start_time(pid: int) -> int:
    # Field 22; the second is the program's name in brackets, which may itself hold spaces and brackets.
    return int((_PROC / str(pid) / "stat").read_bytes().rpartition(b") ")[2].split()[19])


def _boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
