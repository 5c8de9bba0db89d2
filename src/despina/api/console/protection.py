"""What keeps other sites out of the console: headers of every answer, and the token of a form.

Sources: W3C Content Security Policy Level 3; OWASP, "Cross-Site Request Forgery Prevention".
"""

import hmac
from urllib.parse import unquote

from despina.api.console.page import Headers
from despina.api.foreign_sites import check_site
from despina.api.scope import Scope
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
