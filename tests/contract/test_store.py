"""What every job store keeps to: each sentence of ``despina.core.ports.JobStore`` (lists have a file of their own)."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from msgspec.structs import replace
from tests.contract.store_jobs import PROCESSING, TRAINING, T, add, claim, end, got, ids, job

from despina.core.errors import DespinaError, IdTaken, LeaseLost, StoreError, TooManyRequests
from despina.core.job import Job, JobKind, Status
from despina.core.ports import JobStore, Lease, ListQuery
from despina.store import PrefixTaken, open_store

ENDED = [Status.COMPLETED, Status.FAILED]


@pytest.fixture
def store(database_url: str | Path) -> Iterator[JobStore]:
    store = open_store(database_url)
    yield store
    store.close()


# count_active


def test_jobs_that_have_not_ended_are_counted_by_kind_and_shown_status(store: JobStore) -> None:
    assert store.count_active() == {}
    for number, kind in enumerate([PROCESSING, PROCESSING, PROCESSING, TRAINING]):
        store.create(job(f"j{number}", kind), invocation=None, max_active=10)
    end(store, "j0", Status.COMPLETED)
    store.request_stop(PROCESSING, "j1", clean=False, now=T)
    assert store.count_active() == {
        (PROCESSING, Status.STOPPING): 1, (PROCESSING, Status.IN_PROGRESS): 1, (TRAINING, Status.IN_PROGRESS): 1}


# create, get


@pytest.mark.parametrize("kind", JobKind)
def test_a_created_job_is_got_as_it_was(store: JobStore, kind: JobKind) -> None:
    new = replace(job("a", kind), failure_reason="naïve ✗", notes=("one", "two"))
    assert store.create(new, invocation=None, max_active=1) == new
    assert store.get(kind, "a") == new
    assert store.get(kind, "A") is None
    assert [store.get(other, "a") for other in JobKind if other is not kind] == [None, None]


def test_a_created_job_is_due_at_once(store: JobStore) -> None:
    assert store.next_due() is None
    add(store, "a", at=T)
    assert store.next_due() == T
    assert store.claim(now=T - 1, until=T + 10) is None
    assert claim(store, now=T).job == job("a")


def test_a_repeated_invocation_gives_the_job_it_made_first(store: JobStore) -> None:
    store.create(job("a"), invocation="x", max_active=1)
    store.request_stop(PROCESSING, "a", clean=True, now=T)
    again = store.create(job("b", at=T + 5), invocation="x", max_active=1)
    assert again == replace(job("a"), stop_requested=True, clean=True)
    assert again == store.create(job("a", at=T + 5), invocation="x", max_active=0)
    assert ids(store) == ("a",)


def test_invocations_are_seen_by_kind_and_none_is_no_invocation(store: JobStore) -> None:
    for number, (kind, invocation) in enumerate(itertools.product(JobKind, ["x", None, None])):
        store.create(job(str(number), kind), invocation=invocation, max_active=10)
    assert len(ids(store)) + len(ids(store, ListQuery(kind=TRAINING))) == 6


@pytest.mark.parametrize("invocation", [None, "y"])
def test_an_id_is_taken_once_in_a_kind(store: JobStore, invocation: str | None) -> None:
    store.create(job("a"), invocation="x", max_active=1)
    with pytest.raises(IdTaken, match=r"^Another resource with same ID already exists\. Please use a new ID\.$"):
        store.create(job("a", at=T + 1), invocation=invocation, max_active=1)
    assert got(store, "a").created_at == T
    assert store.create(job("a", TRAINING), invocation=invocation, max_active=2) == job("a", TRAINING)


def test_jobs_of_all_kinds_that_have_not_ended_are_limited(store: JobStore) -> None:
    for job_id, status in (("a", Status.COMPLETED), ("b", Status.FAILED), ("c", Status.STOPPED)):
        add(store, job_id)
        end(store, job_id, status)
    add(store, "d", TRAINING)
    add(store, "e")
    store.request_stop(PROCESSING, "e", clean=False, now=T)
    with pytest.raises(TooManyRequests, match=r"^2 jobs have not ended.*max_active_jobs") as refused:
        store.create(job("f"), invocation="x", max_active=2)
    assert refused.value.retry_after == 30
    assert store.get(PROCESSING, "f") is None
    end(store, "d", Status.COMPLETED, TRAINING)
    assert store.create(job("f"), invocation="x", max_active=2).id == "f"


def test_jobs_of_one_principal_that_have_not_ended_are_limited(store: JobStore) -> None:
    alice, bob = (f"arn:aws:iam::123456789012:user/{name}" for name in ("alice", "bob"))

    def start(job_id: str, by: str | None) -> Job:
        return store.create(replace(job(job_id), started_by=by), invocation=None, max_active=9, max_active_of_one=1)

    add(store, "of nobody")
    start("a", alice)
    with pytest.raises(TooManyRequests, match=r"^1 jobs that .*user/alice started.*max_active_jobs_per_principal"):
        start("b", alice)
    assert start("b", bob).started_by == bob == got(store, "b").started_by
    store.request_stop(PROCESSING, "a", clean=False, now=T)
    with pytest.raises(TooManyRequests):
        start("c", alice)
    end(store, "a", Status.STOPPED)
    start("c", alice)


def test_a_prefix_belongs_to_one_job(store: JobStore) -> None:
    add(store, "a")
    with pytest.raises(PrefixTaken, match="'b' cannot be recorded: the location s3://bucket/dataprocessing/a belongs to another"):
        store.create(replace(job("b", TRAINING), prefix=job("a").prefix), invocation=None, max_active=9)
    assert store.get(TRAINING, "b") is None


# request_stop


def test_a_job_that_is_not_there_cannot_be_stopped(store: JobStore) -> None:
    add(store, "a")
    assert store.request_stop(TRAINING, "a", clean=True, now=T) is None


@pytest.mark.parametrize("clean", [False, True])
def test_a_wish_is_recorded_and_makes_the_job_due(store: JobStore, clean: bool) -> None:
    add(store, "a")
    store.release(claim(store).lease, due_at=None)
    wished = store.request_stop(PROCESSING, "a", clean=clean, now=T + 7)
    assert wished == replace(job("a"), stop_requested=True, clean=clean) == got(store, "a")
    assert store.next_due() == T + 7


def test_whose_wish_it_was_is_kept_and_not_written_over(store: JobStore) -> None:
    add(store, "a")
    held = claim(store)
    assert store.request_stop(PROCESSING, "a", clean=False, now=T, by="bob") == got(store, "a")
    assert got(store, "a").stopped_by == "bob"
    held = claim(store)
    assert held.job.stopped_by == "bob"
    store.request_stop(PROCESSING, "a", clean=False, now=T, by="carol")
    assert got(store, "a").stopped_by == "bob", "a wish that changes nothing is nobody's"
    store.write(held.lease, replace(held.job, stopped_by=None, status=Status.STOPPED))
    assert got(store, "a").stopped_by == "bob"
    store.request_stop(PROCESSING, "a", clean=True, now=T, by="dave")
    assert got(store, "a").stopped_by == "dave"


@pytest.mark.parametrize("wishes", [[False], [True], [False, True]])
def test_a_new_wish_ends_the_lease(store: JobStore, wishes: list[bool]) -> None:
    add(store, "a")
    for number, clean in enumerate(wishes):
        held = claim(store, now=T + 100 * number, length=50)
        store.request_stop(PROCESSING, "a", clean=clean, now=T + 100 * number + 1)
        with pytest.raises(LeaseLost, match=r"dataprocessing job 'a' is no longer held"):
            store.write(held.lease, replace(held.job, status=Status.COMPLETED))
        with pytest.raises(LeaseLost):
            store.renew(held.lease, until=10**9)
        store.release(held.lease, due_at=None)
        assert store.next_due() == T + 100 * number + 1
    assert got(store, "a").shown_status is Status.STOPPING
    assert got(store, "a").clean is any(wishes)


@pytest.mark.parametrize(("first", "again"), [(False, False), (True, True), (True, False)])
def test_a_wish_already_recorded_changes_nothing(store: JobStore, first: bool, again: bool) -> None:
    add(store, "a")
    store.request_stop(PROCESSING, "a", clean=first, now=T)
    held, before = claim(store), got(store, "a")
    assert store.request_stop(PROCESSING, "a", clean=again, now=T + 5) == before
    store.write(held.lease, replace(held.job, notes=("held",)))
    assert store.next_due() == held.lease.expires_at


@pytest.mark.parametrize("status", ENDED)
def test_completed_and_failed_jobs_are_left_as_they_are(store: JobStore, status: Status) -> None:
    add(store, "a")
    end(store, "a", status)
    assert store.request_stop(PROCESSING, "a", clean=True, now=T) == replace(job("a"), status=status) == got(store, "a")
    assert store.next_due() is None


@pytest.mark.parametrize(("first", "swept", "clean", "due"), [
    (False, False, True, T + 5), (False, False, False, None), (True, False, True, T + 5), (True, False, False, None),
    (False, True, True, None), (True, True, True, None)])
def test_only_clean_is_new_to_a_stopped_job_and_only_until_it_is_swept(
        store: JobStore, first: bool, swept: bool, clean: bool, due: int | None) -> None:
    add(store, "a")
    store.request_stop(PROCESSING, "a", clean=first, now=T)
    end(store, "a", Status.STOPPED, swept=swept)
    after = store.request_stop(PROCESSING, "a", clean=clean, now=T + 5)
    assert after == got(store, "a")
    assert after.clean is (first or due is not None)
    assert (after.status, after.swept) == (Status.STOPPED, swept)
    assert store.next_due() == due


# claim, renew, write, release


def test_the_job_due_longest_is_claimed_first(store: JobStore) -> None:
    for job_id, at in (("a", T + 1), ("b", T), ("c", T + 2), ("d", T + 1)):
        add(store, job_id, at=at)
    assert [claim(store, now=T + 1).job.id for _ in range(3)] == ["b", "a", "d"]
    assert store.claim(now=T + 1, until=T + 10) is None


def test_a_job_under_a_lease_is_not_given_until_the_lease_ends(store: JobStore) -> None:
    add(store, "a")
    first = claim(store, length=10)
    assert (first.lease.kind, first.lease.id, first.lease.expires_at) == (PROCESSING, "a", T + 10)
    for key in (None, (PROCESSING, "a")):
        assert store.claim(now=T + 9, until=T + 20, key=key) is None
    assert store.next_due() == T + 10
    second = claim(store, now=T + 10)
    assert second.lease.token > first.lease.token
    with pytest.raises(LeaseLost):
        store.write(first.lease, first.job)
    store.write(second.lease, second.job)


def test_a_hint_claims_its_job_before_its_time_but_not_one_that_is_never_due(store: JobStore) -> None:
    add(store, "a")
    add(store, "b")
    store.release(claim(store).lease, due_at=T + 100)
    store.release(claim(store).lease, due_at=None)
    assert store.claim(now=T, until=T + 10) is None
    assert store.claim(now=T, until=T + 10, key=(PROCESSING, "b")) is None
    assert store.claim(now=T, until=T + 10, key=(TRAINING, "a")) is None
    assert claim(store, key=(PROCESSING, "a")).job.id == "a"


def test_a_claim_holds_the_wishes(store: JobStore) -> None:
    add(store, "a")
    store.request_stop(PROCESSING, "a", clean=True, now=T)
    assert (claim(store).job.stop_requested, got(store, "a").clean) == (True, True)


def test_a_renewed_lease_lasts_longer(store: JobStore) -> None:
    add(store, "a")
    held = claim(store, length=10)
    assert store.renew(held.lease, until=T + 50) == replace(held.lease, expires_at=T + 50)
    assert store.claim(now=T + 49, until=T + 99) is None
    assert store.next_due() == T + 50


def test_an_expired_lease_that_nobody_took_over_is_still_held(store: JobStore) -> None:
    add(store, "a")
    held = claim(store, length=1)
    store.write(held.lease, replace(held.job, notes=("late",)))
    assert store.renew(held.lease, until=T + 500).expires_at == T + 500
    assert got(store, "a").notes == ("late",)


def test_what_is_written_is_got_but_for_the_wishes(store: JobStore) -> None:
    add(store, "a")
    held = claim(store)
    written = replace(held.job, notes=("new",), failure_reason="bad")
    store.write(held.lease, replace(written, stop_requested=True, clean=True))
    assert got(store, "a") == written
    store.request_stop(PROCESSING, "a", clean=True, now=T)
    store.write(claim(store).lease, written)
    assert got(store, "a") == replace(written, stop_requested=True, clean=True)


@pytest.mark.parametrize("status", [*ENDED, Status.STOPPED])
def test_a_terminal_status_never_changes(store: JobStore, status: Status) -> None:
    add(store, "a")
    held = claim(store)
    store.write(held.lease, replace(held.job, status=status))
    for other in set(Status) - {status}:
        with pytest.raises(StoreError, match=f"'a' is {status} and cannot become {other}"):
            store.write(held.lease, replace(held.job, status=other))
    store.write(held.lease, replace(held.job, status=status, swept=True))
    assert got(store, "a") == replace(job("a"), status=status, swept=True)


def test_a_released_job_is_due_when_told(store: JobStore) -> None:
    add(store, "a")
    held = claim(store)
    store.release(held.lease, due_at=T + 30)
    assert store.next_due() == T + 30
    assert store.claim(now=T + 29, until=T + 99) is None
    with pytest.raises(LeaseLost):
        store.write(held.lease, held.job)
    with pytest.raises(LeaseLost):
        store.renew(held.lease, until=T + 99)
    second = claim(store, now=T + 30)
    store.release(held.lease, due_at=None)
    store.write(second.lease, second.job)
    store.release(second.lease, due_at=None)
    assert store.next_due() is None


def test_a_lease_of_a_job_that_never_was_is_lost(store: JobStore) -> None:
    lease = Lease(kind=PROCESSING, id="a", token=0, expires_at=T)
    with pytest.raises(LeaseLost):
        store.write(lease, job("a"))
    store.release(lease, due_at=T)
    assert (store.get(PROCESSING, "a"), store.next_due()) == (None, None)


def test_the_next_due_is_the_least_over_all_jobs(store: JobStore) -> None:
    add(store, "a", at=T)
    add(store, "b", TRAINING, at=T + 5)
    claim(store, length=100)
    assert store.next_due() == T + 5
    claim(store, now=T + 5, length=50)
    assert store.next_due() == T + 55


# threads


def together(*calls: Callable[[], object]) -> list[object]:
    """Make all calls at once, a thread each; what each returned or raised."""
    barrier = Barrier(len(calls), timeout=30)

    def make(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return call()
        except DespinaError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls, timeout=60))


def test_the_limit_of_active_jobs_holds_under_a_rush(store: JobStore) -> None:
    answers = together(*(partial(store.create, job(str(number)), invocation=None, max_active=10) for number in range(16)))
    assert sum(isinstance(answer, Job) for answer in answers) == 10
    assert sum(isinstance(answer, TooManyRequests) for answer in answers) == 6
    assert len(store.list_ids(ListQuery(kind=PROCESSING, limit=100, statuses=(Status.IN_PROGRESS,))).ids) == 10


def test_a_start_repeated_at_once_makes_one_job(store: JobStore) -> None:
    answers = together(*(partial(store.create, job(str(number)), invocation="x", max_active=99) for number in range(8)))
    assert [answer == answers[0] for answer in answers] == [True] * 8
    assert len(ids(store)) == 1


def test_a_stop_that_races_with_completion_ends_in_one_of_the_two(store: JobStore) -> None:
    for number in range(20):
        job_id = str(number)
        add(store, job_id)
        held = claim(store, key=(PROCESSING, job_id))
        written, wished = together(
            partial(store.write, held.lease, replace(held.job, status=Status.COMPLETED)),
            partial(store.request_stop, PROCESSING, job_id, clean=True, now=T))
        assert isinstance(wished, Job)
        assert wished == got(store, job_id)
        if wished.status is Status.COMPLETED:
            assert (written, wished.stop_requested) == (None, False)
        else:
            assert isinstance(written, LeaseLost)
            assert wished.shown_status is Status.STOPPING


def test_two_claimers_never_hold_one_job(store: JobStore) -> None:
    for number in range(20):
        add(store, str(number))

    def claim_all() -> list[str]:
        return [held.job.id for held in iter(partial(store.claim, now=T, until=T + 10), None)]

    claimed = [job_id for answer in together(*[claim_all] * 4) if isinstance(answer, list) for job_id in answer]
    assert sorted(claimed, key=int) == [str(number) for number in range(20)]
