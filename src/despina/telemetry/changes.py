"""What a pass of a reconciler has changed in a job. Each change is seen in one pass only."""

from collections.abc import Iterator

from despina.core.job import Job, Run, Step


def queued(before: Job, after: Job) -> int | None:
    """How long (ms) the job waited until its first run started, if that is news."""
    first = after.steps[0].runs[0]
    known = next((run for run in before.runs if run.id == first.id), None)
    if first.attempt > 1 or first.started_at is None or known is None or known.started_at is not None:
        return None
    return max(0, first.started_at - after.created_at)


def ended_runs(before: Job, after: Job) -> Iterator[Run]:
    """Runs that have ended. Of those that were lost and begun again there is no trace in ``after``."""
    live = {run.id for run in before.runs if run.state.is_live}
    known = {run.id for run in before.runs}
    return (run for run in after.runs if not run.state.is_live and (run.id in live or run.id not in known))


def lost_runs(before: Job, after: Job) -> Iterator[Run]:
    """Runs, as they were before, in whose place another attempt is made."""
    kept = {run.id for run in after.runs}
    return (run for run in before.runs if run.id not in kept)


def ended_steps(before: Job, after: Job) -> Iterator[Step]:
    """Steps that have ended."""
    over = {step.name for step in before.steps if step.status.is_terminal}
    return (step for step in after.steps if step.status.is_terminal and step.name not in over)


def took(*runs: Run) -> float | None:
    """Seconds from the first start to the last end; None if there was none."""
    started = [run.started_at for run in runs if run.started_at is not None]
    finished = [run.finished_at for run in runs if run.finished_at is not None]
    return max(0, max(finished) - min(started)) / 1000 if started and finished else None
