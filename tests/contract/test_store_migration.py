"""``despina migrate``: from an SQLite file into an empty PostgreSQL database, everything or nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.store_jobs import PROCESSING, TRAINING, T, add, claim, end, ids, job
from tests.contract.test_endpoint_store import endpoint
from tests.contract.test_key_store import ALICE, key
from tests.postgres import Cluster

from despina.cli import main
from despina.core.errors import NotOffered, StoreError
from despina.core.job import Status
from despina.core.ports import ListQuery
from despina.store import copy_into, open_stores


@pytest.fixture
def target(postgresql: Cluster) -> Iterator[str]:
    with postgresql.empty_database() as url:
        yield url


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Jobs in every state, one of them leased; an endpoint; a principal with a key."""
    path = tmp_path / "despina.db"
    with closing(open_stores(path)) as stores:
        jobs = stores.jobs
        for number in range(3):
            add(jobs, f"same-{number}", at=T)  # their order is that of their recording
        for job_id, status in (("done", Status.COMPLETED), ("bad", Status.FAILED)):
            jobs.create(replace(job(job_id, TRAINING), started_by="alice", notes=("naïve ✗",)), invocation=job_id, max_active=99)
            end(jobs, job_id, status, TRAINING)
        jobs.request_stop(PROCESSING, "same-1", clean=True, now=T + 5, by="bob")
        claim(jobs, key=(PROCESSING, "same-0"), length=10**9)
        stored = stores.endpoints.create(endpoint("e"), invocation="call", most=9)
        assert stored.id == "e"
        stores.keys.put_principal(ALICE)
        stores.keys.add_key(key("AK1"))
        stores.keys.set_disabled("AK1", disabled=True)
    return path


def test_everything_is_moved(source: Path, target: str) -> None:
    assert copy_into(target, source) == {"principals": 1, "access_keys": 1, "endpoints": 1, "jobs": 5}
    with closing(open_stores(source)) as old, closing(open_stores(target)) as new:
        for kind in (PROCESSING, TRAINING):
            query = ListQuery(kind=kind)
            assert ids(old.jobs, query) == ids(new.jobs, query)
            for job_id in ids(old.jobs, query):
                assert old.jobs.get(kind, job_id) == new.jobs.get(kind, job_id)
        assert new.jobs.create(job("x", TRAINING), invocation="done", max_active=0).id == "done", "repeated calls are known"
        assert old.endpoints.all() == new.endpoints.all()
        assert old.keys.find("AK1") == new.keys.find("AK1")
        leased = claim(new.jobs, key=(PROCESSING, "same-0"))
        assert leased.lease.token > 1, "the lease is gone, and its holder cannot write any more"
        add(new.jobs, "newer", at=T)
        assert ids(new.jobs)[0] == "newer", "it is recorded after all that were moved"
        assert new.jobs.next_due() == T


def test_only_an_empty_database_of_postgresql_is_copied_into(source: Path, target: str, tmp_path: Path) -> None:
    with closing(open_stores(target)) as stores:
        stores.keys.put_principal(ALICE)
    with pytest.raises(StoreError, match=r"has rows in its table 'principals': it must be an empty one"):
        copy_into(target, source)
    with pytest.raises(NotOffered, match="only be copied into PostgreSQL"):
        copy_into(tmp_path / "other.db", source)
    with closing(open_stores(target)) as stores:
        assert ids(stores.jobs) == ()


def test_what_cannot_be_copied_leaves_nothing_behind(source: Path, target: str) -> None:
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("UPDATE jobs SET started_by = 'a' || char(0) WHERE id = 'same-2'")  # no text of PostgreSQL's
    with pytest.raises(StoreError, match="cannot be used"):
        copy_into(target, source)
    with closing(open_stores(target)) as stores:
        assert (ids(stores.jobs), stores.endpoints.all(), stores.keys.principals()) == ((), (), ())


def test_the_command_says_what_it_did(source: Path, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--database-url", target]) == 0
    assert main(["migrate", "--database-url", target, "--from", str(source)]) == 0
    assert capsys.readouterr().out == "The database is up to date.\n1 principals\n1 access keys\n1 endpoints\n5 jobs\n"
    assert main(["migrate", "--database-url", target, "--from", str(source)]) == 1
    assert main(["migrate", "--database-url", target, "--from", f"{source}.no"]) == 1
    said = capsys.readouterr().err
    assert "it must be an empty one" in said
    assert "There is no file" in said
