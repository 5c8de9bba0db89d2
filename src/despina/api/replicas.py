"""Connections to the serving programs of endpoints: many requests at a time on each, spread over the replicas."""

import asyncio
import logging
import time
from typing import cast

from despina.api.service import EndpointService
from despina.core.endpoint import Replica
from despina.core.errors import EndpointUnavailable
from despina.core.frames import BrokenFrames, FrameReader, read_answer, request_frame

logger = logging.getLogger("despina.api")

ANSWER_SECONDS = 60.0
"""How long a model may take, as in SageMaker."""
_LOOK_SECONDS = 1.0

Answered = tuple[int, bytes]
"""An HTTP status and a body."""


class ReplicaGone(Exception):
    """The replica has ended before it answered. Inference changes nothing, so that another one may be asked."""


class ReplicaConnection(asyncio.Protocol):
    """One connection. Requests of one turn of the event loop are sent together."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._frames = FrameReader()
        self._waiting: dict[int, tuple[asyncio.Future[Answered], float]] = {}
        """By number, in the order of their numbers, with the time after which they are not waited for any more."""
        self._number = 0
        self._outgoing: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self.is_open = True

    @property
    def in_flight(self) -> int:
        """Requests that are not answered yet."""
        return len(self._waiting)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, body: bytes) -> "asyncio.Future[Answered]":
        """What the replica answers. The future raises ReplicaGone or EndpointUnavailable."""
        answer: asyncio.Future[Answered] = self._loop.create_future()
        self._number += 1
        self._waiting[self._number] = answer, time.monotonic() + ANSWER_SECONDS
        if not self._outgoing:
            self._loop.call_soon(self._send)
        self._outgoing.append(request_frame(self._number, body))
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._give_up)
        return answer

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        try:
            for frame in self._frames.feed(data):
                number, status, body = read_answer(frame)
                answer, _ = self._waiting.pop(number, (None, 0))
                if answer is not None and not answer.done():
                    answer.set_result((status, body))
        except BrokenFrames:
            logger.exception("A serving program answered what cannot be understood.")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever it was, the replica is gone
        """See ``asyncio.Protocol``."""
        self.close()

    def close(self) -> None:
        """End the connection; who waits for an answer is told that none comes."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.close()
        waiting, self._waiting = self._waiting, {}
        for answer, _ in waiting.values():
            if not answer.done():
                answer.set_exception(ReplicaGone())

    def _send(self) -> None:
        data, self._outgoing = b"".join(self._outgoing), []
        if self._transport is not None and self.is_open:
            self._transport.write(data)

    def _give_up(self) -> None:
        """Tell those who have waited too long."""
        now = time.monotonic()
        for number, (answer, until) in list(self._waiting.items()):
            if until > now:
                break
            del self._waiting[number]
            if not answer.done():
                answer.set_exception(EndpointUnavailable(f"The model did not answer within {ANSWER_SECONDS:g} s."))
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._give_up) if self._waiting else None


class Replicas:
    """Keeps a connection to each replica that is asked."""

    def __init__(self, endpoints: EndpointService) -> None:
        self._endpoints = endpoints
        self._connections: dict[str, ReplicaConnection] = {}
        self._turn = 0

    async def choose(self, replicas: tuple[Replica, ...]) -> ReplicaConnection | None:
        """The open connection with the fewest requests in flight, of equals each in its turn; None: none of them can be reached."""
        self._turn += 1
        best: ReplicaConnection | None = None
        for i in range(len(replicas)):
            run_id = replicas[(i + self._turn) % len(replicas)].spec.run_id
            connection = self._connections.get(run_id)
            if connection is None or not connection.is_open:
                connection = await self._connect(run_id)
            if connection is not None and (best is None or connection.in_flight < best.in_flight):
                best = connection
        return best

    def close(self) -> None:
        """End all connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    async def _connect(self, run_id: str) -> ReplicaConnection | None:
        try:
            connected = self._endpoints.connect(run_id)
        except OSError:
            self._connections.pop(run_id, None)
            return None
        self._forget_closed()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_unix_connection(ReplicaConnection, sock=connected)  # type: ignore[arg-type]
        # Another request may have connected meanwhile: one connection is enough.
        other = self._connections.get(run_id)
        if other is not None and other.is_open:
            connection.close()
            return other
        self._connections[run_id] = connection
        return connection

    def _forget_closed(self) -> None:
        self._connections = {run_id: known for run_id, known in self._connections.items() if known.is_open}
