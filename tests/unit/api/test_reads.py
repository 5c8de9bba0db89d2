"""Equal reads share one, and nobody is given what was read before he asked."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from despina.api.reads import Reads
from despina.core.errors import StoreError


def test_who_asks_while_the_same_is_read_waits_for_the_next_reading_and_shares_it() -> None:
    numbers, gate = count(1), Event()

    def read() -> int:
        number = next(numbers)
        assert gate.wait(30)
        return number

    async def ask() -> None:
        with ThreadPoolExecutor(4) as threads:
            reads = Reads(threads)
            together = [asyncio.ensure_future(reads.get("a", read)) for _ in range(3)]
            other = asyncio.ensure_future(reads.get("b", lambda: "b"))
            assert await other == "b", "other keys are read meanwhile"
            later = [asyncio.ensure_future(reads.get("a", read)) for _ in range(3)]
            await asyncio.sleep(0)
            gate.set()
            assert await asyncio.gather(*together, *later) == [1, 1, 1, 2, 2, 2]
            assert await reads.get("a", read) == 3

    asyncio.run(asyncio.wait_for(ask(), 60))


def test_an_error_is_told_to_all_who_wait_and_is_not_kept() -> None:
    failing = True

    def read() -> str:
        if failing:
            raise StoreError("away")
        return "back"

    async def ask() -> None:
        nonlocal failing
        with ThreadPoolExecutor(1) as threads:
            reads = Reads(threads)
            answers = await asyncio.gather(*(reads.get("a", read) for _ in range(2)), return_exceptions=True)
            assert [str(answer) for answer in answers] == ["away", "away"]
            with pytest.raises(StoreError):
                await reads.get("a", read)
            failing = False
            assert await reads.get("a", read) == "back"

    asyncio.run(asyncio.wait_for(ask(), 60))
