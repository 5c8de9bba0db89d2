"""A request as the gate wants it: what is signed, and what policies may ask of it."""

import re
import time
from datetime import UTC, datetime
from functools import lru_cache

from despina.api.scope import Scope, client_host, header, raw_path
from despina.auth.canonical import Request
from despina.auth.claims import parse
from despina.core.errors import AccessDenied

_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")


def signed_request(scope: Scope, body: bytes) -> Request:
    """The request as it stands on the wire."""
    return Request(method=scope["method"], raw_path=raw_path(scope), raw_query=scope["query_string"], headers=scope["headers"],
                   body=body)


def named_key(scope: Scope) -> str | None:
    """The access key that a request names; None if it is not signed."""
    try:
        return parse(signed_request(scope, b"")).key_id
    except AccessDenied:
        return None


def claimed_key(scope: Scope) -> str | None:
    """The access key that a request names, if what it names looks like the id of one: it might be a secret in the wrong place."""
    key_id = named_key(scope)
    return key_id if key_id is not None and is_key_id(key_id) else None


def is_key_id(text: str) -> bool:
    """Whether it looks like the id of an access key."""
    return _KEY_ID.fullmatch(text) is not None


def context(scope: Scope) -> dict[str, str]:
    """The values of the condition keys that the edge knows (IAM user guide, "AWS global condition context keys").

    ``aws:SourceIp`` is missing on a Unix socket, ``aws:UserAgent`` where the client does not tell.
    """
    found = {"aws:SecureTransport": "true" if scope.get("scheme") == "https" else "false",
             "aws:CurrentTime": _iso(int(time.time()))}
    host, agent = client_host(scope), header(scope, b"user-agent")
    if host:
        found["aws:SourceIp"] = host
    if agent is not None:
        found["aws:UserAgent"] = agent.decode("latin-1")
    return found


@lru_cache(1)
def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
