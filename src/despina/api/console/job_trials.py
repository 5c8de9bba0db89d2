"""The trials of a training job: their table, which can be sorted, and their charts."""

from collections.abc import Mapping
from typing import Any

import msgspec

from despina.api.console.charts import LOOKS, Chart, Series
from despina.api.console.job_view import best_value, took
from despina.api.console.summaries import LiveRun, live_run
from despina.core.frozen import Frozen
from despina.core.hyperparameters import TrialResult
from despina.core.job import ParameterValue, Run, RunKind, RunState, TrainWork, Usage
from despina.core.report import Course, JobReport

COLUMNS = ("trial", "objective", "epochs", "took", "cpu", "memory")
"""By which the table can be sorted, beside ``p:NAME`` for a hyperparameter."""
MOST_SCATTERS = 4
_NO_COURSE = Course()


class Trial(Frozen, frozen=True, kw_only=True):
    """A row of the table."""

    run: Run
    number: int
    """From 1."""
    state: str
    live: LiveRun | None
    objective: float | None
    """Or the best value so far."""
    is_final: bool
    epochs: int
    """Done."""
    of: int
    """To be done; 0: nobody knows."""
    kept: int | None
    """The epoch whose model was kept."""
    ended: str
    """Why; empty while it goes on."""
    took: int | None
    usage: Usage | None
    parameters: dict[str, ParameterValue]
    is_best: bool

    @property
    def name(self) -> str:
        """As charts call it."""
        return f"Trial {self.number}{' (best)' if self.is_best else ''}"


class Column(Frozen, frozen=True, kw_only=True):
    """A column's heading: where it leads, and how the table is sorted by it now (``aria-sort``)."""

    key: str
    label: str
    url: str
    sorted: str = ""


class Trials(Frozen, frozen=True, kw_only=True):
    """The trials in the order asked for, and their hyperparameters."""

    rows: tuple[Trial, ...]
    metric: str
    differing: tuple[str, ...]
    """Hyperparameters that are not the same in all trials."""
    shared: dict[str, ParameterValue]
    """Those that are, and of a single trial all."""
    maximize: bool
    """Whether the higher values of the metric are better."""


def trials(report: JobReport, now: int, query: Mapping[str, str]) -> Trials:
    """The trials of a job; ``query`` may have ``sort`` and ``order``, of which anything unknown counts as not there."""
    found = [_trial(run, report, now) for run in report.job.runs if run.kind is RunKind.TRIAL]
    names = sorted({name for trial in found for name in trial.parameters})
    values = {name: [trial.parameters.get(name) for trial in found] for name in names}
    differing = tuple(name for name in names if any(value != values[name][0] for value in values[name]))
    shared = {name: value for name in names if name not in differing and (value := values[name][0]) is not None}
    metric = next((trial.run.progress.metric for trial in found
                   if trial.run.progress is not None and trial.run.progress.metric), "objective")
    return Trials(rows=_sorted(found, report, query), metric=metric, differing=differing, shared=shared,
                  maximize=report.maximize is not False)


def columns(shown: Trials, query: Mapping[str, str], link: Any) -> tuple[Column, ...]:
    """The headings that sort. ``link`` makes the page's URL with a change of its query."""
    labels = {"trial": "Trial", "objective": shown.metric, "epochs": "Epochs", "took": "Took", "cpu": "CPU", "memory": "Memory"}
    keys = [*((key, labels[key]) for key in COLUMNS), *((f"p:{name}", name) for name in shown.differing)]
    now, order = query.get("sort", "trial"), query.get("order", "asc")
    made = []
    for key, label in keys:
        is_sorted = key == now
        turned = "desc" if is_sorted and order == "asc" else "asc"
        falls = (order == "desc") is not _is_turned(key, maximize=shown.maximize)
        made.append(Column(key=key, label=label, url=link(sort=key, order=turned),
                           sorted=("descending" if falls else "ascending") if is_sorted else ""))
    return tuple(made)


def _is_turned(key: str, *, maximize: bool) -> bool:
    """Whether ``asc`` means that values fall: of the metric the best one comes first."""
    return key == "objective" and maximize


def _trial(run: Run, report: JobReport, now: int) -> Trial:
    work = run.spec.work
    given = work.parameters or {} if isinstance(work, TrainWork) else {}
    course, said, result = report.courses.get(run.id, _NO_COURSE), run.progress, _result(run)
    live = run.state.is_live and not report.job.status.is_terminal
    done = max([point.epoch for point in course.points] + ([said.step] if said is not None else []), default=0)
    wanted = said.of if said is not None else given.get("num-epochs", 0)
    return Trial(
        run=run, number=run.number + 1, state=run.state.capitalize(), live=live_run(run, now) if live else None,
        objective=best_value(run), is_final=result is not None, epochs=done, of=wanted if isinstance(wanted, int) else 0,
        kept=result.epoch if result is not None else None, ended=_ended(run, result), took=took(run, now), usage=course.usage,
        parameters=given, is_best=run.id == report.best)


def _result(run: Run) -> TrialResult | None:
    try:
        return msgspec.convert(run.result, TrialResult) if run.state is RunState.SUCCEEDED else None
    except msgspec.ValidationError:
        return None


def _ended(run: Run, result: TrialResult | None) -> str:
    if result is not None:
        return str(result.ended)
    if run.state is RunState.STOPPED:
        return "stopped"
    return run.failure_reason or ""


def _sorted(found: list[Trial], report: JobReport, query: Mapping[str, str]) -> tuple[Trial, ...]:
    """What has no value stands at the end, whichever way it is sorted."""
    key, is_descending = query.get("sort", "trial"), query.get("order") == "desc"
    valued = [(value, trial) for trial in found if (value := _value(trial, key)) is not None]
    is_descending = is_descending is not _is_turned(key, maximize=report.maximize is not False)
    kinds = {type(value) for value, _ in valued}
    same = kinds <= {int, float, bool} or len(kinds) == 1
    ordered = sorted(valued, key=lambda pair: (pair[0] if same else str(pair[0])), reverse=is_descending)
    rest = [trial for trial in found if _value(trial, key) is None]
    return (*(trial for _, trial in ordered), *rest)


def _value(trial: Trial, key: str) -> Any:
    if key.startswith("p:"):
        return trial.parameters.get(key[2:])
    usage = trial.usage
    return {"objective": trial.objective, "epochs": trial.epochs, "took": trial.took, "cpu": usage.cpu_seconds if usage else None,
            "memory": usage.peak_memory_bytes if usage else None}.get(key, trial.number)


def ranked(shown: Trials, report: JobReport, chosen: int | None) -> list[Trial]:
    """The trials in the order in which charts tell them apart: the chosen one, then the best first."""
    sign = -1 if report.maximize is not False else 1
    return sorted(shown.rows, key=lambda trial: (
        trial.number != chosen, not trial.is_best, trial.objective is None, sign * (trial.objective or 0), trial.number))


def curves(shown: Trials, report: JobReport, *, chosen: int | None, log: bool) -> tuple[Chart, ...]:
    """The metric and the loss by epoch, of all trials; of a chosen one with the others pale behind it."""
    order = ranked(shown, report, chosen)
    points = {trial.number: report.courses.get(trial.run.id, _NO_COURSE).points for trial in order}
    order = [trial for trial in order if points[trial.number]]
    looks = 1 if chosen is not None else LOOKS
    metric = Chart(
        id="chart-metric", title=f"{shown.metric} on the validation part", x="epoch", y=shown.metric, looks=looks,
        series=tuple(Series(name=trial.name, best=trial.kept, points=tuple((p.epoch, p.value) for p in points[trial.number]))
                     for trial in order))
    loss = Chart(
        id="chart-loss", title="Training loss", x="epoch", y="loss", looks=looks, log=log,
        series=tuple(Series(name=trial.name, points=tuple((p.epoch, p.loss) for p in points[trial.number])) for trial in order))
    return tuple(chart for chart in (metric, loss) if any(y is not None for series in chart.series for _, y in series.points))


def scatters(shown: Trials, report: JobReport) -> tuple[Chart, ...]:
    """The objective by each hyperparameter that differs and is a number; none of fewer than three trials that succeeded."""
    done = [trial for trial in ranked(shown, report, None) if trial.is_final]
    made = [_scatter(name, done, shown.metric) for name in shown.differing] if len(done) >= 3 else []
    return tuple(chart for chart in made if chart is not None)[:MOST_SCATTERS]


def _scatter(name: str, done: list[Trial], metric: str) -> Chart | None:
    values = {trial.number: value for trial in done if (value := _as_number(trial.parameters.get(name))) is not None}
    if len(set(values.values())) < 2:
        return None
    best, others = (tuple(sorted((values[trial.number], trial.objective or 0.0) for trial in done
                                 if trial.is_best is wanted and trial.number in values)) for wanted in (True, False))
    return Chart(id=f"scatter-{name}", title=f"{metric} by {name}", x=name, y=metric, lines=False,
                 whole=all(value.is_integer() for value in values.values()),
                 series=(Series(name="best trial", points=best), Series(name="other trials", points=others)))


def _as_number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
