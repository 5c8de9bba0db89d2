"""Jobs in an SQLite file, shared by any number of threads and processes of one machine."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from despina.core.errors import StoreError
from despina.core.job import Job, JobKind, Status
from despina.core.ports import Claim, Lease, ListQuery, Page
from despina.store import paging, refusals, statements
from despina.store.connections import Connections
from despina.store.unchanged import Unchanged

_DECODER = msgspec.json.Decoder(Job)
_ENCODER = msgspec.json.Encoder()
_NO_FILTERS = (None,) * 5


class SqliteJobStore:
    """A ``JobStore`` in the SQLite file at ``path``. Any method raises StoreError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._connections = Connections(path)
        self._newest = Unchanged[Page]()

    def create(self, job: Job, *, invocation: str | None, max_active: int, max_active_of_one: int | None = None) -> Job:
        """See ``JobStore``. Raises also PrefixTaken."""
        values = _values(job) | {"invocation": invocation}
        with self._connections.writing() as connection:
            known = connection.execute(statements.INVOKED, values).fetchone()
            if known is None:
                if connection.execute(statements.TAKEN, values).fetchone():
                    raise refusals.id_taken()
                if connection.execute(statements.ACTIVE).fetchone()[0] >= max_active:
                    raise refusals.too_many_active(max_active)
                if max_active_of_one is not None and connection.execute(
                        statements.ACTIVE_OF_ONE, values).fetchone()[0] >= max_active_of_one:
                    raise refusals.too_many_active_of_one(job.started_by, max_active_of_one)
                if connection.execute(statements.OWNED, values).fetchone():
                    raise refusals.PrefixTaken(job)
                connection.execute(statements.CREATE, values)
        return self._job(job.kind, known) if known else job

    def get(self, kind: JobKind, job_id: str) -> Job | None:
        """See ``JobStore``."""
        rows = self._read(statements.GET, (kind.value, job_id))
        return self._job(kind, rows[0]) if rows else None

    def list_ids(self, query: ListQuery) -> Page:
        """See ``JobStore``. The time it takes depends on ``limit``, not on the number of jobs (but with ``name_contains``)."""
        if (query.statuses, query.name_contains, query.created_after, query.created_before, query.after) == _NO_FILTERS:
            # What nearly every client asks for, many of them again and again.
            newest = (query.kind.value, query.limit + 1)
            try:
                return self._newest.get(self._connections.reading(), newest, lambda: paging.page(
                    [row[0] for row in self._read(statements.LIST, newest)], query.limit))
            except sqlite3.Error as error:
                raise self._connections.error(error) from error
        part = query.name_contains.lower() if query.name_contains else None
        upper = paging.upper(query, self._position(query))
        among = (query.kind.value, paging.lower(query), *upper, part, part)
        if query.statuses is None:
            rows = self._read(statements.LIST_FILTERED, (*among, query.limit + 1))
        else:
            rows = [row for status in set(query.statuses)
                    for row in self._read(statements.LIST_BY_STATUS, (*among, status.value, query.limit + 1))]
            rows.sort(key=lambda row: row[1:], reverse=True)
        return paging.page([row[0] for row in rows], query.limit)

    def request_stop(self, kind: JobKind, job_id: str, *, clean: bool, now: int, by: str | None = None) -> Job | None:
        """See ``JobStore``."""
        with self._connections.writing() as connection:
            connection.execute(statements.REQUEST_STOP, {"kind": kind.value, "id": job_id, "clean": clean, "now": now, "by": by})
            row = connection.execute(statements.GET, (kind.value, job_id)).fetchone()
        return self._job(kind, row) if row else None

    def claim(self, *, now: int, until: int, key: tuple[JobKind, str] | None = None) -> Claim | None:
        """See ``JobStore``. A job whose record cannot be read is leased all the same, so that it does not block the others."""
        search, values = statements.FREE_LONGEST_DUE, dict[str, Any](now=now)
        if key is not None:
            search, values = statements.FREE_BY_KEY, {"now": now, "kind": key[0].value, "id": key[1]}
        if not self._read(search, values):
            return None  # without having kept a writer waiting
        with self._connections.writing() as connection:
            row = connection.execute(search, values).fetchone()
            if row is None:
                return None
            seq, kind, token, *record = row
            connection.execute(statements.CLAIM, {"seq": seq, "token": token + 1, "until": until})
        job = self._job(JobKind(kind), record)
        return Claim(lease=Lease(kind=job.kind, id=job.id, token=token + 1, expires_at=until), job=job)

    def renew(self, lease: Lease, *, until: int) -> Lease:
        """See ``JobStore``."""
        with self._connections.writing() as connection:
            if not connection.execute(statements.RENEW, _held(lease) | {"until": until}).rowcount:
                raise refusals.lease_lost(lease)
        return replace(lease, expires_at=until)

    def write(self, lease: Lease, job: Job) -> None:
        """See ``JobStore``. Raises also StoreError: the job has ended, and the new status is another one."""
        values = _values(job) | _held(lease)
        with self._connections.writing() as connection:
            row = connection.execute(statements.STATUS_HELD, _held(lease)).fetchone()
            if row is None:
                raise refusals.lease_lost(lease)
            stored = Status(row[0])
            if stored.is_terminal and job.status is not stored:
                raise refusals.already_ended(lease, stored, job.status)
            connection.execute(statements.WRITE, values)

    def release(self, lease: Lease, *, due_at: int | None) -> None:
        """See ``JobStore``."""
        with self._connections.writing() as connection:
            connection.execute(statements.RELEASE, _held(lease) | {"due_at": due_at})

    def next_due(self) -> int | None:
        """See ``JobStore``."""
        ((time,),) = self._read(statements.NEXT_DUE, ())
        return None if time is None else int(time)

    def close(self) -> None:
        """See ``JobStore``."""
        self._connections.close()

    def _position(self, query: ListQuery) -> paging.Position | None:
        if query.after is None:
            return None
        rows = self._read(statements.POSITION, (query.kind.value, query.after))
        if not rows:
            raise paging.unknown(query.after)
        return paging.Position(*rows[0])

    def _read(self, statement: str, values: Any) -> list[Any]:
        try:
            return self._connections.reading().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._connections.error(error) from error

    def _job(self, kind: JobKind, record: Sequence[Any]) -> Job:
        """The job of a record, with the wish as it is now."""
        job_id, body, stop_requested, clean, stopped_by = record
        try:
            job = _DECODER.decode(body)
        except msgspec.MsgspecError as error:
            path = self._connections.path
            raise StoreError(f"The record of the {kind} job '{job_id}' in {path} cannot be read: {error}.") from error
        if (job.stop_requested, job.clean, job.stopped_by) == (stop_requested, clean, stopped_by):
            return job
        return replace(job, stop_requested=bool(stop_requested), clean=bool(clean), stopped_by=stopped_by)


def _values(job: Job) -> dict[str, Any]:
    return {
        "kind": job.kind.value, "id": job.id, "created_at": job.created_at, "prefix": job.prefix, "status": job.status.value,
        "stop_requested": job.stop_requested, "clean": job.clean, "swept": job.swept, "started_by": job.started_by,
        "body": _ENCODER.encode(job),
    }


def _held(lease: Lease) -> dict[str, Any]:
    return {"kind": lease.kind.value, "id": lease.id, "token": lease.token}
