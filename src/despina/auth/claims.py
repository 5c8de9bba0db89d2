"""What a request says about its signature: in its Authorization header, or in the query of a presigned URL.

Source: IAM user guide, "Authentication methods" and "Create a signed AWS API request" (step 5, "Add the signature to the request").
"""

import re
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from despina.auth.canonical import Request
from despina.core.errors import AccessDenied
from despina.core.frozen import Frozen

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_EXPIRES = 604800
"""Seconds that a presigned request may hold: seven days."""

MAX_SHOWN = 100
"""Characters of the client's own that a refusal quotes."""

_REMEMBERED = 256
"""Parts of claims that are kept as read: a client's are the same over many requests, but for the signature."""

_BASIC = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) (?:GMT|-0000)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LIST_OF_NAMES = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+(?:;[!#$%&'*+.^_`|~0-9a-z-]+)*")
_SIGNATURE_LENGTH = 64
_HEXADECIMAL = re.compile(rb"[0-9a-f]{64}")
_EXPIRES = re.compile(rb"[0-9]{1,6}")
_SIGNED_DATES = (b"x-amz-date", b"date")

_IN_HEADER = (b"Credential", b"SignedHeaders", b"Signature")
_IN_QUERY = (b"X-Amz-Algorithm", b"X-Amz-Credential", b"X-Amz-Date", b"X-Amz-Expires", b"X-Amz-SignedHeaders", b"X-Amz-Signature")
_OPTIONAL_IN_QUERY = (b"X-Amz-Security-Token", b"X-Amz-Content-Sha256")
_ANY_IN_QUERY = frozenset(_IN_QUERY + _OPTIONAL_IN_QUERY)
_SIGN_OF_PRESIGNED = (b"X-Amz-Algorithm", b"X-Amz-Signature")


class CredentialScope(NamedTuple):
    """The credential of a claim: an access key, and what its signature is for."""

    key_id: str
    day: str
    region: str
    service: str
    terminator: str
    text: str
    """All but the access key, with slashes between them."""


class Claim(Frozen, frozen=True, kw_only=True):
    """Who says to have signed a request, when, for what, and the signature. It is not true before ``sigv4.verify`` says so."""

    credential: CredentialScope
    signed_headers: tuple[bytes, ...]
    """Lower-case names in the order of the claim. They are all in the request, and the host and a date are among what is signed."""
    signature: str
    """64 lower-case hexadecimal digits."""
    timestamp: str
    """When it was signed, as in ``20150830T123600Z``."""
    signed_at: int
    """The same in seconds since 1970."""
    token: bytes = b""
    """The session token, or nothing."""
    expires: int | None = None
    """Seconds that a presigned request holds; None for one that is signed in its header."""
    payload_hash: bytes | None = None
    """The body's hash, where a presigned request has it in its query."""

    @property
    def key_id(self) -> str:
        """The access key's id."""
        return self.credential.key_id

    @property
    def scope(self) -> str:
        """The credential scope."""
        return self.credential.text


def refuse(text: str, detail: str = "") -> AccessDenied:
    """The refusal with AWS's text, and what we can say beyond it."""
    return AccessDenied(f"{text} {detail}" if detail else text)


def shown(value: bytes | str) -> str:
    """What the client sent, quoted in a refusal."""
    text = value if isinstance(value, str) else value.decode("utf-8", "replace")
    return f"'{text[:MAX_SHOWN]}…'" if len(text) > MAX_SHOWN else f"'{text}'"


def parse(request: Request) -> Claim:
    """What the request says about its signature.

    Raises:
        AccessDenied: the request is not signed, or what it says is malformed or incomplete.
    """
    authorization = request.value(b"authorization")
    presigned = _is_presigned(request.parameters)
    if authorization is not None and presigned:
        raise refuse("The request has both an Authorization header and a signature in its query: one of them must be left out.")
    if presigned:
        return _from_query(request)
    if authorization is None:
        raise refuse("Missing Authentication Token.",
                     "The request is not signed: it has no Authorization header, and no X-Amz-Signature in its query.")
    return _from_header(request, authorization)


@lru_cache(_REMEMBERED)
def _is_presigned(parameters: tuple[tuple[bytes, bytes], ...]) -> bool:
    return any(name in _SIGN_OF_PRESIGNED for name, _ in parameters)


def _from_header(request: Request, authorization: bytes) -> Claim:
    start = _before_signature(authorization)
    if start is not None:
        elements, signature = _elements(start + b"0"), authorization[-_SIGNATURE_LENGTH:]
    else:
        elements = _elements(authorization)
        signature = elements[b"Signature"]
    credential, signed_headers = _credential(elements[b"Credential"]), _there(request, _names(elements[b"SignedHeaders"]))
    date = _date_header(signed_headers)
    timestamp, signed_at = _timestamp(request.value(date) or b"", http_date=date == b"date")
    return Claim(credential=credential, signed_headers=signed_headers, signature=_signature(signature), timestamp=timestamp,
                 signed_at=signed_at, token=request.value(b"x-amz-security-token") or b"")


def _before_signature(authorization: bytes) -> bytes | None:
    """All of the header's value but the digits of the signature, if these stand at its end, as clients write it."""
    start = authorization[:-_SIGNATURE_LENGTH]
    return start if start.endswith(b"Signature=") else None


@lru_cache(_REMEMBERED)
def _date_header(signed_headers: tuple[bytes, ...]) -> bytes:
    """The header that says when the request was signed."""
    for name in _SIGNED_DATES:
        if name in signed_headers:
            return name
    raise refuse("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
                 f"It must be signed; the signed headers are {shown(b';'.join(signed_headers))}.")


@lru_cache(_REMEMBERED)
def _looked_at(authorization: bytes) -> tuple[bytes, ...]:
    """The headers that a claim which begins so is about, and those that count unsigned."""
    return (*_names(_elements(authorization + b"0")[b"SignedHeaders"]), b"x-amz-security-token", b"x-amz-content-sha256")


@lru_cache(_REMEMBERED)
def _elements(authorization: bytes) -> dict[bytes, bytes]:
    """The parts of the header's value, which has each of them once. But for the signature's digits they stay the same for a day."""
    scheme, blank, rest = authorization.partition(b" ")
    if not blank or scheme != ALGORITHM.encode("ascii"):
        # A header of one word may be a secret.
        received = f", not {shown(scheme)}" if blank else ""
        raise refuse("The request did not include the required authorization header, or it was malformed.",
                     f"It must begin with '{ALGORITHM}'{received}.")
    elements = [element.strip().partition(b"=") for element in rest.split(b",")]
    values = {name: value for name, _, value in elements}
    missing = [name for name in _IN_HEADER if not values.get(name)]
    if missing:
        raise refuse(" ".join(f"Authorization header requires '{name.decode('ascii')}' parameter." for name in missing))
    if len(elements) > len(_IN_HEADER):
        raise refuse("The request did not include the required authorization header, or it was malformed.",
                     f"It must have Credential, SignedHeaders and Signature once each and nothing else, not {len(elements)} parts.")
    return values


def identity(request: Request) -> object:
    """All that a signature at the end of the header and its verification depend on; None for a request that is signed otherwise.

    Raises:
        AccessDenied: as ``parse``.
    """
    authorization = request.value(b"authorization")
    if authorization is None or request.body or _is_presigned(request.parameters):
        return None
    start = _before_signature(authorization)
    if start is None:
        return None
    return request.method, request.raw_path, request.raw_query, authorization, request.raw_values(_looked_at(start))


def _from_query(request: Request) -> Claim:
    named = [(name, unquote_to_bytes(value)) for name, value in request.parameters if name in _ANY_IN_QUERY]
    values = dict(named)
    missing = [name for name in _IN_QUERY if not values.get(name)]
    if missing:
        raise refuse(" ".join(f"AWS query-string parameters must include '{name.decode('ascii')}'." for name in missing),
                     "Re-examine the query-string parameters.")
    if len(values) < len(named):
        raise refuse("The parameters of a presigned request must each stand once in the query.")
    if values[b"X-Amz-Algorithm"] != ALGORITHM.encode("ascii"):
        raise refuse(f"Unsupported AWS 'algorithm': {shown(values[b'X-Amz-Algorithm'])}.", f"It must be '{ALGORITHM}'.")
    raw = values[b"X-Amz-Expires"]
    expires = int(raw) if _EXPIRES.fullmatch(raw) else 0
    if not 1 <= expires <= MAX_EXPIRES:
        raise refuse(f"X-Amz-Expires must be a number of seconds between 1 and {MAX_EXPIRES} (seven days), not {shown(raw)}.")
    timestamp, signed_at = _timestamp(values[b"X-Amz-Date"])
    return Claim(
        credential=_credential(values[b"X-Amz-Credential"]),
        signed_headers=_there(request, _names(values[b"X-Amz-SignedHeaders"])),
        signature=_signature(values[b"X-Amz-Signature"]), timestamp=timestamp, signed_at=signed_at, expires=expires,
        token=values.get(b"X-Amz-Security-Token") or request.value(b"x-amz-security-token") or b"",
        payload_hash=values.get(b"X-Amz-Content-Sha256"))


@lru_cache(_REMEMBERED)
def _credential(credential: bytes) -> CredentialScope:
    parts = credential.decode("utf-8", "replace").rsplit("/", 4)
    if len(parts) < 5 or not all(parts) or not credential.isascii():
        raise refuse("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
                     f"{shown(credential)}.")
    key_id, day, region, service, terminator = parts
    return CredentialScope(key_id, day, region, service, terminator, text="/".join(parts[1:]))


def _signature(raw: bytes) -> str:
    if not _HEXADECIMAL.fullmatch(raw):
        raise refuse(f"The signature must be 64 lower-case hexadecimal digits; it has {len(raw)} characters.")
    return raw.decode("ascii")


def _there(request: Request, names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The names of signed headers, which the request has all."""
    for name in names:
        if not request.has(name):
            raise refuse(f"{shown(name)} is named as a SignedHeader, but it does not exist in the HTTP request.")
    return names


@lru_cache(_REMEMBERED)
def _names(raw: bytes) -> tuple[bytes, ...]:
    if not _LIST_OF_NAMES.fullmatch(raw):
        raise refuse(f"SignedHeaders must be lower-case header names with semicolons between them, not {shown(raw)}.")
    names = tuple(raw.split(b";"))
    if b"host" not in names:
        raise refuse(f"'Host' must be a 'SignedHeader' in the AWS Authorization; the signed headers are {shown(raw)}.")
    return names


@lru_cache(_REMEMBERED)
def _timestamp(raw: bytes, *, http_date: bool = False) -> tuple[str, int]:
    """A date in ISO 8601's basic format, or a ``Date`` header, which may be in HTTP's: in the first form, and as seconds."""
    text = raw.decode("latin-1")
    if http_date and (match := _HTTP_DATE.fullmatch(text)) and match[2] in _MONTHS:
        day, month, year, hour, minute, second = match.groups()
        text = f"{year}{_MONTHS.index(month) + 1:02}{day}T{hour}{minute}{second}Z"
    if _BASIC.fullmatch(text):
        with suppress(ValueError):  # 31 February
            return text, int(datetime.fromisoformat(text).timestamp())
    form = " or in HTTP's, as in 'Sun, 30 Aug 2015 12:36:00 GMT'" if http_date else ""
    raise refuse(f"Date must be in ISO-8601 'basic format'. Got {shown(raw)}.", f"It must be as in '20150830T123600Z'{form}.")
