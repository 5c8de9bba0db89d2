"""What the machine has to offer, told from files as the kernel writes them."""

import os
import resource
from pathlib import Path

import pytest

from despina.engine.machine import cores_allowed, memory_limits
from despina.programs.machine import available_memory, free_disk

MIB = 2**20


def machine(folder: Path, *, available: int = 1000, cgroup: str = "0::/") -> tuple[Path, Path]:
    """``/proc`` of a machine with so many MiB left and this ``/proc/self/cgroup``, and a folder for its control groups."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text(f"MemTotal:       9999999 kB\nMemAvailable:   {available * 1024} kB\n")
    (folder / "proc" / "self" / "cgroup").write_text(cgroup)
    (folder / "proc" / "self" / "statm").write_text("1000 0 0 0 0 0 0\n")
    return folder / "proc", folder / "cgroup"


def group(folder: Path, limit: str, used: int, cache: int, *, version: int = 2) -> None:
    """A control group: its limit as written, and the MiB that it uses and that are cache of files."""
    limit_file, usage_file, prefix = (("memory.max", "memory.current", "") if version == 2 else
                                      ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit_file).write_text(limit + "\n")
    (folder / usage_file).write_text(f"{used * MIB}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{prefix}inactive_file {cache * MIB}\n{prefix}active_file 0\n")


def test_what_the_machine_has_left(tmp_path: Path) -> None:
    proc, groups = machine(tmp_path)
    assert available_memory(proc=proc, groups=groups) == 1000 * MIB


def test_the_tightest_of_the_groups_around_the_process(tmp_path: Path) -> None:
    proc, groups = machine(tmp_path, cgroup="0::/outer/inner\n")
    group(groups / "outer" / "inner", "max", 100, 0)
    group(groups / "outer", str(500 * MIB), 300, 50)
    assert available_memory(proc=proc, groups=groups) == 250 * MIB, "the cache of files gives way"
    assert list(memory_limits(proc, groups)) == [(groups / "outer" / "memory.max", 500 * MIB)]
    group(groups / "outer" / "inner", str(150 * MIB), 100, 0)
    assert available_memory(proc=proc, groups=groups) == 50 * MIB
    group(groups / "outer" / "inner", str(50 * MIB), 100, 0)
    assert available_memory(proc=proc, groups=groups) == 0


def test_groups_of_version_1_and_of_a_container_that_does_not_show_them(tmp_path: Path) -> None:
    proc, groups = machine(tmp_path, cgroup="5:cpu:/c\n4:memory,hugetlb:/docker/c\n0::/\n")
    group(groups / "memory", str(400 * MIB), 100, 100, version=1)
    assert available_memory(proc=proc, groups=groups) == 400 * MIB


def test_the_time_of_cores_that_control_groups_leave(tmp_path: Path) -> None:
    proc, groups = machine(tmp_path, cgroup="0::/outer/inner\n")
    assert cores_allowed(proc, groups) is None
    (groups / "outer" / "inner").mkdir(parents=True)
    (groups / "outer" / "inner" / "cpu.max").write_text("max 100000\n")
    assert cores_allowed(proc, groups) is None
    (groups / "outer" / "cpu.max").write_text("150000 100000\n")
    assert cores_allowed(proc, groups) == 1.5
    proc, groups = machine(tmp_path / "version-1", cgroup="5:cpu,cpuacct:/c\n0::/\n")
    (groups / "cpu").mkdir(parents=True)
    (groups / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (groups / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert cores_allowed(proc, groups) is None
    (groups / "cpu" / "cpu.cfs_quota_us").write_text("400000\n")
    assert cores_allowed(proc, groups) == 4


def test_a_limit_of_the_address_space(tmp_path: Path) -> None:
    proc, groups = machine(tmp_path, available=2**30)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**45, before[1]))
    try:
        assert available_memory(proc=proc, groups=groups) == 2**45 - 1000 * os.sysconf("SC_PAGE_SIZE")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_this_machine(tmp_path: Path) -> None:
    assert available_memory() > 0
    assert free_disk(tmp_path) > 0
    with pytest.raises(OSError, match="nowhere"):
        free_disk(tmp_path / "nowhere")
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\n")
    with pytest.raises(OSError, match="MemAvailable"):
        available_memory(proc=tmp_path)
