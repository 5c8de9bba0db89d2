"""HTTP as the API promises it, on uvicorn: the only file that knows it."""

import signal
import socket
import uuid
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from despina.api.errors import last_words
from despina.app.tls import Certificate
from despina.core.errors import DespinaError, MalformedRequest, RequestTooLarge, RequestTooSlow, TooManyRequests
from despina.core.frozen import Frozen
from despina.telemetry.metrics import Metrics


class ConnectionLimits(Frozen, frozen=True, kw_only=True):
    """How much of the server a connection may use before there is a request."""

    max_connections: int = 1024
    timeout_seconds: float = 20
    """For the headers of a request to arrive, and for a connection to rest between two requests."""
    max_header_bytes: int = 32_768


class _Protocol(HttpToolsProtocol):
    """What is not even HTTP, too large, too slow or too much gets the API's four members and two headers as well.

    uvicorn itself knows no limit of headers, and lets a connection that sends nothing stay open.
    """

    limits: ClassVar[ConnectionLimits]
    metrics: ClassVar[Metrics | None]

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._awaits_headers, self._has_begun, self._is_refused, self._header_bytes, self._piece = True, False, False, 0, 0
        self._timer: TimerHandle | None = self.loop.call_later(self.limits.timeout_seconds, self._late)
        if len(self.connections) > self.limits.max_connections:
            self._refuse(TooManyRequests(f"The server already has {self.limits.max_connections} connections, the most that "
                                         "limits.max_connections allows. Try again in 1 s.", limit="max_connections",
                                         retry_after=1))

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._piece = len(data)
        if self._awaits_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if not self._awaits_headers:
            return
        # While they are not complete, all that has come is header; the parser keeps it.
        if self._header_bytes > self.limits.max_header_bytes:
            self._refuse_headers()
        elif self._has_begun and self._timer is None:
            self._timer = self.loop.call_later(self.limits.timeout_seconds, self._late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_begun = True

    def on_headers_complete(self) -> None:
        self._disarm()
        may_be_large = max(self._header_bytes, self._piece) > self.limits.max_header_bytes
        self._awaits_headers, self._has_begun, self._header_bytes = False, False, 0
        if may_be_large and self._size_of_headers() > self.limits.max_header_bytes:
            self._refuse_headers()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._awaits_headers = True
        if not self._is_refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the answer says it in the API's words
        if not self._is_refused:
            self._refuse(MalformedRequest("The request is not HTTP/1.1."))

    def timeout_keep_alive_handler(self) -> None:
        if self._has_begun:
            return  # the next request has its own time
        # Who has not read his answer by now does not hold the connection any longer.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._has_begun:
            self._refuse(RequestTooSlow(f"The request's headers did not arrive within {self.limits.timeout_seconds:g} seconds.",
                                        limit="connection_timeout_seconds"))
        else:
            self.transport.close()

    def _size_of_headers(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_headers(self) -> None:
        self._refuse(RequestTooLarge(self.limits.max_header_bytes, "Request header size", limit="max_header_bytes"))

    def _refuse(self, error: DespinaError) -> None:
        self._is_refused = True
        if self.metrics is not None and error.limit is not None:
            self.metrics.refused.labels(error.limit).inc()
        self.transport.write(last_words(error, str(uuid.uuid4()), self.server_state.default_headers))
        self.transport.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    """A server that calls back once it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def run_http(application: Any, listener: socket.socket, *, ready: Callable[[], None],
             limits: ConnectionLimits | None = None, certificate: Certificate | None = None,
             metrics: Metrics | None = None) -> None:
    """Serve an ASGI application on a listening socket until SIGTERM or SIGINT. SIGHUP has the certificate read anew.

    ``metrics`` get the number of connections, and those that are refused.
    """
    given, counted = limits or ConnectionLimits(), metrics

    class Limited(_Protocol):
        limits = given
        metrics = counted

    config = uvicorn.Config(
        application, http=Limited, ws="none", loop="uvloop", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=given.timeout_seconds,  # type: ignore[arg-type]
        timeout_graceful_shutdown=5)
    config.load()
    config.ssl = certificate.context if certificate else None
    signal.signal(signal.SIGHUP, lambda _number, _frame: certificate.reload() if certificate else None)
    # uvicorn shuts down on SIGTERM and then raises it again for whoever was there before: here that is nobody, the exit is clean.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    server = _Server(config, ready)
    if metrics is not None:
        metrics.connections.set_function(lambda: len(server.server_state.connections))
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises DespinaError with the address and the reason."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or error
        raise DespinaError(f"Cannot listen on {host} port {port}: {reason}. Choose another with --host and --port.") from None
