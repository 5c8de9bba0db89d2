"""Proposals: the first trial takes the defaults, all lie in their ranges, and the same history gives the same proposal."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from despina.control import tuner
from despina.core import plans
from despina.core.hyperparameters import End, Increment, Strategy, TrialResult, Tunable
from despina.core.job import Job, ParameterValue, Run, RunKind, RunSpec, RunState, Step, StepName, TrainWork, Trial
from despina.core.requests import StartModelTraining

TUNABLE = (
    Tunable(name="num-hidden", type="int", default=64, low=16, high=128, increment=Increment.POWER2),
    Tunable(name="num-epochs", type="int", default=30, low=3, high=100, step=1),
    Tunable(name="lr", type="float", default=0.01, low=0.001, high=0.1, increment=Increment.LOG),
    Tunable(name="dropout", type="float", default=0.3, low=0.0, high=0.5),
    Tunable(name="layer-norm", type="bool", default=True),
    Tunable(name="fanout", type="int", default=[10, 20], options=([5, 10], [10, 20])),
)
STRATEGY = Strategy(metric="acc", maximize=True, tunable=TUNABLE, fixed={"num-layer": 2}, memory_mib=256)


def run(number: int, parameters: dict[str, ParameterValue] | None, state: RunState = RunState.SUCCEEDED, objective: float = 0.5,
        ) -> Run:
    work = TrainWork(processed="s3://bucket/p", output="s3://bucket/o", parameters=parameters)
    result: dict[str, Any] | None = None
    if state is RunState.SUCCEEDED:
        result = msgspec.to_builtins(TrialResult(objective=objective, epoch=1))
    return Run(id=f"run-{number}", kind=RunKind.TRIAL, number=number, spec=RunSpec(run_id=f"run-{number}", work=work),
               state=state, result=result)


def test_the_first_trial_takes_the_defaults() -> None:
    assert tuner.propose(STRATEGY, 0, []) == {
        "num-hidden": 64, "num-epochs": 30, "lr": 0.01, "dropout": 0.3, "layer-norm": True, "fanout": [10, 20], "num-layer": 2}


@settings(max_examples=25, deadline=None)
@given(number=st.integers(1, 60), objectives=st.lists(st.floats(0, 1), max_size=15))
def test_every_proposal_lies_in_its_range(number: int, objectives: list[float]) -> None:
    past = [run(i, tuner.propose(STRATEGY, i, []), objective=value) for i, value in enumerate(objectives)]
    proposal = tuner.propose(STRATEGY, number, past)
    assert proposal["num-hidden"] in {16, 32, 64, 128}
    assert isinstance(proposal["num-epochs"], int)
    assert 3 <= proposal["num-epochs"] <= 100
    assert isinstance(proposal["lr"], float)
    assert 0.001 <= proposal["lr"] <= 0.1
    assert isinstance(proposal["dropout"], float)
    assert 0.0 <= proposal["dropout"] <= 0.5
    assert proposal["layer-norm"] in {True, False}
    assert proposal["fanout"] in ([5, 10], [10, 20])
    assert proposal["num-layer"] == 2
    assert proposal == tuner.propose(STRATEGY, number, past), "a restart changes nothing"


def test_past_trials_teach_where_to_look() -> None:
    """After many trials that did best at a low learning rate, proposals lie lower than blind ones, on average."""
    past = []
    for number in range(30):
        parameters = tuner.propose(STRATEGY, number, [])
        assert isinstance(parameters["lr"], float)
        past.append(run(number, parameters, objective=-parameters["lr"]))
    taught = [tuner.propose(STRATEGY, number, past)["lr"] for number in range(30, 60)]
    blind = [tuner.propose(STRATEGY, number, [])["lr"] for number in range(30, 60)]
    assert sum(float(str(value)) for value in taught) < sum(float(str(value)) for value in blind) / 2


def test_failed_stopped_and_unfilled_trials_are_passed_over() -> None:
    defaults = tuner.propose(STRATEGY, 0, [])
    others = [run(0, defaults, RunState.FAILED), run(1, defaults, RunState.STOPPED), run(2, None, RunState.PENDING)]
    assert tuner.propose(STRATEGY, 3, others) == tuner.propose(STRATEGY, 3, [])


def test_two_trials_at_once_differ() -> None:
    first = tuner.propose(STRATEGY, 1, [run(0, tuner.propose(STRATEGY, 0, []), RunState.RUNNING)])
    second = tuner.propose(STRATEGY, 2, [run(1, first, RunState.PENDING)])
    assert first != second


@pytest.mark.parametrize("default", [200, 7])
def test_a_default_outside_its_range_is_no_obstacle(default: int) -> None:
    strategy = msgspec.structs.replace(STRATEGY, tunable=(
        Tunable(name="num-hidden", type="int", default=default, low=16, high=128, increment=Increment.POWER2),))
    assert tuner.propose(strategy, 1, [run(0, {"num-hidden": default})])["num-hidden"] in {16, 32, 64, 128}


def earlier(*trials: tuple[float, dict[str, ParameterValue]]) -> list[Trial]:
    """Trials of an earlier job, the best first."""
    return [Trial(name="t", parameters=parameters, objective=value, ended=End.EPOCHS, seconds=1.0) for value, parameters in trials]


def test_with_an_earlier_job_the_first_trial_takes_its_best_values_as_far_as_they_fit() -> None:
    best: dict[str, ParameterValue] = {"num-hidden": 32, "num-epochs": 500, "lr": 0.05, "layer-norm": False, "batch-size": 7}
    assert tuner.propose(STRATEGY, 0, [], earlier((0.9, best), (0.8, {"lr": 0.002}))) == {
        "num-hidden": 32, "num-epochs": 100, "lr": 0.05, "dropout": 0.3, "layer-norm": False, "fanout": [10, 20], "num-layer": 2}


def test_trials_of_an_earlier_job_teach_as_own_ones_do() -> None:
    past = [run(number, {**tuner.propose(STRATEGY, number, []), "lr": 0.001 * (1 + number)}, objective=1 - number / 40)
            for number in range(20)]
    own = tuner.propose(STRATEGY, 30, past)
    works = [trial.spec.work for trial in past]
    theirs = earlier(*((1 - number / 40, work.parameters or {}) for number, work in enumerate(works)
                       if isinstance(work, TrainWork)))
    assert tuner.propose(STRATEGY, 30, [], theirs) == own
    assert tuner.propose(STRATEGY, 30, [], earlier((0.9, {"lr": 0.01}))) == tuner.propose(STRATEGY, 30, []), "they lack the others"


def test_a_new_trial_is_held_against_those_that_were_completed() -> None:
    """Of seven trials the two that were cut off do not count."""
    ends = [End.EPOCHS] * 3 + [End.EARLY] * 2 + [End.PRUNED, End.TIME]
    job = training_with([TrialResult(objective=0.5, epoch=1, ended=end, averages=((4, 0.1 * number),))
                         for number, end in enumerate(ends)])
    work = plans.step(tuner.fill(job), StepName.TUNING).runs[-1].spec.work
    assert isinstance(work, TrainWork)
    ((epoch, threshold),) = work.thresholds
    assert epoch == 4
    assert threshold == pytest.approx(0.2)


def training_with(results: list[TrialResult]) -> Job:
    """A job whose trials gave these results, with one more to be filled."""
    request = StartModelTraining(data_processing_job_id="dp", train_model_s3_location="s3://bucket/models")
    job = plans.new_job(request, job_id="tr", now=0, source="s3://bucket/dp", memory_mib=64)
    processing = job.steps[0]
    laid = replace(processing.runs[0], state=RunState.SUCCEEDED, result=msgspec.to_builtins(STRATEGY))
    parameters = tuner.propose(STRATEGY, 0, [])
    done = [replace(run(number, parameters), result=msgspec.to_builtins(result)) for number, result in enumerate(results)]
    runs = (*done, run(len(done), None, RunState.PENDING))
    return replace(job, steps=(replace(processing, runs=(laid,)), Step(name=StepName.TUNING, resource_name="t", runs=runs)))
