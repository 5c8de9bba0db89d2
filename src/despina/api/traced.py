"""Requests in the traces of those who ask."""

from despina.api.asgi import Api
from despina.api.scope import Message, Receive, Scope, Send, header, raw_path
from despina.telemetry import logs
from despina.telemetry.spans import Traces

UNTRACED = frozenset({b"/metrics", b"/healthz", b"/readyz", b"/status"})
"""What machines ask every few seconds."""


class TracedApi:
    """An ASGI application around the API's. It is there only if there are traces."""

    def __init__(self, application: Api, traces: Traces) -> None:
        self._application, self._traces = application, traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, in a span."""
        if scope["type"] != "http" or raw_path(scope) in UNTRACED:
            await self._application(scope, receive, send)
            return
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        carrier = {name: value.decode("latin-1") for name in ("traceparent", "tracestate")
                   if (value := header(scope, name.encode())) is not None}
        asked = {"http.request.method": scope["method"], "url.path": raw_path(scope).decode("latin-1")}
        with self._traces.request(carrier, asked) as span:
            await self._application(scope, receive, sending)
            call = logs.about.get()
            told = call.told() if call is not None else {}
            span.update_name(told.get("operation") or scope["method"])
            span.set_attributes({f"despina.{name}": value for name, value in told.items() if value is not None})
            span.set_attribute("http.response.status_code", status)
            self._traces.judge(span, failed=status >= 500)
