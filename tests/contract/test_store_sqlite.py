"""What the SQLite store keeps to beside the contract of all stores: files, processes, versions, and the cost of reading."""

import itertools
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.contract.store_jobs import PROCESSING, T, add, job
from tests.users import unprivileged

from despina.core.errors import NotOffered, StoreError
from despina.core.job import Status
from despina.core.ports import ListQuery
from despina.store import open_store, statements
from despina.store.migrations import APPLICATION_ID, MIGRATIONS
from despina.store.sqlite import SqliteDatabase

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with two jobs."""
    path = tmp_path / "jobs.db"
    with closing(open_store(path)) as store:
        store.create(job("a"), invocation="x", max_active=9)
        store.create(job("b"), invocation="y", max_active=9)
        store.request_stop(PROCESSING, "b", clean=True, now=T)
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


# files and versions


def test_everything_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with closing(open_store(str(path))) as store:
        assert store.get(PROCESSING, "a") == job("a") == store.create(job("c"), invocation="x", max_active=0)
        assert store.list_ids(ListQuery(kind=PROCESSING)).ids == ("b", "a")
        assert store.list_ids(ListQuery(kind=PROCESSING, statuses=(Status.STOPPING,))).ids == ("b",)


def test_every_commit_is_on_the_disk_before_it_is_acknowledged(path: Path) -> None:
    database = SqliteDatabase(path)
    found = [database.connection().execute(f"PRAGMA {name}").fetchone() for name in ("synchronous", "journal_mode")]
    database.close()
    assert found == [(2,), ("wal",)]


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for attempt in range(25):
            start = threading.Barrier(8, timeout=30)

            def open_and_close(path: Path = tmp_path / f"{attempt}.db", start: threading.Barrier = start) -> None:
                start.wait()
                open_store(path).close()

            for opened in [pool.submit(open_and_close) for _ in range(8)]:
                opened.result(60)


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    change(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    newer, known = len(MIGRATIONS) + 1, len(MIGRATIONS)
    with pytest.raises(StoreError, match=rf"jobs\.db was written by a newer version .*schema has version {newer}, .*knows {known}"):
        open_store(path)


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    for name, statement in (("1.db", "CREATE TABLE jobs (x)"), ("2.db", "PRAGMA user_version = 1")):
        change(tmp_path / name, statement)
        with pytest.raises(StoreError, match=rf"{name} is a database of another program"):
            open_store(tmp_path / name)
    with closing(sqlite3.connect(tmp_path / "1.db")) as connection:
        assert connection.execute("SELECT sql FROM sqlite_master").fetchall() == [("CREATE TABLE jobs (x)",)]
        assert connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID


def test_a_file_that_is_no_database_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, though long enough to be looked at. " * 20)
    for name in ("notes.txt", "no/such/folder/jobs.db", "."):
        with pytest.raises(StoreError, match=f"The job store {tmp_path / name} cannot be used"):
            open_store(tmp_path / name)
    assert (tmp_path / "notes.txt").read_text().startswith("not a database")


def test_a_file_that_may_not_be_written_is_refused_by_its_name() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        open_store(folder / "jobs.db").close()
        (folder / "jobs.db").chmod(0o444)
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(StoreError, match=rf"{name}/jobs\.db cannot be used: .*(readonly|unable to open)"):
            open_store(folder / "jobs.db")
        folder.chmod(0o755)


@pytest.mark.parametrize("url", ["mysql://user:secret@host"])
def test_other_databases_are_not_offered_and_no_password_is_shown(url: str) -> None:
    with pytest.raises(NotOffered, match="database_url") as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


def test_a_record_that_cannot_be_read_is_named_and_does_not_block_the_others(path: Path) -> None:
    change(path, """UPDATE jobs SET body = '{"kind": "dataprocessing"}' WHERE id = 'a'""")
    with closing(open_store(path)) as store:
        told = f"The record of the dataprocessing job 'a' in {path} cannot be read: .*missing required field"
        with pytest.raises(StoreError, match=told):
            store.get(PROCESSING, "a")
        with pytest.raises(StoreError, match=told):
            store.claim(now=T, until=T + 10)
        claim = store.claim(now=T, until=T + 10)
        assert claim is not None
        assert claim.job.id == "b"


def test_a_closed_store_says_so(path: Path) -> None:
    store = open_store(path)
    assert store.get(PROCESSING, "a") == job("a")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.get(PROCESSING, "a")


def test_the_connections_of_ended_threads_are_closed(path: Path) -> None:
    database, seen = SqliteDatabase(path), list[sqlite3.Connection]()
    for _ in range(3):
        thread = threading.Thread(target=lambda: seen.append(database.connection()))
        thread.start()
        thread.join(30)
    for connection in seen[:-1]:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    seen[-1].execute("SELECT 1")
    database.close()


# the cost of reading


@pytest.mark.parametrize(
    "statement", [statements.LIST, statements.LIST_FILTERED, statements.LIST_BY_STATUS, statements.ACTIVE])
def test_lists_and_counts_read_an_index_and_no_job(path: Path, statement: str) -> None:
    database = SqliteDatabase(path)
    values = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
    plan = database.connection().execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    database.close()
    assert [step[3].split(" (")[0].rsplit(" ", 1)[0] for step in plan] == ["SEARCH jobs USING COVERING INDEX"]


MANY = """
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
INSERT INTO jobs (kind, id, created_at, prefix, status, stop_requested, clean, swept, body)
SELECT 'dataprocessing', 'many-' || n, n, 'many/' || n, 'Completed', 0, 0, 0, x'' FROM number
"""


def _count(steps: Iterator[int]) -> int:
    next(steps)
    return 0  # go on


@pytest.mark.parametrize("before", [2**62, 150])
@pytest.mark.parametrize("statement", [statements.LIST, statements.LIST_FILTERED, statements.LIST_BY_STATUS])
def test_a_page_costs_the_same_whatever_the_number_of_jobs(tmp_path: Path, statement: str, before: int) -> None:
    costs = []
    values = {"kind": PROCESSING.value, "after": -1, "before": before, "seq": 0, "pattern": "%", "status": "Completed", "most": 11}
    for count in (200, 20_000):
        path = tmp_path / f"{count}.db"
        open_store(path).close()
        change(path, MANY.format(count=count))
        steps = itertools.count()
        with closing(sqlite3.connect(path)) as connection:
            connection.set_progress_handler(partial(_count, steps), 1)
            assert len(connection.execute(statement, values).fetchall()) == 11
        costs.append(next(steps))
    assert costs[0] == costs[1] > 11


def test_a_list_read_again_sees_what_anyone_has_written_since(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    ours, theirs = open_store(path), open_store(path)
    query = ListQuery(kind=PROCESSING)
    assert ours.list_ids(query).ids == ours.list_ids(query).ids == ()
    for number, store in enumerate([theirs, ours, theirs, theirs, ours, ours]):
        add(store, f"job-{number}", at=T + number)
        expected = tuple(f"job-{i}" for i in range(number, -1, -1))
        assert ours.list_ids(query).ids == theirs.list_ids(query).ids == expected
        assert ours.list_ids(ListQuery(kind=PROCESSING, limit=1)).ids == expected[:1]
    ours.close()
    theirs.close()


# processes


CREATE_UNTIL_KILLED = """
import sys
from tests.contract.store_jobs import job
from despina.store import open_store
store = open_store(sys.argv[1])
for number in range(100_000):
    print(store.create(job(f"job-{number}"), invocation=None, max_active=100_000).id, flush=True)
"""


def test_no_acknowledged_job_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    command = [sys.executable, "-c", CREATE_UNTIL_KILLED, str(path)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(30)]
    process.kill()
    acknowledged += process.stdout.read().splitlines()
    process.stdout.close()
    assert process.wait(30) < 0
    with closing(open_store(path)) as store:
        assert [job_id for job_id in acknowledged if store.get(PROCESSING, job_id) != job(job_id)] == []
        assert len(store.list_ids(ListQuery(kind=PROCESSING, limit=1_000_000)).ids) - len(acknowledged) in {0, 1}
