"""Signing in with an access key, and out again."""

from despina.api.console import cookies
from despina.api.console.page import ROOT, ConsoleRequest, Page, Reply
from despina.api.console.protection import local_path
from despina.auth.sessions import SESSION_MS
from despina.core.errors import DespinaError

_MAX_FIELD = 4096
"""Characters of a field: session tokens are the longest."""


def _show(request: ConsoleRequest) -> Reply:
    return _form(request)


def _sign_in(request: ConsoleRequest) -> Reply:
    key_id, secret, token = (request.form.get(name, "").strip()[:_MAX_FIELD] for name in ("key_id", "secret", "session_token"))
    session = request.edge.open_session(key_id, secret, token)
    reply = request.redirect(local_path(request.form.get("next"), ROOT))
    reply.headers.append(_cookie(request, session, SESSION_MS // 1000))
    return reply


def _sign_out(request: ConsoleRequest) -> Reply:
    reply = request.redirect(f"{ROOT}/sign-in")
    reply.headers.append(_cookie(request, "", 0))
    return reply


def _again(request: ConsoleRequest, error: DespinaError) -> Reply:
    return _form(request, problem=str(error))


def _form(request: ConsoleRequest, *, problem: str = "") -> Reply:
    target = local_path(request.form.get("next") or request.query.get("next"), ROOT)
    return request.render("sign_in.html", problem=problem, next=target, key_id=request.form.get("key_id", ""))


def _cookie(request: ConsoleRequest, value: str, max_age: int) -> tuple[bytes, bytes]:
    return cookies.set_cookie(cookies.name_of(cookies.SESSION, request.origin), value, secure=request.origin.startswith("https:"),
                              max_age=max_age)


PAGES = (
    Page("ShowSignIn", "GET", f"{ROOT}/sign-in", None, _show, public=True),
    Page("ConsoleLogin", "POST", f"{ROOT}/sign-in", "ConsoleLogin", _sign_in, service="signin", public=True,
         form_again=_again),
    Page("ConsoleLogout", "POST", f"{ROOT}/sign-out", None, _sign_out),
)
