"""How far a job is: words, bars and the time that is left."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from despina.cli import exits, progress

Job = dict[str, Any]
NOW = 1_000_000_000_000


def trial(number: int, state: str = "running", *, began: int = 10_000, step: int = 5, of: int = 10, took: int = 20_000) -> Job:
    """A trial that began so many ms ago, or took so many."""
    run: Job = {"id": f"trial-{number}", "kind": "trial", "number": number, "state": state}
    if state == "running":
        run |= {"startedAt": NOW - began, "progress": {"at": NOW, "step": step, "of": of, "unit": "epoch", "metric": "acc",
                                                       "value": 0.5, "best": 0.75}}
    if state == "succeeded":
        run |= {"startedAt": NOW - took - 99, "finishedAt": NOW - 99}
    return run


def job(*runs: Job, trials: int | None = None, status: str = "InProgress", reason: str | None = None) -> Job:
    details = {"runs": list(runs), **({"trials": trials} if trials else {}), **({"failureReason": reason} if reason else {})}
    return {"id": "tr", "status": status, "details": details}


def test_a_run_tells_its_steps_metric_and_time() -> None:
    assert progress.words(trial(0), NOW) == "trial 1: epoch 5/10, acc 0.5000 (best 0.7500), 10.0 s left"
    assert progress.words({"kind": "process", "number": 0, "state": "pending"}, NOW) == "process: waits for cores or memory"
    assert progress.words({"kind": "process", "number": 0, "state": "running"}, NOW) == "process: starting"


@pytest.mark.parametrize(("runs", "wanted", "left"), [
    ((trial(0),), 1, 10_000),
    ((trial(0, "succeeded"), trial(1)), 4, 10_000 + 2 * 20_000),  # two more, one after the other
    ((trial(0, "succeeded"), trial(1), trial(2)), 5, 10_000 + 20_000),  # two more, side by side
    ((trial(0), trial(1, "pending")), 2, 10_000 + 20_000),
    ((trial(0, step=0),), 2, None),  # nothing is known yet
    ((trial(0, "succeeded"),), 2, None),  # between two
])
def test_the_time_until_the_last_trial_has_ended(runs: tuple[Job, ...], wanted: int, left: float | None) -> None:
    assert progress.trials_left(job(*runs, trials=wanted), NOW) == left


def test_bars_have_a_line_for_the_job_and_for_each_live_run() -> None:
    lines = progress.bars("modeltraining", job(trial(0, "succeeded"), trial(1), trial(2, "pending"), trials=4), NOW, 200)
    assert lines[0] == "tr (modeltraining) InProgress; trials 1/4, about 50.0 s of training left"
    assert lines[1].startswith(f"  trial 2    {'█' * 10}{'░' * 10} epoch 5/10")
    assert lines[2] == f"  trial 3    {'░' * 20} waits for cores or memory"
    assert progress.bars("modeltraining", job(status="Failed", reason="No: why"), NOW, 200) == ["tr Failed: No: why"]


@given(step=st.integers(0, 10**9), of=st.integers(-1, 10**9), columns=st.integers(1, 200))
def test_bars_fit_whatever_is_reported(step: int, of: int, columns: int) -> None:
    assert len(progress.bar(step, of)) == progress.BAR
    told = job(trial(0, step=step, of=of), trials=3)
    assert all(len(line) <= columns for line in progress.bars("modeltraining", told, NOW, columns))
    left = progress.trials_left(told, NOW)
    assert left is None or left >= 0


def test_a_phase_changes_when_a_run_begins_to_tell_and_not_with_its_numbers() -> None:
    silent = trial(0)
    del silent["progress"]
    assert progress.phase(job(silent)) != progress.phase(job(trial(0, step=1))) == progress.phase(job(trial(0, step=2)))


def test_failed_is_worse_than_stopped() -> None:
    assert exits.worst([0, exits.STOPPED, exits.FAILED]) == exits.FAILED
    assert exits.worst([0, exits.STOPPED, 0]) == exits.STOPPED
    assert exits.worst([]) == exits.DONE
