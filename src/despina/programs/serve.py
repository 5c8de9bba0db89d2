"""Serving a model: the replica of an endpoint. It listens on ``socket`` in the run's folder and speaks frames (``core.frames``).

What is already written is answered in the event loop, in well under a millisecond; what needs the model itself goes to one thread
beside it.
"""

import asyncio
import logging
import os
import signal
import socket
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

from despina.core.errors import WorkFailed
from despina.core.frames import BrokenFrames, FrameReader, answer_frame, read_request
from despina.core.job import CustomCode, ServeWork
from despina.core.location import Location
from despina.programs.context import Context
from despina.programs.inputs import processed_graph
from despina.programs.scripts import Scripts
from despina.programs.serving.answering import Answers, NeedsModel
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import RequestFault
from despina.programs.serving.scripted import SCRIPT, ScriptedModel

log = logging.getLogger(__name__)

SOCKET = "socket"
BACKLOG = 128
DRAIN_SECONDS = 3.0
"""How long answers that are being made are waited for when the program is to end."""


def run(work: ServeWork, context: Context) -> dict[str, Any]:
    """Serve the artefacts at ``work.artifacts`` until nobody asks for ``work.idle_seconds``.

    Returns:
        How many requests were ``answered``.

    Raises:
        WorkFailed: there are no artefacts, or they are of another graph than that at ``work.processed``.
        ArtifactError: a location cannot be read.
    """
    begun = time.monotonic()
    processed, graph = processed_graph(context, work.processed)
    artefacts = Artefacts.load(Path(context.store.get(Location.parse(work.artifacts))), graph, processed)
    answers = Answers(artefacts, _scripted(work.custom, artefacts, context) if work.custom else None)
    listener = _listen(context.folder)
    log.info("serving %s of %s after %.3f s", answers.served.layout.model, work.artifacts, time.monotonic() - begun)
    return asyncio.run(_serve(listener, answers, work.idle_seconds, context))


def _scripted(code: CustomCode, artefacts: Artefacts, context: Context) -> ScriptedModel | None:
    """The user's ``inference.py``, if there is one, with its requirements installed."""
    source = Path(context.store.get(Location.parse(code.source)))
    if not (source / SCRIPT).is_file():
        return None
    room = context.folder / "scripts"
    room.mkdir()
    scripts = Scripts.prepare(source, room, read=[artefacts.folder, artefacts.processed])
    return ScriptedModel(scripts, model=artefacts.folder, data=artefacts.processed)


def _listen(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if folder != Path.cwd():
        raise WorkFailed("the serving program must be started in the folder of its run")
    Path(SOCKET).unlink(missing_ok=True)
    listener.bind(SOCKET)  # relative: the path of a socket has 107 bytes at most
    listener.listen(BACKLOG)
    return listener


async def _serve(listener: socket.socket, answers: Answers, idle_seconds: float, context: Context) -> dict[str, Any]:
    loop, replica = asyncio.get_running_loop(), _Replica(answers)
    terminated = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, terminated.set)
    server = await loop.create_unix_server(lambda: _Asked(replica), sock=listener)
    context.report(1, 1, "ready")
    while not terminated.is_set():
        left = replica.asked_at + idle_seconds - time.monotonic() if idle_seconds else 3600.0
        if left <= 0 and replica.idle.is_set():
            break
        try:
            await asyncio.wait_for(terminated.wait(), max(left, idle_seconds / 20, 0.01))
        except TimeoutError:
            continue
    # From here on nobody can begin to ask; who is being answered gets his answer, all others ask another replica.
    server.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(replica.idle.wait(), DRAIN_SECONDS)
    replica.close()
    if terminated.is_set():
        # As if it had not been caught: only an end of its own is told as a result.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    log.info("nobody asked for %g s", idle_seconds)
    return {"answered": replica.answered}


class _Replica:
    """What all connections share."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked_at = time.monotonic()
        self.answered = 0
        self._busy = 0
        self.idle = asyncio.Event()
        """Set while no answer is being made."""
        self.idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="despina-model")
        self._connections: set[_Asked] = set()

    def opened(self, connection: "_Asked") -> None:
        self._connections.add(connection)

    def closed(self, connection: "_Asked") -> None:
        self._connections.discard(connection)

    def close(self) -> None:
        for connection in tuple(self._connections):
            connection.close()

    def take(self, frame: bytes, connection: "_Asked") -> bytes:
        """The answer to a request, or nothing if it follows later."""
        number, content = read_request(frame)
        try:
            body = self.answers.read(content)
            try:
                return answer_frame(number, 200, self.answers.answer(body, with_model=False))
            except NeedsModel:
                self._busy += 1
                self.idle.clear()
                answer = partial(self.answers.answer, body, with_model=True)
                future = asyncio.get_running_loop().run_in_executor(self._thread, answer)
                future.add_done_callback(lambda done: self._later(number, done, connection))
                return b""
        except Exception as error:  # noqa: BLE001 - whatever it is, who asks gets an answer
            return _failed(number, error)

    def _later(self, number: int, done: "asyncio.Future[bytes]", connection: "_Asked") -> None:
        self._busy -= 1
        if not self._busy:
            self.idle.set()
        error = done.exception()
        connection.send(answer_frame(number, 200, done.result()) if error is None else _failed(number, error))


class _Asked(asyncio.Protocol):
    """One connection."""

    def __init__(self, replica: _Replica) -> None:
        self._replica, self._frames = replica, FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._replica.opened(self)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._frames.feed(data)
        except BrokenFrames:
            self.close()
            return
        replica = self._replica
        replica.asked_at = time.monotonic()
        replica.answered += len(frames)
        self.send(b"".join([replica.take(frame, self) for frame in frames]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - who asked has gone
        self._replica.closed(self)
        self._transport = None

    def send(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _failed(number: int, error: BaseException) -> bytes:
    """An error as an answer: 400 says that the request is at fault, 500 that we are."""
    if isinstance(error, RequestFault):
        return answer_frame(number, 400, str(error).encode("utf-8", "backslashreplace"))
    log.error("a request failed:\n%s", "".join(traceback.format_exception(error)))
    return answer_frame(number, 500, f"The serving program failed: {type(error).__name__}. Its log says more.".encode())
