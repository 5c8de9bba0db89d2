"""What is shown of a job beside its record, from its runs' progress and from what it wrote about itself.

Nothing here fails because a file is missing, large or not what it should be: then less is shown, and why.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from despina.core import plans
from despina.core.errors import DespinaError
from despina.core.hyperparameters import Strategy, TrialResult
from despina.core.job import Job, JobKind, Progress, Run, RunKind, RunState, TrainWork, TransformWork, Usage
from despina.core.location import Location
from despina.core.ports import ArtifactStore, JobStore, ListQuery, RunLogs
from despina.core.report import Course, DataReport, JobReport, ModelReport, Point, Related
from despina.core.requests import StartDataProcessing, StartModelTraining, StartModelTransform, StartRequests

DATA_REPORT = "processing-report.json"
MODEL_REPORT = "training-report.json"
METRICS = {"valid": "eval_metrics_info.json", "test": "test_metrics_info.json"}
LARGEST = 4 * 2**20
"""Bytes that are read of any one file, or of what a run told."""
LOOKED_AT = 50
"""Jobs of a kind that are looked at for those that build on one."""
_T = TypeVar("_T")
_BUILDERS = {JobKind.DATA_PROCESSING: (JobKind.DATA_PROCESSING, JobKind.MODEL_TRAINING, JobKind.MODEL_TRANSFORM),
             JobKind.MODEL_TRAINING: (JobKind.MODEL_TRAINING, JobKind.MODEL_TRANSFORM), JobKind.MODEL_TRANSFORM: ()}


class Reports:
    """Makes the reports of jobs."""

    def __init__(self, *, store: JobStore, logs: RunLogs, artifacts: ArtifactStore) -> None:
        self._store, self._logs, self._artifacts = store, logs, artifacts

    def of(self, job: Job) -> JobReport:
        """The report of a job, whose record has the progress of its live runs."""
        strategy = _strategy(job)
        courses = {run.id: self._course(job, run) for run in job.runs if run.started_at is not None}
        data = self._read(job, plans.output_location(job), DATA_REPORT, DataReport) if _processes(job) else None
        model = None if _processes(job) else self._model(job)
        return JobReport(
            job=job, courses=courses, data=data, model=model, best=_best(job, strategy), gone=_gone(job, courses, data, model),
            maximize=strategy.maximize if strategy else None, before=tuple(_bases(job.request)), after=tuple(self._after(job)))

    def _course(self, job: Job, run: Run) -> Course:
        """A trial's curves are in its report, which has all of them also if it was tried twice; else in what the run told."""
        usage = run.usage or (run.progress.usage if run.progress else None)
        work = run.spec.work
        if not isinstance(work, TrainWork):
            return Course(usage=usage)
        if run.state is RunState.SUCCEEDED:
            report = self._read(job, work.output, MODEL_REPORT, ModelReport)
            if report is not None:
                if usage is None and report.cpu_seconds is not None:
                    usage = Usage(cpu_seconds=report.cpu_seconds, peak_memory_bytes=report.peak_memory_bytes or 0)
                return Course(points=report.curve or _of_values(report), usage=usage)
        return Course(points=points(self._logs.course(run.id, limit=LARGEST)), usage=usage)

    def _model(self, job: Job) -> ModelReport | None:
        """What the job has left of its model. A transform job measures the model anew."""
        if not _ended_well(job):
            return None
        place = plans.output_location(job)
        report = self._read(job, place, MODEL_REPORT, ModelReport)
        if report is None or job.kind is JobKind.MODEL_TRAINING:
            return report
        metrics = {part: self._read(job, place, name, dict) for part, name in METRICS.items()}
        work = job.runs[0].spec.work
        is_another_graph = isinstance(work, TransformWork) and work.learned_from not in {None, work.processed}
        return replace(report, metrics={part: found for part, found in metrics.items() if found},
                       floor=None if is_another_graph else report.floor)

    def _after(self, job: Job) -> Iterator[Related]:
        """The jobs that build on this one, of the newest of each kind."""
        this = Related(kind=job.kind, id=job.id)
        for kind in _BUILDERS[job.kind]:
            page = self._store.list_ids(ListQuery(kind=kind, limit=LOOKED_AT, created_after=job.created_at))
            for job_id in page.ids:
                other = self._store.get(kind, job_id)
                if other is not None and this in _bases(other.request):
                    yield Related(kind=kind, id=job_id)

    def _read(self, job: Job, place: str, name: str, kind: type[_T]) -> _T | None:
        """A file that the job has written; None if it is not there, or is not what it should be."""
        if job.swept:
            return None
        try:
            return msgspec.json.decode(self._artifacts.content(Location.parse(place) / name, limit=LARGEST), type=kind)
        except (DespinaError, OSError, msgspec.DecodeError, RecursionError):
            return None


def points(told: Iterable[Progress]) -> tuple[Point, ...]:
    """The epochs that progress tells of; between two of them it repeats the last one, as a sign of life."""
    found: dict[int, Point] = {}
    began: int | None = None
    for progress in told:
        began = progress.at if began is None else began
        if progress.unit == "epoch" and progress.step and (progress.value is not None or progress.loss is not None):
            found.setdefault(progress.step, Point(epoch=progress.step, loss=progress.loss, value=progress.value,
                                                  seconds=max(0, progress.at - began) / 1000))
    return tuple(found[epoch] for epoch in sorted(found))


def _of_values(report: ModelReport) -> tuple[Point, ...]:
    """The curve of a user's own model, of which only the metric is known."""
    return tuple(Point(epoch=epoch, value=value) for epoch, value in enumerate(report.values, start=1))


def _processes(job: Job) -> bool:
    return job.kind is JobKind.DATA_PROCESSING


def _strategy(job: Job) -> Strategy | None:
    try:
        return plans.strategy(job)
    except msgspec.ValidationError:  # it is not there yet
        return None


def _best(job: Job, strategy: Strategy | None) -> str | None:
    """The trial with the best model: of those that have ended, or while there are none of those that are at work."""
    if strategy is None:
        return None
    sign = 1 if strategy.maximize else -1
    trials = [run for run in job.runs if run.kind is RunKind.TRIAL]
    ended = {run.id: value for run in trials if (value := objective(run)) is not None}
    so_far = {run.id: run.progress.best for run in trials if run.progress is not None and run.progress.best is not None}
    values = ended or so_far
    return max(values, key=lambda run_id: sign * values[run_id], default=None)


def objective(run: Run) -> float | None:
    """The value of the metric that a trial ended with; None if it did not succeed."""
    try:
        return msgspec.convert(run.result, TrialResult).objective if run.state is RunState.SUCCEEDED else None
    except msgspec.ValidationError:
        return None


def _gone(job: Job, courses: dict[str, Course], data: DataReport | None, model: ModelReport | None) -> tuple[str, ...]:
    """What one would expect to be there."""
    sentences = []
    trials = [run for run in job.runs if run.kind is RunKind.TRIAL and run.started_at is not None and not run.state.is_live]
    without = [run for run in trials if not courses[run.id].points
               and (run.state is RunState.SUCCEEDED or (run.progress is not None and run.progress.step))]
    if job.swept:
        sentences.append("The job was cancelled with clean: what it had written is deleted.")
    elif job.status.is_terminal and (_ended_well(job) and model is None if not _processes(job) else data is None):
        name = DATA_REPORT if _processes(job) else MODEL_REPORT
        sentences.append(f"There is no {name} at {plans.output_location(job)} that can be read.")
    if without:
        sentences.append(f"The curves of {len(without)} of {len(trials)} trials are not kept any more: neither their artefacts nor "
                         "what their runs told is there (the setting run_retention_days says how long that is).")
    return tuple(sentences)


def _ended_well(job: Job) -> bool:
    return any(run.kind is RunKind.TRANSFORM and run.state is RunState.SUCCEEDED for run in job.runs)


def _bases(request: StartRequests) -> Iterator[Related]:
    """The jobs that a request builds on. A trial's name does not tell its job."""
    given: tuple[tuple[JobKind, str | None], ...]
    match request:
        case StartDataProcessing():
            given = ((JobKind.DATA_PROCESSING, request.previous_data_processing_job_id),)
        case StartModelTraining():
            given = ((JobKind.DATA_PROCESSING, request.data_processing_job_id),
                     (JobKind.MODEL_TRAINING, request.previous_model_training_job_id))
        case StartModelTransform():
            given = ((JobKind.DATA_PROCESSING, request.data_processing_job_id),
                     (JobKind.MODEL_TRAINING, request.ml_model_training_job_id))
    for kind, job_id in given:
        if job_id:
            yield Related(kind=kind, id=job_id)
