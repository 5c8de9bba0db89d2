"""Hyperparameter search: the next trial from the stored trials.

The first trial takes the defaults, so one trial is a plain training. The others come from Optuna's tree-structured Parzen estimator
(Bergstra et al. 2011), asked anew each time: the study is rebuilt in memory from the trials that the job holds, so nothing but the
job has to survive a restart, and the same history gives the same proposal.
"""

import contextlib
import threading
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from despina.core import plans
from despina.core.errors import WorkFailed
from despina.core.hyperparameters import End, Increment, Strategy, TrialResult, Tunable
from despina.core.job import Job, ParameterValue, Run, RunKind, RunState, StepName, TrainWork, Trial
from despina.core.pruning import Averages, thresholds

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def fill(job: Job) -> Job:
    """The job with the parameters of all trials that have none yet.

    Raises:
        WorkFailed: Optuna is needed and not installed.
    """
    if not any(step.name is StepName.TUNING for step in job.steps):
        return job
    tuning = plans.step(job, StepName.TUNING)
    runs: list[Run] = []
    for run in tuning.runs:
        work = run.spec.work
        if isinstance(work, TrainWork) and work.parameters is None:
            strategy = plans.strategy(job)
            earlier = job.earlier.trials if job.earlier and job.earlier.metric == strategy.metric else ()
            work = replace(work, parameters=propose(strategy, run.number, [*runs, *tuning.runs[len(runs) + 1:]], earlier),
                           thresholds=_thresholds(strategy, tuning.runs))
            run = replace(run, spec=replace(run.spec, work=work))  # noqa: PLW2901
        runs.append(run)
    return plans.with_step(job, replace(tuning, runs=tuple(runs)))


def propose(strategy: Strategy, number: int, others: list[Run], earlier: Sequence[Trial] = ()) -> dict[str, ParameterValue]:
    """The parameters of trial ``number``.

    Args:
        strategy: What is tuned.
        number: From 0. The first trial takes the best values of the earlier trials, else the defaults.
        others: The job's other trials: ended ones with their result, live ones as pending.
        earlier: Those of the job that this one builds on, the best first.
    """
    best = earlier[0].parameters if earlier else {}
    values = {tunable.name: _decode(tunable, _encode(tunable, best[tunable.name])) if tunable.name in best else tunable.default
              for tunable in strategy.tunable}
    if number > 0 and strategy.tunable:
        values = _search(strategy, number, others, earlier)
    return {**strategy.fixed, **values}


def _thresholds(strategy: Strategy, trials: tuple[Run, ...]) -> Averages:
    """What a trial that begins now has to reach. Trials that were cut off themselves do not count."""
    results = [msgspec.convert(run.result, TrialResult) for run in trials if run.state is RunState.SUCCEEDED]
    whole = [result.averages for result in results if result.ended in {End.EPOCHS, End.EARLY}]
    return thresholds(whole, maximize=strategy.maximize)


@cache
def warm() -> None:
    """Import Optuna in the background, once: it takes a while, and the strategy run gives the time."""
    threading.Thread(target=_import, name="despina-import-optuna", daemon=True).start()


def _import() -> None:
    with contextlib.suppress(WorkFailed):
        _optuna()


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise WorkFailed("Tuning more than one training job needs Optuna, which is not installed here: "
                         "pip install 'despina[train]', or ask for maxHPONumberOfTrainingJobs 1.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _search(strategy: Strategy, number: int, others: list[Run], earlier: Sequence[Trial]) -> dict[str, ParameterValue]:
    optuna = _optuna()
    distributions = {tunable.name: _distribution(tunable) for tunable in strategy.tunable}
    # The seed is the trial's number: proposals differ from each other, and a restart in between changes none of them.
    study = optuna.create_study(direction="maximize" if strategy.maximize else "minimize",
                                sampler=optuna.samplers.TPESampler(seed=number, multivariate=False))
    for past in earlier:
        if past.parameters.keys() >= distributions.keys():
            study.add_trial(optuna.trial.create_trial(
                params={tunable.name: _encode(tunable, past.parameters[tunable.name]) for tunable in strategy.tunable},
                distributions=distributions, value=past.objective))
    for run in others:
        trial = _past(strategy, run, distributions)
        if trial is not None:
            study.add_trial(trial)
    asked = study.ask(distributions)
    return {tunable.name: _decode(tunable, asked.params[tunable.name]) for tunable in strategy.tunable}


def _past(strategy: Strategy, run: Run, distributions: dict[str, "BaseDistribution"]) -> Any | None:
    """A stored trial in Optuna's form; None for one that has nothing to teach (it failed, or is still to be filled)."""
    optuna = _optuna()
    work = run.spec.work
    if run.kind is not RunKind.TRIAL or not isinstance(work, TrainWork) or work.parameters is None:
        return None
    encoded = {tunable.name: _encode(tunable, work.parameters[tunable.name]) for tunable in strategy.tunable}
    if run.state is RunState.SUCCEEDED:
        value = msgspec.convert(run.result, TrialResult).objective
        return optuna.trial.create_trial(params=encoded, distributions=distributions, value=value)
    if run.state.is_live:
        return optuna.trial.create_trial(params=encoded, distributions=distributions, state=optuna.trial.TrialState.RUNNING)
    return None


def _choices(tunable: Tunable) -> list[ParameterValue] | None:
    """The values of a parameter that has only a few: its options, true and false, or the powers of two in its range."""
    if tunable.options is not None:
        return list(tunable.options)
    if tunable.type == "bool":
        return [False, True]
    if tunable.increment is not Increment.POWER2 or tunable.low is None or tunable.high is None:
        return None
    powers = [2.0**exponent for exponent in range(-30, 31) if tunable.low <= 2.0**exponent <= tunable.high]
    return [int(power) if tunable.type == "int" else power for power in powers] or [tunable.default]


def _distribution(tunable: Tunable) -> "BaseDistribution":
    from optuna.distributions import FloatDistribution, IntDistribution

    choices = _choices(tunable)
    if choices is not None:
        return IntDistribution(0, len(choices) - 1)
    low, high = tunable.low or 0.0, tunable.high or 0.0
    log = tunable.increment is Increment.LOG
    if tunable.type == "int":
        return IntDistribution(int(low), int(high), log=log, step=1 if log else max(1, int(tunable.step or 1)))
    return FloatDistribution(low, high, log=log, step=None if log else tunable.step)


def _encode(tunable: Tunable, value: ParameterValue) -> int | float:
    """A value as a point of its distribution; one that lies outside the range (a default may) as the nearest point inside."""
    choices = _choices(tunable)
    if choices is not None:
        if value in choices:
            return choices.index(value)
        return min(range(len(choices)), key=lambda index: _distance(choices[index], value))
    assert isinstance(value, int | float)  # noqa: S101 - strategies are checked when they are laid down
    inside = min(max(value, tunable.low or 0.0), tunable.high or 0.0)
    return int(inside) if tunable.type == "int" else inside


def _distance(left: ParameterValue, right: ParameterValue) -> float:
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    return abs(float(left) - float(right)) if numbers else 1.0  # type: ignore[arg-type]


def _decode(tunable: Tunable, point: Any) -> ParameterValue:
    choices = _choices(tunable)
    if choices is not None:
        return choices[int(point)]
    return int(point) if tunable.type == "int" else float(point)
