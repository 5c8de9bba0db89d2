"""Which steps a kind of job has, and which runs a step still needs.

A data-processing job is one step with one run. A model-training job shows, as in the real service, a processing step that is in
progress from start to end (it lays down the strategy and, when tuning is over, writes the artefacts) and a tuning step with trials.
A model-transform job is one step with one run again.
"""

import msgspec
from msgspec.structs import replace

from despina.core import names
from despina.core.hyperparameters import End, Strategy, TrialResult
from despina.core.job import (
    CustomCode,
    Earlier,
    EarlierTraining,
    Job,
    JobKind,
    Model,
    ProcessWork,
    Run,
    RunKind,
    RunSpec,
    RunState,
    Status,
    Step,
    StepName,
    StrategyWork,
    TrainedModel,
    TrainWork,
    TransformWork,
    Trial,
    Work,
)
from despina.core.location import Location
from despina.core.requests import StartDataProcessing, StartModelTraining, StartModelTransform, StartRequests

PROCESSED = "preloading-output"
TRAINED = "autotrainer-output"
TRIALS = "trials"
TRANSFORMED = "modeltransform-output"
_PARTS = {JobKind.DATA_PROCESSING: (PROCESSED,), JobKind.MODEL_TRAINING: (TRAINED, TRIALS), JobKind.MODEL_TRANSFORM: (TRANSFORMED,)}
TRIALS_AT_ONCE = 64
"""Trials recorded at once, however many may run in parallel: more than a machine has cores, few enough to write down."""
KEEPING_MS = 120_000
LIGHT_MEMORY_MIB = 256
"""What a run that only reads and writes small JSON files needs."""


def new_job(request: StartRequests, *, job_id: str, now: int, source: str, memory_mib: int, previous: str | None = None,
            earlier: EarlierTraining | None = None, model: TrainedModel | None = None) -> Job:
    """A job as it is recorded first: its first step with its first run, which is not submitted yet.

    Args:
        request: The start request.
        job_id: The id asked for, or a generated one.
        now: The time of creation, ms.
        source: The job's input location.
        memory_mib: The memory that reading the input is expected to need.
        previous: The output of the data-processing job that this one builds on.
        earlier: The training job that this one builds on.
        model: What a transform job applies.
    """
    salt = f"{job_id} {now}"
    if isinstance(request, StartDataProcessing):
        kind, output = JobKind.DATA_PROCESSING, PROCESSED
        name = names.processing_job(job_id, now, salt)
        prefix = Location.parse(request.processed_data_s3_location) / name
        work: Work = ProcessWork(input=source, output=str(prefix / output), config_file_name=request.config_file_name,
                                 model_type=request.model_type, previous=previous)
        run_kind, memory = RunKind.PROCESS, memory_mib
    elif isinstance(request, StartModelTransform):
        assert model is not None  # noqa: S101 - the caller has looked for it
        kind, output = JobKind.MODEL_TRANSFORM, TRANSFORMED
        name = names.transform_job(job_id, now, salt)
        prefix = Location.parse(request.model_transform_output_s3_location) / name
        work = TransformWork(processed=source, model=model.location, output=str(prefix / output), learned_from=model.learned_from,
                             custom=model.custom, parameters=model.parameters)
        run_kind, memory = RunKind.TRANSFORM, model.memory_mib
    else:
        kind, output = JobKind.MODEL_TRAINING, TRAINED
        name = names.autotrainer(names.training_prefix(job_id, salt), now, salt)
        prefix = Location.parse(request.train_model_s3_location) / name
        work = StrategyWork(processed=source, trials=request.max_hpo_number_of_training_jobs, custom=_custom(request))
        run_kind, memory = RunKind.STRATEGY, LIGHT_MEMORY_MIB
    job = Job(kind=kind, id=job_id, created_at=now, request=request, prefix=str(prefix), input=source, earlier=earlier)
    first = _run(job, run_kind, work, memory_mib=memory)
    step = Step(name=StepName.BASE_PROCESSING if kind is JobKind.MODEL_TRANSFORM else StepName.PROCESSING, resource_name=name,
                output_location=str(prefix / output), runs=(first,))
    models = () if model is None else (Model(name=names.model(model.trial), trial=model.trial),)
    return replace(job, steps=(step,), models=models)


def outputs(job: Job) -> tuple[Location, ...]:
    """The locations below the job's prefix that its runs write to, also those of lost attempts."""
    prefix = Location.parse(job.prefix)
    return tuple(prefix / part for part in _PARTS[job.kind])


def deadline(job: Job) -> int | None:
    """The time (ms) at which the job's time is over; None while nothing has started, and of transform jobs, which have none."""
    begun = [run.started_at for run in job.runs if run.started_at is not None]
    return min(begun) + _time_out(job)[1] * 1000 if begun and job.kind is not JobKind.MODEL_TRANSFORM else None


def last_moment(job: Job) -> int | None:
    """The time (ms) at which whatever still runs is ended, and the job fails.

    Trainings end at the deadline by themselves, with the best model they have met. To keep it, a job that has begun to train has a
    tenth of its time more, two minutes at least, which is what SageMaker gives.
    """
    limit = deadline(job)
    if limit is None or job.kind is JobKind.DATA_PROCESSING or is_to_train(job):
        return limit
    return limit + max(KEEPING_MS, _time_out(job)[1] * 1000 // 10)


def is_to_train(job: Job) -> bool:
    """Whether the job is to tune and has not begun to."""
    return job.kind is JobKind.MODEL_TRAINING and not any(step.name is StepName.TUNING for step in job.steps)


def is_over(job: Job, now: int) -> bool:
    """Whether the job's time is over."""
    limit = deadline(job)
    return limit is not None and now >= limit


def over_time(job: Job) -> str:
    """The sentence that says so, with the parameter that limits the time."""
    parameter, seconds = _time_out(job)
    return f"The job ran longer than {parameter} ({seconds} s) allows."


def _time_out(job: Job) -> tuple[str, int]:
    if isinstance(job.request, StartDataProcessing):
        return "processingTimeOutInSeconds", job.request.processing_time_out_in_seconds
    assert isinstance(job.request, StartModelTraining)  # noqa: S101 - transform jobs have none
    return "trainingTimeOutInSeconds", job.request.training_time_out_in_seconds


def trials_wanted(job: Job) -> int:
    """How many trials the job's tuning step has in the end; 0 for a job that does not tune."""
    return job.request.max_hpo_number_of_training_jobs if isinstance(job.request, StartModelTraining) else 0


def proceed(job: Job, now: int) -> Job:
    """Complete what is complete and add the runs that are needed next. The job must not be failing or stopping."""
    if job.kind is not JobKind.MODEL_TRAINING:
        only = RunKind.PROCESS if job.kind is JobKind.DATA_PROCESSING else RunKind.TRANSFORM
        return _complete(job) if _ended_well(job, only) else job
    if not _ended_well(job, RunKind.STRATEGY):
        return job
    job = _tune(job, now)
    if step(job, StepName.TUNING).status is Status.IN_PROGRESS:
        return job
    best = best_trial(job)
    if _first(job, RunKind.TRANSFORM) is None:
        return _add_transform(job, best)
    if _ended_well(job, RunKind.TRANSFORM):
        return replace(_complete(job), models=(Model(name=names.model(best.name), trial=best.name),))
    return job


def retry(job: Job, lost: Run) -> Run:
    """The next attempt at a run that was lost. A trial's attempt gets a name and a place of its own."""
    work = lost.spec.work
    if isinstance(work, TrainWork):
        next_run = _trial(job, lost.number, lost.attempt + 1)
        assert isinstance(next_run.spec.work, TrainWork)  # noqa: S101
        again = replace(work, output=next_run.spec.work.output, attempts=(work.output, *work.attempts),
                        halvings=halvings(lost))
        return replace(next_run, spec=replace(next_run.spec, work=again))
    return _run(job, lost.kind, work, memory_mib=lost.spec.memory_mib, attempt=lost.attempt + 1)


def halvings(lost: Run) -> int:
    """How often the batch is to be halved after this lost run: 0 for one that has no batch."""
    work = lost.spec.work
    return work.halvings + lost.out_of_memory if isinstance(work, TrainWork) else 0


def strategy(job: Job) -> Strategy:
    """What the strategy run has laid down. Raises msgspec.ValidationError when its result is malformed."""
    run = _first(job, RunKind.STRATEGY)
    return msgspec.convert(run.result if run else None, Strategy)


def best_trial(job: Job) -> Run:
    """The succeeded trial with the best objective; of equals the first."""
    sign = 1 if strategy(job).maximize else -1
    done = [run for run in step(job, StepName.TUNING).runs if run.state is RunState.SUCCEEDED]
    return max(done, key=lambda run: (sign * msgspec.convert(run.result, TrialResult).objective, -run.number))


def earlier_training(job: Job) -> EarlierTraining:
    """What a training job that builds on this completed one is given."""
    best = best_trial(job)
    assert isinstance(best.spec.work, TrainWork)  # noqa: S101
    sign = 1 if strategy(job).maximize else -1
    succeeded = [trial for trial in _trials(job) if trial.objective is not None]
    return EarlierTraining(
        metric=strategy(job).metric, best=Earlier(model=best.spec.work.output, processed=job.input),
        trials=tuple(sorted(succeeded, key=lambda trial: sign * (trial.objective or 0), reverse=True)))


def trained_model(job: Job, trial: str | None = None) -> TrainedModel | None:
    """The model of a trial of this training job, by the trial's name; without one, of the best. None if no such trial succeeded."""
    if trial is None:
        run: Run | None = best_trial(job)
    else:
        run = next((run for run in job.runs if run.kind is RunKind.TRIAL and run.name == trial
                    and run.state is RunState.SUCCEEDED), None)
    if run is None:
        return None
    work = run.spec.work
    assert isinstance(work, TrainWork)  # noqa: S101
    return TrainedModel(trial=run.name, location=work.output, learned_from=job.input, parameters=work.parameters,
                        custom=work.custom, memory_mib=run.spec.memory_mib)


def custom_code(job: Job) -> CustomCode | None:
    """The scripts of the model whose artefacts this completed training or transform job has written, if it is a user's own."""
    run = _first(job, RunKind.TRANSFORM)
    work = run.spec.work if run else None
    return work.custom if isinstance(work, TransformWork) else None


def job_of_run(run_id: str) -> tuple[JobKind, str]:
    """The kind and id of the job that a run belongs to."""
    kind, _, rest = run_id.partition("-")
    return JobKind(kind), rest.rsplit("-", 3)[0]


def step(job: Job, name: StepName) -> Step:
    """The job's step of this name, which must be there."""
    return next(step for step in job.steps if step.name is name)


def with_step(job: Job, changed: Step) -> Job:
    """The job with the step of the same name replaced, or added."""
    if any(step.name is changed.name for step in job.steps):
        return replace(job, steps=tuple(changed if step.name is changed.name else step for step in job.steps))
    return replace(job, steps=(*job.steps, changed))


def _tune(job: Job, now: int) -> Job:
    """Open the tuning step, keep as many trials going as may run at once, and complete it when all have ended."""
    request = job.request
    assert isinstance(request, StartModelTraining)  # noqa: S101 - proceed has looked at the kind
    if not any(step.name is StepName.TUNING for step in job.steps):
        prefix, _, _ = step(job, StepName.PROCESSING).resource_name.rpartition("-autotrainer-")
        job = with_step(job, Step(name=StepName.TUNING, resource_name=names.tuning_job(prefix, now)))
    tuning = step(job, StepName.TUNING)
    live = sum(run.state.is_live for run in tuning.runs)
    missing = request.max_hpo_number_of_training_jobs - len(tuning.runs)
    begun = len(tuning.runs)
    over = is_over(job, now)
    started = 0 if over else min(missing, min(request.max_hpo_parallel_training_jobs, TRIALS_AT_ONCE) - live)
    trials = tuple(_trial(job, number, 1) for number in range(begun, begun + started))
    tuning = replace(tuning, runs=(*tuning.runs, *trials))
    if live or started or not any(run.state is RunState.SUCCEEDED for run in tuning.runs):
        return with_step(job, tuning)
    if not over:
        return with_step(job, replace(tuning, status=Status.COMPLETED))
    whole = [run for run in tuning.runs if run.state is RunState.FAILED or _ended_by_itself(run)]
    if len(whole) == request.max_hpo_number_of_training_jobs:
        return with_step(job, replace(tuning, status=Status.COMPLETED))
    wanted = request.max_hpo_number_of_training_jobs
    reason = f"{over_time(job)} {len(whole)} of {wanted} trainings had ended by then; the best model that was met is kept."
    return with_step(job, replace(tuning, status=Status.STOPPED, failure_reason=reason))


def _ended_by_itself(trial: Run) -> bool:
    """Whether a trial succeeded and the job's time was not what ended it. Raises msgspec.ValidationError for a malformed result."""
    return trial.state is RunState.SUCCEEDED and msgspec.convert(trial.result, TrialResult).ended is not End.TIME


def _trial(job: Job, number: int, attempt: int) -> Run:
    request = job.request
    assert isinstance(request, StartModelTraining)  # noqa: S101
    run_id = _run_id(job, f"{RunKind.TRIAL}{number + 1:03d}", attempt)
    name = names.trial(step(job, StepName.TUNING).resource_name, number, run_id)
    work = TrainWork(processed=job.input, output=str(Location.parse(job.prefix) / TRIALS / name), until=deadline(job),
                     earlier=job.earlier.best if job.earlier else None, custom=_custom(request),
                     instance_count=strategy(job).instance_count)
    share = min(request.max_hpo_number_of_training_jobs, request.max_hpo_parallel_training_jobs)
    spec = RunSpec(run_id=run_id, work=work, share=share, memory_mib=strategy(job).memory_mib)
    return Run(id=run_id, kind=RunKind.TRIAL, number=number, attempt=attempt, name=name, spec=spec)


def _custom(request: StartModelTraining) -> CustomCode | None:
    given = request.custom_model_training_parameters
    return CustomCode(source=given.source_s3_directory_path, training=given.training_entry_point_script,
                      transform=given.transform_entry_point_script) if given else None


def _add_transform(job: Job, best: Run) -> Job:
    processing = step(job, StepName.PROCESSING)
    assert isinstance(best.spec.work, TrainWork) and processing.output_location  # noqa: S101, PT018
    work = TransformWork(processed=job.input, model=best.spec.work.output, output=processing.output_location, trials=_trials(job),
                         custom=best.spec.work.custom, parameters=best.spec.work.parameters)
    transform = _run(job, RunKind.TRANSFORM, work, memory_mib=best.spec.memory_mib)
    return with_step(job, replace(processing, runs=(*processing.runs, transform)))


def _trials(job: Job) -> tuple[Trial, ...]:
    """What is told of the trials that have ended. Raises msgspec.ValidationError for a malformed result."""
    found = []
    for run in step(job, StepName.TUNING).runs:
        work = run.spec.work
        result = msgspec.convert(run.result, TrialResult) if run.state is RunState.SUCCEEDED else None
        assert isinstance(work, TrainWork)  # noqa: S101
        found.append(Trial(
            name=run.name, parameters=work.parameters or {}, objective=result.objective if result else None,
            ended=result.ended if result else run.failure_reason or "stopped",
            seconds=((run.finished_at or 0) - (run.started_at or run.finished_at or 0)) / 1000))
    return tuple(found)


def output_location(job: Job) -> str:
    """Where the job's result lies."""
    return job.steps[0].output_location or ""


def _complete(job: Job) -> Job:
    return replace(with_step(job, replace(job.steps[0], status=Status.COMPLETED)), status=Status.COMPLETED)


def _first(job: Job, kind: RunKind) -> Run | None:
    return next((run for run in job.runs if run.kind is kind), None)


def _ended_well(job: Job, kind: RunKind) -> bool:
    run = _first(job, kind)
    return run is not None and run.state is RunState.SUCCEEDED


def _run(job: Job, kind: RunKind, work: Work, *, memory_mib: int, attempt: int = 1) -> Run:
    run_id = _run_id(job, kind, attempt)
    return Run(id=run_id, kind=kind, attempt=attempt, spec=RunSpec(run_id=run_id, work=work, memory_mib=memory_mib))


def _run_id(job: Job, label: str, attempt: int) -> str:
    # The time of creation keeps the runs apart from those of an earlier job of this id whose record is gone (the database was
    # deleted) and whose folders are not.
    return f"{job.kind}-{job.id}-{job.created_at:x}-{label}-{attempt}"
