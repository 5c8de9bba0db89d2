"""Runs a command that can reach nothing but its own folders. Started by its path, with the standard library alone:

``python -I confined.py '{"read": […], "write": […]}' COMMAND …``

The command takes the place of this process. On Linux 5.13 and later Landlock confines it and whatever it starts, root's processes
too, who lose their capabilities: of files, to those named; from Linux 6.12 on, of signals, to its own kind. Elsewhere it says on
standard error that it cannot.

Source: landlock(7), and ``linux/landlock.h`` for the numbers.
"""

import ctypes
import json
import os
import resource
import stat
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES, _DROP_CAPABILITY = 38, 24
_CAPABILITIES = 64
"""More than there are."""
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_KNOWN = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
"""All rights of a version; later ones have ``_IOCTL`` too."""
_SCOPES = 0b11
"""Abstract sockets and signals stay among the confined, from version 6 on."""
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/proc", "/sys/devices/system", "/sys/fs/cgroup",
          "/dev/urandom", "/dev/random", "/dev/zero",
          "/etc/alternatives", "/etc/ca-certificates", "/etc/ld.so.conf.d", "/etc/pki/tls/certs", "/etc/ssl/certs",
          "/etc/ssl/openssl.cnf", "/etc/xdg/pip")
"""What programs need to read to run at all, beside the files of ``/etc`` that everybody may read. No key is among them."""
SHARED = ("/dev/null", "/dev/shm")  # noqa: S108 - torch's tensors between processes lie there
LIMITS = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: 8192, resource.RLIMIT_NPROC: 4096}
"""A core file would hold the graph. The others are far above what a training needs; root is not held to the last."""


def main(arguments: Sequence[str]) -> None:
    """Confine this process and become the command."""
    given = json.loads(arguments[0])
    for limit, wanted in LIMITS.items():
        hard = resource.getrlimit(limit)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (most, most))
    with suppress(OSError):
        # If the machine runs out of memory this is what has to go, and not the server.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    give_up_privileges()
    try:
        confine((*SYSTEM, *_for_everybody(Path("/etc")), *given["read"]), (*SHARED, *given["write"]))
    except OSError as error:
        sys.stderr.write(f"This system cannot confine scripts to their folders (Landlock: {error.strerror}).\n")
        sys.stderr.flush()
    os.execv(arguments[1], list(arguments[1:]))  # noqa: S606 - that is what it is for


def _for_everybody(folder: Path) -> list[str]:
    """The files in a folder that everybody may read. Root could read the others too, and scripts may be run by root."""
    return [str(path) for path in folder.iterdir() if path.is_file() and path.stat().st_mode & stat.S_IROTH]


def give_up_privileges() -> None:
    """See to it that the command has no capabilities, and gets none from programs that have."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_CAPABILITIES):
        # Root that may do what root may could read the environment of the server. Others have none to drop.
        libc.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)
    _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def confine(read: Sequence[str], write: Sequence[str]) -> None:
    """Confine this process, which has given up its privileges, to these files and folders; those that do not exist are left out.

    Raises:
        OSError: the system has no Landlock, or it is switched off.
    """
    libc, version = ctypes.CDLL(None, use_errno=True), landlock_version()
    rights = _KNOWN.get(version, (1 << 16) - 1)
    # A kernel knows as much of the structure as its version has.
    attributes = struct.pack("=QQQ", rights, 0, _SCOPES)[:24 if version >= 6 else 16 if version >= 4 else 8]
    rules = _checked(libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0))
    for allowed, paths in ((_READ, read), (rights, write)):
        for path in paths:
            _allow(libc, rules, path, allowed & rights)
    _checked(libc.syscall(_RESTRICT_SELF, rules, 0))
    os.close(rules)


def landlock_version() -> int:
    """The version of Landlock that the system has. Raises OSError if it has none, or has it switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    return _checked(libc.syscall(_CREATE_RULESET, None, 0, _VERSION))


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            rights &= _OF_FILES
        _checked(libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, file), 0))
    finally:
        os.close(file)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
