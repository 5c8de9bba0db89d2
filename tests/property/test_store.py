"""The stores in databases do what the reference in memory does, whatever is asked of them and in whatever order."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace
from tests.postgres import Cluster

from despina.core.errors import DespinaError
from despina.core.job import Job, JobKind, Status
from despina.core.ports import Claim, JobStore, Lease, ListQuery, Page
from despina.core.requests import StartDataProcessing
from despina.store import open_store

START = 1_000
KINDS = st.sampled_from(JobKind)
IDS = st.sampled_from(["a", "A-b", "ab", "b-1", "c"])
TIMES = st.one_of(st.none(), st.integers(START - 1, START + 60), st.just(2**70))
REQUEST = StartDataProcessing(input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out")


class Stores(RuleBasedStateMachine):
    """Asks both stores the same, and compares the answers and the refusals."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.stores = [open_store(":memory:"), self.open()]
        self.now = START
        self.leases: list[Lease] = []
        self.tokens: list[str | None] = [None, "junk"]

    def open(self) -> JobStore:
        """The store that is compared with the reference, empty."""
        return open_store(Path(self.folder.name) / "jobs.db")

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.folder.cleanup()

    def ask(self, question: Callable[[JobStore], Any]) -> Any:
        answers = []
        for store in self.stores:
            try:
                answers.append(question(store))
            except DespinaError as error:
                answers.append((type(error), str(error)))
        assert answers[0] == answers[1]
        return answers[0]

    @rule(later=st.integers(1, 20))
    def wait(self, later: int) -> None:
        self.now += later

    @rule(kind=KINDS, job_id=IDS, folder=st.integers(0, 12), invocation=st.sampled_from([None, "x", "y"]), limit=st.integers(1, 6))
    def create(self, kind: JobKind, job_id: str, folder: int, invocation: str | None, limit: int) -> None:
        job = Job(kind=kind, id=job_id, created_at=self.now, request=REQUEST, prefix=f"s3://bucket/{folder}", input="s3://bucket/in")
        self.ask(lambda store: store.create(job, invocation=invocation, max_active=limit))

    @rule(kind=KINDS, job_id=IDS, clean=st.booleans())
    def request_stop(self, kind: JobKind, job_id: str, clean: bool) -> None:
        self.ask(lambda store: store.request_stop(kind, job_id, clean=clean, now=self.now))

    @rule(key=st.one_of(st.none(), st.none(), st.tuples(KINDS, IDS)), length=st.integers(0, 30))
    def claim(self, key: tuple[JobKind, str] | None, length: int) -> None:
        claim = self.ask(lambda store: store.claim(now=self.now, until=self.now + length, key=key))
        if isinstance(claim, Claim):
            self.leases.append(claim.lease)

    def lease(self, back: int) -> Lease:
        """One of the latest leases, or one that never was."""
        if back < len(self.leases):
            return self.leases[-1 - back]
        return Lease(kind=JobKind.MODEL_TRAINING, id="never", token=1, expires_at=0)

    @rule(back=st.integers(0, 3), length=st.integers(1, 30))
    def renew(self, back: int, length: int) -> None:
        self.ask(lambda store: store.renew(self.lease(back), until=self.now + length))

    @rule(back=st.integers(0, 3), status=st.sampled_from([*Status, Status.STOPPED, Status.STOPPED]), swept=st.booleans(),
          wish=st.booleans(), reason=st.sampled_from([None, "bad input: ✗"]))
    def write(self, back: int, status: Status, swept: bool, wish: bool, reason: str | None) -> None:
        lease = self.lease(back)
        job = self.stores[0].get(lease.kind, lease.id)
        if job is not None:
            changed = replace(job, status=status, swept=swept, stop_requested=wish, clean=wish, failure_reason=reason)
            self.ask(lambda store: store.write(lease, changed))

    @rule(back=st.integers(0, 3), later=st.one_of(st.none(), st.integers(0, 30)))
    def release(self, back: int, later: int | None) -> None:
        self.ask(lambda store: store.release(self.lease(back), due_at=None if later is None else self.now + later))

    @rule(kind=KINDS, limit=st.integers(1, 4),
          statuses=st.one_of(st.none(), st.lists(st.sampled_from(Status), max_size=3).map(tuple)),
          part=st.sampled_from([None, "", "A", "b", "-", "%"]), after=TIMES, before=TIMES, token=st.integers(0, 3))
    def list_ids(self, kind: JobKind, limit: int, statuses: tuple[Status, ...] | None, part: str | None, after: int | None,
                 before: int | None, token: int) -> None:
        query = ListQuery(kind=kind, limit=limit, statuses=statuses, name_contains=part, created_after=after, created_before=before,
                          after=self.tokens[-1 - token % len(self.tokens)])
        page = self.ask(lambda store: store.list_ids(query))
        if not isinstance(page, tuple):
            self.tokens.append(page.next)

    @invariant()
    def both_show_the_same(self) -> None:
        self.ask(lambda store: store.next_due())
        for kind in JobKind:
            self.compare_jobs(kind)

    def ids_of(self, query: ListQuery) -> tuple[str, ...]:
        page = self.ask(lambda store: store.list_ids(query))
        assert isinstance(page, Page)
        return page.ids

    def compare_jobs(self, kind: JobKind) -> None:
        ids = self.ids_of(ListQuery(kind=kind, limit=100))
        by_status = [self.ids_of(ListQuery(kind=kind, limit=100, statuses=(status,))) for status in Status]
        assert sorted(job_id for found in by_status for job_id in found) == sorted(ids)
        self.ask(lambda store: [store.get(kind, job_id) for job_id in ids])


Stores.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestStores = Stores.TestCase


def test_postgresql(postgresql: Cluster) -> None:
    with postgresql.database() as url:
        class PostgresqlStores(Stores):
            def open(self) -> JobStore:
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute("TRUNCATE jobs")
                return open_store(url)

        run_state_machine_as_test(PostgresqlStores, settings=settings(max_examples=10, stateful_step_count=30, deadline=None))
