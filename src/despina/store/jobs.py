"""Jobs in a database, shared by any number of threads and processes."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from despina.core.frozen import RECORD_VERSION
from despina.core.job import Job, JobKind, Status
from despina.core.ports import Claim, Lease, ListQuery, Page
from despina.store import paging, refusals, statements
from despina.store.database import Database

_DECODER = msgspec.json.Decoder(Job)
_ENCODER = msgspec.json.Encoder()
_NO_FILTERS = (None,) * 5


class SqlJobStore:
    """A ``JobStore`` in a database. Any method raises StoreError when it cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, job: Job, *, invocation: str | None, max_active: int, max_active_of_one: int | None = None) -> Job:
        """See ``JobStore``. Raises also PrefixTaken."""
        values = _values(job) | {"invocation": invocation}
        with self._database.writing(alone=True) as run:
            known = run(statements.INVOKED, values)
            if not known:
                if run(statements.TAKEN, values):
                    raise refusals.id_taken()
                if run(statements.ACTIVE, {})[0][0] >= max_active:
                    raise refusals.too_many_active(max_active)
                if max_active_of_one is not None and run(statements.ACTIVE_OF_ONE, values)[0][0] >= max_active_of_one:
                    raise refusals.too_many_active_of_one(job.started_by, max_active_of_one)
                if run(statements.OWNED, values):
                    raise refusals.PrefixTaken(job)
                run(statements.CREATE, values)
        return self._job(job.kind, known[0]) if known else job

    def get(self, kind: JobKind, job_id: str) -> Job | None:
        """See ``JobStore``."""
        rows = self._database.read(statements.GET, {"kind": kind.value, "id": job_id})
        return self._job(kind, rows[0]) if rows else None

    def list_ids(self, query: ListQuery) -> Page:
        """See ``JobStore``. The time it takes depends on ``limit``, not on the number of jobs (but with ``name_contains``)."""
        # Whoever polls asks the same again and again.
        if (query.statuses, query.name_contains, query.created_after, query.created_before, query.after) == _NO_FILTERS:
            return self._database.recall((query.kind, query.limit), lambda: self._newest(query))
        return self._database.recall(query, lambda: self._among(query))

    def _among(self, query: ListQuery) -> Page:
        before, seq = paging.upper(query, self._position(query))
        values = {"kind": query.kind.value, "after": paging.lower(query), "before": before, "seq": seq,
                  "pattern": _containing(query.name_contains or ""), "most": query.limit + 1}
        if query.statuses is None:
            rows = self._database.read(statements.LIST_FILTERED, values)
        else:
            rows = [row for status in set(query.statuses)
                    for row in self._database.read(statements.LIST_BY_STATUS, values | {"status": status.value})]
            rows.sort(key=lambda row: row[1:], reverse=True)
        return paging.page([row[0] for row in rows], query.limit)

    def count_active(self) -> dict[tuple[JobKind, Status], int]:
        """See ``JobStore``."""
        return {(JobKind(kind), Status(status)): count for kind, status, count in self._database.read(statements.COUNT_ACTIVE, {})}

    def request_stop(self, kind: JobKind, job_id: str, *, clean: bool, now: int, by: str | None = None) -> Job | None:
        """See ``JobStore``."""
        with self._database.writing() as run:
            run(statements.REQUEST_STOP, {"kind": kind.value, "id": job_id, "clean": clean, "now": now, "by": by})
            rows = run(statements.GET, {"kind": kind.value, "id": job_id})
        return self._job(kind, rows[0]) if rows else None

    def claim(self, *, now: int, until: int, key: tuple[JobKind, str] | None = None) -> Claim | None:
        """See ``JobStore``. A job whose record cannot be read is leased all the same, so that it does not block the others."""
        if key is None:
            rows = self._database.write(statements.CLAIM_LONGEST_DUE, {"now": now, "until": until, "version": RECORD_VERSION})
        else:
            rows = self._database.write(
                statements.CLAIM_BY_KEY,
                {"now": now, "until": until, "version": RECORD_VERSION, "kind": key[0].value, "id": key[1]})
        if not rows:
            return None
        kind, token, *record = rows[0]
        job = self._job(JobKind(kind), record)
        return Claim(lease=Lease(kind=job.kind, id=job.id, token=token, expires_at=until), job=job)

    def renew(self, lease: Lease, *, until: int) -> Lease:
        """See ``JobStore``."""
        if not self._database.write(statements.RENEW, _held(lease) | {"until": until}):
            raise refusals.lease_lost(lease)
        return replace(lease, expires_at=until)

    def write(self, lease: Lease, job: Job) -> None:
        """See ``JobStore``. Raises also StoreError: the job has ended, and the new status is another one."""
        values = {"status": job.status.value, "swept": job.swept, "version": RECORD_VERSION, "body": _ENCODER.encode(job)}
        if not self._database.write(statements.WRITE, values | _held(lease)):
            rows = self._database.read(statements.STATUS_HELD, _held(lease))
            if not rows:
                raise refusals.lease_lost(lease)
            raise refusals.already_ended(lease, Status(rows[0][0]), job.status)

    def release(self, lease: Lease, *, due_at: int | None) -> None:
        """See ``JobStore``."""
        self._database.write(statements.RELEASE, _held(lease) | {"due_at": due_at})

    def next_due(self) -> int | None:
        """See ``JobStore``."""
        ((time,),) = self._database.read(statements.NEXT_DUE, {"version": RECORD_VERSION})
        return None if time is None else int(time)

    def left_alone(self) -> int:
        """See ``JobStore``."""
        ((count,),) = self._database.read(statements.LEFT_ALONE, {"version": RECORD_VERSION})
        return int(count)

    def close(self) -> None:
        """See ``JobStore``."""
        self._database.close()

    def _newest(self, query: ListQuery) -> Page:
        rows = self._database.read(statements.LIST, {"kind": query.kind.value, "most": query.limit + 1})
        return paging.page([row[0] for row in rows], query.limit)

    def _position(self, query: ListQuery) -> paging.Position | None:
        if query.after is None:
            return None
        rows = self._database.read(statements.POSITION, {"kind": query.kind.value, "id": query.after})
        if not rows:
            raise paging.unknown(query.after)
        return paging.Position(*rows[0])

    def _job(self, kind: JobKind, record: Sequence[Any]) -> Job:
        """The job of a record, with the wish as it is now."""
        job_id, body, version, stop_requested, clean, stopped_by = record
        try:
            job = _DECODER.decode(body)
        except msgspec.MsgspecError as error:
            raise refusals.unreadable(f"{kind} job '{job_id}'", self._database.name, version, error) from error
        if (job.stop_requested, job.clean, job.stopped_by) == (stop_requested, clean, stopped_by):
            return job
        return replace(job, stop_requested=bool(stop_requested), clean=bool(clean), stopped_by=stopped_by)


def _values(job: Job) -> dict[str, Any]:
    return {
        "kind": job.kind.value, "id": job.id, "created_at": job.created_at, "prefix": job.prefix, "status": job.status.value,
        "stop_requested": job.stop_requested, "clean": job.clean, "swept": job.swept, "started_by": job.started_by,
        "version": RECORD_VERSION, "body": _ENCODER.encode(job),
    }


def _held(lease: Lease) -> dict[str, Any]:
    return {"kind": lease.kind.value, "id": lease.id, "token": lease.token}


def _containing(part: str) -> str:
    """The LIKE pattern of what contains this, its own wildcards taken literally."""
    for special in "!%_":
        part = part.replace(special, f"!{special}")
    return f"%{part.lower()}%"
