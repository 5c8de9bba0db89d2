"""What the page of one job says of its head, steps and runs, in the order and words in which a person reads it."""

from collections.abc import Iterator
from typing import Any

from despina.api.console.charts import number
from despina.api.console.formats import duration
from despina.api.console.summaries import LiveRun, live_run
from despina.core import plans
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind, ProcessWork, Run, RunKind, RunState, Status, StepName, TrainWork, TransformWork, Usage
from despina.core.report import JobReport
from despina.core.requests import CustomTraining, CustomTransform, members

KINDS = {JobKind.DATA_PROCESSING: "Data-processing job", JobKind.MODEL_TRAINING: "Training job",
         JobKind.MODEL_TRANSFORM: "Transform job"}
_STEPS = {StepName.PROCESSING: "Processing", StepName.TUNING: "Tuning", StepName.BASE_PROCESSING: "Transform"}
_RUNS = {RunKind.PROCESS: "Reading the export", RunKind.STRATEGY: "Laying down the trials",
         RunKind.TRANSFORM: "Writing the artefacts", RunKind.TRIAL: "Trial"}
_MOST = 1e18
"""What files of jobs may hold beyond it is no measure of anything."""


class Parameter(Frozen, frozen=True, kw_only=True):
    """A parameter of the request that started the job."""

    name: str
    text: str
    is_default: bool


class RunRow(Frozen, frozen=True, kw_only=True):
    """A run that is no trial."""

    id: str
    name: str
    state: str
    live: LiveRun | None
    attempt: int
    took: int | None
    """ms; None: it has not begun."""
    usage: Usage | None
    reason: str | None


class StepRow(Frozen, frozen=True, kw_only=True):
    """A step with its runs that are no trials."""

    name: str
    wire_name: str
    resource_name: str
    status: Status
    output: str | None
    reason: str | None
    summary: str
    runs: tuple[RunRow, ...]


class Tile(Frozen, frozen=True, kw_only=True):
    """A number that is worth a large type."""

    name: str
    value: str
    note: str = ""


class Place(Frozen, frozen=True, kw_only=True):
    """A location."""

    name: str
    url: str


def parameters(job: Job) -> tuple[Parameter, ...]:
    """What the request asked for, under the names of the API, first what is not a default; without members that ask for nothing.

    Networks, keys and roles are among them: the job's notes say what has no effect.
    """
    found = sorted(_given(job.request), key=lambda parameter: parameter.is_default)
    return tuple(parameter for parameter in found if parameter.name != "id")


def _given(request: Any, above: str = "") -> Iterator[Parameter]:
    defaults = dict(zip(request.__struct_fields__[::-1], request.__struct_defaults__[::-1], strict=False))
    for field, member in members(type(request)).items():
        value = getattr(request, field)
        if isinstance(value, CustomTraining | CustomTransform):
            yield from _given(value, f"{member.wire}.")
        elif value not in {None, "", ()} and value != 0:
            text = ", ".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
            yield Parameter(name=above + member.wire, text=text, is_default=field in defaults and value == defaults[field])


def steps(report: JobReport, now: int) -> tuple[StepRow, ...]:
    """The steps, in the order of the API."""
    job = report.job
    shown = job.shown_status
    return tuple(StepRow(
        name=_STEPS[step.name], wire_name=step.name, resource_name=step.resource_name, reason=step.failure_reason,
        status=shown if step.status is Status.IN_PROGRESS and shown is Status.STOPPING else step.status,
        output=step.output_location if step.status is Status.COMPLETED and not job.swept else None,
        summary=_trials_in_words(job, step.runs) if step.name is StepName.TUNING else "",
        runs=tuple(_run_row(run, report, now) for run in step.runs if run.kind is not RunKind.TRIAL)) for step in job.steps)


def _trials_in_words(job: Job, trials: tuple[Run, ...]) -> str:
    """``3 of 4 trials have ended, 1 is at work or waits``, less what is not."""
    live = sum(run.state.is_live for run in trials) if not job.status.is_terminal else 0
    ended = f"{len(trials) - live} of {plans.trials_wanted(job)} trials have ended"
    return f"{ended}, {live} {'is at work or waits' if live == 1 else 'are at work or wait'}" if live else ended


def _run_row(run: Run, report: JobReport, now: int) -> RunRow:
    course = report.courses.get(run.id)
    live = run.state.is_live and not report.job.status.is_terminal
    return RunRow(id=run.id, name=_RUNS[run.kind], state=run.state.capitalize(), live=live_run(run, now) if live else None,
                  attempt=run.attempt, took=took(run, now), usage=course.usage if course else None, reason=run.failure_reason)


def took(run: Run, now: int) -> int | None:
    """How long a run has taken, or takes so far (ms)."""
    if run.started_at is None:
        return None
    return max(0, (run.finished_at or (now if run.state.is_live else run.started_at)) - run.started_at)


def places(job: Job) -> tuple[Place, ...]:
    """Where the job reads and writes."""
    found = [Place(name="Input", url=job.input)]
    work = job.runs[0].spec.work if job.runs else None
    if isinstance(work, ProcessWork) and work.previous:
        found.append(Place(name="Earlier graph", url=work.previous))
    if isinstance(work, TransformWork):
        found.append(Place(name="Model", url=work.model))
    elif job.earlier is not None:
        found.append(Place(name="Begins with", url=job.earlier.best.model))
    found += [Place(name="Output", url=step.output_location) for step in job.steps if step.output_location]
    return (*found, Place(name="All it writes", url=job.prefix))


def tiles(report: JobReport) -> tuple[Tile, ...]:
    """The numbers at the top."""
    job = report.job
    found = list(_of_data(report) if job.kind is JobKind.DATA_PROCESSING else _of_model(report))
    usages = [course.usage for course in report.courses.values() if course.usage is not None]
    if usages:
        found.append(Tile(name="CPU time", value=spent(sum(usage.cpu_seconds for usage in usages)),
                          note="of all cores and runs"))
        found.append(Tile(name="Peak memory", value=size(max(usage.peak_memory_bytes for usage in usages)),
                          note="of the largest process"))
    return tuple(found)


def _of_data(report: JobReport) -> Iterator[Tile]:
    data = report.data
    if data is None or data.status != "Completed":
        return
    parts = [part for label in data.labels for part in [label.parts]]
    yield Tile(name="Nodes", value=f"{sum(one.count for one in data.nodes):,}", note=_types(len(data.nodes)))
    yield Tile(name="Edges", value=f"{sum(one.count for one in data.edges):,}", note=_types(len(data.edges)))
    splits = " / ".join(f"{sum(part.get(name, 0) for part in parts):,}" for name in ("train", "valid", "test"))
    yield Tile(name="Train / valid / test", value=splits, note=(data.task or "").replace("_", " "))


def _types(count: int) -> str:
    return "of 1 type" if count == 1 else f"of {count} types"


def _of_model(report: JobReport) -> Iterator[Tile]:
    model, job = report.model, report.job
    best = next((run for run in job.runs if run.id == report.best), None)
    if best is not None and (value := best_value(best)) is not None:
        metric = best.progress.metric if best.progress is not None and best.progress.metric else "objective"
        trial = f"trial {best.number + 1}, validation"
        yield Tile(name=f"Best {metric}" if job.status.is_terminal else f"Best {metric} so far", value=number(value), note=trial)
    trials = [run for run in job.runs if run.kind is RunKind.TRIAL]
    if trials:
        ended = sum(not run.state.is_live for run in trials)
        failed = sum(run.state in {RunState.FAILED, RunState.LOST} for run in trials)
        yield Tile(name="Trials ended", value=f"{ended} of {plans.trials_wanted(job)}", note=f"{failed} failed" if failed else "")
    if model is not None:
        tested = model.metrics.get("test", {}).get(model.metric)
        floor = model.floor.metrics.get("test", {}).get(model.metric) if model.floor is not None else None
        note = f"{number(floor)} without the graph ({model.floor.name})" if model.floor and isinstance(floor, int | float) else ""
        if isinstance(tested, int | float):
            yield Tile(name=f"Test {model.metric}", value=number(tested), note=note)


def best_value(run: Run) -> float | None:
    """The objective of a trial, or the best value that it has told so far."""
    value = (run.result or {}).get("objective") if isinstance(run.spec.work, TrainWork) else None
    if isinstance(value, int | float) and -_MOST < value < _MOST:
        return float(value)
    return run.progress.best if run.progress is not None else None


def size(count: object) -> str:
    """Bytes in words: ``304 MiB``, ``1.4 GiB``; ``–`` for what is no such number."""
    if not isinstance(count, int | float) or not 0 <= count < _MOST:
        return "–"
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.0f} MiB" if count >= 10 * 2**20 else f"{count / 2**20:.1f} MiB"


def spent(seconds: object) -> str:
    """A time in words; ``–`` for what is no such number."""
    return duration(round(1000 * seconds)) if isinstance(seconds, int | float) and 0 <= seconds < _MOST else "–"
