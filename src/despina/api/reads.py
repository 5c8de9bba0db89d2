"""Reads of stores that are on a network: in threads, and whoever asks the same at the same time shares an answer."""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Reading(NamedTuple):
    read: Callable[[], Any]
    answer: asyncio.Future[Any]


class Reads:
    """Reads by key. What is read depends on the stores and the key alone.

    A reading that is under way may have begun before what the caller must see was written. So he waits for the next one, and it
    is everybody's who has asked since: of one key there is one reading at a time, however many poll.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._running: set[Hashable] = set()
        self._next: dict[Hashable, _Reading] = {}

    async def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` gives, or raises; it begins after this is called."""
        reading = self._next.get(key)
        if reading is None:
            loop = asyncio.get_running_loop()
            reading = self._next[key] = _Reading(read, loop.create_future())
            if key not in self._running:
                self._running.add(key)
                loop.call_soon(self._begin, key)  # with all who ask in this turn of the event loop
        result: T = await reading.answer
        return result

    def _begin(self, key: Hashable) -> None:
        reading = self._next.pop(key)
        self._threads.submit(copy_context().run, self._read, key, reading, asyncio.get_running_loop())

    def _read(self, key: Hashable, reading: _Reading, loop: asyncio.AbstractEventLoop) -> None:
        try:
            result, error = reading.read(), None
        except Exception as caught:  # noqa: BLE001 - it is raised where the answer is waited for
            result, error = None, caught
        loop.call_soon_threadsafe(self._end, key, reading.answer, result, error)

    def _end(self, key: Hashable, answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if not answer.done():
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)
        # Not at once: who is answered in the next turn often asks the same again in the one after it.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._go_on, key)

    def _go_on(self, key: Hashable) -> None:
        if key in self._next:
            self._begin(key)
        else:
            self._running.discard(key)
