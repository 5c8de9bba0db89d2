"""A job as a row of a list: its status, how far it is, and what came of it."""

from despina.api.console.cancelling import Choices
from despina.api.console.formats import duration, first_line
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind, Run, RunKind, RunState, Status

_SHOWN_RUNS = 2
"""Live runs of a job that its row tells of."""
_WORDS = {RunKind.PROCESS: "reading the export", RunKind.STRATEGY: "laying down the trials", RunKind.TRANSFORM: "writing artefacts"}


class LiveRun(Frozen, frozen=True, kw_only=True):
    """How far a run is. ``of`` is 0 while it has not said."""

    name: str
    text: str
    step: int = 0
    of: int = 0


class Row(Frozen, frozen=True, kw_only=True):
    """A job in a list. Times are ms since 1970."""

    id: str
    status: Status
    created_at: int
    took: int | None
    """ms from its creation to the end of its last run; None while it goes on, and of one that never ran."""
    is_live: bool
    started_by: str | None
    live: tuple[LiveRun, ...]
    more: int
    """Live runs that it does not tell of."""
    outcome: str
    """Why it failed, or what came of it; empty while it goes on."""
    choices: Choices


def row(job: Job, choices: Choices, now: int) -> Row:
    """The row of a job."""
    live = [] if job.status.is_terminal else [run for run in job.runs if run.state.is_live]
    ended = ended_at(job)
    return Row(
        id=job.id, status=job.shown_status, created_at=job.created_at, is_live=not job.status.is_terminal,
        took=ended - job.created_at if ended is not None else None, started_by=job.started_by,
        live=tuple(live_run(run, now) for run in live[:_SHOWN_RUNS]), more=max(0, len(live) - _SHOWN_RUNS), outcome=_outcome(job),
        choices=choices)


def ended_at(job: Job) -> int | None:
    """When the last run of a job that has ended did so; None for a job that goes on, or never ran."""
    ended = [run.finished_at for run in job.runs if run.finished_at is not None]
    return max(ended) if ended and job.status.is_terminal else None


def live_run(run: Run, now: int) -> LiveRun:
    """How far a run is that has not ended, in words and as a part of the whole."""
    name = f"trial {run.number + 1}" if run.kind is RunKind.TRIAL else _WORDS[run.kind]
    said = run.progress
    if run.state is RunState.PENDING:
        return LiveRun(name=name, text=f"{name}: waits for cores or memory")
    if said is None:
        return LiveRun(name=name, text=f"{name}: starts")
    words = [f"{name}: {said.unit} {said.step:,} of {said.of:,}"]
    if said.metric is not None and said.value is not None:
        words.append(f"{said.metric} {said.value:.4f}")
    if run.started_at is not None and 0 < said.step < said.of:
        whole = (said.at - run.started_at) / said.step * said.of
        words.append(f"about {_roughly(round(max(1000.0, whole - (now - run.started_at))))} left")
    return LiveRun(name=name, text=", ".join(words), step=said.step, of=said.of)


def _roughly(ms: int) -> str:
    """A duration in its larger unit."""
    return " ".join(duration(ms).split(" ")[:2])


def _outcome(job: Job) -> str:
    if job.failure_reason:
        return first_line(job.failure_reason)
    if job.status is Status.STOPPED and job.swept:
        return "its artefacts are deleted"
    trials = [run for run in job.runs if run.kind is RunKind.TRIAL and run.state is RunState.SUCCEEDED]
    if job.status is Status.COMPLETED and job.kind is JobKind.MODEL_TRAINING and trials:
        return "1 trial" if len(trials) == 1 else f"{len(trials)} trials"
    return ""
