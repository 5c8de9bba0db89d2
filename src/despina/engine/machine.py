"""What this machine has to share out, as Linux tells it (proc(5), cgroups(7))."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from despina.engine.slots import Slots

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
VERSION_1, VERSION_2 = "memory.limit_in_bytes", "memory.max"
"""The files in which memory control groups have their limits."""


def this_machine() -> Slots:
    """The cores this process may use, and the machine's memory or its control group's limit if that is lower."""
    total = re.search(r"^MemTotal:\s+(\d+) kB", (PROC / "meminfo").read_text(), re.MULTILINE)
    if total is None:
        raise OSError("/proc/meminfo has no line 'MemTotal: … kB'; set the engine's memory_mib.")
    limit = min([int(total[1]) * 1024, *(limit for _, limit in memory_limits())])
    return Slots(cores=len(os.sched_getaffinity(0)), memory_mib=max(1, limit // 2**20))


def memory_limits(proc: Path = PROC, groups: Path = GROUPS) -> Iterator[tuple[Path, int]]:
    """The memory limits, in bytes, of this process's control groups and of those around them, and the file of each."""
    for file in _group_files("memory", VERSION_2, VERSION_1, proc, groups):
        try:
            limit = file.read_text().strip()
        except OSError:
            continue  # the root has no limit, and a container may not show the groups around it
        if limit.isdigit():
            yield file, int(limit)


def cores_allowed(proc: Path = PROC, groups: Path = GROUPS) -> float | None:
    """How much time of cores the control groups leave this process, in cores; None: all of it."""
    allowed = []
    for file in _group_files("cpu", "cpu.max", "cpu.cfs_quota_us", proc, groups):
        try:
            words = file.read_text().split()
            if file.name != "cpu.max":
                words += (file.parent / "cpu.cfs_period_us").read_text().split()
        except OSError:
            continue
        if len(words) == 2 and all(word.isdigit() for word in words):
            allowed.append(int(words[0]) / int(words[1]))
    return min(allowed, default=None)


def _group_files(controller: str, version_2: str, version_1: str, proc: Path, groups: Path) -> Iterator[Path]:
    """The files of these names of this process's control groups and of those around them, whether they are there or not."""
    for line in (proc / "self" / "cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, name = groups, version_2
        elif controller in controllers.split(","):
            root, name = groups / controller, version_1
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                break
            yield folder / name
