"""Web pages of other sites, which a browser lets send requests here: it says of each whose page it comes from, and by which name
this server was called.

Source: W3C Fetch Metadata Request Headers; Fetch standard, "Origin header".
"""

import ipaddress
from urllib.parse import urlsplit

from despina.api.scope import Scope, header
from despina.core.errors import AccessDenied

_OWN_SITE = (b"same-origin", b"none")
"""Of ``Sec-Fetch-Site``: a page of this very origin, or the person himself."""


def check_site(scope: Scope) -> None:
    """Refuse what a page of another site sends. Who is no browser sends neither header, and passes.

    Raises:
        AccessDenied: it comes from another site.
    """
    site, origin = header(scope, b"sec-fetch-site"), header(scope, b"origin")
    # Not the scheme of the origin: behind a proxy that ends TLS it differs.
    if (site is not None and site not in _OWN_SITE) or (
            origin is not None and origin.partition(b"://")[2] != (header(scope, b"host") or b"")):
        raise AccessDenied("This was sent by a web page of another site, so nothing was done.")


def check_browser(scope: Scope, known: frozenset[str]) -> None:
    """Refuse what another site's page sends to a server that believes everybody, whatever name it has given this server.

    Raises:
        AccessDenied: as ``check_site`` and, of browsers, ``check_host``.
    """
    check_site(scope)
    if header(scope, b"origin") is not None:
        check_host(scope, known)


def check_host(scope: Scope, known: frozenset[str]) -> None:
    """Refuse a host name that could be another site's which has its name lead here (DNS rebinding).

    For a server that believes everybody: what a browser may do then depends on the name alone that it called. A site's own name
    is neither an IP address, nor ``localhost``, nor one that the server was told.

    Raises:
        AccessDenied: it is another name.
    """
    host = (header(scope, b"host") or b"").decode("latin-1")
    name = (urlsplit(f"//{host}").hostname or "").removesuffix(".") if _is_host(host) else ""
    if name == "localhost" or name.endswith(".localhost") or name in known or _is_address(name):
        return
    raise AccessDenied(
        f"Browsers are not answered as '{host[:100]}': without --iam-auth that is for localhost, IP addresses, the name of this "
        "machine and the setting 'host' only, so that no web site can have its own name lead here. Use the server's IP address, or "
        "switch --iam-auth on.")


def _is_host(host: str) -> bool:
    try:
        urlsplit(f"//{host}")
    except ValueError:
        return False
    return True


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
