"""How much memory and disk there is for this process, as Linux tells it (proc(5), cgroups(7), getrlimit(2))."""

import os
import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
_VERSION_2 = ("memory.max", "memory.current", "")
"""Of a memory control group: the files of its limit and of its use, and what the names of the lines that we want begin with."""


def available_memory(*, proc: Path = _PROC, groups: Path = _GROUPS) -> int:
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
    """What the process's memory control groups of both versions have left, and those around them."""
    for line in (proc / "self" / "cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, version = groups, _VERSION_2
        elif "memory" in controllers.split(","):
            root, version = groups / "memory", _VERSION_1
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                break
            room = _room(folder, *version)
            if room is not None:
                yield room


def _room(group: Path, limit_file: str, usage_file: str, prefix: str) -> int | None:
    """What a group has left; None if it has no limit, as the root, or is not shown, as those around a container."""
    try:
        limit, usage = (group / limit_file).read_text().strip(), (group / usage_file).read_text().strip()
        lines = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    if not limit.isdigit():
        return None
    cache = int(lines.get(f"{prefix}inactive_file", 0)) + int(lines.get(f"{prefix}active_file", 0))
    return int(limit) - int(usage) + cache


def _of_process(proc: Path) -> Iterator[int]:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        pages = int((proc / "self" / "statm").read_text().split()[0])
        yield limit - pages * os.sysconf("SC_PAGE_SIZE")
