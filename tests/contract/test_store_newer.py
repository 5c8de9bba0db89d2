"""Records that a newer version has written: they are read as far as they are known, never claimed and never rewritten."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.contract.store_jobs import PROCESSING, T, add, claim, end, got, ids
from tests.contract.test_endpoint_store import create

from despina.core.errors import StoreError
from despina.core.frozen import RECORD_VERSION
from despina.core.job import Status
from despina.core.ports import ListQuery
from despina.store import endpoints as endpoint_store
from despina.store import jobs as job_store
from despina.store import open_stores
from despina.store.database import Database
from despina.store.postgres import PostgresDatabase
from despina.store.sqlite import SqliteDatabase


class NewerEncoder:
    """Writes records with fields that this version has not."""

    def __init__(self, changes: dict[str, Any]) -> None:
        self._changes = changes

    def encode(self, record: Any) -> bytes:
        document = msgspec.to_builtins(record)
        if "request" in document:
            document["request"]["novel"] = 1
        return json.dumps({**document, "novelty": [1], **self._changes}).encode()


@contextmanager
def newer(**changes: Any) -> Iterator[None]:
    """This process writes as one of the next version does."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (job_store, endpoint_store):
            patch.setattr(module, "RECORD_VERSION", RECORD_VERSION + 1)
            patch.setattr(module, "_ENCODER", NewerEncoder(changes))
        yield


def bodies(url: str | Path, table: str) -> list[tuple[int, Any]]:
    """Version and document of all records, as they are stored."""
    database: Database = SqliteDatabase(url) if isinstance(url, Path) else PostgresDatabase(url)
    with closing(database):
        rows = database.read(f"SELECT version, body FROM {table}", {})
    return [(version, json.loads(bytes(body))) for version, body in rows]


def test_a_newer_job_is_read_listed_and_stopped_and_left_to_its_own_reconcilers(shared_url: str | Path) -> None:
    with closing(open_stores(shared_url)) as stores:
        jobs = stores.jobs
        with newer():
            add(jobs, "newer")
        written = bodies(shared_url, "jobs")
        assert written[0][0] == RECORD_VERSION + 1
        add(jobs, "ours", at=T + 1)
        assert ids(jobs) == ("ours", "newer")
        assert got(jobs, "newer").status is Status.IN_PROGRESS
        assert jobs.left_alone() == 1
        assert jobs.next_due() == T + 1
        assert jobs.claim(now=T + 5, until=T + 9, key=(PROCESSING, "newer")) is None
        assert claim(jobs, now=T + 5).job.id == "ours"
        assert jobs.claim(now=T + 5, until=T + 9) is None
        stopped = jobs.request_stop(PROCESSING, "newer", clean=True, now=T + 6, by="bob")
        assert stopped is not None
        assert (stopped.shown_status, stopped.clean, stopped.stopped_by) == (Status.STOPPING, True, "bob")
        assert jobs.list_ids(ListQuery(kind=PROCESSING, statuses=(Status.STOPPING,))).ids == ("newer",)
        assert written[0] in bodies(shared_url, "jobs"), "nothing of what it says was lost"
        with newer():
            end(jobs, "newer", Status.STOPPED)
        assert jobs.left_alone() == 0


def test_a_job_that_newer_processes_have_moved_on_is_theirs_from_then_on(shared_url: str | Path) -> None:
    with closing(open_stores(shared_url)) as stores:
        add(stores.jobs, "a")
        with newer():
            held = claim(stores.jobs)
            stores.jobs.write(held.lease, held.job)
            stores.jobs.release(held.lease, due_at=T)
        assert stores.jobs.claim(now=T + 5, until=T + 9) is None
        assert stores.jobs.left_alone() == 1


def test_a_newer_endpoint_is_read_and_not_changed(shared_url: str | Path) -> None:
    with closing(open_stores(shared_url)) as stores:
        endpoints = stores.endpoints
        with newer():
            create(endpoints, "newer")
        create(endpoints, "ours", 2)
        written = bodies(shared_url, "endpoints")
        assert [(stored.endpoint.id, stored.newer) for stored in endpoints.all()] == [("ours", False), ("newer", True)]
        stored = endpoints.get("newer")
        assert stored is not None
        with pytest.raises(StoreError, match=r"'newer' in .* was written by a newer version of Despina: processes of that version"):
            endpoints.write(stored, replace(stored.endpoint, deleting=True))
        assert bodies(shared_url, "endpoints") == written


def test_what_this_version_cannot_read_at_all_is_named_and_hides_nothing_else(shared_url: str | Path) -> None:
    with closing(open_stores(shared_url)) as stores:
        with newer(status="Resting", replicas="?"):
            add(stores.jobs, "newer")
            create(stores.endpoints, "newer")
        add(stores.jobs, "ours", at=T + 1)
        create(stores.endpoints, "ours")
        told = f"'newer' in .* cannot be read: .* was written by a newer version of Despina: {RECORD_VERSION + 1}, this one knows"
        with pytest.raises(StoreError, match=f"job {told}"):
            stores.jobs.get(PROCESSING, "newer")
        with pytest.raises(StoreError, match=f"endpoint {told}"):
            stores.endpoints.get("newer")
        assert ids(stores.jobs) == ("ours", "newer")
        assert [stored.endpoint.id for stored in stores.endpoints.all()] == ["ours"]
        assert claim(stores.jobs, now=T + 5).job.id == "ours"
