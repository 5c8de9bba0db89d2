"""Bringing the files at an S3 location into a folder: whole files only, going on where an earlier attempt was cut off."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from despina.artifacts.parallel import PARALLEL, each
from despina.artifacts.s3_server import CHUNK, S3Server
from despina.core.errors import ArtifactError
from despina.core.frozen import Frozen
from despina.core.location import Location

T = TypeVar("T")


class Changed(Exception):
    """A file is not, or not any more, what the listing said."""


class Stored(Frozen, frozen=True, kw_only=True):
    """A file on the server."""

    path: str
    """Relative to the location that was listed."""
    key: str
    size: int
    version: str
    """Its entity tag: the same for the same content."""


class Download:
    """The files of a location as they were listed."""

    def __init__(self, server: S3Server, location: Location, files: Iterable[Stored]) -> None:
        self._server = server
        self._location = location
        self._files = tuple(files)
        self._bucket = server.bucket(location.bucket)

    def identity(self) -> str:
        """A name of these files in these versions; other content has another."""
        told = [self._server.endpoint, str(self._location),
                *(f"{stored.path}\0{stored.size}\0{stored.version}" for stored in self._files)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def into(self, folder: Path, unfinished: Path) -> None:
        """Bring all files into ``folder``. Those that an earlier attempt has brought there stay.

        Args:
            folder: Gets whole files only.
            unfinished: Has what there is of others. Both exist, and are nobody else's.

        Raises:
            Changed: a file is another one by now, or arrived damaged.
            ArtifactError: the server refuses, or the keys cannot be the paths of files.
        """
        self._check()
        missing = [stored for stored in self._files if not (folder / stored.path).exists()]
        for stored in missing:
            (folder / stored.path).parent.mkdir(parents=True, exist_ok=True)

        def fetch(stored: Stored) -> None:
            part = unfinished / hashlib.sha256(f"{stored.key}\0{stored.version}".encode()).hexdigest()
            self._fetch(stored, part)
            part.rename(folder / stored.path)

        each(fetch, [stored for stored in missing if stored.size <= CHUNK])
        for stored in missing:
            if stored.size > CHUNK:  # its chunks are what is parallel
                fetch(stored)

    def _check(self) -> None:
        """Of keys S3 asks nothing; paths of files cannot lead upwards or through a file."""
        paths = {stored.path for stored in self._files}
        for path in paths:
            names = path.split("/")
            if {"", ".", ".."} & set(names):
                raise ArtifactError(f"Cannot read {self._location}: the key '{path}' below it cannot be the path of a file.")
            for above in ("/".join(names[:count]) for count in range(1, len(names))):
                if above in paths:
                    raise ArtifactError(f"Cannot read {self._location}: '{path}' below it cannot be the path of a file, since "
                                        f"'{above}' is a file.")

    def _fetch(self, stored: Stored, part: Path) -> None:
        """Bring what is missing of a file, and compare it with its SHA-256, if it carries one."""
        with part.open("ab+") as file:
            expected = self._digest(stored) if stored.size and file.tell() == stored.size else None
            while file.tell() < stored.size:
                begin, end = file.tell(), min(file.tell() + PARALLEL * CHUNK, stored.size)
                for content, digest in each(lambda start: self._chunk(stored, start), range(begin, end, CHUNK)):
                    file.write(content)
                    expected = digest
                file.flush()
            file.seek(0)
            if expected is not None and hashlib.file_digest(file, "sha256").hexdigest() != expected:
                part.unlink()
                raise Changed

    def _chunk(self, stored: Stored, start: int) -> tuple[bytes, str | None]:
        """The bytes from ``start`` on, a chunk at most, and the file's SHA-256 if it is known."""
        end = min(start + CHUNK, stored.size)

        def get() -> tuple[bytes, str | None]:
            # The tag holds the parts of a file together: of another version there is none.
            answer = self._bucket.get(stored.key, options={"range": (start, end), "if_match": stored.version or None})
            return answer.bytes().to_bytes(), answer.attributes.get("sha256")

        content, digest = self._ask(get)
        if len(content) != end - start:
            raise Changed
        return content, digest

    def _digest(self, stored: Stored) -> str | None:
        return self._ask(lambda: self._bucket.get(stored.key, options={"head": True}).attributes.get("sha256"))

    def _ask(self, request: Callable[[], T]) -> T:
        try:
            return self._server.ask("read", "s3:GetObject", self._location, request)
        except FileNotFoundError:
            raise Changed from None
