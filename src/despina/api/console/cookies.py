"""Cookies of the console: a session's, and, where there is none, a random one that forms are bound to.

Browsers give the cookies of one port to all ports of a host, so the port is in the names: two servers on a machine do not sign each
other's people out.
"""

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

SESSION = "despina-session"
VISITOR = "despina-visitor"
"""Random, of a browser that has no session."""


def name_of(kind: str, origin: str) -> str:
    """The cookie's name at this origin."""
    parts = urlsplit(origin)
    try:
        port = parts.port
    except ValueError:
        port = None
    return f"{kind}-{port or (443 if parts.scheme == 'https' else 80)}"


def read(header: bytes | None, name: str) -> str | None:
    """The value of a cookie that the browser sent."""
    if not header:
        return None
    try:
        found = SimpleCookie(header.decode("latin-1")).get(name)
    except CookieError:
        return None
    return found.value if found else None


def set_cookie(name: str, value: str, *, secure: bool, max_age: int | None = None) -> tuple[bytes, bytes]:
    """The header that has the browser keep a cookie, for so many seconds (None: until it is closed; 0: it is to be deleted)."""
    age = f"; Max-Age={max_age}" if max_age is not None else ""
    end = "; Secure" if secure else ""
    return b"set-cookie", f"{name}={value}; Path=/console; HttpOnly; SameSite=Strict{age}{end}".encode("ascii")


def random_value() -> str:
    """A value that nobody guesses."""
    return secrets.token_urlsafe(24)
