"""The data directory and its disk, the clock, and the limits of this process."""

import argparse
import ctypes
import os
import resource
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from despina import settings as package
from despina.cli import tables
from despina.cli.doctor.check import Check, error, ok, warning
from despina.core.errors import DespinaError
from despina.settings import Settings
from despina.store import is_networked

PROBE_BYTES = 1 << 20
LEAST_BYTES, FEW_BYTES = 256 << 20, 5 << 30
"""Free disk below which hardly a job can work, and below which it will soon be too little."""
FEW_FILES = 10_000
OF_ITS_OWN = 128
"""Files that the server has open beside its connections."""
FUTURE_SECONDS = 60.0
_UNSYNCHRONISED = 5
"""What adjtimex(2) returns (TIME_ERROR) while nothing keeps the clock right."""


def examine(settings: Settings, _options: argparse.Namespace) -> Iterator[Check]:
    """All of it."""
    data = settings.data_dir.absolute()
    yield from _data_directory(data)
    yield from _clock(settings, data)
    yield _open_files(settings)


def _data_directory(data: Path) -> Iterator[Check]:
    name: Final = "data directory"
    nearest = next(folder for folder in (data, *data.parents) if folder.exists())
    if not nearest.is_dir():
        yield error(name, f"{nearest} is not a folder", "name another one with --data-dir.")
        return
    try:
        took = _write_and_read(nearest)
    except OSError as refusal:
        yield error(name, f"a file cannot be written in {nearest}: {refusal.strerror or refusal}",
                    f"make room or let this user ({os.geteuid()}) write there, or name another folder with --data-dir.")
        return
    missing = "" if nearest == data else " (it is not there yet, and will be made)"
    yield ok(name, f"{data}{missing}: a file was written, made durable and read in {took * 1000:.0f} ms")
    yield _disk(nearest)


def _write_and_read(folder: Path) -> float:
    """How long it takes (s). Raises OSError."""
    probe, content, began = folder / f".despina-doctor-{uuid.uuid4().hex}", os.urandom(PROBE_BYTES), time.monotonic()
    try:
        with probe.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if probe.read_bytes() != content:
            raise OSError("what is read is not what was written")
    finally:
        probe.unlink(missing_ok=True)
    return time.monotonic() - began


def _disk(folder: Path) -> Check:
    found = os.statvfs(folder)
    free, whole = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    text = f"{tables.size(free)} of {tables.size(whole)} are free"
    advice = "make room, delete what jobs have written (cancel with clean), or use another disk (--data-dir)."
    if free < LEAST_BYTES:
        return error("disk", text, advice)
    if free < FEW_BYTES:
        return warning("disk", text, advice)
    if found.f_files and found.f_favail < FEW_FILES:
        return warning("disk", f"{text}, and room for {found.f_favail} more files only", advice)
    return ok("disk", text)


def _clock(settings: Settings, data: Path) -> Iterator[Check]:
    name: Final = "clock"
    now = time.time()
    installed = Path(package.__file__).stat().st_mtime
    text = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    advice = "set it, and have a time service (chrony, systemd-timesyncd) keep it."
    if now < installed - FUTURE_SECONDS:
        yield error(name, f"it says {text}, which is before Despina was installed", advice)
        return
    newest = max((path.stat().st_mtime for path in (data / "despina.db", data / "despina.db-wal") if path.exists()), default=0.0)
    if newest > now + FUTURE_SECONDS:
        yield error(name, f"it says {text}, and the database was written {newest - now:.0f} s later",
                    f"the clock has gone back: {advice}")
        return
    several = is_networked(settings.database_url) or settings.engine != "local"
    if several and ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) == _UNSYNCHRONISED:
        yield warning(name, f"{text}, and the kernel knows of no time service that keeps it",
                      "leases are held by the clocks of all machines, which must agree to a second: chrony or systemd-timesyncd.")
        return
    yield ok(name, text)


def _open_files(settings: Settings) -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + OF_ITS_OWN
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return ok("open files", f"this process may open {'any number' if soft == resource.RLIM_INFINITY else soft}")
    return warning("open files", f"this process may open {soft} files, and {settings.max_connections} connections need {wanted}",
                   f"ulimit -n {wanted} (at most {hard}), LimitNOFILE={wanted} in a unit of systemd, or a lower "
                   "limits.max_connections.")


def scratch(settings: Settings, name: str) -> Path:
    """A folder of the check's own on the disk of the data directory, which is to be removed. Raises DespinaError."""
    data = settings.data_dir.absolute()
    nearest = next(folder for folder in (data, *data.parents) if folder.is_dir())
    folder = nearest / f".despina-doctor-{name}-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except OSError as refusal:
        raise DespinaError(f"There can be no folder in {nearest}: {refusal.strerror}.") from None
    return folder
