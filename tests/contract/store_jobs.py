"""Jobs for the contract suites of the stores. Times are small whole numbers of milliseconds."""

from msgspec.structs import replace

from despina.core.job import Job, JobKind, Status
from despina.core.ports import Claim, JobStore, ListQuery
from despina.core.requests import StartDataProcessing, StartModelTraining

PROCESSING, TRAINING = JobKind.DATA_PROCESSING, JobKind.MODEL_TRAINING
T = 1_000


def job(job_id: str, kind: JobKind = PROCESSING, at: int = T) -> Job:
    if kind is PROCESSING:
        request: StartDataProcessing | StartModelTraining = StartDataProcessing(
            input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out")
    else:
        request = StartModelTraining(data_processing_job_id="dp", train_model_s3_location="s3://bucket/models")
    return Job(kind=kind, id=job_id, created_at=at, request=request, prefix=f"s3://bucket/{kind}/{job_id}", input="s3://bucket/in")


def add(store: JobStore, job_id: str, kind: JobKind = PROCESSING, at: int = T) -> Job:
    return store.create(job(job_id, kind, at), invocation=None, max_active=1_000)


def claim(store: JobStore, now: int = T, length: int = 10, key: tuple[JobKind, str] | None = None) -> Claim:
    claim = store.claim(now=now, until=now + length, key=key)
    assert claim is not None
    return claim


def end(store: JobStore, job_id: str, status: Status, kind: JobKind = PROCESSING, *, swept: bool = False) -> None:
    """Bring the job to a status as its reconciler would."""
    held = claim(store, now=10**6, key=(kind, job_id))
    store.write(held.lease, replace(held.job, status=status, swept=swept))
    store.release(held.lease, due_at=None)


def got(store: JobStore, job_id: str, kind: JobKind = PROCESSING) -> Job:
    found = store.get(kind, job_id)
    assert found is not None
    return found


def ids(store: JobStore, query: ListQuery | None = None) -> tuple[str, ...]:
    return store.list_ids(query or ListQuery(kind=PROCESSING)).ids
