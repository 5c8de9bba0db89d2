"""What becomes of trainings that take too long, stall, or find no memory: examples of ``advance``.

The rules that hold whatever happens are in ``tests/property/test_lifecycle.py``.
"""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from despina.core import plans
from despina.core.hyperparameters import End, Strategy, TrialResult
from despina.core.job import Job, Observation, Progress, Run, RunKind, RunState, Status, StepName, TrainWork, TransformWork
from despina.core.lifecycle import MAX_ATTEMPTS, MAX_HALVINGS, Command, Seen, Stop, Submit, advance, next_moment
from despina.core.requests import StartModelTraining

START = 1_700_000_000_000
STRATEGY = msgspec.to_builtins(Strategy(metric="acc", maximize=True, tunable=(), fixed={}, memory_mib=300))
SECONDS = 60
OVER = START + SECONDS * 1000


def result(objective: float = 0.5, ended: End = End.EPOCHS) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(TrialResult(objective=objective, epoch=1, ended=ended))
    return found


def tuning(*, trials: int = 3, parallel: int = 3) -> Job:
    """A training job whose strategy has run, at the start of its trials."""
    request = StartModelTraining(data_processing_job_id="dp", train_model_s3_location="s3://bucket/models",
                                 max_hpo_number_of_training_jobs=trials, max_hpo_parallel_training_jobs=parallel,
                                 training_time_out_in_seconds=SECONDS)
    job = plans.new_job(request, job_id="tr", now=START, source="s3://bucket/dp", memory_mib=64)
    job, _ = see(job, START, strategy=Observation(state=RunState.SUCCEEDED, result=STRATEGY, started_at=START, finished_at=START))
    return job


def see(job: Job, now: int, **runs: Observation) -> tuple[Job, tuple[Command, ...]]:
    """Advance after having seen these runs, by their labels (``trial1``); those not named are as they were."""
    def observed(run: Run) -> Observation:
        label = run.id.split("-")[-2]
        name = {"trial001": "trial1", "trial002": "trial2", "trial003": "trial3"}.get(label, label)
        progress = run.progress
        return runs.get(name, Observation(state=run.state, started_at=run.started_at, progress=progress))
    return advance(job, Seen(now=now, runs={run.id: observed(run) for run in job.runs if run.state.is_live}))


def running(at: int = START, *, step: int = 0) -> Observation:
    return Observation(state=RunState.RUNNING, started_at=START, progress=Progress(at=at, step=step, of=9, unit="epoch"))


def succeeded(objective: float = 0.5, ended: End = End.EPOCHS) -> Observation:
    return Observation(state=RunState.SUCCEEDED, result=result(objective, ended), started_at=START, finished_at=START)


def trials(job: Job) -> tuple[Run, ...]:
    return plans.step(job, StepName.TUNING).runs


def test_trials_are_told_until_when_they_may_train() -> None:
    works = [run.spec.work for run in trials(tuning())]
    assert [work.until for work in works if isinstance(work, TrainWork)] == [OVER] * 3


def test_a_job_whose_time_is_over_keeps_the_best_model_and_says_why() -> None:
    job, commands = see(tuning(), START, trial1=running(), trial2=running())
    job, commands = see(job, OVER, trial1=running(), trial2=running(), trial3=Observation(state=RunState.PENDING))
    late = trials(job)[2]
    assert commands == (Stop(run_id=late.id),), "the two that train end by themselves; the third would begin too late"
    job, commands = see(job, OVER + 1, trial1=succeeded(0.7, End.TIME), trial2=succeeded(0.6),
                        trial3=Observation(state=RunState.STOPPED))
    step = plans.step(job, StepName.TUNING)
    assert step.status is Status.STOPPED
    assert step.failure_reason == ("The job ran longer than trainingTimeOutInSeconds (60 s) allows. 1 of 3 trainings had ended by "
                                   "then; the best model that was met is kept.")
    (transform,) = [run for run in job.runs if run.kind is RunKind.TRANSFORM]
    assert commands == (Submit(run_id=transform.id),)
    job, _ = see(job, OVER + 2, transform=Observation(state=RunState.SUCCEEDED, result={}))
    assert job.status is Status.COMPLETED
    assert job.models[0].trial == trials(job)[0].name


def test_trials_that_ended_in_time_are_a_whole_tuning_however_late_that_is_seen() -> None:
    job, _ = see(tuning(), OVER + 1, trial1=succeeded(), trial2=succeeded(), trial3=succeeded())
    assert plans.step(job, StepName.TUNING).status is Status.COMPLETED


def test_a_job_that_has_no_model_when_its_time_is_over_fails() -> None:
    failed = Observation(state=RunState.FAILED, failure_reason="diverged", started_at=START, finished_at=START)
    job, _ = see(tuning(), OVER + 1, trial1=failed, trial2=failed, trial3=Observation(state=RunState.STOPPED))
    assert job.failure_reason == "The job ran longer than trainingTimeOutInSeconds (60 s) allows."


@pytest.mark.parametrize("kind", ["trial", "transform"])
def test_what_still_runs_two_minutes_later_is_ended(kind: str) -> None:
    job = tuning(trials=1)
    job, _ = see(job, START, trial1=running() if kind == "trial" else succeeded())
    job, commands = see(job, OVER + 119_999)
    assert not job.failure_reason
    assert not any(isinstance(command, Stop) for command in commands)
    job, commands = see(job, OVER + 120_000)
    assert "trainingTimeOutInSeconds (60 s)" in (job.failure_reason or "")
    assert [type(command) for command in commands] == [Stop]


def test_a_trial_without_a_sign_of_life_is_ended_and_goes_on_in_another_attempt() -> None:
    job = replace_time_out(tuning(trials=1), 10**6)
    hour = 3_600_000
    job, commands = see(job, START + hour - 1, trial1=running())
    assert commands == ()
    job, commands = see(job, START + hour, trial1=running())
    assert commands == (Stop(run_id=trials(job)[0].id),)
    job, commands = see(job, START + hour + 1, trial1=running())
    assert commands == (Stop(run_id=trials(job)[0].id),), "until it is dead"
    first = trials(job)[0]
    job, commands = see(job, START + hour + 2, trial1=Observation(state=RunState.STOPPED))
    (second,) = trials(job)
    assert (second.attempt, second.state) == (2, RunState.PENDING)
    assert isinstance(first.spec.work, TrainWork)
    assert isinstance(second.spec.work, TrainWork)
    assert second.spec.work.attempts == (first.spec.work.output,), "its state is gone on from"
    assert commands == (Submit(run_id=second.id),)


def test_a_sign_of_life_gives_another_hour() -> None:
    job = replace_time_out(tuning(trials=1), 10**6)
    _, commands = see(job, START + 3_600_000, trial1=running(START + 1))
    assert commands == ()


def test_a_trial_that_stalls_in_every_attempt_fails_and_says_so() -> None:
    job, now = replace_time_out(tuning(trials=1), 10**6), START
    for _ in range(MAX_ATTEMPTS):
        now += 3_600_000
        job, _ = see(job, now, trial1=running())
        job, _ = see(job, now, trial1=Observation(state=RunState.STOPPED))
    assert "ended 3 times without a word. The training made no progress for" in (job.failure_reason or "")


def test_a_trial_that_ends_just_before_it_is_stopped_counts() -> None:
    job = replace_time_out(tuning(trials=1), 10**6)
    job, _ = see(job, START + 3_600_000, trial1=running())
    job, _ = see(job, START + 3_600_001, trial1=succeeded())
    assert plans.step(job, StepName.TUNING).status is Status.COMPLETED


@pytest.mark.parametrize(("out_of_memory", "halvings"), [(True, 1), (False, 0)])
def test_the_batch_is_halved_when_the_machine_had_no_memory_left(out_of_memory: bool, halvings: int) -> None:
    lost = Observation(state=RunState.LOST, failure_reason="killed", out_of_memory=out_of_memory, started_at=START,
                       finished_at=START)
    job, _ = see(tuning(trials=1), START, trial1=lost)
    (again,) = trials(job)
    assert isinstance(again.spec.work, TrainWork)
    assert again.spec.work.halvings == halvings
    assert again.spec.work.until == OVER


def test_halving_the_batch_uses_up_no_attempt_but_has_an_end() -> None:
    killed = Observation(state=RunState.LOST, failure_reason="The program was killed for lack of memory.", out_of_memory=True,
                         started_at=START, finished_at=START)
    job = tuning(trials=1)
    for attempt in range(1, MAX_HALVINGS + 2):
        assert job.failure_reason is None
        assert trials(job)[0].attempt == attempt
        job, _ = see(job, START, trial1=killed)
    assert "killed for lack of memory" in (job.failure_reason or "")


def test_the_report_is_given_all_trials() -> None:
    failed = Observation(state=RunState.FAILED, failure_reason="diverged", started_at=START, finished_at=START + 500)
    job, _ = see(tuning(), START, trial1=failed, trial2=succeeded(0.9, End.EARLY), trial3=succeeded(0.4, End.PRUNED))
    work = next(run.spec.work for run in job.runs if run.kind is RunKind.TRANSFORM)
    assert isinstance(work, TransformWork)
    assert [(trial.objective, trial.ended) for trial in work.trials] == [(None, "diverged"), (0.9, "early stop"), (0.4, "pruned")]
    assert work.trials[0].seconds == 0.5


def test_the_next_moment_is_when_time_is_over_or_a_trial_counts_as_stalled() -> None:
    job, _ = see(tuning(trials=1), START, trial1=running())
    assert next_moment(job, Seen(now=START, runs={}, stalled_after=5_000)) == START + 5_000
    assert next_moment(job, Seen(now=START, runs={}, stalled_after=500_000)) == OVER
    assert next_moment(job, Seen(now=OVER, runs={}, stalled_after=500_000)) == OVER + 120_000
    assert next_moment(job, Seen(now=OVER + 500_000, runs={}, stalled_after=500_000)) is None


def replace_time_out(job: Job, seconds: int) -> Job:
    request = job.request
    assert isinstance(request, StartModelTraining)
    return replace(job, request=replace(request, training_time_out_in_seconds=seconds))
