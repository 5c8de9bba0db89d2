"""Signs the command line's own requests (AWS Signature Version 4), with the access key of the environment, if there is one.

Source: IAM user guide, "Create a signed AWS API request".
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

from despina.auth.canonical import Request, canonical_path, canonical_query, canonical_request
from despina.auth.claims import ALGORITHM
from despina.auth.signing_keys import TERMINATOR, derive
from despina.auth.sigv4 import signature
from despina.core.frozen import Frozen

REGION = "us-east-1"
"""That of a server whose settings name no other."""


class Credentials(Frozen, frozen=True, kw_only=True):
    """An access key, and the region that it signs for."""

    key_id: str
    secret: str
    token: str = ""
    region: str = REGION

    def __repr__(self) -> str:  # a secret must not come into a message
        return f"Credentials({self.key_id!r})"


def credentials(environ: Mapping[str, str] = os.environ) -> Credentials | None:
    """The access key of ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``; the region of ``AWS_REGION``,
    ``AWS_DEFAULT_REGION`` or ``DESPINA_REGION``."""
    key_id, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret:
        return None
    region = next((environ[name] for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "DESPINA_REGION") if environ.get(name)), REGION)
    return Credentials(key_id=key_id, secret=secret, token=environ.get("AWS_SESSION_TOKEN", ""), region=region)


def sign(given: Credentials, *, method: str, target: str, host: str, body: bytes, service: str,
         now: datetime | None = None) -> dict[str, str]:
    """The headers by which a request is signed.

    Args:
        given: Whose signature.
        method: The HTTP method.
        target: Path and query, as they stand on the wire.
        host: The header ``Host``.
        body: All of it.
        service: The AWS service that it is for, as in ``neptune-db``.
        now: The time; now, if it is not given.
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    signed = {"host": host, "x-amz-date": moment, **({"x-amz-security-token": given.token} if given.token else {})}
    path, _, query = target.partition("?")
    request = Request(method=method, raw_path=path.encode(), raw_query=query.encode(), body=body,
                      headers=[(name.encode(), value.encode()) for name, value in signed.items()])
    canonical = canonical_request(
        method=method, path=canonical_path(request.raw_path), query=canonical_query(request.parameters),
        headers=sorted(request.values.items()), payload_hash=sha256(body).hexdigest().encode())
    scope = (moment[:8], given.region, service)
    place = "/".join((*scope, TERMINATOR))
    made = signature(canonical, moment, place, derive(given.secret, scope))
    headers = {name: value for name, value in signed.items() if name != "host"}
    return {**headers, "Authorization": f"{ALGORITHM} Credential={given.key_id}/{place}, SignedHeaders={';'.join(sorted(signed))}, "
                                        f"Signature={made}"}
