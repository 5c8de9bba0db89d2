"""What is known of a run on a Ray cluster, from Ray's word on its job and the run's own record. Pure."""

import msgspec
from msgspec.structs import replace

from despina.core.job import Observation, RunState
from despina.engine.ray_jobs import RayJob

END = "despina_end"
"""The metadata of a job that stands for a run which ended before it was submitted: its Observation as JSON."""
NEVER_STARTED = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
"""``error_type`` of a job that Ray gave up to wait for (``RAY_JOB_START_TIMEOUT_SECONDS``, a quarter of an hour by default)."""
ENDING_MS = 60_000
"""How long the processes of a run may take to end when Ray's job has ended. After that nobody will tell: its keeper was killed."""
LETTING_GO_MS = 3_000
"""How long after its end a job may be Ray's business."""
_COULD_NOT_START = {1, 2, 126, 127}
"""Exit statuses of Python and of shells that found no such module or program."""
_REASON_LIMIT = 600
"""Characters of Ray's message that a reason quotes."""


def judge(job: RayJob | None, record: Observation | None, *, marked: bool, node_gone: bool, now: int) -> Observation:
    """The observation of a run.

    Args:
        job: what Ray says of the run's job; None: it knows none.
        record: what the run's node told last; None: nothing, or the node is gone.
        marked: whether the wish to stop the run while it waits is on record.
        node_gone: whether the node has left the cluster.
        now: ms since 1970.
    """
    if job is None:
        return Observation(state=None)
    if job.metadata and END in job.metadata:
        return msgspec.json.decode(job.metadata[END], type=Observation)
    if node_gone:
        record = Observation(state=RunState.RUNNING)  # if it had begun, as it probably had, we cannot know since when
    if record is None or record.state is None:
        return _unbegun(job, marked=marked)
    if record.state.is_live:
        return _untold(job, record, node_gone=node_gone, now=now)
    return _told(job, record, marked=marked)


def is_let_go(job: RayJob, now: int) -> bool:
    """Whether the job's id may be given to another one: Ray's head watches over a job for a second after its end, and would take
    the end of the old one's process for the new one's."""
    return job.end_time is not None and now - job.end_time > LETTING_GO_MS


def _unbegun(job: RayJob, *, marked: bool) -> Observation:
    """Of a run whose program was not started, as far as anyone was told."""
    if marked or job.status == "STOPPED":
        return Observation(state=RunState.STOPPED, finished_at=job.end_time)
    if job.status in {"PENDING", "RUNNING"}:
        return Observation(state=RunState.PENDING)
    if job.error_type == NEVER_STARTED:
        return Observation(state=None)
    if job.driver_exit_code in _COULD_NOT_START:
        return Observation(state=RunState.FAILED, finished_at=job.end_time,
                           failure_reason=f"The run could not be started on its node. {_reason(job)}")
    return Observation(state=RunState.LOST, finished_at=job.end_time,
                       failure_reason=f"The run was lost before its program started. {_reason(job)}")


def _untold(job: RayJob, live: Observation, *, node_gone: bool, now: int) -> Observation:
    """Of a run whose program was started and whose end was not told. That comes when every process is dead, after Ray's job."""
    if job.status in {"PENDING", "RUNNING"} or not (node_gone or now - (job.end_time or now) > ENDING_MS):
        return live
    if job.status == "STOPPED":
        return replace(live, state=RunState.STOPPED, finished_at=job.end_time)
    what = "The run's node has left the cluster." if node_gone else "The run's processes were killed from outside."
    return replace(live, state=RunState.LOST, failure_reason=f"{what} {_reason(job)}", finished_at=job.end_time)


def _told(job: RayJob, end: Observation, *, marked: bool) -> Observation:
    """Of a run whose keeper has told its end. A stop it cannot tell from a SIGTERM that is somebody else's; Ray can."""
    if end.state is not RunState.STOPPED or marked or job.status == "STOPPED":
        return end
    if job.status == "RUNNING":
        return replace(end, state=RunState.RUNNING, finished_at=None)
    return replace(end, state=RunState.LOST, failure_reason=f"The run was ended from outside. {_reason(job)}")


def _reason(job: RayJob) -> str:
    text = (job.message or "").strip()
    return f"Ray: …{text[-_REASON_LIMIT:]}" if len(text) > _REASON_LIMIT else f"Ray: {text}"
