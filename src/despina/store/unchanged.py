"""What was read from a database is still right while nobody has committed to it."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 64
"""Results kept for a connection."""


class Unchanged(Generic[T]):
    """Results of queries by key, each with the version of the database before it was read.

    Clients that poll ask the same again and again. A connection has one: versions of two connections, or of a server before and
    after its fall, are not to be compared.
    """

    def __init__(self) -> None:
        self._results: dict[Hashable, tuple[Hashable, T]] = {}

    def get(self, version: Hashable, key: Hashable, read: Callable[[], T]) -> T:
        """The result kept under ``key`` if it is of this ``version``, or else that of ``read``.

        Args:
            version: What the connection has just said. Between two equal ones nothing was committed.
            key: All that the result depends on, beside the database.
            read: Gives it anew. It may see later commits, too: another version is then asked for, and it is read again.
        """
        known = self._results.get(key)
        if known is not None and known[0] == version:
            return known[1]
        result = read()
        if len(self._results) >= MOST:
            self._results.clear()
        self._results[key] = (version, result)
        return result
