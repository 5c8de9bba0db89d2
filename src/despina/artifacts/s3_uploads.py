"""Uploads in parts that were begun and never ended. Their parts take room on the server, unseen, until somebody aborts them.

obstore aborts what it gives up itself; of a process that was killed it knows nothing, and it has no call that lists uploads. So two
requests are made and signed here: ListMultipartUploads and AbortMultipartUpload.
"""

import hashlib
import hmac
import logging
import os
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from despina.artifacts.s3_server import REQUEST_SECONDS, Fault, S3Server, region
from despina.core.errors import ArtifactError, ArtifactsUnavailable
from despina.core.location import Location

log = logging.getLogger(__name__)


class Uploads:
    """The unfinished uploads on a server, as far as the keys of the environment may see them.

    Without ``AWS_ACCESS_KEY_ID`` (a role of the machine, a web identity), without the permission, or on a server that cannot list
    them, there are none: they cost room and nothing else, and buckets can have a rule that removes them.
    """

    def __init__(self, server: S3Server) -> None:
        self._server = server

    def abort(self, location: Location, *, below: bool = False) -> int:
        """Abort the uploads to the key ``location``, with ``below`` also those to the keys below it; how many there were.

        They must be nobody's any more. Raises ArtifactsUnavailable.
        """
        if not os.environ.get("AWS_ACCESS_KEY_ID") or not os.environ.get("AWS_SECRET_ACCESS_KEY"):
            return 0
        aborted = self._abort(location, location.key, lambda key: key == location.key)
        return aborted + (self._abort(location, f"{location.key}/", lambda _: True) if below else 0)

    def _abort(self, location: Location, prefix: str, is_meant: Callable[[str], bool]) -> int:
        tried: set[tuple[str, str]] = set()
        # A listing has a thousand at most. It is asked for again, without its markers, which not every server gives.
        while found := {upload for upload in self._listed(location, prefix) if is_meant(upload[0])} - tried:
            for key, upload in found:
                self._ask("AbortMultipartUpload", location, "DELETE", key, {"uploadId": upload})
            tried |= found
        return len(tried)

    def _listed(self, location: Location, prefix: str) -> Iterator[tuple[str, str]]:
        """Key and id of the first uploads to keys that begin like this."""
        answer = self._ask("ListBucketMultipartUploads", location, "GET", "", {"uploads": "", "prefix": prefix})
        for upload in ET.fromstring(answer or "<none/>").iterfind("{*}Upload"):  # noqa: S314 - of the server that has all our data
            yield upload.findtext("{*}Key", ""), upload.findtext("{*}UploadId", "")

    def _ask(self, action: str, location: Location, method: str, key: str, query: dict[str, str]) -> bytes:
        """The body of the answer; nothing if it is a refusal."""
        request = partial(self._request, method, location.bucket, key, query)
        try:
            return self._server.ask("abort unfinished uploads to", f"s3:{action}", location, request)
        except ArtifactsUnavailable:
            raise
        except ArtifactError as refusal:
            log.info("%s", refusal)
            return b""

    def _request(self, method: str, bucket: str, key: str, query: dict[str, str]) -> bytes:
        """The body of the answer. Raises Fault."""
        path = quote(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/~")
        told = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query.items()))
        url = f"{self._server.endpoint}{path}?{told}"
        headers = _signed(method, urlsplit(url).netloc, path, told, datetime.now(UTC))
        request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - the scheme was checked
        context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE")) if url.startswith("https:") else None
        timeout = min(REQUEST_SECONDS, max(self._server.patience_seconds, 1.0))
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:  # noqa: S310 - the same
                content: bytes = answer.read()
                return content
        except HTTPError as error:
            raise Fault(f"{method} {url}: status code: {error.code} {error.read(1000).decode('utf-8', 'replace')}") from None
        except (OSError, HTTPException) as error:
            raise Fault(f"{method} {url}: {error}") from None


def _signed(method: str, host: str, path: str, query: str, now: datetime) -> dict[str, str]:
    """The headers of a request without a body, its signature among them.

    Source: AWS, "Create a signed AWS API request"; for S3, which does not encode the path a second time.
    """
    empty, time = hashlib.sha256(b"").hexdigest(), now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": time}
    if os.environ.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = os.environ["AWS_SESSION_TOKEN"]
    names = ";".join(headers)
    canonical = "\n".join([method, path, query, *(f"{name}:{value}" for name, value in headers.items()), "", names, empty])
    scope = f"{time[:8]}/{region()}/s3/aws4_request"
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    return {**headers, "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={key.hex()}"}
