"""Jobs in the memory of this process: the reference that the other stores are held against. Nothing is durable."""

from collections import Counter
from dataclasses import dataclass
from itertools import count
from threading import Lock

from msgspec.structs import replace

from despina.core.job import Job, JobKind, Status
from despina.core.ports import Claim, Lease, ListQuery, Page
from despina.store import paging, refusals


@dataclass(kw_only=True)
class _Record:
    seq: int
    job: Job
    invocation: str | None
    due_at: int | None
    token: int = 0
    expires_at: int | None = None
    """The end of the lease, None while nobody holds one."""

    @property
    def claimable_at(self) -> int | None:
        return None if self.due_at is None else max(self.due_at, self.expires_at or 0)

    def is_free(self, now: int) -> bool:
        return self.due_at is not None and (self.expires_at is None or self.expires_at <= now)


class MemoryJobStore:
    """A ``JobStore`` whose every method is one critical section."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seq = count(1)
        self._records: dict[tuple[JobKind, str], _Record] = {}

    def create(self, job: Job, *, invocation: str | None, max_active: int, max_active_of_one: int | None = None) -> Job:
        """See ``JobStore``. Raises also PrefixTaken."""
        with self._lock:
            for record in self._records.values():
                if invocation is not None and (record.job.kind, record.invocation) == (job.kind, invocation):
                    return record.job
            if (job.kind, job.id) in self._records:
                raise refusals.id_taken()
            active = [record.job.started_by for record in self._records.values() if not record.job.status.is_terminal]
            if len(active) >= max_active:
                raise refusals.too_many_active(max_active)
            if max_active_of_one is not None and active.count(job.started_by) >= max_active_of_one:
                raise refusals.too_many_active_of_one(job.started_by, max_active_of_one)
            if any(record.job.prefix == job.prefix for record in self._records.values()):
                raise refusals.PrefixTaken(job)
            self._records[job.kind, job.id] = _Record(seq=next(self._seq), job=job, invocation=invocation, due_at=job.created_at)
            return job

    def get(self, kind: JobKind, job_id: str) -> Job | None:
        """See ``JobStore``."""
        with self._lock:
            record = self._records.get((kind, job_id))
            return record.job if record else None

    def list_ids(self, query: ListQuery) -> Page:
        """See ``JobStore``."""
        lower, part = paging.lower(query), (query.name_contains or "").lower()
        with self._lock:
            upper = paging.upper(query, self._position(query))
            rows = [
                paging.Row(job.id, job.created_at, record.seq)
                for record in self._records.values()
                for job in [record.job]
                if job.kind is query.kind
                and (query.statuses is None or job.shown_status in query.statuses)
                and part in job.id.lower()
                and job.created_at > lower
                and (job.created_at, record.seq) < upper
            ]
        rows.sort(key=lambda row: row[1:], reverse=True)
        return paging.page([row.id for row in rows], query.limit)

    def count_active(self) -> dict[tuple[JobKind, Status], int]:
        """See ``JobStore``."""
        with self._lock:
            jobs = [record.job for record in self._records.values() if not record.job.status.is_terminal]
        return dict(Counter((job.kind, job.shown_status) for job in jobs))

    def request_stop(self, kind: JobKind, job_id: str, *, clean: bool, now: int, by: str | None = None) -> Job | None:
        """See ``JobStore``."""
        with self._lock:
            record = self._records.get((kind, job_id))
            if record is None:
                return None
            job = record.job
            if job.status is Status.STOPPED:
                is_new = clean and not job.swept  # also again: the sweep may have failed
            else:
                is_new = not job.status.is_terminal and (not job.stop_requested or (clean and not job.clean))
            if is_new:
                record.job = replace(job, stop_requested=True, clean=clean, stopped_by=by)
                record.token, record.expires_at, record.due_at = record.token + 1, None, now
            return record.job

    def claim(self, *, now: int, until: int, key: tuple[JobKind, str] | None = None) -> Claim | None:
        """See ``JobStore``."""
        with self._lock:
            if key is not None:
                free = [record for record in [self._records.get(key)] if record and record.is_free(now)]
            else:
                free = [record for record in self._records.values() if record.is_free(now) and (record.due_at or 0) <= now]
            if not free:
                return None
            record = min(free, key=lambda record: (record.due_at, record.seq))
            record.token, record.expires_at = record.token + 1, until
            job = record.job
            return Claim(lease=Lease(kind=job.kind, id=job.id, token=record.token, expires_at=until), job=job)

    def renew(self, lease: Lease, *, until: int) -> Lease:
        """See ``JobStore``."""
        with self._lock:
            record = self._held(lease)
            if record is None:
                raise refusals.lease_lost(lease)
            record.expires_at = until
            return replace(lease, expires_at=until)

    def write(self, lease: Lease, job: Job) -> None:
        """See ``JobStore``. Raises also StoreError: the job has ended, and the new status is another one."""
        with self._lock:
            record = self._held(lease)
            if record is None:
                raise refusals.lease_lost(lease)
            stored = record.job
            if stored.status.is_terminal and job.status is not stored.status:
                raise refusals.already_ended(lease, stored.status, job.status)
            record.job = replace(job, stop_requested=stored.stop_requested, clean=stored.clean, stopped_by=stored.stopped_by)

    def release(self, lease: Lease, *, due_at: int | None) -> None:
        """See ``JobStore``."""
        with self._lock:
            record = self._held(lease)
            if record is not None:
                record.expires_at, record.due_at = None, due_at

    def next_due(self) -> int | None:
        """See ``JobStore``."""
        with self._lock:
            times = [record.claimable_at for record in self._records.values()]
        return min((time for time in times if time is not None), default=None)

    def left_alone(self) -> int:
        """See ``JobStore``."""
        return 0

    def close(self) -> None:
        """See ``JobStore``."""

    def _position(self, query: ListQuery) -> paging.Position | None:
        if query.after is None:
            return None
        record = self._records.get((query.kind, query.after))
        if record is None:
            raise paging.unknown(query.after)
        return paging.Position(record.job.created_at, record.seq)

    def _held(self, lease: Lease) -> _Record | None:
        record = self._records.get((lease.kind, lease.id))
        return record if record and record.token == lease.token and record.expires_at is not None else None
