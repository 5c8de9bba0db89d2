"""Hints: what to look at now. They save a reconciler from polling; a lost hint costs time and nothing else."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Hints(Generic[K]):
    """Keys of jobs or endpoints, given from any thread and taken by a reconciler; each is in it once, however often given."""

    def __init__(self) -> None:
        self._keys = OrderedDict[K, None]()
        self._changed = threading.Condition()
        self._closed = False

    def wake(self, key: K) -> None:
        """Look at this one: its wish has changed, or one of its runs has started or ended. Nothing is kept once closed."""
        with self._changed:
            if not self._closed:
                self._keys[key] = None
                self._changed.notify()

    def take(self) -> K | None:
        """The oldest hint, or None."""
        with self._changed:
            return self._keys.popitem(last=False)[0] if self._keys else None

    def wait(self, seconds: float) -> None:
        """Return when there is a hint, when closed, or after this time."""
        with self._changed:
            self._changed.wait_for(lambda: self._keys or self._closed, timeout=seconds)

    def close(self) -> None:
        """End all waiting, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
