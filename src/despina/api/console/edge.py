"""From a request for a page to its handler, and from the reply or the error to an answer."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

from despina.api import errors
from despina.api.authentication import context, is_key_id
from despina.api.calls import Call
from despina.api.console import cookies
from despina.api.console.descriptions import Descriptions
from despina.api.console.page import ROOT, ConsoleRequest, Edge, Page, Reply
from despina.api.console.protection import SECURITY_HEADERS, check_form
from despina.api.console.static_files import StaticFile, StaticFiles
from despina.api.console.table import PAGES, Table
from despina.api.console.templates import Templates
from despina.api.errors import Answer, MethodNotAllowed, UnknownPath
from despina.api.foreign_sites import check_host
from despina.api.invocations import WAIT_SECONDS, Invoker
from despina.api.limits import ClientGone, Limits, read_body
from despina.api.metrics import EndpointMetrics
from despina.api.reads import Reads
from despina.api.scope import Receive, Scope, client_host, header, origin, raw_path
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.auth.gate import Gate
from despina.auth.sessions import Sessions, parse
from despina.core.errors import AccessDenied, DespinaError, MalformedRequest, NotOffered
from despina.core.names import Cluster
from despina.core.principal import Credential

THREADS = 4
"""Where handlers run. Not those of the API: a page that waits for an endpoint holds up no job."""
MAX_FIELDS = 200
"""Of a form."""
SIGN_IN = f"{ROOT}/sign-in"
_FOREVER = b"public, max-age=31536000, immutable"
_OWN_HEADERS = frozenset({b"content-type", b"content-length", b"x-amzn-requestid"})
"""Of an error's answer, that a page has itself."""


def _nothing(request: ConsoleRequest) -> Reply:
    return request.redirect(ROOT)


_NO_PAGE = Page("ShowError", "GET", ROOT, None, _nothing)
"""Stands for what is at no path."""


class SignInFirst(DespinaError):
    """The page is for people who have signed in."""


class Console:
    """The pages of the table over a control plane.

    Args:
        sessions: Of people who have signed in; None: nobody has to.
        gate: Asked what they may do; None where ``sessions`` is.
        reads: How the stores are read where that means waiting.
        metrics: What this process has seen of endpoints.
        audit_folder: Of the audit log; None where there is none.
    """

    def __init__(self, plane: ControlPlane, *, settings: ApiSettings, cluster: Cluster, gate: Gate | None,
                 sessions: Sessions | None, limits: Limits, invoker: Invoker, reads: Reads | None, metrics: EndpointMetrics,
                 audit_folder: Path | None) -> None:
        self._plane, self._settings, self._cluster = plane, settings, cluster
        self._gate, self._sessions, self._limits, self._invoker = gate, sessions, limits, invoker
        self._reads = reads
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="despina-console")
        self._metrics, self._audit_folder, self._descriptions = metrics, audit_folder, Descriptions()
        self._static, self._table = StaticFiles(), Table(PAGES)
        self._templates = Templates(self._static, self._table.navigation)

    async def answer(self, call: Call, scope: Scope, receive: Receive) -> tuple[Answer, Exception | None]:
        """The answer, and the error that it tells of; what is known of the call stands in ``call``.

        Raises:
            ClientGone: nobody waits for an answer.
        """
        file = self._static.find(scope["path"])
        if file is not None and scope["method"] == "GET":
            return _answer_file(file), None
        visit, failure = _Visit(call=call, scope=scope), None
        try:
            reply = await self._reply(visit, receive)
        except ClientGone:
            raise
        except SignInFirst:
            call.audited = False  # the audit log tells of what was asked for when it is asked for again
            reply = await self._to_sign_in(visit)
        except Exception as error:  # noqa: BLE001 - the edge of the console: whatever it is, there is a page that says so
            reply, failure = await self._failed(visit, error), error
        return self._finished(reply, visit), failure

    async def _reply(self, visit: "_Visit", receive: Receive) -> Reply:
        call, scope = visit.call, visit.scope
        methods, visit.path = self._table.find(raw_path(scope).decode("latin-1"))
        page = methods.get(scope["method"]) if methods else None
        if page is None or self._gate is None or page.public:
            self._limits.take(client_host(scope))
        if self._gate is None:
            check_host(scope, self._settings.own_hosts)
        if methods is None:
            raise UnknownPath(f"There is no page at '{visit.target[:200]}'.")
        if page is None:
            raise MethodNotAllowed(f"The method {scope['method']} is not allowed at this path: it must be "
                                   f"{' or '.join(methods)}.", allowed=tuple(methods))
        call.operation, call.resource_id, visit.page = page, visit.path.get("id"), page
        visit.query = fields(scope["query_string"])
        if page.method == "POST":
            body = await read_body(scope, receive, limit=self._settings.max_body_bytes,
                                   seconds=self._settings.body_timeout_seconds)
            visit.form = fields(body)
        self._limits.enter()
        try:
            await self._admit(visit, page)
            if page.method == "POST":
                check_form(scope, visit.form.get("token"), visit.token)
            await self._authorize(call, page, scope)
            if not self._settings.ml_enabled and not page.public:
                raise NotOffered("Neptune ML is switched off on this server: the setting cluster.ml_enabled is false.")
            visit.new_token = visit.token is None
            return await self._handle(visit, page.handler)
        finally:
            self._limits.leave()

    async def _admit(self, visit: "_Visit", page: Page) -> None:
        """Find out who asks, and the token that his forms carry."""
        if self._gate is None or self._sessions is None or page.public:
            visit.token = self._cookie(cookies.VISITOR, visit.scope)
            return
        text = self._cookie(cookies.SESSION, visit.scope)
        session = parse(text) if text else None
        if session is None:
            if page.method == "GET":
                raise SignInFirst
            raise AccessDenied("Nobody has signed in, or the session has ended. Nothing was done: sign in and repeat it.")
        credential = await self._find(session.key_id)
        try:
            self._sessions.check(session, credential, _now())
        except AccessDenied:
            self._limits.take(client_host(visit.scope))
            if page.method == "GET":
                raise SignInFirst from None
            raise
        assert credential is not None  # noqa: S101 - the session has been checked with it
        visit.call.credential, visit.token = credential, session.token
        self._limits.take(credential.principal.arn)

    async def _authorize(self, call: Call, page: Page, scope: Scope) -> None:
        if self._gate is None or call.credential is None or page.action is None:
            return
        resource = None
        if page.service == "sagemaker":
            name = call.resource_id or ""
            endpoint = await self._invoker.find(name)
            resource = self._cluster.arn("endpoint", endpoint.resource_name if endpoint else name)
        self._gate.authorize(call.credential, f"{page.service}:{page.action}", lambda: context(scope), resource=resource)

    async def _find(self, key_id: str) -> Credential | None:
        gate = self._gate
        assert gate is not None  # noqa: S101 - asked only where people sign in
        if self._reads is not None:
            return await self._reads.get(("key", key_id), partial(gate.find, key_id))
        return gate.find(key_id)

    def _cookie(self, kind: str, scope: Scope) -> str | None:
        return cookies.read(header(scope, b"cookie"), cookies.name_of(kind, origin(scope)))

    async def _handle(self, visit: "_Visit", handler: Callable[[ConsoleRequest], Reply]) -> Reply:
        loop, call, scope, gate = asyncio.get_running_loop(), visit.call, visit.scope, self._gate

        def authorize(action: str, resource: str | None) -> None:
            if gate is not None and call.credential is not None:
                gate.authorize(call.credential, action, lambda: context(scope), resource=resource)

        def invoke(endpoint: str, body: bytes) -> tuple[bytes, str]:
            return asyncio.run_coroutine_threadsafe(self._invoker.invoke(endpoint, body), loop).result(timeout=4 * WAIT_SECONDS)

        def open_session(key_id: str, secret: str, session_token: str) -> str:
            if gate is None or self._sessions is None:
                raise NotOffered("Nobody has to sign in at this server: it was started without --iam-auth.")
            call.named_key = key_id if is_key_id(key_id) else None
            found = gate.find(key_id)
            session = self._sessions.sign_in(found, secret=secret, token=session_token, now=_now())
            call.credential = found
            return session

        visit.token = visit.token or cookies.random_value()
        request = ConsoleRequest(
            id=call.request_id, page=visit.page, plane=self._plane, cluster=self._cluster, settings=self._settings, now=_now(),
            origin=origin(scope), target=visit.target, path=visit.path, query=visit.query, form=visit.form,
            credential=call.credential, token=visit.token,
            edge=Edge(render=self._templates.render, authorize=authorize, invoke=invoke, open_session=open_session,
                      seen=self._metrics.seen, descriptions=self._descriptions, audit_folder=self._audit_folder))
        return await loop.run_in_executor(self._threads, handler, request)

    async def _failed(self, visit: "_Visit", error: Exception) -> Reply:
        """The page that tells of an error, with the status and the headers that the API gives it."""
        made = errors.answer(error, visit.call.request_id)
        told: dict[str, Any] = msgspec.json.decode(made.body)
        reply = await self._form_again(visit, error)
        if reply is None:
            reply = await self._handle(visit, lambda request: request.render("error.html", **told, number=made.status))
        kept = [item for item in made.headers if item[0] not in _OWN_HEADERS]
        return Reply(made.status, [*reply.headers, *kept], reply.body)

    async def _form_again(self, visit: "_Visit", error: Exception) -> Reply | None:
        """The page with the form that was sent; None: there is none, or it is not for the eyes of who sent it."""
        page, again = visit.page, visit.page.form_again
        if again is None or not isinstance(error, DespinaError) or visit.token is None:
            return None
        if isinstance(error, AccessDenied) and not page.public:
            return None

        def shown(request: ConsoleRequest) -> Reply:
            if page.form_action is not None:
                request.authorize(f"neptune-db:{page.form_action}")
            return again(request, error)

        try:
            return await self._handle(visit, shown)
        except DespinaError:
            return None

    async def _to_sign_in(self, visit: "_Visit") -> Reply:
        if header(visit.scope, b"sec-fetch-site") == b"cross-site":
            # The link was on another site: the browser kept its cookies back. It gives them when the page asks for itself again.
            return await self._handle(visit, lambda request: request.render("again.html"))
        return Reply(303, [(b"location", f"{SIGN_IN}?next={quote(visit.target, safe='')}".encode("ascii"))], b"")

    def _finished(self, reply: Reply, visit: "_Visit") -> Answer:
        status, body, headers, scope = reply.status, reply.body, list(reply.headers), visit.scope
        if visit.new_token and visit.token is not None:
            name = cookies.name_of(cookies.VISITOR, origin(scope))
            headers.append(cookies.set_cookie(name, visit.token, secure=scope["scheme"] == "https"))
        if status == 200 and scope["method"] == "GET":
            tag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode("ascii")
            headers.append((b"etag", tag))
            if header(scope, b"if-none-match") == tag:
                status, body = 304, b""
                visit.call.audited = False  # who watches a page was shown this before: the audit log has it once
        common = [(b"cache-control", b"no-store"), (b"x-amzn-requestid", visit.call.request_id.encode("ascii")),
                  (b"content-length", b"%d" % len(body)), *SECURITY_HEADERS]
        return Answer(status, [*headers, *common], body)


@dataclass(slots=True, kw_only=True)
class _Visit:
    """One request, as far as it has been looked at."""

    call: Call
    scope: Scope
    page: Page = _NO_PAGE
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    """That forms carry; None while this browser has none."""
    new_token: bool = False

    @property
    def target(self) -> str:
        """The path and query, as they stand on the wire."""
        query = self.scope["query_string"].decode("latin-1")
        return raw_path(self.scope).decode("latin-1") + (f"?{query}" if query else "")


def _now() -> int:
    return time.time_ns() // 1_000_000


def fields(text: bytes) -> dict[str, str]:
    """The fields of a query or of a form's body that are not empty; of one that comes twice the last.

    Raises:
        MalformedRequest: there are more than any form has.
    """
    try:
        return dict(parse_qsl(text.decode("latin-1"), encoding="utf-8", errors="replace", max_num_fields=MAX_FIELDS))
    except ValueError:
        raise MalformedRequest(f"The form has more than {MAX_FIELDS} fields.") from None


def _answer_file(file: StaticFile) -> Answer:
    return Answer(200, [(b"content-type", file.content_type), (b"content-length", b"%d" % len(file.body)),
                        (b"cache-control", _FOREVER), *SECURITY_HEADERS], file.body)

