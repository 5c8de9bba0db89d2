"""What keeps other sites out of the console: headers of every answer, whose page a request may come from, which host it may name.

Sources: W3C Content Security Policy Level 3; OWASP, "Cross-Site Request Forgery Prevention".
"""

import hmac
import ipaddress
from urllib.parse import unquote, urlsplit

from despina.api.console.page import Headers
from despina.api.foreign_sites import check_site
from despina.api.scope import Scope, header
from despina.core.errors import AccessDenied

SECURITY_HEADERS: Headers = [
    (b"content-security-policy",
     b"; ".join((b"default-src 'none'", b"script-src 'self'", b"style-src 'self'", b"img-src 'self' data:", b"connect-src 'self'",
                 b"form-action 'self'", b"frame-ancestors 'none'", b"base-uri 'none'"))),
    (b"x-content-type-options", b"nosniff"),
    # Not no-referrer: with that browsers send "Origin: null" with the console's own forms. Other sites get none by this one too.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


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
        f"The console cannot be opened as '{host[:100]}': without --iam-auth it answers to localhost, to IP addresses, and to the "
        "name of this machine and of its setting 'host' only, so that no other site can act in its name. Use the server's IP "
        "address, or switch --iam-auth on.")


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


def check_form(scope: Scope, given: str | None, token: str | None) -> None:
    """Refuse a POST that no form of the console sent.

    Args:
        scope: Of the request.
        given: The token that came with the form.
        token: The token that the form must carry; None: this browser was given none.

    Raises:
        AccessDenied: it comes from another site, or without the right token.
    """
    check_site(scope)
    if given is None or token is None or not hmac.compare_digest(given.encode(), token.encode()):
        raise AccessDenied("The form does not carry the token of this browser's session: it may have ended since the page was "
                           "opened. Nothing was done. Open the page again, and repeat it.")


def local_path(target: str | None, otherwise: str) -> str:
    """A path of the console that a browser may be sent to; what leads elsewhere gives ``otherwise``."""
    if target is None or not target.isascii() or not target.isprintable() or "\\" in target:
        return otherwise
    path = unquote(target.partition("?")[0])
    inside = path == "/console" or path.startswith("/console/")
    return target if inside and not {".", ".."} & set(path.split("/")) else otherwise
