"""Artefacts on an S3 server."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from despina.artifacts import tree
from despina.artifacts.cache import Cache
from despina.artifacts.parallel import PARALLEL, each
from despina.artifacts.s3_download import Changed, Download, Stored
from despina.artifacts.s3_server import CHUNK, S3Server
from despina.artifacts.s3_uploads import Uploads
from despina.core.errors import ArtifactError, ArtifactsUnavailable
from despina.core.location import Location
from despina.core.ports import Entry

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

MOST_PARTS = 10_000
PAGE = 1000
"""Keys that one request deletes."""
LATEST_MS = 5_000
ATTEMPTS = 3
"""At reading a location whose files are replaced meanwhile."""
_NO_VERSION: Any = {"e_tag": '"00000000000000000000000000000000"'}


class S3Artifacts:
    """An ``ArtifactStore`` on an S3 server, for ``s3://`` locations.

    Each request that brings content names its SHA-256 (``x-amz-checksum-sha256``), so that the server refuses what was altered on
    its way. What is put carries that of the whole file as metadata (``x-amz-meta-sha256``) and is compared with it when it is read.
    Files of others have none: of those the size is checked, and that all parts are of one version.
    """

    def __init__(self, server: S3Server, cache: Cache) -> None:
        self._server = server
        self._cache = cache
        self._uploads = Uploads(server)

    def get(self, location: Location) -> Path:
        """A folder or file of the cache with the content at ``location``. It is only to be read, until this process ends.

        Raises:
            ArtifactError: there is none, it may not be read, or it did not stay the same long enough to be read.
        """
        for _ in range(ATTEMPTS):
            found = self._stored(location)
            download = Download(self._server, location, found or self._single(location))
            with suppress(Changed):
                folder = self._cache.entry(download.identity(), download.into)
                return folder if found else folder / location.key.rpartition("/")[2]
        raise ArtifactError(f"Cannot read {location}: its files were replaced, or arrived damaged, each of {ATTEMPTS} times.")

    def put(self, folder: PurePath, location: Location) -> None:
        """Put every regular file below ``folder`` at ``location``; each appears whole, or not at all.

        Large ones go up in parts, and what is there already, with the same size and SHA-256, does not go up again.

        Raises:
            ArtifactError: ``folder`` has a symbolic link or another special file in it, or is no folder; or the server refuses.
                Files already put stay.
        """
        there = {stored.path: stored.size for stored in self._stored(location)}
        try:
            with tree.opened(Path(folder)) as source:
                files = list(tree.plain_files(source))

                def put(entry: Entry) -> None:
                    with tree.opened_file(source, entry.path) as file:
                        self._put_file(file, location / entry.path, is_there=there.get(entry.path) == entry.size)

                each(put, [entry for entry in files if entry.size <= CHUNK])
                for entry in files:
                    if entry.size > CHUNK:  # its parts are what is parallel
                        put(entry)
        except OSError as error:
            raise ArtifactError(f"Cannot write to {location}: '{error.filename}': {error.strerror}.") from error

    def list(self, location: Location) -> Iterator[Entry]:
        """The files below ``location`` by path; none if there is nothing. Raises ArtifactError; a missing bucket is an error."""
        return iter([Entry(path=stored.path, size=stored.size) for stored in self._stored(location)])

    def delete(self, location: Location) -> int:
        """Delete the file at ``location``, and all below it; how many that were. ``a/job`` has nothing to do with ``a/job-2``.

        Unfinished uploads go, too.

        Raises:
            ArtifactError: something could not be deleted (all the rest was), or the location is a whole bucket, which is refused.
        """
        if not location.key:
            raise ArtifactError(f"{location} is a whole bucket or a top-level folder: Despina deletes only what lies in one.")
        bucket = self._server.bucket(location.bucket)
        keys = [stored.key for stored in self._stored(location, markers=True)]
        try:
            keys += [stored.key for stored in self._single(location)]
        except ArtifactsUnavailable:
            raise
        except ArtifactError:
            pass  # there is none; or it may not be looked for, and what is below it can still be deleted
        self._uploads.abort(location, below=True)
        failure: ArtifactError | None = None
        for page in (keys[start:start + PAGE] for start in range(0, len(keys), PAGE)):
            try:
                self._ask("delete", "s3:DeleteObject", location, partial(bucket.delete, page))
            except ArtifactsUnavailable:
                raise
            except ArtifactError as error:
                failure = failure or error
        if failure is not None:
            left = len(self._stored(location))
            raise ArtifactError(f"{left} of the {len(keys)} files at {location} could not be deleted. {failure}")
        return len(keys)

    def content(self, location: Location, *, limit: int) -> bytes:
        """The content of the file at ``location``. Raises ArtifactError: there is none, or it has more than ``limit`` bytes."""
        bucket = self._server.bucket(location.bucket)

        def read() -> bytes | None:
            found = bucket.get(location.key)
            return bytes(found.bytes()) if found.meta["size"] <= limit else None

        try:
            content = self._ask("read", "s3:GetObject", location, read)
        except FileNotFoundError:
            raise ArtifactError(f"{location} does not exist: there is no such key in bucket '{location.bucket}'.") from None
        if content is None:
            raise ArtifactError(f"{location} has more than {limit} bytes.")
        return content

    def check_writable(self, location: Location) -> None:
        """Find out whether files can be put at ``location``, without putting any.

        A write that is to replace a version that there never was is refused for that reason only where it is permitted.

        Raises:
            ArtifactError: the bucket is missing, or nothing may be written there.
        """
        from obstore.exceptions import PreconditionError
        bucket, probe = self._server.bucket(location.bucket), (location / ".despina-probe").key
        self._ask("list", "s3:ListBucket", location, lambda: next(bucket.list(location.key or None, chunk_size=1), None))

        def write() -> bool:
            try:
                bucket.put(probe, b"", mode=_NO_VERSION)
            except (PreconditionError, FileNotFoundError) as refusal:
                if "NoSuchBucket" in str(refusal):
                    raise
                return False
            return True

        written = self._ask("write to", "s3:PutObject", location, write)
        if written:  # by a server that knows no conditions
            self._ask("delete", "s3:DeleteObject", location, lambda: bucket.delete(probe))

    def latest_ms(self, _: Location) -> int:
        """The server may still be busy with a request whose sender is dead, a part of an upload that was given up included."""
        return LATEST_MS

    def _stored(self, location: Location, *, markers: bool = False) -> tuple[Stored, ...]:
        """The files below ``location`` by path; with ``markers`` also the empty ones that stand for folders."""
        bucket = self._server.bucket(location.bucket)
        metas = self._ask("list", "s3:ListBucket", location, lambda: bucket.list(location.key or None, chunk_size=PAGE).collect())
        prefix = f"{location.key}/" if location.key else ""
        found = [Stored(path=meta["path"].removeprefix(prefix), key=meta["path"], size=meta["size"], version=meta["e_tag"] or "")
                 for meta in metas if meta["path"].startswith(prefix)]
        found.sort(key=lambda stored: stored.path)  # not every server has the order of S3
        if markers:
            return tuple(found)
        folders = {parent for stored in found for parent in _parents(stored.path)}
        return tuple(stored for stored in found if stored.size or stored.path not in folders)

    def _single(self, location: Location) -> tuple[Stored, ...]:
        """The one file whose key ``location`` is. Raises ArtifactError if there is none."""
        missing = f"{location} does not exist: there is neither such a key nor one below it in bucket '{location.bucket}'."
        if not location.key:
            raise ArtifactError(missing)
        bucket = self._server.bucket(location.bucket)
        try:
            meta = self._ask("read", "s3:GetObject", location, lambda: bucket.head(location.key))
        except FileNotFoundError:
            raise ArtifactError(missing) from None
        name = location.key.rpartition("/")[2]
        return (Stored(path=name, key=location.key, size=meta["size"], version=meta["e_tag"] or ""),)

    def _put_file(self, file: io.BufferedReader, location: Location, *, is_there: bool) -> None:
        """Put an open file. ``is_there``: a file of its size is at the location."""
        bucket, before = self._server.bucket(location.bucket), os.fstat(file.fileno())
        content: bytes | io.BufferedReader = file.read() if before.st_size <= CHUNK else file
        digest = (hashlib.sha256(content) if isinstance(content, bytes) else hashlib.file_digest(content, "sha256")).hexdigest()
        if is_there and self._digest(bucket, location) == digest:
            return
        part = max(CHUNK, -(-before.st_size // MOST_PARTS))

        def put() -> None:
            if content is file:  # who began to put it before is dead, and left parts
                self._uploads.abort(location)
            file.seek(0)
            bucket.put(location.key, content, attributes={"sha256": digest}, use_multipart=content is file, chunk_size=part,
                       max_concurrency=PARALLEL)

        self._ask("write to", "s3:PutObject", location, put)
        after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise ArtifactError(f"Cannot write to {location}: the file was changed while it was read.")
        if content is file:
            arrived = self._ask("read", "s3:GetObject", location, lambda: bucket.head(location.key))["size"]
            if arrived != before.st_size:
                raise ArtifactError(f"Cannot write to {location}: of {before.st_size} bytes {arrived} arrived.")

    def _digest(self, bucket: "S3Store", location: Location) -> str | None:
        try:
            answer = self._ask("read", "s3:GetObject", location, lambda: bucket.get(location.key, options={"head": True}))
        except FileNotFoundError:
            return None
        return answer.attributes.get("sha256")

    def _ask(self, verb: str, action: str, location: Location, request: Callable[[], T]) -> T:
        return self._server.ask(verb, action, location, request)


def _parents(path: str) -> Iterator[str]:
    names = path.split("/")
    return ("/".join(names[:count]) for count in range(1, len(names)))
