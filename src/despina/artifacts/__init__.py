"""Artefacts: files and buckets behind a few verbs (``despina.core.ports.ArtifactStore``)."""

import os
from pathlib import Path

from despina.artifacts.by_scheme import ArtifactsByScheme
from despina.artifacts.cache import Cache
from despina.artifacts.folder import FolderArtifacts
from despina.artifacts.s3 import S3Artifacts
from despina.artifacts.s3_server import S3Server
from despina.core.ports import ArtifactStore
from despina.core.telemetry import SILENCE, Telemetry

__all__ = ["ENDPOINTS", "PATIENCE_SECONDS", "open_artifacts"]

PATIENCE_SECONDS = 900.0
"""How long an S3 server that gives no answer is asked again by those who have the time, as the programs of jobs have."""
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""The variables that may name an S3 server, the first one set holds."""


def open_artifacts(folder: Path | None = None, *, cache: Path | None = None,
                   patience_seconds: float = PATIENCE_SECONDS, telemetry: Telemetry = SILENCE) -> ArtifactStore:
    """The artefact store of this process.

    ``s3://`` locations are on the S3 server whose URL is the environment's ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``, and
    without one in a folder.

    Args:
        folder: The folder that stands in for S3: ``s3://bucket/key`` is ``<folder>/bucket/key``. The default is the environment's
            ``DESPINA_S3_FOLDER``; with neither, and no S3 server, only ``file://`` locations can be used.
        cache: What is got from an S3 server lies in this folder. The default is the environment's ``DESPINA_CACHE_FOLDER``, or
            ``cache`` in the working directory.
        patience_seconds: How long an S3 server that gives no answer is asked again.
        telemetry: Is told of each request to it.
    """
    endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
    if endpoint is not None:
        place = cache or Path(os.environ.get("DESPINA_CACHE_FOLDER") or "cache")
        server = S3Server(endpoint.rstrip("/"), patience_seconds=patience_seconds, telemetry=telemetry)
        return ArtifactsByScheme(S3Artifacts(server, Cache(place)))
    if folder is None and os.environ.get("DESPINA_S3_FOLDER"):
        folder = Path(os.environ["DESPINA_S3_FOLDER"])
    return FolderArtifacts(folder)
