"""What every job store keeps to: lists of jobs and how many there are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.store_jobs import PROCESSING, TRAINING, T, add, claim, end, ids

from despina.core.errors import UnreadableParameter
from despina.core.job import Status
from despina.core.ports import JobStore, ListQuery
from despina.store import open_store


@pytest.fixture
def store(database_url: str | Path) -> Iterator[JobStore]:
    store = open_store(database_url)
    yield store
    store.close()


def test_the_newest_is_first_and_of_one_millisecond_the_last_recorded(store: JobStore) -> None:
    for job_id, at in (("old", T), ("first", T + 2), ("between", T + 1), ("second", T + 2)):
        add(store, job_id, at=at)
    add(store, "other-kind", TRAINING, at=T + 9)
    assert ids(store) == ("second", "first", "between", "old")


@pytest.mark.parametrize("statuses", [None, tuple(Status)])
@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_pages_hold_every_job_once_and_the_last_has_no_next(
        store: JobStore, limit: int, statuses: tuple[Status, ...] | None) -> None:
    for number in range(6):
        add(store, str(number), at=T + number // 4)
    end(store, "1", Status.FAILED)
    end(store, "4", Status.COMPLETED)
    query, seen = ListQuery(kind=PROCESSING, limit=limit, statuses=statuses), list[str]()
    for _ in range(6 // limit + 1):
        page = store.list_ids(query)
        assert len(page.ids) <= limit
        seen += page.ids
        add(store, f"new-{len(seen)}", at=T + 9)
        if page.next is None:
            break
        query = replace(query, after=page.next)
    assert page.next is None
    assert seen == list("543210")


def test_an_exact_last_page_has_no_next(store: JobStore) -> None:
    add(store, "a")
    assert store.list_ids(ListQuery(kind=PROCESSING, limit=1)).next is None
    assert store.list_ids(ListQuery(kind=TRAINING, limit=1)).ids == ()


def test_statuses_are_those_shown(store: JobStore) -> None:
    for status in Status:
        add(store, status)
        if status.is_terminal:
            end(store, status, status)
    store.request_stop(PROCESSING, Status.STOPPING, clean=False, now=T)
    for status in Status:
        assert ids(store, ListQuery(kind=PROCESSING, statuses=(status,))) == (status,)
    held = claim(store, key=(PROCESSING, Status.STOPPING))
    store.write(held.lease, replace(held.job, notes=("still stopping",)))
    assert ids(store, ListQuery(kind=PROCESSING, statuses=(Status.STOPPING, Status.FAILED, Status.FAILED))) == (
        Status.FAILED, Status.STOPPING)
    assert ids(store, ListQuery(kind=PROCESSING, statuses=())) == ()


@pytest.mark.parametrize(("part", "found"), [
    ("node", ("Node-1", "my-node")), ("NODE-", ("Node-1",)), ("", ("Node-1", "my-node", "edge")), ("%", ()), ("o_e", ())])
def test_names_are_found_by_a_part_in_any_case(store: JobStore, part: str, found: tuple[str, ...]) -> None:
    for number, job_id in enumerate(["edge", "my-node", "Node-1"]):
        add(store, job_id, at=T + number)
    assert ids(store, ListQuery(kind=PROCESSING, name_contains=part)) == found


@pytest.mark.parametrize(("after", "before", "found"), [
    (T, None, "cb"), (None, T + 2, "ba"), (T, T + 2, "b"), (T + 2, None, ""), (None, T, ""), (2**80, None, ""),
    (None, 2**80, "cba"),
])
def test_times_of_creation_are_exclusive(store: JobStore, after: int | None, before: int | None, found: str) -> None:
    for number, job_id in enumerate("abc"):
        add(store, job_id, at=T + number)
    assert ids(store, ListQuery(kind=PROCESSING, created_after=after, created_before=before)) == tuple(found)


@pytest.mark.parametrize("token", ["", "junk", "12", "-", "1-2-3", "g-1", " 1-1", "1-1\n",
                                   "f" * 30 + "-1", "1-" + "f" * 30, "１-1"])
def test_a_token_never_given_out_is_refused(store: JobStore, token: str) -> None:
    with pytest.raises(UnreadableParameter, match="'nextToken'"):
        store.list_ids(ListQuery(kind=PROCESSING, after=token))
