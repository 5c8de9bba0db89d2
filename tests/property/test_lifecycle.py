"""The rules of ``advance``, held against a simulated engine that does whatever engines do, at any moment."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from despina.core import plans
from despina.core.hyperparameters import Strategy, TrialResult
from despina.core.job import Job, JobKind, Observation, RunKind, RunState, Status, StepName, TrainedModel
from despina.core.lifecycle import MAX_ATTEMPTS, MAX_HALVINGS, Command, Seen, Stop, Submit, advance
from despina.core.requests import StartDataProcessing, StartModelTraining, StartModelTransform

STRATEGY = msgspec.to_builtins(Strategy(metric="acc", maximize=True, tunable=(), fixed={}, memory_mib=300))
START = 1_700_000_000_000


def training(trials: int = 2, parallel: int = 2, time_out: int = 86_400) -> Job:
    request = StartModelTraining(data_processing_job_id="dp", train_model_s3_location="s3://bucket/models",
                                 max_hpo_number_of_training_jobs=trials, max_hpo_parallel_training_jobs=parallel,
                                 training_time_out_in_seconds=time_out)
    return plans.new_job(request, job_id="tr", now=START, source="s3://bucket/dp", memory_mib=64)


def processing(time_out: int = 86_400) -> Job:
    request = StartDataProcessing(input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out",
                                  processing_time_out_in_seconds=time_out)
    return plans.new_job(request, job_id="dp", now=START, source="s3://bucket/in", memory_mib=64)


def transform() -> Job:
    request = StartModelTransform(model_transform_output_s3_location="s3://bucket/out", training_job_name="trial")
    model = TrainedModel(trial="trial", location="s3://bucket/model", learned_from="s3://bucket/dp")
    return plans.new_job(request, job_id="tf", now=START, source="s3://bucket/dp", memory_mib=64, model=model)


@dataclass
class World:
    """A recorded job, an engine, and what ever happened."""

    job: Job
    now: int = START
    known: dict[str, Observation] = field(default_factory=dict)
    submitted: Counter[str] = field(default_factory=Counter)
    completed: Counter[tuple[RunKind, int]] = field(default_factory=Counter)

    def look(self) -> tuple[Job, tuple[Command, ...]]:
        runs = {run.id: self.known.get(run.id, Observation(state=None)) for run in self.job.runs}
        return advance(self.job, Seen(now=self.now, runs=runs))

    def reconcile(self, *, crash: bool = False) -> None:
        """One pass; with ``crash`` it ends after the write, before anything was done."""
        before = self.job
        self.job, commands = self.look()
        self.check(before, commands)
        if crash:
            return
        for command in commands:
            if isinstance(command, Submit):
                self.submitted[command.run_id] += 1
                self.known.setdefault(command.run_id, Observation(state=RunState.PENDING))
            else:
                self.stop(command.run_id)

    def stop(self, run_id: str) -> None:
        observation = self.known.get(run_id)
        if observation is None or observation.state in {RunState.PENDING, RunState.RUNNING}:
            self.known[run_id] = Observation(state=RunState.STOPPED)

    def engine(self, choice: int, ending: RunState) -> None:
        """Something happens to one of the live runs of the engine."""
        live = [key for key, seen in self.known.items() if seen.state in {RunState.PENDING, RunState.RUNNING}]
        if not live:
            return
        run_id = live[choice % len(live)]
        seen = self.known[run_id]
        if seen.state is RunState.PENDING:
            self.known[run_id] = Observation(state=RunState.RUNNING, started_at=self.now)
            return
        run = next((run for run in self.job.runs if run.id == run_id), None)
        result: dict[str, Any] | None = None
        if ending is RunState.SUCCEEDED and run is not None:
            self.completed[run.kind, run.number] += 1
            trial = msgspec.to_builtins(TrialResult(objective=choice / 7, epoch=1))
            result = {RunKind.STRATEGY: STRATEGY, RunKind.TRIAL: trial}.get(run.kind, {})
        self.known[run_id] = Observation(state=ending, result=result, started_at=seen.started_at, finished_at=self.now,
                                         out_of_memory=ending is RunState.LOST and choice == 1,
                                         failure_reason="bad input" if ending is RunState.FAILED else None)

    def check(self, before: Job, commands: tuple[Command, ...]) -> None:
        job, recorded = self.job, {run.id for run in self.job.runs}
        if before.status.is_terminal:
            assert job == before
            assert commands == ()
        assert all(command.run_id in recorded for command in commands), "a run is recorded before it is submitted"
        if job.stop_requested or job.failure_reason:
            assert not any(isinstance(command, Submit) for command in commands), "nothing is started any more"
        if job.status.is_terminal:
            assert not any(run.state.is_live for run in job.runs), "an ended job has no live run"
            assert (job.status is Status.STOPPED) == job.stop_requested, "stop wins"
            assert all(step.status.is_terminal for step in job.steps)
        if job.status is Status.FAILED:
            assert job.failure_reason
            assert any(step.failure_reason for step in job.steps)
        if job.status is Status.COMPLETED:
            assert all(step.status is Status.COMPLETED or (step.name is StepName.TUNING and step.status is Status.STOPPED)
                       for step in job.steps), "a training whose time was over keeps its best model"
            assert bool(job.models) == (job.kind is not JobKind.DATA_PROCESSING)
        for step in job.steps:
            assert not (step.status.is_terminal and step.name is StepName.TUNING and any(run.state.is_live for run in step.runs))
            if step.name is StepName.TUNING and isinstance(job.request, StartModelTraining):
                live = sum(run.state.is_live for run in step.runs)
                assert live <= job.request.max_hpo_parallel_training_jobs
                assert len(step.runs) <= job.request.max_hpo_number_of_training_jobs
                assert len({run.number for run in step.runs}) == len(step.runs)
        if plans.is_over(job, self.now):
            new = {run.id for run in job.runs} - {run.id for run in before.runs}
            assert not any(run.kind is RunKind.TRIAL and run.attempt == 1 and run.id in new for run in job.runs), "no more trials"
        assert all(run.attempt <= MAX_ATTEMPTS + (plans.halvings(run) if run.kind is RunKind.TRIAL else 0) for run in job.runs)
        assert all(plans.halvings(run) <= MAX_HALVINGS + 1 for run in job.runs)
        assert len(recorded) == len(job.runs), "run ids are unique"
        again, repeated = self.look()
        if not commands:
            assert again == job
            assert repeated == ()


JOBS = st.one_of(
    st.builds(processing, time_out=st.sampled_from([1, 86_400])),
    st.builds(transform),
    st.builds(training, trials=st.integers(1, 6), parallel=st.integers(1, 6), time_out=st.sampled_from([3, 86_400])),
)
ENDINGS = st.sampled_from([RunState.SUCCEEDED] * 6 + [RunState.LOST, RunState.FAILED, RunState.STOPPED])
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("engine"), st.integers(0, 5), ENDINGS),
        st.tuples(st.just("pass"), st.booleans(), st.none()),
        st.tuples(st.just("stop"), st.none(), st.none()),
        st.tuples(st.just("wait"), st.integers(0, 2_000), st.none()),
        st.tuples(st.just("wait"), st.just(130_000), st.none()),
        st.tuples(st.just("wait"), st.just(4_000_000), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=1_500, deadline=None)
@given(job=JOBS, events=EVENTS)
def test_whatever_happens_the_rules_hold_and_the_job_ends(job: Job, events: list[tuple[str, Any, Any]]) -> None:
    world = World(job)
    for kind, first, second in events:
        if kind == "engine":
            world.engine(first, second)
        elif kind == "pass":
            world.reconcile(crash=first)
        elif kind == "stop" and not world.job.status.is_terminal:
            world.job = replace(world.job, stop_requested=True)
        elif kind == "wait":
            world.now += first
    for _ in range(80):
        if world.job.status.is_terminal:
            break
        world.reconcile()
        world.engine(0, RunState.SUCCEEDED)
    assert world.job.status.is_terminal
    assert all(count == 1 for count in world.completed.values()), "no run is executed twice to completion"


@settings(max_examples=300, deadline=None)
@given(trials=st.integers(1, 8), parallel=st.integers(1, 8))
def test_a_job_undisturbed_completes_with_every_trial_run_once(trials: int, parallel: int) -> None:
    world = World(training(trials, parallel))
    for _ in range(200):
        world.reconcile()
        world.engine(0, RunState.SUCCEEDED)
    assert world.job.status is Status.COMPLETED
    expected = [(RunKind.STRATEGY, 0), (RunKind.TRANSFORM, 0), *((RunKind.TRIAL, number) for number in range(trials))]
    assert world.completed == Counter(expected)


@settings(max_examples=300, deadline=None)
@given(job=JOBS, observations=st.lists(st.builds(
    Observation, state=st.one_of(st.none(), st.sampled_from(RunState)), result=st.one_of(st.none(), st.just({"odd": 1})),
    started_at=st.one_of(st.none(), st.integers(0, 2**45))), min_size=6, max_size=6), now=st.integers(0, 2**45))
def test_advance_is_total(job: Job, observations: list[Observation], now: int) -> None:
    for observation in observations:
        job, _ = advance(job, Seen(now=now, runs={run.id: observation for run in job.runs}))


def drive(world: World, *endings: RunState) -> None:
    """Let one run after the other start, and end as told."""
    for ending in endings:
        world.reconcile()
        world.engine(0, ending)
        world.engine(0, ending)
    world.reconcile()


def test_a_lost_trial_is_retried_with_the_same_number_and_parameters() -> None:
    world = World(training(trials=1, parallel=1))
    drive(world, RunState.SUCCEEDED, RunState.LOST)
    (trial,) = plans.step(world.job, StepName.TUNING).runs
    assert (trial.number, trial.attempt, trial.state) == (0, 2, RunState.PENDING)


def test_a_run_lost_three_times_fails_the_job() -> None:
    world = World(processing())
    drive(world, RunState.LOST, RunState.LOST, RunState.LOST)
    assert world.job.status is Status.FAILED
    assert "3 times" in (world.job.failure_reason or "")


def test_the_best_trial_is_kept_and_one_failed_trial_does_not_fail_the_job() -> None:
    world = World(training(trials=3, parallel=1))
    drive(world, RunState.SUCCEEDED, RunState.FAILED, RunState.SUCCEEDED, RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert world.job.status is Status.COMPLETED
    assert world.job.models[0].trial == plans.best_trial(world.job).name


def test_a_time_out_names_its_parameter_and_stops_the_run() -> None:
    world = World(processing(time_out=2))
    world.reconcile()
    world.engine(0, RunState.SUCCEEDED)
    world.now += 2_000
    job, commands = world.look()
    assert commands == (Stop(run_id=job.runs[0].id),)
    world.reconcile()
    world.reconcile()
    assert world.job.status is Status.FAILED
    assert "processingTimeOutInSeconds (2 s)" in (world.job.steps[0].failure_reason or "")


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.STOPPED])
def test_a_terminal_status_never_changes(status: Status) -> None:
    job = replace(processing(), status=status, stop_requested=True, clean=True)
    seen = Observation(state=RunState.RUNNING, started_at=START)
    assert advance(job, Seen(now=START, runs={job.runs[0].id: seen})) == (job, ())


def test_stop_wins_over_a_failure_that_is_winding_down() -> None:
    world = World(processing(time_out=2))
    world.reconcile()
    world.engine(0, RunState.SUCCEEDED)
    world.now += 2_000
    world.reconcile()
    assert world.job.failure_reason
    world.job = replace(world.job, stop_requested=True)
    world.reconcile()
    assert world.job.status is Status.STOPPED


def test_of_equal_trials_the_first_is_the_best() -> None:
    world = World(training(trials=3, parallel=1))
    drive(world, *[RunState.SUCCEEDED] * 5)
    assert len({str(run.result) for run in world.job.runs if run.kind is RunKind.TRIAL}) == 1, "all did equally well"
    assert plans.best_trial(world.job).number == 0


def test_a_million_parallel_trials_are_not_all_written_down_at_once() -> None:
    world = World(training(trials=1_000_000, parallel=1_000_000))
    drive(world, RunState.SUCCEEDED)
    assert len(plans.step(world.job, StepName.TUNING).runs) == plans.TRIALS_AT_ONCE
