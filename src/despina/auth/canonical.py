"""The canonical form of a request, which is what a SigV4 signature is of.

All of it is about bytes: what is no UTF-8 is encoded like everything else, so that no input is an error here.

Source: IAM user guide, "Create a signed AWS API request" (step 1, "Create a canonical request").
"""

from collections.abc import Iterable
from functools import cached_property
from urllib.parse import quote_from_bytes, unquote_to_bytes

from despina.core.frozen import Frozen

SIGNATURE_PARAMETER = b"X-Amz-Signature"
"""The only parameter of a query that is not signed."""


class Request(Frozen, frozen=True, kw_only=True, dict=True):
    """An HTTP request as it stands on the wire."""

    method: str
    raw_path: bytes
    """Still percent-encoded, without the query."""
    raw_query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in any case, and values, in the order of the wire."""
    body: bytes = b""

    @cached_property
    def values(self) -> dict[bytes, bytes]:
        """The headers' canonical values by lower-case name: trimmed, white space squeezed, those of one name joined with commas."""
        values: dict[bytes, bytes] = {}
        for name, raw in self.headers:
            key, value = name.lower(), b" ".join(raw.split())
            values[key] = values[key] + b"," + value if key in values else value
        return values

    @cached_property
    def parameters(self) -> tuple[tuple[bytes, bytes], ...]:
        """Names and values of the query, decoded as the server reads them (``+`` is a space), in the order of the wire."""
        pairs = []
        for item in self.raw_query.replace(b"+", b" ").split(b"&"):
            if item:
                name, _, value = item.partition(b"=")
                pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
        return tuple(pairs)


def normalize_path(path: bytes) -> bytes:
    """A path without empty, ``.`` and ``..`` segments (RFC 3986, section 6); a slash at its end stays.

    The path is not decoded: a ``%2F`` in it is no slash.
    """
    segments: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del segments[-1:]
        elif segment not in {b"", b"."}:
            segments.append(segment)
    end = b"/" if segments and path.endswith(b"/") else b""
    return b"/" + b"/".join(segments) + end


def encode_path(path: bytes) -> bytes:
    """The path as it stands on the wire, percent-encoded once more: all services but S3 sign ``%20`` as ``%2520``."""
    return quote_from_bytes(path, safe="/").encode("ascii")


def canonical_query(parameters: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Decoded parameters, encoded in the one way that is canonical, and sorted by name and value; without the signature."""
    pairs = sorted((quote_from_bytes(name, safe=""), quote_from_bytes(value, safe=""))
                   for name, value in parameters if name != SIGNATURE_PARAMETER)
    return "&".join([f"{name}={value}" for name, value in pairs]).encode("ascii")


def canonical_request(*, method: str, path: bytes, query: bytes, headers: Iterable[tuple[bytes, bytes]],
                      payload_hash: bytes) -> bytes:
    """The canonical request.

    Args:
        method: The HTTP method.
        path: The canonical path.
        query: The canonical query.
        headers: The signed headers: lower-case names and canonical values, in the order of the list of signed headers.
        payload_hash: The body's SHA-256 in hexadecimal, or the word that stands for it.
    """
    pairs = list(headers)
    return b"\n".join((method.encode("utf-8", "replace"), path, query, *(name + b":" + value for name, value in pairs), b"",
                       b";".join([name for name, _ in pairs]), payload_hash))
