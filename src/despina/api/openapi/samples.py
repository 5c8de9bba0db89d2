"""Answers for the document: what the renderers make of jobs and endpoints that the state machines have brought to their end."""

from typing import Any

import msgspec
from msgspec.structs import replace

from despina.api import endpoint_rendering, rendering
from despina.api.endpoint_rendering import EndpointListing
from despina.api.operations import Renderer
from despina.api.rendering import Document, Listing, Log, View
from despina.core import names, plans
from despina.core.endpoint import Endpoint, Version
from despina.core.endpoint_lifecycle import advance_endpoint
from despina.core.hyperparameters import Strategy, TrialResult
from despina.core.job import Job, JobKind, Observation, Progress, RunKind, RunState, ServeWork
from despina.core.lifecycle import Seen, advance
from despina.core.names import Cluster
from despina.core.ports import Page
from despina.core.requests import (
    CreateEndpoint,
    GetJob,
    ListEndpoints,
    ListJobs,
    StartDataProcessing,
    StartModelTraining,
    StartModelTransform,
)

CREATED = 1_795_608_000_000
"""When the samples were created, ms."""
_BUCKET = "s3://my-bucket"
_VIEW = View(Cluster(), {"scheme": "http", "headers": [(b"host", b"localhost:8182")]})
_PARAMETERS = {"num-hidden": 64, "lr": 0.01, "dropout": 0.2}
_STRATEGY = Strategy(metric="accuracy", maximize=True, tunable=(), fixed=dict(_PARAMETERS), memory_mib=512)
_RESULTS: dict[RunKind, dict[str, Any]] = {
    RunKind.PROCESS: {
        "nodes": 3_503, "edges": 50_637, "rows": 54_140, "train": 2_802, "valid": 350, "test": 351,
        "estimate": {
            "files": 2, "inputBytes": 2_400_000, "rows": 54_140, "nodes": 3_503, "edges": 50_637, "sampled": False,
            "nodeTypes": [{"name": "airport", "count": 3_503, "width": 4}],
            "edgeTypes": [{"name": "(airport)-route-(airport)", "count": 50_637, "width": 1}], "arrayBytes": 1_300_000,
            "peakMemoryBytes": 108_000_000, "diskBytes": 1_430_000, "processingMinutes": 0.01, "trainingMinutes": 0.3},
        "warnings": ["12 nodes have no 'elev': the mean stands for it."]},
    RunKind.STRATEGY: msgspec.to_builtins(_STRATEGY),
    RunKind.TRIAL: msgspec.to_builtins(TrialResult(objective=0.96, epoch=38)),
    RunKind.TRANSFORM: {},
}
_LOG = b"epoch 38: loss 0.1204, accuracy 0.9600\n"


def _sample_jobs() -> dict[JobKind, Job]:
    processing = _completed(plans.new_job(
        StartDataProcessing(id="my-job", input_data_s3_location=f"{_BUCKET}/exports/air-routes",
                            processed_data_s3_location=f"{_BUCKET}/processed"),
        job_id="my-job", now=CREATED, source=f"{_BUCKET}/exports/air-routes", memory_mib=512))
    training = _completed(plans.new_job(
        StartModelTraining(id="my-job", data_processing_job_id="my-job", train_model_s3_location=f"{_BUCKET}/models",
                           max_hpo_number_of_training_jobs=1),
        job_id="my-job", now=CREATED, source=plans.output_location(processing), memory_mib=512))
    transform = _completed(plans.new_job(
        StartModelTransform(id="my-job", data_processing_job_id="my-job", ml_model_training_job_id="my-job",
                            model_transform_output_s3_location=f"{_BUCKET}/transformed"),
        job_id="my-job", now=CREATED, source=plans.output_location(processing), memory_mib=512,
        model=plans.trained_model(training)))
    return {job.kind: job for job in (processing, training, transform)}


def _completed(job: Job) -> Job:
    """The job when all its runs have succeeded, each in twenty seconds."""
    now = job.created_at
    while not job.status.is_terminal:
        begun, now = now + 100, now + 20_100
        said = {RunKind.TRIAL: Progress(at=now, step=40, of=40, unit="epoch", metric="accuracy", value=0.95, best=0.96)}
        job, _ = advance(job, Seen(now=now, runs={
            run.id: Observation(state=RunState.SUCCEEDED, progress=said.get(run.kind), result=_RESULTS[run.kind], started_at=begun,
                                finished_at=now) for run in job.runs if run.state.is_live}))
        job = _tuned(job)
    return job


def _tuned(job: Job) -> Job:
    """The job with the parameters of its trials, as the tuner would give them."""
    steps = tuple(replace(step, runs=tuple(
        replace(run, spec=replace(run.spec, work=replace(run.spec.work, parameters=dict(_PARAMETERS))))
        if run.kind is RunKind.TRIAL else run for run in step.runs)) for step in job.steps)
    return replace(job, steps=steps)


def _sample_endpoint(training: Job) -> Endpoint:
    """In service."""
    name = names.endpoint("my-job", CREATED, "my-job")
    version = Version(
        number=1, kind=training.kind, job_id=training.id, model=names.model(plans.best_trial(training).name), instances=1,
        memory_mib=256, created_at=CREATED,
        work=ServeWork(artifacts=plans.output_location(training), processed=training.input))
    endpoint = Endpoint(id="my-job", created_at=CREATED, resource_name=name, upcoming=version)
    for seconds in (1, 2):
        ready = Progress(at=CREATED + 1_900, step=1, of=1, unit="model")
        endpoint, _ = advance_endpoint(endpoint, Seen(now=CREATED + seconds * 1_000, runs={
            replica.spec.run_id: Observation(state=RunState.RUNNING, progress=ready, started_at=CREATED + 1_100)
            for replica in endpoint.replicas}))
    return endpoint


JOBS = _sample_jobs()
ENDPOINT = _sample_endpoint(JOBS[JobKind.MODEL_TRAINING])


def answers(renderer: Renderer | None, kind: JobKind | None) -> dict[str, Document]:
    """What a renderer of jobs or endpoints makes of the samples, by what was asked; nothing for other renderers.

    Args:
        renderer: Of an operation.
        kind: Of job that the operation is about.
    """
    job = JOBS[kind or JobKind.DATA_PROCESSING]
    page = Page(ids=("my-job",), next=None)
    get, detailed = GetJob(id="my-job"), GetJob(id="my-job", details=True)
    token = "MTc5NTYwODAwMDAwMCBteS1qb2I"  # noqa: S105 - of a page
    made: dict[Any, dict[str, Document]] = {
        rendering.started: {"started": rendering.started(job, job.request, _VIEW)},
        rendering.listed: {
            "plain": rendering.listed(Listing(page, None), ListJobs(), _VIEW),
            "with details=true": rendering.listed(Listing(replace(page, next=token), (job,)), ListJobs(details=True), _VIEW)},
        rendering.got: {"plain": rendering.got(job, get, _VIEW), "with details=true": rendering.got(job, detailed, _VIEW)},
        rendering.cancelled: {"cancelled": {"status": "Stopping"}},
        rendering.logged: {"log": rendering.logged(Log(job.runs[-1].id, _LOG, len(_LOG)), get, _VIEW)},
        endpoint_rendering.created: {"created": endpoint_rendering.created(ENDPOINT, CreateEndpoint(id="my-job"), _VIEW)},
        endpoint_rendering.listed: {
            "plain": endpoint_rendering.listed(EndpointListing(page, (ENDPOINT,)), ListEndpoints(), _VIEW),
            "with details=true": endpoint_rendering.listed(EndpointListing(page, (ENDPOINT,)), ListEndpoints(details=True), _VIEW)},
        endpoint_rendering.got: {"plain": endpoint_rendering.got(ENDPOINT, get, _VIEW),
                                 "with details=true": endpoint_rendering.got(ENDPOINT, detailed, _VIEW)},
        endpoint_rendering.deleted: {"deleted": endpoint_rendering.deleted(replace(ENDPOINT, deleting=True), None, _VIEW)},
    }
    return made.get(renderer, {})
