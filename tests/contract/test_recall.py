"""What a database gives from memory is what it would give anew: the next answer knows of each commit, whoever began it when."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.contract.test_store_postgres import end_connections
from tests.postgres import Cluster

from despina.store.database import Database
from despina.store.postgres import PostgresDatabase
from despina.store.sqlite import SqliteDatabase

READERS, WRITES = 4, 150
READ = "SELECT sum(number) FROM counters"

Open = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same database again and again. It has two counters, a row each."""
    opened: list[Database] = []
    if request.param == "sqlite":
        yield from _connect(lambda: SqliteDatabase(tmp_path / "despina.db"), opened)
    else:
        with request.getfixturevalue("postgresql").database() as url:
            yield from _connect(lambda: PostgresDatabase(url), opened)


def _connect(make: Open, opened: list[Database]) -> Iterator[Open]:
    def connect() -> Database:
        opened.append(make())
        return opened[-1]

    _make_counters(connect())
    yield connect
    for database in opened:
        database.close()


def _make_counters(database: Database) -> None:
    database.write("CREATE TABLE counters (id integer, number integer)", {})
    database.write("INSERT INTO counters VALUES (0, 0), (1, 0)", {})


class Reader:
    """Reads through one database, and counts how often it really does."""

    def __init__(self, database: Database) -> None:
        self._database, self.times = database, 0

    def total(self) -> int:
        return self._database.recall("total", self._read)

    def _read(self) -> int:
        self.times += 1
        return int(self._database.read(READ, {})[0][0])


def add(database: Database) -> None:
    database.write("UPDATE counters SET number = number + 1 WHERE id = 0", {})


def test_what_nobody_has_changed_is_read_once(connect: Open) -> None:
    reader = Reader(connect())
    assert {reader.total() for _ in range(5)} == {0}
    assert reader.times == 1


def test_own_writes_and_those_of_others_are_seen(connect: Open) -> None:
    ours, theirs = connect(), connect()
    reader = Reader(ours)
    for expected, writer in enumerate([ours, theirs, theirs, ours]):
        assert reader.total() == expected
        add(writer)
    assert reader.total() == 4
    assert reader.times == 5


def test_of_many_results_each_is_its_own(connect: Open) -> None:
    database = connect()
    for _ in range(2):
        assert [database.recall(number, lambda number=number: number) for number in range(200)] == list(range(200))  # type: ignore[misc]


def test_no_thread_is_given_what_is_older_than_its_question(connect: Open) -> None:
    """Each reader, among others, asks after it was told of a commit."""
    ours, theirs = connect(), connect()
    told, done = [0], threading.Event()

    def read() -> int:
        reader, answers = Reader(ours), 0
        while not done.is_set():
            least = told[0]
            assert least <= reader.total() <= WRITES
            answers += 1
        return answers

    def write() -> None:
        try:
            for number in range(1, WRITES + 1):
                add(theirs)
                told[0] = number
        finally:
            done.set()

    with ThreadPoolExecutor(READERS + 1) as pool:
        readers = [pool.submit(read) for _ in range(READERS)]
        pool.submit(write).result(60)
        assert all(reader.result(60) for reader in readers)


STEPS = st.lists(st.tuples(st.sampled_from(["begin", "add", "commit", "rollback"]), st.sampled_from([0, 1])), max_size=25)


def test_transactions_that_are_under_way_are_seen_when_they_end(postgresql: Cluster) -> None:
    """Two transactions that begin, write and end in any order, each with a row of its own, looked at after every step."""
    with (postgresql.database() as url, closing(PostgresDatabase(url)) as database,
          psycopg.connect(url, autocommit=True) as first, psycopg.connect(url, autocommit=True) as second):
        _make_counters(database)
        reader = Reader(database)

        @settings(max_examples=60, deadline=None)
        @given(steps=STEPS)
        @example(steps=[("begin", 0), ("add", 0), ("add", 1), ("commit", 0)])  # the older one ends last
        def check(steps: list[tuple[str, int]]) -> None:
            total, pending = reader.total(), [0, 0]
            for verb, number in [*steps, ("rollback", 0), ("rollback", 1)]:
                connection = (first, second)[number]
                under_way = connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
                if verb == "add":
                    connection.execute("UPDATE counters SET number = number + 1 WHERE id = %s", (number,))
                    pending[number] += 1
                elif under_way != (verb == "begin"):
                    connection.execute(verb.encode())
                if connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
                    total += pending[number] if verb != "rollback" else 0
                    pending[number] = 0
                assert reader.total() == total

        check()


def test_what_a_lost_connection_has_read_is_not_recalled(postgresql: Cluster) -> None:
    """It may have been lost with its server, which may give the numbers of lost transactions to new ones."""
    with postgresql.database() as url, closing(PostgresDatabase(url)) as database:
        _make_counters(database)
        reader = Reader(database)
        assert (reader.total(), reader.total(), reader.times) == (0, 0, 1)
        end_connections(url)
        assert (reader.total(), reader.times) == (0, 2)


def test_a_reading_that_fails_is_not_kept(connect: Open) -> None:
    database = connect()

    def fail() -> Any:
        raise KeyError

    with pytest.raises(KeyError):
        database.recall("total", fail)
    assert Reader(database).total() == 0
