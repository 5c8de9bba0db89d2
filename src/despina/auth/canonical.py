"""The canonical form of a request, which is what a SigV4 signature is of.

All of it is about bytes: what is no UTF-8 is encoded like everything else, so that no input is an error here.

Source: IAM user guide, "Create a signed AWS API request" (step 1, "Create a canonical request").
"""

import re
from collections.abc import Iterable
from functools import lru_cache

SIGNATURE_PARAMETER = b"X-Amz-Signature"
"""The only parameter of a query that is not signed."""

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_ENCODED = {bytes([code]): bytes([code]) if code in _UNRESERVED else b"%%%02X" % code for code in range(256)}
_CANONICAL = _ENCODED | {b"%%%02X" % code: _ENCODED[bytes([code])] for code in range(256)} | {b"+": b"%20"}
"""What stands in a query, and how it stands in the canonical one."""

_IN_PATH = re.compile(rb"[^/A-Za-z0-9._~-]")
_IN_QUERY = re.compile(rb"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~-]")


_REMEMBERED = 256
"""Paths and queries whose canonical form is kept: clients that poll ask for the same again and again."""


class Request:
    """An HTTP request as it stands on the wire.

    Args:
        method: The HTTP method.
        raw_path: Still percent-encoded, without the query.
        raw_query: Still percent-encoded.
        headers: Names in any case, and values, in the order of the wire.
        body: All of it.
    """

    __slots__ = ("_values", "body", "headers", "method", "raw_path", "raw_query")

    def __init__(self, *, method: str, raw_path: bytes, raw_query: bytes = b"", headers: Iterable[tuple[bytes, bytes]],
                 body: bytes = b"") -> None:
        self.method, self.raw_path, self.raw_query, self.body = method, raw_path, raw_query, body
        self.headers = tuple(headers)
        self._values = dict(self.headers)
        if len(self._values) < len(self.headers) or not all(map(bytes.islower, self._values)):
            self._values = _joined(self.headers)

    def has(self, name: bytes) -> bool:
        """Whether there is a header of this (lower-case) name."""
        return name in self._values

    def raw_values(self, names: tuple[bytes, ...]) -> tuple[bytes | None, ...]:
        """The values of these headers (lower-case) as they stand on the wire."""
        return tuple(map(self._values.get, names))

    def value(self, name: bytes) -> bytes | None:
        """The canonical value of a header, by lower-case name: trimmed, white space squeezed, several joined with commas."""
        raw = self._values.get(name)
        return None if raw is None else b" ".join(raw.split())

    @property
    def values(self) -> dict[bytes, bytes]:
        """The canonical values of all headers by lower-case name."""
        return {name: b" ".join(raw.split()) for name, raw in self._values.items()}

    @property
    def parameters(self) -> tuple[tuple[bytes, bytes], ...]:
        """Names and values of the query, encoded in the one way that is canonical, sorted."""
        return _parameters(self.raw_query)


def _joined(headers: tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
    """Headers whose names have capitals or come again."""
    values: dict[bytes, bytes] = {}
    for name, raw in headers:
        key, value = name.lower(), b" ".join(raw.split())
        values[key] = values[key] + b"," + value if key in values else value
    return values


@lru_cache(_REMEMBERED)
def _parameters(raw_query: bytes) -> tuple[tuple[bytes, bytes], ...]:
    pairs = []
    for item in raw_query.split(b"&"):
        if item:
            name, _, value = item.partition(b"=")
            pairs.append((encode_text(name), encode_text(value)))
    return tuple(sorted(pairs))


@lru_cache(_REMEMBERED)
def canonical_path(raw_path: bytes) -> bytes:
    """The path as it is signed."""
    return encode_path(normalize_path(raw_path))


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
    return _IN_PATH.sub(lambda match: _ENCODED[match[0]], path)


def encode_text(raw: bytes) -> bytes:
    """A name or value of a query, decoded as the server does (``+`` is a space) and encoded in the one way that is canonical."""
    return _IN_QUERY.sub(lambda match: _CANONICAL[match[0].upper()], raw)


@lru_cache(_REMEMBERED)
def canonical_query(parameters: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The parameters of a request without the signature."""
    return b"&".join([name + b"=" + value for name, value in parameters if name != SIGNATURE_PARAMETER])


def canonical_request(*, method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], payload_hash: bytes) -> bytes:
    """The canonical request.

    Args:
        method: The HTTP method.
        path: The canonical path.
        query: The canonical query.
        headers: The signed headers: lower-case names and canonical values, in the order of the list of signed headers.
        payload_hash: The body's SHA-256 in hexadecimal, or the word that stands for it.
    """
    lines = [name + b":" + value for name, value in headers]
    names = b";".join([name for name, _ in headers])
    return b"\n".join([method.encode("utf-8", "replace"), path, query, *lines, b"", names, payload_hash])
