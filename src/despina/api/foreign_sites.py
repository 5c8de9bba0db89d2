"""Web pages of other sites, which a browser lets send requests here: it says of each whose page it comes from.

Source: W3C Fetch Metadata Request Headers; Fetch standard, "Origin header".
"""

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
