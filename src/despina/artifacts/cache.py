"""A folder of what was downloaded, shared by the processes of a machine.

An entry is a folder that appears whole and never changes. Who uses one holds its lock for reading until his process ends, however
it ends; who fills or removes one holds it alone. So nothing is fetched twice at a time, nothing that is used goes, and a process
that is killed leaves what it had fetched to the next.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
SHARE = 2
"""Of the space that would be free without the cache, it takes one part in so many."""


class Cache:
    """The folder ``folder``, which is made when it is needed.

    For an entry ``x`` there are the folder ``x``; the file ``x.lock``, whose age tells when it was last asked for; and, while it is
    being filled, the folder ``x.part``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._held: dict[str, int] = {}

    def entry(self, name: str, fill: Callable[[Path, Path], None]) -> Path:
        """The folder of an entry, which stays as it is until this process ends.

        Args:
            name: Says what it holds: the same name is the same content.
            fill: Is given two folders, for whole files and for parts of files, with what an attempt that did not come to its end
                has left there.
        """
        # A power failure leaves files that seem to be whole: what was fetched before it is not used.
        name = f"{name}-{_BOOT.read_text(encoding='ascii').strip()}" if _BOOT.exists() else name
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / name
        while name not in self._held:
            descriptor = self._locked(place, fcntl.LOCK_SH)
            if not place.is_dir():
                os.close(descriptor)
                descriptor = self._locked(place, fcntl.LOCK_EX)
                try:
                    self._fill(place, fill)
                except BaseException:
                    os.close(descriptor)
                    raise
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            if place.is_dir():  # between two locks somebody may have removed it
                os.utime(descriptor)
                self._held[name] = descriptor
                self._evict()
            else:
                os.close(descriptor)
        return place

    def _fill(self, place: Path, fill: Callable[[Path, Path], None]) -> None:
        if place.is_dir():  # meanwhile
            return
        part = place.with_name(f"{place.name}.part")
        whole, unfinished = part / "whole", part / "unfinished"
        for folder in (whole, unfinished):
            folder.mkdir(parents=True, exist_ok=True)
        fill(whole, unfinished)
        whole.rename(place)
        shutil.rmtree(part)

    def _evict(self) -> None:
        """Remove entries that nobody uses, those first that nobody has asked for longest, until there are few enough bytes."""
        locks = sorted(self._folder.glob("*.lock"), key=_age)
        sizes = {lock: _size(lock.with_suffix("")) + _size(lock.with_suffix(".part")) for lock in locks}
        total = sum(sizes.values())
        most = (total + shutil.disk_usage(self._folder).free) // SHARE
        for lock in locks:
            if total <= most:
                break
            try:
                descriptor = self._locked(lock.with_suffix(""), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            for folder in (lock.with_suffix(""), lock.with_suffix(".part")):
                shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
            os.close(descriptor)
            total -= sizes[lock]

    def _locked(self, place: Path, kind: int) -> int:
        """A descriptor of the entry's lock file, which holds the lock. Raises BlockingIOError."""
        path = place.with_name(f"{place.name}.lock")
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, kind)
                if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # it was removed while we waited for it


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(folder: Path) -> int:
    """Bytes of the files below a folder, which may go meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(root) / name).lstat().st_size
    return total
