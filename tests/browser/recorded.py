"""Jobs of every status, put into a store while no server runs on it."""

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from despina.core import plans
from despina.core.job import Job, RunState, Status, Step, TrainedModel
from despina.core.requests import StartDataProcessing, StartModelTraining, StartModelTransform, StartRequests
from despina.store import open_store

HOUR = 3_600_000
MARKUP = "<script>document.title = 'foreign'</script>&<b>bold</b>\"'"
"""What a page must show as it is."""
ODD = f"arn:aws:iam::123456789012:user/{MARKUP}"
REASON = f"The column 'size' of nodes/item.csv has the value {MARKUP} in line 3, which is not a number."


def job(request: StartRequests, job_id: str, *, created_at: int, status: Status, reason: str | None = None,
        started_by: str | None = None) -> Job:
    """A job that ended two minutes after its creation, or that is in progress and waits for a core."""
    model = TrainedModel(trial="continents-trial", location="s3://bucket/models/trial", learned_from="s3://bucket/processed")
    fresh = plans.new_job(request, job_id=job_id, now=created_at, source="s3://bucket/input", memory_mib=256, model=model)
    if status is Status.IN_PROGRESS:
        return replace(fresh, started_by=started_by)
    state = {Status.COMPLETED: RunState.SUCCEEDED, Status.FAILED: RunState.FAILED}.get(status, RunState.STOPPED)

    def ended(step: Step) -> Step:
        runs = tuple(replace(run, state=state, failure_reason=reason, started_at=created_at + 1000,
                             finished_at=created_at + 120_000) for run in step.runs)
        return replace(step, status=status, runs=runs, failure_reason=reason)

    return replace(fresh, started_by=started_by, status=status, failure_reason=reason, stop_requested=status is Status.STOPPED,
                   steps=tuple(ended(step) for step in fresh.steps))


def record(data: Path, jobs: Iterable[Job]) -> None:
    """Put jobs into the store of a data directory. A server leaves them alone until somebody cancels them."""
    data.mkdir(exist_ok=True)
    store = open_store(data / "despina.db")
    for one in jobs:
        store.create(replace(one, status=Status.IN_PROGRESS, stop_requested=False), invocation=None, max_active=10_000)
        if one.stop_requested:
            store.request_stop(one.kind, one.id, clean=one.clean, now=one.created_at)
        claim = store.claim(now=2**62, until=2**62 + 1, key=(one.kind, one.id))
        assert claim is not None
        store.write(claim.lease, one)
        store.release(claim.lease, due_at=None)
    store.close()


def of_every_status(now: int) -> list[Job]:
    """Jobs of all kinds, and one of each that is there to be cancelled."""
    requests: dict[str, StartRequests] = {
        "airports": StartDataProcessing(input_data_s3_location="s3://bucket/export",
                                        processed_data_s3_location="s3://bucket/processed"),
        "continents": StartModelTraining(data_processing_job_id="airports", train_model_s3_location="s3://bucket/models"),
        "moved": StartModelTransform(data_processing_job_id="airports", ml_model_training_job_id="continents",
                                     model_transform_output_s3_location="s3://bucket/transformed"),
    }
    made = []
    for name, request in requests.items():
        made += [
            job(request, f"{name}-completed", created_at=now - 30 * HOUR, status=Status.COMPLETED),
            job(request, f"{name}-stopped", created_at=now - 5 * HOUR, status=Status.STOPPED),
            job(request, f"{name}-failed", created_at=now - 2 * HOUR, status=Status.FAILED, reason=REASON, started_by=ODD),
            job(request, f"{name}-waiting", created_at=now - HOUR // 4, status=Status.IN_PROGRESS),
        ]
        made.append(job(request, f"{made[-1].kind}-to-cancel", created_at=now - HOUR, status=Status.IN_PROGRESS))
    return made
