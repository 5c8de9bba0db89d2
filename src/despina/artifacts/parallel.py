"""Doing a few things at a time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PARALLEL = 8
"""Requests that move data at a time. Each moves a chunk at most, so this bounds memory, too."""


def each(call: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What ``call`` makes of each item, in their order. ``PARALLEL`` are made at a time; after an error no other is begun."""
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        return list(pool.map(call, items))
    finally:
        pool.shutdown(cancel_futures=True)
