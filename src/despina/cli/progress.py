"""How far a job is, from its details: in words, as bars, and the time that is left. Pure: the time of day is passed in (ms)."""

from collections.abc import Sequence
from typing import Any

from despina.cli.tables import duration

Job = dict[str, Any]
Run = dict[str, Any]

ENDED = ("Completed", "Failed", "Stopped")
"""The terminal statuses."""
LIVE = ("pending", "running")
BAR = 20
"""Characters of a bar."""


def words(run: Run, now: int) -> str:
    """One running or waiting run: how far, its metric, and when it will be over if it goes on like this."""
    name = f"trial {run['number'] + 1}" if run["kind"] == "trial" else run["kind"]
    return f"{name}: {_state(run, now)}"


def summary(job: Job, now: int) -> str:
    """All that happens in a job that has not ended, in one line."""
    live = [words(run, now) for run in live_runs(job)]
    return f"{job['status']}: {'; '.join([*_trials(job), *live]) or 'between two runs'}{_left(job, now)}"


def bars(kind: str, job: Job, now: int, columns: int) -> list[str]:
    """The same as lines with bars: one for the job, and one for each of its runs that is running or waits."""
    if job["status"] in ENDED:
        return [ended(job)[:columns]]
    lines = [f"{job['id']} ({kind}) {'; '.join([job['status'], *_trials(job)])}{_left(job, now)}"]
    for run in live_runs(job):
        name = f"trial {run['number'] + 1}" if run["kind"] == "trial" else run["kind"]
        said = run.get("progress") or {"step": 0, "of": 1}
        lines.append(f"  {name:<10} {bar(said['step'], said['of'])} {_state(run, now)}")
    return [line[:columns] for line in lines]


def bar(step: int, of: int) -> str:
    """A bar of which the part that is done is full."""
    full = min(BAR, BAR * step // of) if of > 0 else 0
    return f"{'█' * full}{'░' * (BAR - full)}"


def ended(job: Job) -> str:
    """A job that has ended, in one line."""
    reason = job["details"].get("failureReason")
    return f"{job['id']} {job['status']}{f': {reason}' if reason else ''}"


def phase(job: Job) -> tuple[object, ...]:
    """What of a job's progress is worth a line of its own at once: which runs live, and whether each has told something."""
    return job["status"], *((run["id"], run["state"], run.get("progress") is not None) for run in live_runs(job))


def live_runs(job: Job) -> list[Run]:
    """Those that are running or wait."""
    return [run for run in job["details"]["runs"] if run["state"] in LIVE]


def remaining(run: Run, now: int) -> float | None:
    """The time (ms) a run still takes at its average speed, or None while that is not known."""
    whole = _whole(run)
    return None if whole is None else max(0.0, whole - (now - run["startedAt"]))


def trials_left(job: Job, now: int) -> float | None:
    """The time (ms) until the last trial of a training has ended, if those to come take as long as those there were on average."""
    wanted, trials = job["details"].get("trials") or 0, _newest_trials(job)
    live = [run for run in trials if run["state"] in LIVE]
    running = [run for run in live if run["state"] == "running"]
    took = [run["finishedAt"] - run["startedAt"] for run in trials if run["state"] == "succeeded"]
    took += [whole for run in running if (whole := _whole(run)) is not None]
    if not took or not running:
        return None
    lefts = [left for run in running if (left := remaining(run, now)) is not None]
    to_come = wanted - len(trials) + len(live) - len(running)
    return max(lefts, default=0.0) + float( -(-max(0, to_come) // len(running)) * sum(took) / len(took))


def _whole(run: Run) -> float | None:
    said, started = run.get("progress"), run.get("startedAt")
    if not said or not started or not said["step"] or said["step"] >= said["of"]:
        return None
    return float((said["at"] - started) / said["step"] * said["of"])


def _newest_trials(job: Job) -> Sequence[Run]:
    return list({run["number"]: run for run in job["details"]["runs"] if run["kind"] == "trial"}.values())


def _trials(job: Job) -> list[str]:
    wanted = job["details"].get("trials")
    if not wanted or not (trials := _newest_trials(job)):
        return []
    return [f"trials {sum(run['state'] not in LIVE for run in trials)}/{wanted}"]


def _left(job: Job, now: int) -> str:
    left = trials_left(job, now)
    return f", about {duration(left)} of training left" if left is not None and (job["details"].get("trials") or 0) > 1 else ""


def _state(run: Run, now: int) -> str:
    said = run.get("progress")
    if run["state"] == "pending":
        return "waits for cores or memory"
    if not said:
        return "starting"
    text = f"{said['unit']} {said['step']}/{said['of']}"
    if said.get("metric") and said.get("value") is not None:
        text += f", {said['metric']} {said['value']:.4f}"
        if said.get("best") is not None:
            text += f" (best {said['best']:.4f})"
    left = remaining(run, now)
    return f"{text}, {duration(left)} left" if left is not None else text
