"""The state machine of a job: ``advance(job, seen) -> (job, commands)``, pure and total.

The rules, each with a property test (``tests/property/test_lifecycle.py``):

- a terminal status never changes, and nothing is commanded any more;
- stop wins over progress and over failure: a job that is to be stopped ends as ``Stopped``, when its last run is dead;
- a run is recorded before it is submitted, so a recorded run that the engine does not know is submitted (again);
- a job never has more live trials than it may run at once, and never more trials than it asked for;
- a run that is lost is tried again, ``MAX_ATTEMPTS`` times in all; a run that failed is not. A training killed for lack of memory
  goes on with half the batch, which is no attempt at the same thing: it may be halved ``MAX_HALVINGS`` times besides;
- a trial that gives no sign of life for too long is ended, and counts as lost;
- a training job whose time is over begins no more trials, the live ones end with the best model they have met, and the best of all
  is kept, for which there is some time more (``plans.last_moment``);
- a job that is over its time without having a model, or one of whose indispensable runs failed, ends as ``Failed``, when its last
  run is dead.
"""

import msgspec
from msgspec.structs import replace

from despina.core import plans
from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.core.job import Job, Observation, Run, RunKind, RunState, Status, Step, StepName

MAX_ATTEMPTS = 3
MAX_HALVINGS = 8
STALLED_AFTER_MS = 3_600_000


class Seen(Frozen, frozen=True, kw_only=True):
    """What a reconciler has seen: the time (ms), and by run id what the engine knows."""

    now: int
    runs: dict[str, Observation]
    stalled_after: int = STALLED_AFTER_MS
    """How long (ms) a trial may give no sign of life."""


class Submit(Frozen, frozen=True, kw_only=True):
    """Give the run, as it is recorded in the job, to the engine."""

    run_id: str


class Stop(Frozen, frozen=True, kw_only=True):
    """Have the engine end the run."""

    run_id: str


Command = Submit | Stop


def advance(job: Job, seen: Seen) -> tuple[Job, tuple[Command, ...]]:
    """The job after what was seen, and what is to be done once it is recorded.

    Advancing again without having seen anything new changes nothing and gives the same commands.
    """
    if job.status.is_terminal:
        return job, ()
    job = observed(job, seen)
    if not job.stop_requested:
        job = _judge(_marked(job, seen), seen.now)
        if not job.failure_reason:
            job = _proceed(job, seen.now)
    if job.stop_requested or job.failure_reason:
        return _wind_down(job)
    ended = tuple(run.id for run in job.runs if run.state.is_live and (run.failure_reason or _is_too_late(job, run, seen.now)))
    unknown = (run.id for run in job.runs if run.state is RunState.PENDING and _state(seen, run) is None and run.id not in ended)
    return job, (*(Stop(run_id=run_id) for run_id in ended), *(Submit(run_id=run_id) for run_id in unknown))


def next_moment(job: Job, seen: Seen) -> int | None:
    """The next time (ms) at which ``advance`` may decide something although nothing was seen; None: there is none."""
    moments = [plans.deadline(job), plans.last_moment(job),
               *(_quiet_since(run) + seen.stalled_after for run in job.runs if _is_watched(run))]
    return min((moment for moment in moments if moment is not None and moment > seen.now), default=None)


def _is_too_late(job: Job, run: Run, now: int) -> bool:
    """Whether the run is a trial that has not begun although the job's time is over."""
    return run.kind is RunKind.TRIAL and run.state is RunState.PENDING and plans.is_over(job, now)


def _is_watched(run: Run) -> bool:
    return (run.kind is RunKind.TRIAL and run.state is RunState.RUNNING and run.started_at is not None
            and run.failure_reason is None)


def _quiet_since(run: Run) -> int:
    """When a running trial gave its last sign of life."""
    return max(run.started_at or 0, run.progress.at if run.progress else 0)


def _state(seen: Seen, run: Run) -> RunState | None:
    observation = seen.runs.get(run.id)
    return observation.state if observation else None


def observed(job: Job, seen: Seen) -> Job:
    """The job with what the engine knows of its live runs written into them, and nothing decided."""
    steps = tuple(replace(step, runs=tuple(_observed(run, seen) for run in step.runs)) for step in job.steps)
    return replace(job, steps=steps)


def _observed(run: Run, seen: Seen) -> Run:
    observation = seen.runs.get(run.id)
    if not run.state.is_live or observation is None:
        return run
    if run.failure_reason and observation.state in {RunState.STOPPED, RunState.FAILED}:
        return replace(run, state=RunState.LOST, started_at=observation.started_at, finished_at=observation.finished_at)
    if observation.state is None:
        # Not submitted yet; or, if it was running, the engine has lost even its memory of it.
        return run if run.state is RunState.PENDING else replace(run, state=RunState.LOST)
    return replace(
        run,
        state=observation.state,
        progress=observation.progress or run.progress,
        result=observation.result,
        failure_reason=observation.failure_reason if not observation.state.is_live else run.failure_reason,
        out_of_memory=observation.out_of_memory,
        started_at=observation.started_at if run.started_at is None else run.started_at,
        finished_at=observation.finished_at,
        usage=observation.usage or run.usage,
    )


def _judge(job: Job, now: int) -> Job:
    """Retry lost runs, mark stalled ones, and give the job its ``failure_reason`` if it cannot complete any more."""
    if job.failure_reason:
        return job
    limit = plans.last_moment(job)
    # A job whose last run has ended is over, however late that is seen; but one that has yet to train never will.
    if limit is not None and now >= limit and (any(run.state.is_live for run in job.runs) or plans.is_to_train(job)):
        return _failing(job, plans.over_time(job))
    for step in job.steps:
        for run in step.runs:
            if run.state is RunState.LOST:
                job = _try_again(job, step.name, run)
    for run in job.runs:
        # A run stopped behind our back (its engine's folder was tampered with) will never end well either.
        if run.kind is not RunKind.TRIAL and run.state in {RunState.FAILED, RunState.STOPPED}:
            return _failing(job, run.failure_reason or f"The run {run.id} was stopped from outside.")
    return _judge_trials(job, now)


def _marked(job: Job, seen: Seen) -> Job:
    """The job with the reason written into trials that are to be ended because they give no sign of life."""
    steps = tuple(replace(step, runs=tuple(_watched(run, seen) for run in step.runs)) for step in job.steps)
    return replace(job, steps=steps)


def _watched(run: Run, seen: Seen) -> Run:
    quiet = seen.now - _quiet_since(run)
    if not _is_watched(run) or quiet < seen.stalled_after:
        return run
    return replace(run, failure_reason=f"The training made no progress for {quiet // 1000} s.")


def _judge_trials(job: Job, now: int) -> Job:
    """Fail the job when every trial it asked for, or had time for, has ended and none has succeeded."""
    for step in job.steps:
        if step.name is StepName.TUNING and step.runs and step.status is Status.IN_PROGRESS:
            ended = [run for run in step.runs if not run.state.is_live]
            if len(ended) < len(step.runs) or any(run.state is RunState.SUCCEEDED for run in ended):
                continue
            if plans.is_over(job, now):
                return _failing(job, plans.over_time(job))
            if len(ended) == plans.trials_wanted(job):
                reason = ended[0].failure_reason or "was stopped from outside"
                return _failing(job, f"None of the {len(ended)} training jobs succeeded. {ended[0].name}: {reason}")
    return job


def _try_again(job: Job, name: StepName, lost: Run) -> Job:
    step = plans.step(job, name)
    halvings = plans.halvings(lost)
    if lost.attempt - halvings < MAX_ATTEMPTS and halvings <= MAX_HALVINGS:
        next_run = plans.retry(job, lost)
    else:
        reason = f"The run ended {lost.attempt} times without a word. {lost.failure_reason or ''}".rstrip()
        next_run = replace(lost, state=RunState.FAILED, failure_reason=reason)
    return plans.with_step(job, replace(step, runs=tuple(next_run if run.id == lost.id else run for run in step.runs)))


def _proceed(job: Job, now: int) -> Job:
    try:
        return plans.proceed(job, now)
    except (msgspec.ValidationError, WorkFailed) as error:
        return _failing(job, f"A run of this job gave a result that cannot be used: {error}")


def _failing(job: Job, reason: str) -> Job:
    return replace(job, failure_reason=reason)


def _wind_down(job: Job) -> tuple[Job, tuple[Command, ...]]:
    """Stop what is live; when nothing is, end the job."""
    live = tuple(run for run in job.runs if run.state.is_live)
    if live:
        return job, tuple(Stop(run_id=run.id) for run in live)
    end = Status.STOPPED if job.stop_requested else Status.FAILED
    return replace(job, status=end, steps=tuple(_ended(step, end, job.failure_reason) for step in job.steps)), ()


def _ended(step: Step, end: Status, reason: str | None) -> Step:
    if step.status.is_terminal:
        return step
    return replace(step, status=end, failure_reason=reason if end is Status.FAILED else None)
