"""Reads of stores that are on a network: in threads, and whoever asks the same at the same time shares an answer."""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class Reads:
    """Reads by key. What is read depends on the stores and the key alone.

    A reading that is under way may have begun before what the caller must see was written. So he waits for the next one, and it
    is everybody's who has asked since: of one key there is one reading at a time, however many poll.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._running: dict[Hashable, asyncio.Future[Any]] = {}
        self._next: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` gives, or raises; it begins after this is called."""
        running = self._running.get(key)
        if running is None:
            return await asyncio.shield(self._begin(key, read))
        if key not in self._next:
            self._next[key] = asyncio.get_running_loop().create_task(self._follow(running, key, read))
        result: T = await asyncio.shield(self._next[key])
        return result

    def _begin(self, key: Hashable, read: Callable[[], T]) -> asyncio.Future[T]:
        reading = asyncio.get_running_loop().run_in_executor(self._threads, read)
        self._running[key] = reading
        reading.add_done_callback(lambda _: self._end(key, reading))
        return reading

    def _end(self, key: Hashable, reading: asyncio.Future[Any]) -> None:
        if self._running.get(key) is reading:
            del self._running[key]

    async def _follow(self, running: asyncio.Future[Any], key: Hashable, read: Callable[[], T]) -> T:
        await asyncio.wait([running])
        del self._next[key]
        return await self._begin(key, read)
