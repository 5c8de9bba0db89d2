"""Where artefacts lie: an S3 server, or the folder that stands in for it. A small file is written, listed, read and deleted."""

import argparse
import http.client
import os
import shutil
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from despina.artifacts import ENDPOINTS, open_artifacts
from despina.cli.doctor.check import Check, error, ok, warning
from despina.cli.doctor.machine import scratch
from despina.core.errors import DespinaError, InvalidLocation
from despina.core.location import Location
from despina.core.ports import ArtifactStore
from despina.settings import Settings

PATIENCE_SECONDS = 5.0
REFUSED_SECONDS, SKEW_SECONDS = 900, 60
"""How far apart clocks may be before S3 refuses signatures, and before somebody should look."""
RIGHTS = ("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
STAND_IN_BUCKET = "despina-doctor"


def examine(settings: Settings, options: argparse.Namespace) -> Iterator[Check]:
    """All of it."""
    endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
    if endpoint is not None:
        reached = _reach(endpoint)
        yield reached
        if reached.status == "error":
            return
    folder = scratch(settings, "artefacts")
    try:
        s3 = settings.data_dir.absolute() / "s3"
        stand_in = s3 if s3.is_dir() else folder / "s3"
        try:
            store = open_artifacts(stand_in, cache=folder / "cache", patience_seconds=PATIENCE_SECONDS)
        except DespinaError as refusal:
            yield error("S3", refusal, "set the variables AWS_… of the server, or install what is missing (docs/operations.md).")
            return
        if endpoint is None:
            yield ok("S3", f"no server is configured: the folder {s3} stands in for it")
        yield from _try(store, folder, options.location or ("" if endpoint else f"s3://{STAND_IN_BUCKET}"))
        with suppress(OSError):
            (stand_in / STAND_IN_BUCKET).rmdir()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reach(endpoint: str) -> Check:
    """Whether an HTTP server answers there, and how its clock agrees with ours."""
    name: Final = "S3 server"
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return error(name, f"'{endpoint}' is no URL of a server", f"{' or '.join(ENDPOINTS)} must be as https://s3.example.com:8333.")
    try:
        context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
        connection = (http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_SECONDS) if parts.scheme == "http"
                      else http.client.HTTPSConnection(parts.hostname, parts.port, timeout=PATIENCE_SECONDS, context=context))
        try:
            connection.request("GET", "/")
            date = connection.getresponse().getheader("Date")
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as refusal:
        return error(name, f"{endpoint}: its certificate is not trusted: {refusal.verify_message}",
                     "name its authority's certificate in AWS_CA_BUNDLE.")
    except (OSError, http.client.HTTPException) as refusal:
        return error(name, f"{endpoint} does not answer: {refusal}",
                     "see that it runs and listens there, and that no firewall is between; correct AWS_ENDPOINT_URL_S3.")
    try:
        ahead = parsedate_to_datetime(date or "").timestamp() - time.time()
    except ValueError:
        return ok(name, f"{endpoint} answers (without a date, so that its clock is not known)")
    if abs(ahead) < SKEW_SECONDS:
        return ok(name, f"{endpoint} answers, and its clock agrees with ours")
    text = f"{endpoint} answers, and its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    advice = "set the clock that is wrong, and have a time service keep it: S3 refuses signatures that are 15 minutes off."
    return (error if abs(ahead) >= REFUSED_SECONDS else warning)(name, text, advice)


def _try(store: ArtifactStore, folder: Path, where: str) -> Iterator[Check]:
    name: Final = "S3 write and read"
    if not where:
        yield warning(name, "not tried: credentials and rights are not known to be right",
                      "--location s3://bucket/prefix has a small file written, read and deleted there.")
        return
    try:
        place = Location.parse(where) / f".despina-doctor-{uuid.uuid4().hex}"
    except InvalidLocation as refusal:
        yield error(name, refusal, "correct --location.")
        return
    probe, content, began = folder / "probe", os.urandom(1024), time.monotonic()
    probe.mkdir()
    (probe / "probe").write_bytes(content)
    try:
        try:
            store.put(probe, place)
            listed = [entry.path for entry in store.list(place)]
            read = (Path(store.get(place)) / "probe").read_bytes()
        finally:
            deleted = store.delete(place)
    except DespinaError as refusal:
        yield error(name, refusal, _advice(str(refusal)))
        return
    if (listed, read, deleted) != (["probe"], content, 1):
        yield error(name, f"{where}: what was written is not what was found (listed {listed}, deleted {deleted})",
                    "the server is not compatible with S3, or something before it caches answers.")
        return
    yield ok(name, f"{where}: a file was written, listed, read and deleted in {(time.monotonic() - began) * 1000:.0f} ms")


def _advice(refusal: str) -> str:
    cases = (
        ("no bucket", "make the bucket, or name another one with --location."),
        ("accept the credentials", "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
        ("permission denied for", "let this user write there."),
        ("permission denied", f"the policy of these credentials must allow {', '.join(RIGHTS)} there."),
        ("RequestTimeTooSkewed", "set this machine's clock."),
        ("no answer", "the server does not serve, or is overloaded: see its log."),
    )
    return next((advice for word, advice in cases if word in refusal), "see the server's log.")
