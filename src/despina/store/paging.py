"""Positions in a list of jobs, which runs from the newest to the oldest, and the tokens that carry them between calls."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from despina.core.errors import UnreadableParameter
from despina.core.ports import ListQuery, Page

_TOKEN = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{1,15})")
_LAST = 2**63 - 1


class Position(NamedTuple):
    """Where a job stands: its time of creation (ms), and the order of recording within it. Positions compare by age."""

    created_at: int
    seq: int


class Row(NamedTuple):
    """What a list call reads of a job."""

    id: str
    created_at: int
    seq: int


def upper(query: ListQuery) -> Position:
    """Every job of the page is older than this position: where the page before ended, or ``created_before``."""
    before = Position(_LAST if query.created_before is None else min(query.created_before, _LAST), 0)
    return before if query.after is None else min(before, _position(query.after))


def lower(query: ListQuery) -> int:
    """Every job of the page was created after this time (ms)."""
    return -1 if query.created_after is None else min(query.created_after, _LAST)


def page(rows: Sequence[Row], limit: int) -> Page:
    """The first ``limit`` of the rows; one more than these tells that a page follows."""
    ids = tuple([row[0] for row in rows[:limit]])
    if len(rows) <= limit:
        return Page(ids=ids)
    _, created_at, seq = rows[limit - 1]
    return Page(ids=ids, next=f"{created_at:x}-{seq:x}")


def _position(token: str) -> Position:
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise UnreadableParameter(f"The value '{token[:100]}' of 'nextToken' is not a token that an earlier list call gave.")
    return Position(int(match[1], 16), int(match[2], 16))
