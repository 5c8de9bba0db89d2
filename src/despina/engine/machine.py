"""What this machine has to share out."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from despina.engine.slots import Slots

_CGROUPS = Path("/sys/fs/cgroup")


def this_machine() -> Slots:
    """The cores this process may use, and the machine's memory or its control group's limit if that is lower."""
    total = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    if total is None:
        raise OSError("/proc/meminfo has no line 'MemTotal: … kB'; set the engine's memory_mib.")
    limit = min([int(total[1]) * 1024, *_memory_limits()])
    return Slots(cores=len(os.sched_getaffinity(0)), memory_mib=max(1, limit // 2**20))


def _memory_limits() -> Iterator[int]:
    """The memory limits, in bytes, of this process's control group and of those around it (cgroups(7), versions 1 and 2)."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, name = _CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = _CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                break
            try:
                limit = (folder / name).read_text().strip()
            except OSError:
                continue  # the root has no limit, and a container may not show the groups around it
            if limit.isdigit():
                yield int(limit)
