"""A worker of a training on a node of a Ray cluster: what Ray runs there, as a task of ``programs.ray_peers``.

The worker is a child of Ray's process, so that Ray's own threads and memory are not in it, and the signal that killed it is seen.
It dies with Ray's process, which ends with its node's raylet, or with the run that asked for it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec

from despina.engine.ray_run import CACHE

PREFIX = "despina-worker-"
LOG_BYTES = 16 * 1024
"""Of the worker's log so much is told, from its end."""
LOOK = 0.05
"""Seconds between two looks whether the worker has ended."""
_HELD = ".held"
"""The file that a worker keeps locked as long as it needs its folder."""


def accompany(order: bytes, environment: Mapping[str, str], has: str) -> tuple[int, str]:
    """Run a worker to its end.

    Args:
        order: A ``peers.Order``, as JSON. ``parent`` is filled in.
        environment: Variables that the run has, and the worker needs.
        has: The version of Despina that the run has.

    Returns:
        The worker's exit status, or minus the signal that killed it; and the end of its log.

    Raises:
        RuntimeError: this node has another version of Despina.
        OSError: there is no disk or process left for it.
    """
    if version("despina") != has:
        raise RuntimeError(f"the node {os.uname().nodename} has Despina {version('despina')}, and the run {has}: "
                           "they must be the same")
    _remove_left_overs()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with (folder / "log.txt").open("wb+") as log, (folder / _HELD).open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            child = subprocess.Popen(
                [sys.executable, "-m", "despina.programs.peer"], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder,
                pass_fds=(held.fileno(),),
                env={CACHE: str(Path(tempfile.gettempdir()) / f"despina-cache-{os.getuid()}"), **os.environ, **environment})
            assert child.stdin is not None  # noqa: S101 - it is a pipe
            try:
                with child.stdin:
                    child.stdin.write(msgspec.json.encode({**msgspec.json.decode(order), "parent": os.getpid()}))
                while child.poll() is None:  # Ray cancels by an exception, which a wait in the kernel would not let through
                    time.sleep(LOOK)
            finally:
                child.kill()
                child.wait()
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_BYTES))
            return child.returncode, log.read().decode(errors="replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_overs() -> None:
    """Remove the folders of workers whose Ray process was killed, which left it no time to do so."""
    for file in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_HELD}"):
        try:
            with file.open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(file.parent, ignore_errors=True)
        except OSError:
            continue  # its worker lives, or it is another user's
