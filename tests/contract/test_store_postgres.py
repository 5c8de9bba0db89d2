"""What the PostgreSQL store keeps to beside the contract of all stores: versions, lost connections, and the cost of reading."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import count
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from tests.contract.store_jobs import PROCESSING, T, add, claim, end, got, ids, job
from tests.contract.test_endpoint_store import endpoint
from tests.postgres import PASSWORD, Cluster
from tests.serving import wait_for

from despina.core.errors import StoreError, UnreadableParameter
from despina.core.job import Status
from despina.core.ports import JobStore, ListQuery
from despina.store import open_store, open_stores, statements
from despina.store.postgres import PostgresDatabase
from despina.store.postgres_connections import MOST
from despina.store.postgres_migrations import MIGRATIONS


@pytest.fixture
def url(postgresql: Cluster) -> Iterator[str]:
    with postgresql.database() as url:
        yield url


@pytest.fixture
def empty(postgresql: Cluster) -> Iterator[str]:
    with postgresql.empty_database() as url:
        yield url


def ask(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def end_connections(url: str) -> None:
    """As an administrator, or a server that restarts, ends them."""
    ask(url, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
             "WHERE datname = current_database() AND pid <> pg_backend_pid()")


# versions


def test_many_may_open_an_empty_database_at_once(empty: str) -> None:
    barrier = threading.Barrier(6, timeout=30)

    def open_and_add(number: int) -> None:
        barrier.wait()
        with closing(open_store(empty)) as store:
            add(store, str(number))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_and_add, range(6), timeout=60))
    assert ask(empty, "SELECT version FROM despina_schema") == [(len(MIGRATIONS),)]
    assert ask(empty, "SELECT count(*) FROM jobs") == [(6,)]


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    ask(url, f"UPDATE despina_schema SET version = {len(MIGRATIONS) + 1}")
    newer, known = len(MIGRATIONS) + 1, len(MIGRATIONS)
    with pytest.raises(StoreError, match=rf"was written by a newer version .*schema has version {newer}, this one knows {known}"):
        open_store(url)


def test_a_database_of_another_program_is_refused_and_left_alone(empty: str) -> None:
    ask(empty, "CREATE TABLE jobs (x integer)")
    with pytest.raises(StoreError, match="is a database of another program"):
        open_store(empty)
    assert ask(empty, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]


@pytest.mark.parametrize("bad", [
    "postgresql://user:{secret}@host:port/db", "postgresql://user:x@{secret}@host/db", "postgresql://user:x/{secret}@host/db",
    "postgresql://user:{secret}@localhost:1/db", "postgres://user:{secret}@localhost:1/db?connect_timeout=soon"])
def test_no_error_shows_the_password(bad: str) -> None:
    with pytest.raises(StoreError, match=r"database_url|cannot be used") as refused:
        open_store(bad.format(secret="hush-hush"))
    assert "hush" not in str(refused.value)


# connections


def test_what_is_acknowledged_is_on_the_disk_and_nothing_waits_without_end(url: str) -> None:
    database = PostgresDatabase(url)
    names = ("synchronous_commit", "transaction_isolation", "statement_timeout", "lock_timeout",
             "idle_in_transaction_session_timeout")
    assert [database.read(f"SELECT current_setting('{name}')", {}) for name in names] == [
        [("on",)], [("read committed",)], [("10s",)], [("5s",)], [("10s",)]]
    database.close()


def test_connections_that_were_ended_meanwhile_are_replaced(url: str) -> None:
    with closing(open_store(url)) as store:
        add(store, "a")
        end_connections(url)
        assert ids(store) == ("a",)
        add(store, "b")


def test_a_transaction_that_is_cut_off_is_an_error_and_the_next_one_works(url: str) -> None:
    database = PostgresDatabase(url)
    values = {"name": "alice", "arn": "a", "body": b""}

    def be_cut_off() -> None:
        with database.writing(alone=True) as run:
            run(statements.PUT_PRINCIPAL, values)
            end_connections(url)

    with pytest.raises(StoreError, match=r"terminating connection|closed the connection"):
        be_cut_off()
    assert database.read(statements.PRINCIPAL, values) == []
    database.write(statements.PUT_PRINCIPAL, values)
    database.close()


def test_a_refusal_within_a_transaction_undoes_it_and_keeps_the_connection(url: str) -> None:
    database = PostgresDatabase(url)

    def refuse() -> None:
        with database.writing(alone=True) as run:
            run(statements.PUT_PRINCIPAL, {"name": "alice", "arn": "a", "body": b""})
            raise KeyError

    with pytest.raises(KeyError):
        refuse()
    assert database.read(statements.PRINCIPAL, {"name": "alice"}) == []
    assert len(database.connections.backends) == 1
    database.close()
    with pytest.raises(StoreError, match="closed"):
        database.read(statements.PRINCIPAL, {"name": "alice"})


def test_more_threads_than_connections_take_turns(url: str) -> None:
    database = PostgresDatabase(url)
    with ThreadPoolExecutor(3 * MOST) as pool:
        list(pool.map(lambda _: database.read("SELECT pg_sleep(0.01)", {}), range(6 * MOST), timeout=60))
    assert len(database.connections.backends) <= MOST
    database.close()


def test_no_acknowledged_job_is_lost_when_the_server_crashes(postgresql: Cluster, url: str) -> None:
    acknowledged, store = SimpleQueue[str](), open_store(url)
    enough = threading.Event()

    def create(name: str) -> None:
        number = 0
        while True:
            try:
                acknowledged.put(store.create(job(f"{name}-{number}"), invocation=None, max_active=100_000).id)
            except StoreError:
                return
            number += 1
            if number == 20:
                enough.set()

    threads = [threading.Thread(target=create, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    postgresql.kill()
    postgresql.start()
    for thread in threads:
        thread.join(60)
    created = {acknowledged.get() for _ in range(acknowledged.qsize())}
    found = set(wait_for("the store to be back", partial(all_ids, store)))
    assert created <= found
    assert len(found - created) <= len(threads), "of each thread the last one may be there without its answer"
    store.close()


def all_ids(store: JobStore) -> tuple[str, ...] | None:
    try:
        return store.list_ids(ListQuery(kind=PROCESSING, limit=100_000)).ids
    except StoreError:
        return None


def test_a_zero_byte_is_in_nothing(url: str) -> None:
    with closing(open_store(url)) as store:
        add(store, "a")
        assert store.get(PROCESSING, "a\0") is None
        assert ids(store, ListQuery(kind=PROCESSING, name_contains="\0")) == ()
        with pytest.raises(UnreadableParameter):
            store.list_ids(ListQuery(kind=PROCESSING, after="\0"))


def test_a_record_that_cannot_be_read_is_named_and_does_not_block_the_others(url: str) -> None:
    with closing(open_store(url)) as store:
        add(store, "a")
        add(store, "b", at=T + 1)
        ask(url, "UPDATE jobs SET body = '{}' WHERE id = 'a'")
        for read in (lambda: store.get(PROCESSING, "a"), lambda: store.claim(now=T + 1, until=T + 10)):
            with pytest.raises(StoreError, match=r"job 'a' in postgresql://despina@.* cannot be read") as told:
                read()
            assert PASSWORD not in str(told.value)
        assert claim(store, now=T + 1).job.id == "b"


# wishes are told


def test_wishes_of_others_are_told_and_ones_own_are_not(url: str) -> None:
    told = SimpleQueue[object]()
    ours, theirs = open_stores(url), open_stores(url)
    ours.listen(told.put, told.put)
    wait_for("the listener", lambda: ask(
        url, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN despina_endpoints%'"))

    def first(act: Callable[[], object]) -> object:
        act()
        return told.get(timeout=60)

    assert first(lambda: add(theirs.jobs, "a")) == (PROCESSING, "a")
    held = claim(theirs.jobs)
    theirs.jobs.write(held.lease, replace(held.job, notes=("a fact is no wish",)))
    theirs.jobs.release(held.lease, due_at=T)
    add(ours.jobs, "ours")
    assert first(lambda: theirs.jobs.request_stop(PROCESSING, "a", clean=False, now=T)) == (PROCESSING, "a")
    assert first(lambda: theirs.endpoints.create(endpoint("e"), invocation=None, most=9)) == "e"
    end_connections(url)
    numbers = count()

    def is_told() -> bool:
        add(theirs.jobs, f"later-{next(numbers)}")
        return not told.empty()

    wait_for("the listener to have a new connection", is_told)
    for stores in (ours, theirs):
        stores.close()


# the cost of reading


FILL = """
INSERT INTO jobs (kind, id, created_at, prefix, status, stop_requested, clean, swept, due_at, body)
SELECT 'dataprocessing', 'many-' || n, n, 'many/' || n, CASE WHEN n % 100 = 0 THEN 'InProgress' ELSE 'Completed' END,
       FALSE, FALSE, FALSE, CASE WHEN n % 100 = 0 THEN n END, '' FROM generate_series(1, {count}) AS n
"""


@pytest.mark.parametrize("statement", [
    statements.LIST, statements.LIST_FILTERED, statements.LIST_BY_STATUS, statements.NEXT_DUE, statements.CLAIM_LONGEST_DUE])
def test_a_page_and_a_claim_cost_the_same_whatever_the_number_of_jobs(url: str, statement: str) -> None:
    database = PostgresDatabase(url)
    values = {"kind": PROCESSING.value, "after": -1, "before": 2**62, "seq": 0, "pattern": "%", "status": "Completed", "most": 11,
              "now": T, "until": T + 10, "version": 1}
    pages = []
    for number in (2_000, 20_000):
        ask(url, "TRUNCATE jobs")
        ask(url, FILL.format(count=number))
        ask(url, "VACUUM ANALYZE jobs")
        ((plan,),) = database.read(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
        pages.append(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])
    assert pages[1] <= pages[0] + 4, "another level of an index"
    database.close()


def test_the_next_due_is_found_behind_leased_jobs(url: str) -> None:
    with closing(open_store(url)) as store:
        for number in range(5):
            add(store, str(number), at=T + number)
        for _ in range(3):
            claim(store, now=T + 10, length=100)
        assert store.next_due() == T + 3
        end(store, "3", Status.COMPLETED)
        end(store, "4", Status.COMPLETED)
        assert store.next_due() == T + 110
        assert got(store, "4").status is Status.COMPLETED
