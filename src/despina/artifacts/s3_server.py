"""The S3 server: how it is reached, how long it is waited for, and what its refusals mean.

obstore (the Rust crate object_store) signs, repeats and parallelises requests. What it leaves to us: to go on after the few minutes
that one signature is good for, and to say in words what a bucket, key or permission lacks.
"""

import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from despina.core.errors import ArtifactError, ArtifactsUnavailable, DespinaError, NotOffered
from despina.core.location import Location
from despina.core.telemetry import SILENCE, Telemetry

if TYPE_CHECKING:
    from obstore.store import S3Store

log = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK = 8 << 20
"""Bytes of the parts in which files larger than this travel: 10,000 of them, S3's limit, are 78 GiB."""
CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 60.0
"""For a request with all that it moves, a chunk at most."""
SIGNED_SECONDS = 240.0
"""How long obstore repeats a request at most: it does not sign it anew, and a signature is good for a quarter of an hour."""
LONGEST_PAUSE_SECONDS = 3.0
_CODE = re.compile(r"<Code>(\w+)</Code>|\(code: (\w+)\)")
_STATUS = re.compile(r"status code: (\d{3})")
_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthorizationHeaderMalformed"}
_ALTERED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
"""A body is not what was sent: it is sent again."""
_KEY_SOURCES = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE")


class Fault(Exception):
    """A request that obstore does not make was refused or failed. The text has ``status code: NNN`` and S3's answer."""


class S3Server:
    """An S3 server, with the credentials and the region of the environment's ``AWS_*`` variables."""

    def __init__(self, endpoint: str, *, patience_seconds: float, telemetry: Telemetry = SILENCE) -> None:
        """``endpoint``: its URL. ``patience_seconds``: how long it is asked again when it does not answer, or fails (5xx).

        Raises:
            NotOffered: obstore is not installed.
            DespinaError: the endpoint is no URL, or the environment has no credentials.
        """
        _check(endpoint)
        self.endpoint = endpoint
        self.patience_seconds = patience_seconds
        self._telemetry = telemetry
        self._buckets: dict[str, S3Store] = {}

    def bucket(self, name: str) -> "S3Store":
        """A bucket, whether it exists or not."""
        if name not in self._buckets:
            self._buckets[name] = _bucket(self.endpoint, name, self.patience_seconds)
        return self._buckets[name]

    def ask(self, verb: str, action: str, location: Location, request: Callable[[], T]) -> T:
        """Make a request, again and again with growing pauses while the server cannot be reached or fails.

        Args:
            verb: What is tried, for errors: ``Cannot <verb> s3://…``.
            action: The permission that it takes, as ``s3:PutObject``.

        Raises:
            FileNotFoundError: there is no such key, or not in the version asked for.
            ArtifactError: the bucket is missing, or something is not permitted.
            ArtifactsUnavailable: patience is at its end.
        """
        with self._telemetry.s3_request(action):
            return self._ask(verb, action, location, request)

    def _ask(self, verb: str, action: str, location: Location, request: Callable[[], T]) -> T:
        end, pause = time.monotonic() + self.patience_seconds, 0.1
        while True:
            try:
                return request()
            except _faults() as fault:
                error = self._refused(verb, action, location, fault)
                if error is not None:
                    raise error from None
                if time.monotonic() + pause > end:
                    raise ArtifactsUnavailable(f"Cannot {verb} {location}: the S3 server at {self.endpoint} gave no answer in "
                                               f"{self.patience_seconds:g} s ({_first_line(fault)}).") from None
                self._telemetry.s3_retry(action)
                log.warning("cannot %s %s yet, trying again: %s", verb, location, _first_line(fault))
            threading.Event().wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - a pause is no secret
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _refused(self, verb: str, action: str, location: Location, fault: Exception) -> Exception | None:
        """What the server's final word means; None if another attempt may go better."""
        text = str(fault)
        found, status = _CODE.search(text), _STATUS.search(text)
        code = (found[1] or found[2]) if found else ""
        if code == "NoSuchBucket":
            return ArtifactError(f"Cannot {verb} {location}: there is no bucket '{location.bucket}' at {self.endpoint}. "
                                 "Make it there, or name one that exists.")
        if code in _CREDENTIALS:
            return ArtifactError(f"Cannot {verb} {location}: the S3 server at {self.endpoint} does not accept the credentials "
                                 f"({code}). Despina has them from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        if code == "AccessDenied" or (status and status[1] in {"401", "403"}):
            return ArtifactError(f"Cannot {verb} {location}: permission denied by the S3 server at {self.endpoint}. The "
                                 f"credentials that Despina has need {action} there.")
        if isinstance(fault, FileNotFoundError) or (status and status[1] == "412"):
            return FileNotFoundError(f"There is no {location}, or not in the version that was asked for.")
        final = status is not None and status[1].startswith(("4", "501")) and status[1] not in {"408", "429"}
        final = (final and code not in _ALTERED) or code == "NotImplemented"
        if final or isinstance(fault, ValueError) or type(fault).__name__ in {"InvalidPathError", "NotSupportedError"}:
            return ArtifactError(f"Cannot {verb} {location}: {_first_line(fault)}")
        return None


def _check(endpoint: str) -> None:
    if find_spec("obstore") is None:
        raise NotOffered("Artefacts on an S3 server need the package obstore: pip install 'despina[s3]'. "
                         "Without AWS_ENDPOINT_URL_S3 a folder stands in for S3.")
    url = urlsplit(endpoint)
    if url.scheme not in {"http", "https"} or not url.hostname or url.path not in {"", "/"}:
        raise DespinaError(f"AWS_ENDPOINT_URL_S3 is '{endpoint}'; it must be a URL as https://s3.example.com:8333.")
    # Elsewhere than at AWS there is nothing that would give a machine credentials, and obstore would ask for them in vain.
    if not url.hostname.endswith(".amazonaws.com") and not any(os.environ.get(variable) for variable in _KEY_SOURCES):
        raise DespinaError(f"There are no credentials for the S3 server at {endpoint}: set AWS_ACCESS_KEY_ID and "
                           "AWS_SECRET_ACCESS_KEY.")


def _bucket(endpoint: str, name: str, patience_seconds: float) -> "S3Store":
    from obstore.store import S3Store  # only who has an S3 server needs it
    bundle = os.environ.get("AWS_CA_BUNDLE")
    return S3Store(
        name, endpoint=endpoint, virtual_hosted_style_request=False, checksum_algorithm="SHA256",
        region=region(),
        client_options={"allow_http": endpoint.startswith("http:"), "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                        "timeout": timedelta(seconds=min(REQUEST_SECONDS, max(patience_seconds, 1.0))),
                        **({"root_certificate": Path(bundle).read_bytes()} if bundle else {})},
        retry_config={"max_retries": 1000, "retry_timeout": timedelta(seconds=min(SIGNED_SECONDS, patience_seconds)),
                      "backoff": {"max_backoff": timedelta(seconds=LONGEST_PAUSE_SECONDS)}})


def region() -> str:
    """That of the environment."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _faults() -> tuple[type[Exception], ...]:
    from obstore.exceptions import BaseError
    return BaseError, Fault, FileNotFoundError, ValueError


def _first_line(fault: Exception) -> str:
    """Of an error of obstore, which goes on with pages of its innards."""
    return str(fault).partition("\n")[0]
