"""Artefacts: files and buckets behind four verbs, get, put, list and delete (``despina.core.ports.ArtifactStore``)."""

import os
from pathlib import Path

from despina.artifacts.folder import FolderArtifacts
from despina.core.errors import NotOffered
from despina.core.ports import ArtifactStore

__all__ = ["open_artifacts"]


def open_artifacts(folder: Path | None = None) -> ArtifactStore:
    """The artefact store of this process.

    Args:
        folder: The folder that stands in for S3: ``s3://bucket/key`` is ``<folder>/bucket/key``. The default is the environment's
            ``DESPINA_S3_FOLDER``; with neither, only ``file://`` locations can be used.

    Raises:
        NotOffered: ``AWS_ENDPOINT_URL_S3`` is set.
    """
    if os.environ.get("AWS_ENDPOINT_URL_S3"):
        raise NotOffered("A real S3 server is not offered yet by this version of Despina, a folder stands in for it: unset "
                         f"AWS_ENDPOINT_URL_S3 (it is '{os.environ['AWS_ENDPOINT_URL_S3']}').")
    if folder is None and os.environ.get("DESPINA_S3_FOLDER"):
        folder = Path(os.environ["DESPINA_S3_FOLDER"])
    return FolderArtifacts(folder)
