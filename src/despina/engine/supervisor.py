"""Keeps one run: starts its program, outlives everything the program starts, and writes down how it ended.

A program of its own, ``python -I -S supervisor.py FOLDER GRACE_SECONDS PARENT PROGRAM ARGUMENT…``, on the standard library alone,
so that it starts in some 20 ms. ``PARENT`` is its parent if the run is to end, as by SIGTERM, when that process dies; otherwise 0.
The engine gives it the read end of a pipe as standard input (a line, or the end: see whether the claim is yours), the run's log as
standard output and error, and SIGTERM and SIGUSR1 blocked.

It is the reaper of its descendants (prctl(2), PR_SET_CHILD_SUBREAPER): a process whose parent has died becomes its child, whatever
session it is in. So the run is over when the supervisor has no child left.

SIGUSR1 is ``Engine.stop``. SIGTERM is somebody else's, say a machine that shuts down: the run ends in the same way, and counts as
killed, not as stopped.
"""
# pathlib would be a third of the time to start:
# ruff: noqa: PTH104, PTH123, PTH208

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOP, TERMINATE = signal.SIGUSR1, signal.SIGTERM
AWAITED = {STOP, TERMINATE, signal.SIGCHLD}
KILL_INTERVAL = 0.05
"""Seconds between two rounds of SIGKILL."""

libc = ctypes.CDLL(None, use_errno=True)


class Tree:
    """The program and everything it has started."""

    def __init__(self, program: int) -> None:
        self.program = program
        self.status: int | None = None
        """How the program ended: its exit status, or minus the signal that killed it."""

    def reap(self) -> bool:
        """Collect the dead; whether anyone is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self.program:
                    self.status = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            return False

    def wait(self) -> signal.Signals | None:
        """Wait until the program has ended, or for the signal to end it."""
        while True:
            awaited = signal.Signals(signal.sigwaitinfo(AWAITED).si_signo)
            self.reap()
            if self.status is not None:
                return None
            if awaited is not signal.SIGCHLD:
                return awaited

    def end(self, grace: float) -> None:
        """SIGTERM to all, then SIGKILL to those that are left after ``grace`` seconds, until nobody is left."""
        if not self.reap():
            return
        deadline = time.monotonic() + grace
        send(signal.SIGTERM)
        while self.reap():
            patience = deadline - time.monotonic()
            if patience <= 0:
                send(signal.SIGKILL)
                patience = KILL_INTERVAL
            signal.sigtimedwait({signal.SIGCHLD}, patience)


def send(number: signal.Signals) -> None:
    """Send a signal to every descendant of this process."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            children.setdefault(parent_of(name), []).append(int(name))
    generation = children.get(os.getpid(), [])
    while generation:
        for pid in generation:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it has gone, or has become another user's
                os.kill(pid, number)
        generation = [child for pid in generation for child in children.get(pid, [])]


def parent_of(pid: str) -> int:
    """The parent of a process; 0 when the process has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b") ")[2].split()[1])
    except OSError:
        return 0


def start(command: list[str]) -> int:
    """Start the program in a session of its own, and in such a way that it dies with this process."""
    supervisor = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == supervisor:  # otherwise it died before the line above
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open("progress.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), 1)
            for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, for itself
                signal.signal(ignored, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execv(command[0], command)  # noqa: S606 - that is the job
    except BaseException:  # noqa: BLE001 - a forked process must not return into its parent's code
        sys.excepthook(*sys.exc_info())
    os._exit(127)


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed so far for lack of memory, of the machine or of a control group."""
    try:
        with open("/proc/vmstat", "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(b"oom_kill ")), 0)
    except OSError:
        return 0


def is_mine(claim: str) -> bool:
    """Whether the run was claimed for this process."""
    try:
        with open(claim, "rb") as file:
            supervisor = json.load(file)["supervisor"]
    except FileNotFoundError:
        return False
    return supervisor is not None and supervisor["pid"] == os.getpid()


def write(path: str, content: dict[str, object]) -> None:
    """Write a file that is durable and whole, or not there."""
    with open(f".{path}", "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f".{path}", path)
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def supervise(folder: str, grace: float, parent: int, command: list[str]) -> None:
    """Run the program to its end and write ``exit.json``, if the run is this process's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    if parent:
        libc.prctl(PR_SET_PDEATHSIG, TERMINATE, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # an inherited SIG_IGN would hide how children end
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(folder)
    os.read(0, 1)
    if not is_mine("claim"):
        return
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")
    started_at, kills = time.time_ns() // 1_000_000, out_of_memory_kills()
    tree = Tree(start(command))
    ended_by = tree.wait()
    tree.end(grace)
    # A program that somebody else ended may have taken it for an error of its own: its status says nothing.
    status = tree.status if ended_by is not TERMINATE else -TERMINATE
    assert status is not None  # noqa: S101 - the tree has no process left
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of every process of the run: they all ended as children of this one
    write("exit.json", {
        "code": status if status >= 0 else None,
        "signal": -status if status < 0 else None,
        "stopped": ended_by is STOP,
        "out_of_memory": status == -signal.SIGKILL and out_of_memory_kills() > kills,
        "started_at": started_at,
        "finished_at": time.time_ns() // 1_000_000,
        "usage": {"cpu_seconds": round(used.ru_utime + used.ru_stime, 3), "peak_memory_bytes": used.ru_maxrss * 1024},
    })


if __name__ == "__main__":
    supervise(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
