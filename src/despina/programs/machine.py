"""How much memory and disk there is for this process, as Linux tells it (proc(5), cgroups(7), getrlimit(2))."""

import os
import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from despina.engine.machine import GROUPS, PROC, VERSION_1, memory_limits


def available_memory(*, proc: Path = PROC, groups: Path = GROUPS) -> int:
    """Bytes of memory that this process can still take without swapping and without being killed or refused.

    The least of what the machine has left, of what each control group around the process has left (its file cache counts as free,
    since it gives way), and of what the limit of the process's address space leaves.

    Raises:
        OSError: ``proc`` is not Linux's.
    """
    return max(0, min([_of_machine(proc), *_of_groups(proc, groups), *_of_process(proc)]))


def free_disk(folder: Path) -> int:
    """Bytes that this user may still write on the file system of a folder. Raises OSError when there is no such folder."""
    return shutil.disk_usage(folder).free


def _of_machine(proc: Path) -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", (proc / "meminfo").read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{proc / 'meminfo'} has no line 'MemAvailable: … kB'.")
    return int(found[1]) * 1024


def _of_groups(proc: Path, groups: Path) -> Iterator[int]:
    """What the process's memory control groups have left, and those around them."""
    for file, limit in memory_limits(proc, groups):
        usage_file, prefix = ("memory.usage_in_bytes", "total_") if file.name == VERSION_1 else ("memory.current", "")
        try:
            usage = int((file.parent / usage_file).read_text())
            lines = dict(line.split() for line in (file.parent / "memory.stat").read_text().splitlines())
        except OSError:
            continue  # a container may not show all of the groups around it
        yield limit - usage + int(lines.get(f"{prefix}inactive_file", 0)) + int(lines.get(f"{prefix}active_file", 0))


def _of_process(proc: Path) -> Iterator[int]:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        pages = int((proc / "self" / "statm").read_text().split()[0])
        yield limit - pages * os.sysconf("SC_PAGE_SIZE")
