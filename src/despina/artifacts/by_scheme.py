"""One store over the two that locations may lead to."""

from collections.abc import Iterator
from pathlib import PurePath

from despina.artifacts.folder import FolderArtifacts
from despina.artifacts.s3 import S3Artifacts
from despina.core.location import Location
from despina.core.ports import ArtifactStore, Entry


class ArtifactsByScheme:
    """An ``ArtifactStore``: ``s3://`` is on an S3 server, ``file://`` in folders of this machine."""

    def __init__(self, s3: S3Artifacts) -> None:
        self._s3 = s3
        self._folders = FolderArtifacts(None)

    def get(self, location: Location) -> PurePath:
        """See ``ArtifactStore.get``."""
        return self._of(location).get(location)

    def put(self, folder: PurePath, location: Location) -> None:
        """See ``ArtifactStore.put``."""
        self._of(location).put(folder, location)

    def list(self, location: Location) -> Iterator[Entry]:
        """See ``ArtifactStore.list``."""
        return self._of(location).list(location)

    def delete(self, location: Location) -> int:
        """See ``ArtifactStore.delete``."""
        return self._of(location).delete(location)

    def content(self, location: Location, *, limit: int) -> bytes:
        """See ``ArtifactStore.content``."""
        return self._of(location).content(location, limit=limit)

    def check_writable(self, location: Location) -> None:
        """See ``ArtifactStore.check_writable``."""
        self._of(location).check_writable(location)

    def latest_ms(self, location: Location) -> int:
        """See ``ArtifactStore.latest_ms``."""
        return self._of(location).latest_ms(location)

    def _of(self, location: Location) -> ArtifactStore:
        return self._s3 if location.scheme == "s3" else self._folders
