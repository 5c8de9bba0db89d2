"""Artefacts in folders of this machine: ``file://`` as it stands, and a folder that stands in for S3."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from despina.artifacts import tree
from despina.core.errors import ArtifactError
from despina.core.location import Location
from despina.core.ports import Entry


class FolderArtifacts:
    """An ``ArtifactStore`` on Linux folders: ``s3://bucket/key`` is ``<folder>/bucket/key``, ``file:///path`` is ``/path``.

    Reading (``get``, ``list``) follows symbolic links on the way to a location, so an operator may link data in. Writing and
    deleting follow those of the operator only: the S3 folder, the bucket, and the folders above a ``file://`` location.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder.absolute() if folder else None

    def get(self, location: Location) -> Path:
        """The folder or file at ``location`` itself. It is only to be read.

        Raises:
            ArtifactError: there is none, or it cannot be read.
        """
        root, names = self._place(location)
        path = root.joinpath(*names)
        if path.is_dir():
            needed = os.R_OK | os.X_OK
        elif path.is_file():
            needed = os.R_OK
        else:
            raise ArtifactError(f"{location} does not exist: there is no folder or file at {path}.")
        if not os.access(path, needed, effective_ids=True):
            raise ArtifactError(f"{location} cannot be read: permission denied for {path}.")
        return path

    def put(self, folder: PurePath, location: Location) -> None:
        """Put every regular file below ``folder`` at ``location``; each appears whole, or not at all, and is durable then.

        On one file system nothing is copied: the files get a second name, and must not be changed afterwards.

        Raises:
            ArtifactError: ``folder`` has a symbolic link or another special file in it, or is no folder; a folder of the
                location is a symbolic link or a file, or lies in ``folder``; or the system refuses (no space, no permission). Files
                already copied stay.
        """
        root, names = self._place(location)
        if Path(os.path.realpath(root.joinpath(*names))).is_relative_to(os.path.realpath(folder)):
            raise ArtifactError(f"{location} lies in the folder that is to be copied there, {folder}.")
        with _failing("write to", location):
            _make_durable(root)
            with (tree.opened(Path(folder)) as source, tree.opened(root) as base,
                  tree.entered(base, names, create=True) as target):
                tree.copy(source, target)

    def list(self, location: Location) -> Iterator[Entry]:
        """The files below ``location`` by path. Links are entries with their own size, and what they point at is not listed.

        None if there is no folder. Raises ArtifactError, while iterating, if one cannot be read.
        """
        root, names = self._place(location)
        with _failing("list", location):
            try:
                with tree.opened(root.joinpath(*names)) as folder:
                    yield from tree.files(folder)
            except (FileNotFoundError, NotADirectoryError):
                return

    def delete(self, location: Location) -> int:
        """Delete the folder or file at ``location`` with all that is in it; how many files and links that were.

        ``a/job`` has nothing to do with ``a/job-2``. Links are deleted as links, and what they point at is not touched. The folders
        above stay, even when empty.

        Raises:
            ArtifactError: something could not be deleted (all the rest was), or the location is a whole bucket or a top-level
                folder of the machine, which is refused.
        """
        root, names = self._place(location)
        if not names or root.parent == root:
            raise ArtifactError(f"{location} is a whole bucket or a top-level folder: Despina deletes only what lies in one.")
        failures: list[OSError] = []
        with _failing("delete", location):
            try:
                with tree.opened(root) as base, tree.entered(base, names[:-1]) as parent:
                    removed = tree.remove(parent, names[-1], failures)
                    os.fsync(parent)
            except FileNotFoundError:
                return 0
        if failures:
            raise ArtifactError(f"{len(failures)} of the files and folders at {location} could not be deleted; "
                                f"the first is {_reason(failures[0])}.")
        return removed

    def content(self, location: Location, *, limit: int) -> bytes:
        """The content of the file at ``location``. Raises ArtifactError: there is none, or it has more than ``limit`` bytes."""
        path = self.get(location)
        with _failing("read", location), path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ArtifactError(f"{location} has more than {limit} bytes.")
        return content

    def check_writable(self, location: Location) -> None:
        """Raises ArtifactError if this process may not write at ``location``, or there is a file in its way. Nothing is made."""
        root, names = self._place(location)
        path = root.joinpath(*names)
        nearest = next(above for above in (path, *path.parents) if os.path.exists(above))  # noqa: PTH110 - False where it may not be looked
        if not nearest.is_dir():
            raise ArtifactError(f"Cannot write to {location}: {nearest} is not a folder.")
        if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=True):
            raise ArtifactError(f"Cannot write to {location}: permission denied for {nearest}.")

    def latest_ms(self, _: Location) -> int:
        """Nothing: what a process that died has not written, nobody writes."""
        return 0

    def _place(self, location: Location) -> tuple[Path, tuple[str, ...]]:
        """The operator's folder that the location is resolved in, and the names below it."""
        names = tuple(location.key.split("/")) if location.key else ()
        if location.scheme == "file":
            return Path("/").joinpath(*names[:-1]), names[-1:]
        if self._folder is None:
            raise ArtifactError(f"{location} cannot be used: no folder stands in for S3. Set DESPINA_S3_FOLDER to one.")
        return self._folder / location.bucket, names


@contextmanager
def _failing(verb: str, location: Location) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"Cannot {verb} {location}: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    name = error.filename2 or error.filename
    return f"'{name}': {error.strerror}" if isinstance(name, str) else str(error.strerror)


def _make_durable(folder: Path) -> None:
    """Make the folder and those above it that are missing, and record each in the one above."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        with tree.opened(path.parent) as parent:
            os.fsync(parent)
