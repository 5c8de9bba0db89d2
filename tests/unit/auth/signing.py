"""Requests as botocore signs them, and as they stand on the wire then."""

from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from despina.auth.canonical import Request
from despina.auth.claims import Claim, parse
from despina.auth.signing_keys import SigningKeys
from despina.auth.sigv4 import Key, hash_token, verify

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
SERVICE = "neptune-db"
URL = "http://localhost:8182/ml/modeltraining?maxItems=3"


def sign(method: str = "GET", url: str = URL, *, headers: list[tuple[str, str]] | None = None, body: bytes = b"",
         token: str | None = None, service: str = SERVICE, expires: int | None = None, sign_body: bool = True) -> Request:
    """A request signed by botocore: in its header, or in its query when it shall expire."""
    made = AWSRequest(method=method, url=url, data=body)
    for name, value in headers or []:
        made.headers.add_header(name, value)
    made.context["payload_signing_enabled"] = sign_body
    credentials = Credentials(KEY_ID, SECRET, token)
    if expires is None:
        SigV4Auth(credentials, service, REGION).add_auth(made)
    else:
        made.data = b""
        SigV4QueryAuth(credentials, service, REGION, expires=expires).add_auth(made)
    parts = urlsplit(made.url)
    sent = [("Host", parts.netloc), *made.headers.items()]
    return Request(method=method, raw_path=parts.path.encode(), raw_query=parts.query.encode(),
                   headers=tuple((name.encode(), value.encode()) for name, value in sent), body=body if expires is None else b"")


def changed(request: Request, **changes: Any) -> Request:
    """The request with other members."""
    members = {name: getattr(request, name) for name in ("method", "raw_path", "raw_query", "headers", "body")}
    return Request(**members | changes)


def with_header(request: Request, name: str, value: bytes | None) -> Request:
    """The request with another value of a header, with one more, or with one less if the value is None."""
    headers = [item for item in request.headers if item[0].lower() != name.lower().encode()]
    if value is not None:
        headers.append((name.encode(), value))
    return changed(request, headers=tuple(headers))


def key(token: str | None = None, secret: str = SECRET) -> Key:
    return Key(secret.encode(), lambda: secret, hash_token(token.encode()) if token else None)


def check(request: Request, *, claim: Claim | None = None, now: int | None = None, token: str | None = None,
          known: Key | None = None, region: str = REGION, service: str = SERVICE) -> Claim:
    """Verify the request at the second ``now``, which is that of the signature if none is given."""
    claim = claim or parse(request)
    verify(claim, request, known or key(token), now=1000 * (claim.signed_at if now is None else now), region=region,
           service=service, keys=SigningKeys())
    return claim
