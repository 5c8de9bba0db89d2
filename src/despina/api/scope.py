"""What an ASGI server hands over, and what we read from it.

Source: the ASGI specification 3.0, "HTTP & WebSocket ASGI Message Format".
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of the first header of this (lower-case) name."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    for key, value in headers:
        if key == name:
            return value
    return None


def raw_path(scope: Scope) -> bytes:
    """The path as it stands on the wire, still percent-encoded, without the query."""
    raw: bytes | None = scope.get("raw_path")
    return raw if raw is not None else quote(scope["path"]).encode("ascii")


def origin(scope: Scope) -> str:
    """The scheme and host by which the client calls this server, as in ``http://localhost:8182``; ``""`` when it does not say."""
    host = header(scope, b"host")
    return f"{scope['scheme']}://{host.decode('latin-1')}" if host else ""


def client_host(scope: Scope) -> str:
    """The client's address; ``""`` on a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""
