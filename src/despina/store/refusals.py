"""Why a store does not record a job: the same errors, in the same words, from every store."""

from despina.core.errors import IdTaken, LeaseLost, NotOffered, PrincipalNotFound, StoreError, TooManyRequests
from despina.core.frozen import RECORD_VERSION
from despina.core.job import Job, Status
from despina.core.ports import Lease
from despina.core.principal import AccessKey, Principal

RETRY_AFTER = 30
"""Seconds to wait when too many jobs are active: jobs take minutes."""


class PrefixTaken(StoreError):
    """The prefix of a new job belongs to another job: ``clean`` of the one would delete the artefacts of the other."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"The {job.kind} job '{job.id}' cannot be recorded: the location {job.prefix} belongs to another job.")


def no_driver() -> NotOffered:
    """PostgreSQL is asked for, and psycopg is not there."""
    return NotOffered("The setting database_url asks for PostgreSQL, whose driver is not installed: pip install "
                      "'despina[postgres]'.")


def id_taken() -> IdTaken:
    """AWS's text (user guide, "Neptune ML management API errors and exceptions")."""
    return IdTaken("Another resource with same ID already exists. Please use a new ID.")


def too_many_active(max_active: int) -> TooManyRequests:
    """As many jobs as the setting allows have not ended."""
    return TooManyRequests(f"{max_active} jobs have not ended yet, as many as the setting max_active_jobs allows.",
                           limit="max_active_jobs", retry_after=RETRY_AFTER)


def too_many_active_of_one(principal: str | None, max_active: int) -> TooManyRequests:
    """As many jobs of one principal as the setting allows have not ended."""
    return TooManyRequests(f"{max_active} jobs that {principal} started have not ended yet, as many as the setting "
                           "max_active_jobs_per_principal allows.", limit="max_active_jobs_per_principal",
                           retry_after=RETRY_AFTER)


def too_many_endpoints(most: int) -> TooManyRequests:
    """There are as many endpoints as the setting allows."""
    return TooManyRequests(f"There are {most} endpoints, as many as the setting limits.max_endpoints allows: delete one that is "
                           "not needed.", limit="max_endpoints", retry_after=RETRY_AFTER)


def arn_taken(principal: Principal, other: str) -> IdTaken:
    """Another principal has the ARN."""
    return IdTaken(f"The principal '{other}' has the ARN {principal.arn} already.")


def no_principal(name: str) -> PrincipalNotFound:
    """A key is to belong to nobody."""
    return PrincipalNotFound(f"There is no principal '{name}'.")


def key_taken(key: AccessKey) -> IdTaken:
    """Two keys have one id."""
    return IdTaken(f"There is an access key '{key.id}' already.")


def unreadable(record: str, database: str, version: int, error: Exception) -> StoreError:
    """A record is of a newer version, whose further fields would be no obstacle, or it was tampered with."""
    newer = f" (it was written by a newer version of Despina: {version}, this one knows {RECORD_VERSION})"
    return StoreError(f"The record of the {record} in {database} cannot be read: {error}{newer * (version > RECORD_VERSION)}.")


def left_alone(endpoint_id: str, database: str) -> StoreError:
    """A record that is of a newer version would lose what this one does not know."""
    return StoreError(f"The endpoint '{endpoint_id}' in {database} was written by a newer version of Despina: processes of that "
                      "version can change it, and this one leaves it alone.")


def lease_lost(lease: Lease) -> LeaseLost:
    """The lease was given back, taken over after its end, or ended by a new wish."""
    return LeaseLost(f"The lease {lease.token} of the {lease.kind} job '{lease.id}' is no longer held.")


def already_ended(lease: Lease, stored: Status, written: Status) -> StoreError:
    """A terminal status never changes; a holder that tries it is in error, not late."""
    return StoreError(f"The {lease.kind} job '{lease.id}' is {stored} and cannot become {written}.")
