"""Positions in a list of jobs, which runs from the newest to the oldest. The token of a page is the id of its last job."""

from collections.abc import Sequence
from typing import NamedTuple

from despina.core.errors import UnreadableParameter
from despina.core.ports import ListQuery, Page

_LAST = 2**63 - 1


class Position(NamedTuple):
    """Where a job stands: its time of creation (ms), and the order of recording within it. Positions compare by age."""

    created_at: int
    seq: int


class Row(NamedTuple):
    """What a list call with filters reads of a job."""

    id: str
    created_at: int
    seq: int


def upper(query: ListQuery, after: Position | None) -> Position:
    """Every job of the page is older than this position: where the page before ended, or ``created_before``."""
    before = Position(_LAST if query.created_before is None else min(query.created_before, _LAST), 0)
    return before if after is None else min(before, after)


def lower(query: ListQuery) -> int:
    """Every job of the page was created after this time (ms)."""
    return -1 if query.created_after is None else min(query.created_after, _LAST)


def page(ids: Sequence[str], limit: int) -> Page:
    """The first ``limit`` of the ids; one more than these tells that a page follows."""
    return Page(ids=tuple(ids[:limit]), next=ids[limit - 1] if len(ids) > limit else None)


def unknown(token: str) -> UnreadableParameter:
    """The error for a token that no list call gave."""
    return UnreadableParameter(f"The value '{token[:100]}' of 'nextToken' is not a token that an earlier list call gave.")
