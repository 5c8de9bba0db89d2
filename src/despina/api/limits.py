"""How much of the server a client may use: requests at a time, requests a second, bytes of a body, seconds of a body."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from despina.api.scope import Receive, Scope, header
from despina.api.settings import ApiSettings
from despina.core.errors import RequestTooLarge, RequestTooSlow, TooManyRequests

T = TypeVar("T")

DRAIN_BYTES = 16 * 1024 * 1024
DRAIN_SECONDS = 1.0
"""How much of a body that is refused is read and thrown away, so that the client comes to read the answer."""


class ClientGone(Exception):
    """The client has closed the connection: nobody waits for an answer."""


class Limits:
    """Counts the requests in flight, and keeps a token bucket a principal.

    Args:
        clock: Seconds that never run backwards.
    """

    def __init__(self, settings: ApiSettings, clock: Callable[[], float]) -> None:
        self._max_in_flight = settings.max_in_flight
        self._rate = settings.requests_per_second
        self._clock = clock
        self.in_flight = 0
        """Requests that were let in and are not answered."""
        self._buckets: dict[str, tuple[float, float]] = {}
        """Tokens left and when they were counted. A bucket holds one second's worth, so it is full a second after its last use."""
        self._forgotten_at = clock()

    def enter(self) -> None:
        """Let a request in; ``leave`` must follow. Raises TooManyRequests, and then ``leave`` must not follow."""
        if self.in_flight >= self._max_in_flight:
            raise TooManyRequests(f"The server already answers {self._max_in_flight} requests, the most that "
                                  "limits.max_in_flight allows. Try again in 1 s.", limit="max_in_flight", retry_after=1)
        self.in_flight += 1

    def leave(self) -> None:
        """A request that was let in has been answered."""
        self.in_flight -= 1

    def take(self, principal: str) -> None:
        """Count a request of a principal, which is the address of the client where nobody has signed. Raises TooManyRequests."""
        now = self._clock()
        bucket = self._buckets.get(principal)
        if bucket is None:
            self._forget_full_buckets(now)
            tokens = float(self._rate)
        else:
            tokens = min(self._rate, bucket[0] + (now - bucket[1]) * self._rate)
        if tokens < 1:
            # A token comes in 1 / rate seconds; Retry-After has whole seconds.
            raise TooManyRequests(f"More than {self._rate} requests a second came from '{principal}', the most that "
                                  "limits.requests_per_second allows. Try again in 1 s.",
                                  limit="requests_per_second", retry_after=1)
        self._buckets[principal] = (tokens - 1, now)

    def _forget_full_buckets(self, now: float) -> None:
        if now - self._forgotten_at >= 1:
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if now - bucket[1] < 1}
            self._forgotten_at = now


async def read_body(scope: Scope, receive: Receive, *, limit: int, seconds: float) -> bytes:
    """The request's whole body.

    Args:
        scope: Of the request.
        receive: Of the request.
        limit: The most bytes it may have.
        seconds: How long it may take to arrive.

    Raises:
        RequestTooLarge: it has, or announces, more bytes.
        RequestTooSlow: it did not arrive in time.
        ClientGone: the connection was closed before its end.
    """
    body, more = None, True
    if _announced(scope) <= limit:
        body, more = await _in_time(_read(receive, limit), seconds)
    if body is None:
        if more:
            await _drain(receive, min(seconds, DRAIN_SECONDS))
        raise RequestTooLarge(limit)
    return body


def _announced(scope: Scope) -> int:
    length = header(scope, b"content-length")
    # Twenty digits are more than any limit; the header itself may have any number of them.
    return int(length[:20]) if length and length.isdigit() else 0


async def _in_time(reading: Coroutine[Any, Any, T], seconds: float) -> T:
    """What ``asyncio.timeout`` does, at a third of its 5 µs: most bodies have arrived before they are read."""
    loop, task, late = asyncio.get_running_loop(), asyncio.current_task(), False
    assert task is not None  # noqa: S101 - this is a coroutine

    def cancel() -> None:
        nonlocal late
        late = True
        task.cancel()

    timer = loop.call_later(seconds, cancel)
    try:
        return await reading
    except asyncio.CancelledError:
        if not late or task.uncancel():
            raise  # somebody else has cancelled
        raise RequestTooSlow(f"The request body did not arrive within {seconds:g} seconds.") from None
    finally:
        timer.cancel()


async def _read(receive: Receive, limit: int) -> tuple[bytes | None, bool]:
    """The body, or None as soon as it is larger than the limit; and whether there is more of it."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            return None, more
        chunks.append(chunk)
        if not more:
            return b"".join(chunks), False


async def _drain(receive: Receive, seconds: float) -> None:
    """Throw away what still comes of a body, for a while: many clients read no answer before they have sent everything."""
    left = DRAIN_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
