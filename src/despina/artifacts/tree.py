"""Folder trees handled through folder descriptors, so that no symbolic link is followed, not even one put there meanwhile.

Every name is resolved in an open folder (``dir_fd``) and never as a path: whoever can write below a job's prefix can redirect
neither what is written nor what is deleted (CWE-59, "link following").
"""

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from despina.core.ports import Entry

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OWN_FOLDER = _FOLDER | os.O_NOFOLLOW
_CHUNK = 1 << 20
_TEMPORARY = re.compile(r"\.despina-[0-9a-f]{16}\.part")
_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP}
"""What Linux says of opening a file or a link as a folder."""


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of the folder at ``path``. Links on the way are followed: the way is the operator's."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def entered(root: int, names: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
    """A descriptor of the folder ``names`` below ``root``; with ``create`` the missing ones are made, and durable.

    Raises:
        FileNotFoundError: one is missing.
        NotADirectoryError: one is a file or a symbolic link.
    """
    if not names:
        yield root
        return
    if create:
        with suppress(FileExistsError):
            os.mkdir(names[0], dir_fd=root)
            os.fsync(root)
    descriptor = os.open(names[0], _OWN_FOLDER, dir_fd=root)
    try:
        with entered(descriptor, names[1:], create=create) as folder:
            yield folder
    finally:
        os.close(descriptor)


def files(folder: int, prefix: str = "") -> Iterator[Entry]:
    """The regular files and links below ``folder`` by path, without those that ``copy`` has not finished."""
    with os.scandir(folder) as scan:
        # A slash after folders gives the order of whole paths: "a-b" comes before "a/b".
        found = sorted((entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in scan
                       if not _TEMPORARY.fullmatch(entry.name))
    for name, entry in found:
        try:
            if name.endswith("/"):
                with entered(folder, (entry.name,)) as below:
                    yield from files(below, prefix + name)
                continue
            status = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:  # deleted meanwhile
            continue
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            yield Entry(path=prefix + name, size=status.st_size)


def plain_files(source: int, prefix: str = "") -> Iterator[Entry]:
    """The files that ``copy`` would copy. Raises OSError, as ``copy`` does, for what is neither a file nor a folder."""
    for name in sorted(os.listdir(source)):
        if _TEMPORARY.fullmatch(name):
            continue
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            with entered(source, (name,)) as inner:
                yield from plain_files(inner, f"{prefix}{name}/")
        else:
            _check_plain(status.st_mode, name)
            yield Entry(path=prefix + name, size=status.st_size)


def opened_file(source: int, path: str) -> BufferedReader:
    """The file at a path below ``source``, opened for reading. No link is followed on the way. Raises OSError."""
    *folders, name = path.split("/")
    with entered(source, tuple(folders)) as folder:
        return _opened_file(folder, name)


def copy(source: int, target: int) -> None:
    """Put every file below ``source`` at the same place below ``target``; each appears whole, durable, or not at all.

    On one file system the two places share the file's content.

    Raises:
        OSError: with the name of the file; ``ELOOP`` for a symbolic link in the source.
    """
    for name in sorted(os.listdir(source)):
        if _TEMPORARY.fullmatch(name):
            continue
        mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            with entered(source, (name,)) as inner, entered(target, (name,), create=True) as place:
                copy(inner, place)
        else:
            _check_plain(mode, name)
            _copy_file(source, target, name)
    os.fsync(target)


def _check_plain(mode: int, name: str) -> None:
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "symbolic links are not copied", name)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "neither a regular file nor a folder", name)


def _opened_file(folder: int, name: str) -> BufferedReader:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    return os.fdopen(descriptor, "rb")


def _copy_file(source: int, target: int, name: str) -> None:
    temporary = f".despina-{secrets.token_hex(8)}.part"
    with _opened_file(source, name) as original:
        try:
            if _link(original, source, name, target, temporary):
                os.fsync(original.fileno())
            else:
                _write(original, target, temporary)
            os.rename(temporary, name, src_dir_fd=target, dst_dir_fd=target)
        finally:
            # It is still there if something failed, or if both names were the same file's: then rename(2) does nothing.
            with suppress(OSError):
                os.unlink(temporary, dir_fd=target)


def _link(original: BufferedReader, source: int, name: str, target: int, temporary: str) -> bool:
    """Give the file a second name, which costs nothing; False where that cannot be: on another file system, or not permitted."""
    try:
        os.link(name, temporary, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
            return False
        raise
    if os.path.samestat(os.fstat(original.fileno()), os.stat(temporary, dir_fd=target, follow_symlinks=False)):
        return True
    os.unlink(temporary, dir_fd=target)  # the name was given to another file, perhaps a link, since it was opened
    return False


def _write(original: BufferedReader, target: int, temporary: str) -> None:
    write = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=target)
    with os.fdopen(write, "wb") as written:
        shutil.copyfileobj(original, written, _CHUNK)
        written.flush()
        os.fsync(written.fileno())


def remove(parent: int, name: str, failures: list[OSError]) -> int:
    """Remove the file, link or tree ``name``; how many files and links are gone. What cannot be removed is noted and left."""
    removed = 0
    try:
        try:
            with entered(parent, (name,)) as folder:
                removed = sum(remove(folder, inner, failures) for inner in os.listdir(folder))  # noqa: PTH208 - a descriptor
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            os.unlink(name, dir_fd=parent)
            removed += 1
    except FileNotFoundError:
        pass
    except OSError as error:
        failures.append(error)
    return removed
