"""The files in an export folder by the names that its configuration gives them."""

import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote_plus

from despina.graph.faults import Fault, InputFault
from despina.graph.json_object import suggestion

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".nt", ".nt.gz", ".nq", ".nq.gz")


def locate(folder: Path, name: str) -> Path:
    """The file ``name`` in the export folder: spelled literally or, as the exporter does, URL-encoded.

    Raises:
        InputFault: there is no such file, it is no regular file that may be read, or its name leads out of the folder.
    """
    spellings = tuple(dict.fromkeys((name, unquote_plus(name))))
    for spelled in spellings:
        if "\0" in spelled or spelled.startswith("/") or ".." in PurePosixPath(spelled).parts:
            shown = name.replace("\0", "\\0")
            raise InputFault(Fault.INVALID_FILE_NAME, f"{shown}: a file name must be a path inside the export folder, such as "
                             "nodes/person.csv, without a leading '/', '..' or NUL", file=shown)
    for spelled in spellings:
        path = folder / spelled
        if _exists(path):
            return _regular(folder, name, path)
    present = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.name.endswith(SUFFIXES)]
    hint = suggestion(spellings[-1][:200], present) or f"; its files are {', '.join(present[:10]) or 'none that can be read'}"
    raise InputFault(Fault.MISSING_FILE, f"{name[:200]}: there is no such file in the export{hint}", file=name[:200])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long for the file system, or of characters that it cannot have
        return False


def _regular(folder: Path, name: str, path: Path) -> Path:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputFault(Fault.INVALID_FILE_NAME, f"{name}: the symbolic link leads out of the export folder; put the file itself "
                         "there", file=name)
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a special file"
        raise InputFault(Fault.UNREADABLE_FILE, f"{name or repr(name)}: this is {kind}; it must be a file", file=name)
    if not os.access(path, os.R_OK, effective_ids=True):
        raise InputFault(Fault.UNREADABLE_FILE, f"{name}: the file cannot be read: permission denied; let the user that Despina "
                         "runs as read it", file=name)
    return path
