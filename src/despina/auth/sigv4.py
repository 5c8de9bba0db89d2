"""Verifies the AWS Signature Version 4 of a request, as a service of AWS does.

``parse`` reads what the request claims; ``verify`` finds out whether it is true, with the access key that the claim names. The same
signature may come again: the SDKs repeat requests within a second. What AWS documents about the texts of refusals is in them.

Source: IAM user guide, "AWS Signature Version 4 for API requests", "Create a signed AWS API request" and "Troubleshoot Signature
Version 4 signing for AWS API requests"; Neptune user guide, "IAM authentication errors".
"""

import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from despina.auth.canonical import Request, canonical_path, canonical_query, canonical_request
from despina.auth.claims import ALGORITHM, Claim, refuse, shown
from despina.auth.signing_keys import TERMINATOR, SigningKeys

MAX_SKEW = 300
"""Seconds that a client's clock may be wrong, in either direction."""

UNSIGNED = b"UNSIGNED-PAYLOAD"
"""Stands for the body's hash when the body is not signed."""

_UNKNOWN = "The security token included in the request is invalid."
_OF_NOTHING = sha256().hexdigest().encode("ascii")
_CONTENT_HASH = b"x-amz-content-sha256"
_WITH_PORT = re.compile(rb"([^:]+|\[[^]]+\]):[0-9]+")


class Key(NamedTuple):
    """An access key as far as signatures need it. Whether it is disabled or has expired is for the caller to see."""

    identity: bytes
    """What stands for the secret, such as its sealed form; see ``SigningKeys.get``."""
    secret: Callable[[], str]
    """Gives the secret access key; asked once for each day."""
    token_hash: bytes | None = None
    """``hash_token`` of the session token, for temporary credentials."""


def hash_token(token: bytes) -> bytes:
    """The hash of a session token. Tokens are long and random: SHA-256 without salt is enough."""
    return sha256(token).digest()


def verify(claim: Claim, request: Request, key: Key | None, *, now: int, region: str, service: str, keys: SigningKeys) -> None:
    """Find out whether the request was signed by who has the access key.

    Args:
        claim: What ``parse`` made of the request.
        request: The request.
        key: The access key of the claim, or None if there is none.
        now: Milliseconds since 1970.
        region: The region that signatures must be for.
        service: The service that signatures must be for, as in ``neptune-db``.
        keys: The signing keys used before.

    Raises:
        AccessDenied: it was not; what was expected and what was received.
    """
    _check_scope(claim, region, service)
    check_time(claim, now // 1000)
    if key is None:
        raise refuse(_UNKNOWN, f"The access key {shown(claim.key_id)} is not known here.")
    _check_token(claim, key)
    payload_hash = _payload_hash(claim, request)
    signing_key = keys.get(key.identity, (claim.credential.day, claim.credential.region, claim.credential.service), key.secret)
    host = request.value(b"host") or b""
    if _signed(claim, request, payload_hash, host, signing_key):
        return
    # Some signers take the URL's host for the header, which has the port too.
    with_port = _WITH_PORT.fullmatch(host)
    if with_port and _signed(claim, request, payload_hash, with_port[1], signing_key):
        return
    raise refuse(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
        "signing method. Consult the service documentation for details.",
        f"It was calculated for the method {shown(request.method)}, the path {shown(request.raw_path)}, the host {shown(host)} and "
        f"the signed headers {shown(b';'.join(claim.signed_headers))}; the access key {shown(claim.key_id)} is known.")


def _signed(claim: Claim, request: Request, payload_hash: bytes, host: bytes, signing_key: bytes) -> bool:
    """Whether the signature is that of the request to this host."""
    canonical = canonical_request(
        method=request.method, path=canonical_path(request.raw_path), query=canonical_query(request.parameters),
        headers=[(name, host if name == b"host" else request.value(name) or b"") for name in claim.signed_headers],
        payload_hash=payload_hash)
    return hmac.compare_digest(signature(canonical, claim.timestamp, claim.scope, signing_key), claim.signature)


def string_to_sign(canonical: bytes, timestamp: str, scope: str) -> str:
    """What is signed in the end: the algorithm, the time, the credential scope and the hash of the canonical request."""
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{sha256(canonical).hexdigest()}"


def signature(canonical: bytes, timestamp: str, scope: str, signing_key: bytes) -> str:
    """The signature of a canonical request, in hexadecimal."""
    return hmac.digest(signing_key, string_to_sign(canonical, timestamp, scope).encode(), "sha256").hex()


def _check_scope(claim: Claim, region: str, service: str) -> None:
    scope = claim.credential
    if scope.terminator != TERMINATOR:
        raise refuse(f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not {shown(scope.terminator)}.")
    if scope.service != service:
        raise refuse(f"Credential should be scoped to correct service: '{service}'.", f"It is scoped to {shown(scope.service)}.")
    if scope.region != region:
        raise refuse(f"Credential should be scoped to a valid Region, not {shown(scope.region)}.",
                     f"The region of this server is '{region}'.")
    if scope.day != claim.timestamp[:8]:
        raise refuse("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                     f"{shown(scope.day)} != '{claim.timestamp[:8]}', from '{claim.timestamp}'.")


def check_time(claim: Claim, now: int) -> None:
    """Refuse what was signed too long ago, or later than now.

    A presigned request holds until it expires, any other for as long as clocks may differ.

    Args:
        claim: What ``parse`` made of the request.
        now: Seconds since 1970.

    Raises:
        AccessDenied: it does not hold now.
    """
    if claim.signed_at > now + MAX_SKEW:
        raise refuse(f"Signature not yet current: {claim.timestamp} is still later than {_iso(now + MAX_SKEW)} "
                     f"({_iso(now)} + 5 min.)")
    if claim.expires is None and claim.signed_at < now - MAX_SKEW:
        raise refuse(f"Signature expired: {claim.timestamp} is now earlier than {_iso(now - MAX_SKEW)} ({_iso(now)} - 5 min.)")
    if claim.expires is not None and claim.signed_at + claim.expires < now:
        raise refuse(f"Signature expired: {_iso(claim.signed_at + claim.expires)} ({claim.timestamp} + {claim.expires} s) is now "
                     f"earlier than {_iso(now)}.")


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def _check_token(claim: Claim, key: Key) -> None:
    if key.token_hash is None and not claim.token:
        return
    if key.token_hash is None:
        why = f"The access key {shown(claim.key_id)} is no temporary one: it has no session token, but the request has one."
    elif not claim.token:
        why = (f"The access key {shown(claim.key_id)} is a temporary one, but the request has no session token "
               "(X-Amz-Security-Token).")
    elif not hmac.compare_digest(hash_token(claim.token), key.token_hash):
        why = f"The session token does not belong to the access key {shown(claim.key_id)}."
    else:
        return
    raise refuse(_UNKNOWN, why)


def _payload_hash(claim: Claim, request: Request) -> bytes:
    """What stands for the body in the canonical request; a hash that the client sent must be the body's."""
    sent = claim.payload_hash if claim.payload_hash is not None else request.value(_CONTENT_HASH)
    if sent == UNSIGNED:
        return sent
    computed = sha256(request.body).hexdigest().encode("ascii") if request.body else _OF_NOTHING
    if sent is not None and sent != computed:
        raise refuse("The provided 'x-amz-content-sha256' header does not match what was computed.",
                     f"It is {shown(sent)}, but the SHA-256 of the {len(request.body)} bytes received is "
                     f"'{computed.decode('ascii')}'; '{UNSIGNED.decode('ascii')}' is accepted too.")
    return computed
