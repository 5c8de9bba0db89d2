"""The ASGI application: from a request to its row of the table, and from the result or the error to an answer."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import msgspec

from despina.api import errors
from despina.api.authentication import context, named_key, signed_request
from despina.api.calls import Call
from despina.api.errors import Answer, MethodNotAllowed, UnknownPath
from despina.api.foreign_sites import check_browser
from despina.api.invocation_ids import invocation
from despina.api.invocations import MAX_INVOCATION_BYTES, Invoker
from despina.api.limits import ClientGone, Limits, read_body
from despina.api.metrics import EndpointMetrics, PlaneCollector, RequestMetrics
from despina.api.openapi import openapi_operation
from despina.api.operations import INVOKE_ENDPOINT, LOG_OPERATIONS, OPERATIONS, Operation
from despina.api.reads import Reads
from despina.api.rendering import View
from despina.api.request_ids import request_ids
from despina.api.scope import Receive, Scope, Send, client_host, raw_path
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.api.status import status_operations
from despina.api.wire import Reader
from despina.auth.audit import AuditLog
from despina.auth.gate import Gate
from despina.auth.sessions import Sessions
from despina.core.endpoint import Endpoint
from despina.core.errors import AccessDenied, NotOffered
from despina.core.job import Job
from despina.core.names import Cluster
from despina.telemetry import logs
from despina.telemetry.metrics import Metrics

access = logging.getLogger("despina.access")
"""A line for each request, for those who look very closely."""

if TYPE_CHECKING:
    from despina.api.console.edge import Console

THREADS = 8
"""Threads for use cases that may take long. With as many writers a store is busy; what is more waits its turn."""

_CONSOLE = b"/console"


class Route(NamedTuple):
    """An operation with the reader of its requests."""

    operation: Operation
    reader: Reader


Methods = dict[str, Route]


class Routes:
    """Finds routes by path. Paths are compared as they stand on the wire: an id with ``%2F`` in it is one segment."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self._fixed: dict[bytes, Methods] = {}
        self._by_id: dict[tuple[bytes, bytes], Methods] = {}
        for operation in operations:
            route = Route(operation, Reader(operation.name, operation.request))
            head, braces, tail = operation.path.encode("ascii").partition(b"/{id}")
            methods = self._by_id.setdefault((head, tail), {}) if braces else self._fixed.setdefault(head, {})
            methods[operation.method] = route
        for head, _ in self._by_id:
            # An SDK that is given an empty id asks for this; the real service takes it for the collection.
            if head in self._fixed:
                self._fixed[head + b"/"] = self._fixed[head]

    def find(self, path: bytes) -> tuple[Methods | None, bytes]:
        """The routes of a path by method, or None; and the id in the path, still encoded."""
        methods = self._fixed.get(path)
        if methods is not None:
            return methods, b""
        root, _, rest = path[1:].partition(b"/")
        raw_id, slash, tail = rest.partition(b"/")
        methods = self._by_id.get((b"/" + root, slash + tail))
        if methods is not None:
            return methods, raw_id
        collection, _, rest = rest.partition(b"/")
        raw_id, slash, tail = rest.partition(b"/")
        return self._by_id.get((b"/" + root + b"/" + collection, slash + tail)), raw_id


class Api:
    """The Neptune Data API's ML operations over a control plane, as an ASGI 3 application.

    Args:
        plane: The control plane.
        settings: Limits, and what is offered.
        cluster: Where ARNs say that things are.
        gate: Lets requests in; None: everybody may do everything, and signatures are not looked at.
        audit: Keeps who asked for what; None: nobody does.
        sessions: Of people who sign in to the console; there where ``gate`` is.
        networked: Whether the stores are on a network, so that no read of theirs may happen in the event loop.
        metrics: Of this process: those of the API come to them, and ``/metrics`` tells all. None: there are no others.
        clock: Seconds that never run backwards, for the limits.
    """

    def __init__(self, plane: ControlPlane, *, settings: ApiSettings, cluster: Cluster, gate: Gate | None = None,
                 audit: AuditLog | None = None, sessions: Sessions | None = None, networked: bool = False,
                 metrics: Metrics | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._plane = plane
        self._settings = settings
        self._cluster = cluster
        self._gate = gate
        self._audit = audit
        self._sessions = sessions
        self._limits = Limits(settings, clock)
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="despina-api")
        self._reads = Reads(self._threads) if networked else None
        metrics, endpoints = metrics or Metrics({}), EndpointMetrics()
        self._endpoints = endpoints
        metrics.register(PlaneCollector(plane, endpoints))
        metrics.in_flight.set_function(lambda: self._limits.in_flight)
        self._measured = RequestMetrics(metrics)
        self._invoker = Invoker(plane.endpoints, endpoints, self._reads)
        operations = (*OPERATIONS, *LOG_OPERATIONS, INVOKE_ENDPOINT, *status_operations(settings, metrics, datetime.now(UTC)))
        self._routes = Routes((*operations, openapi_operation(operations)))
        self._request_ids = request_ids()
        self._console: asyncio.Future[Console] | None = None
        self._tells_all = access.isEnabledFor(logging.DEBUG)
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the server's start and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"Despina speaks HTTP, not {scope['type']}.")
        begun, call, failure = time.perf_counter(), Call(request_id=next(self._request_ids)), None
        logs.about.set(call)  # the server software has a context for each request
        try:
            if raw_path(scope).startswith(_CONSOLE) and raw_path(scope)[len(_CONSOLE):][:1] in {b"", b"/"}:
                answer, failure = await (await self._opened_console()).answer(call, scope, receive)
            else:
                body = await self._answer(call, scope, receive)
                content_type = call.operation.content_type if call.operation else b""
                answer = Answer(200, [(b"content-type", content_type), (b"content-length", b"%d" % len(body)),
                                      (b"x-amzn-requestid", call.request_id.encode("ascii")), *call.headers], body)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the outermost edge: whatever it is, the client gets an answer and the log the rest
            answer, failure = errors.answer(error, call.request_id), error
        if self._audit is not None and (entry := call.entry(scope, answer, failure)):
            self._audit.write(entry)
        self._measured.answered(call.operation, answer.status, time.perf_counter() - begun, failure)
        if self._tells_all:
            access.debug("%s %s: %d, %d bytes in %.3f ms", scope["method"], raw_path(scope).decode("latin-1"), answer.status,
                         len(answer.body), (time.perf_counter() - begun) * 1000)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, call: Call, scope: Scope, receive: Receive) -> bytes:
        """The body of a successful answer: limits first, then who asks, then everything about the request."""
        methods, raw_id = self._routes.find(raw_path(scope))
        route = methods.get(scope["method"]) if methods else None
        operation = route.operation if route else None
        if operation is None or (operation.metered and self._gate is None):
            self._limits.take(client_host(scope))
        if methods is None:
            raise UnknownPath(f"There is no operation at the path '{raw_path(scope).decode('latin-1')}'.")
        if route is None or operation is None:
            raise MethodNotAllowed(f"The method {scope['method']} is not allowed at this path: it must be "
                                   f"{' or '.join(methods)}.", allowed=tuple(methods))
        call.operation, call.resource_id = operation, unquote(raw_id) if raw_id else None
        body = b""
        if self._gate is None and operation.method != "GET":
            check_browser(scope, self._settings.own_hosts)
        if operation.method == "POST":
            # Not yet in flight: who sends a body slowly takes nobody's place.
            limit = MAX_INVOCATION_BYTES if operation is INVOKE_ENDPOINT else self._settings.max_body_bytes
            body = await read_body(scope, receive, limit=limit, seconds=self._settings.body_timeout_seconds)
            call.invocation = invocation(scope)
        if not operation.metered:
            await self._admit(call, operation, scope, body)
            return await self._perform(call, route, raw_id, scope, body)
        self._limits.enter()
        try:
            await self._admit(call, operation, scope, body)
            return await self._perform(call, route, raw_id, scope, body)
        finally:
            self._limits.leave()

    async def _admit(self, call: Call, operation: Operation, scope: Scope, body: bytes) -> None:
        """Find out who asks, and whether he may. Refused signatures count for the address that they come from."""
        if self._gate is None or operation.action is None:
            return
        key = named_key(scope) if self._reads is not None else None
        if self._reads is not None and key is not None:
            self._gate.remember(key, await self._reads.get(("key", key), partial(self._gate.find, key)))
        try:
            call.credential = self._gate.authenticate(signed_request(scope, body), operation.service)
        except AccessDenied:
            self._limits.take(client_host(scope))
            raise
        if operation.metered:
            self._limits.take(call.credential.principal.arn)
        resource = None
        if operation is INVOKE_ENDPOINT:
            endpoint = await self._invoker.find(call.resource_id or "")
            resource = self._cluster.arn("endpoint", endpoint.resource_name if endpoint else call.resource_id or "")
        self._gate.authorize(call.credential, f"{operation.service}:{operation.action}", lambda: context(scope), resource=resource)

    async def _perform(self, call: Call, route: Route, raw_id: bytes, scope: Scope, body: bytes) -> bytes:
        operation = route.operation
        if not self._settings.ml_enabled and operation.path.startswith(("/ml/", "/endpoints/")):
            raise NotOffered("Neptune ML is switched off on this server: the setting cluster.ml_enabled is false.")
        if operation.use_case is None or operation.render is None:
            answer, variant = await self._invoker.invoke(call.resource_id or "", body)
            call.headers = [(b"x-amzn-invoked-production-variant", variant.encode("ascii"))]
            return answer
        request = route.reader.read(raw_id=raw_id, query=scope["query_string"], body=body)
        if self._audit is not None:
            call.resource_id = getattr(request, "id", None)
        if self._settings.parameter_group.roles is not None and operation.path.startswith("/ml/"):
            self._settings.parameter_group.role_of(request)
        result: Any
        if operation.in_thread(request):
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._threads, copy_context().run, operation.use_case, self._plane, request,
                                                call.caller())
        elif self._reads is not None and operation.reads:
            use_case = partial(operation.use_case, self._plane, request, call.caller())
            result = await self._reads.get((operation.name, request), use_case)
        else:
            result = operation.use_case(self._plane, request, call.caller())
        if isinstance(result, Job | Endpoint):
            call.resource_id = result.id
        rendered = operation.render(result, request, View(self._cluster, scope))
        return rendered.encode() if isinstance(rendered, str) else self._encode(rendered)

    def _opened_console(self) -> "asyncio.Future[Console]":
        """The console: whoever asks first has it loaded, in a thread, since that takes a moment and some memory."""
        def opened() -> "Console":
            from despina.api.console import edge

            return edge.Console(self._plane, settings=self._settings, cluster=self._cluster, gate=self._gate,
                                sessions=self._sessions, limits=self._limits, invoker=self._invoker, reads=self._reads,
                                metrics=self._endpoints, audit_folder=self._audit.folder if self._audit is not None else None)

        if self._console is None:
            self._console = asyncio.get_running_loop().run_in_executor(self._threads, opened)
        # Who goes away while he waits for it does not end it for the others.
        return asyncio.shield(self._console)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        self._threads.shutdown(wait=False)
        self._invoker.close()
        await send({"type": "lifespan.shutdown.complete"})
