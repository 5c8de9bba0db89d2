"""Results into answers: one explicit function a shape.

Absent members are left out, as in the real service. The forms are those of the Neptune Data API (``MlResourceDefinition``,
``MlConfigDefinition`` and the outputs of the operations); what ``details=true`` adds is Despina's own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from despina.api.scope import Scope, origin
from despina.core import plans
from despina.core.job import Job, JobKind, Run, RunKind, Status, Step, StepName, TrainWork, Usage
from despina.core.names import Cluster
from despina.core.ports import Page
from despina.core.requests import GetJob, ListJobs, StartRequests

MAX_REASON = 1024
"""Characters of a ``failureReason``, as SageMaker has it; with ``details=true`` it stands in full."""

Document = dict[str, Any]

_RESOURCES = {StepName.PROCESSING: "processing-job", StepName.BASE_PROCESSING: "processing-job",
              StepName.TUNING: "hyper-parameter-tuning-job"}


class View(NamedTuple):
    """What an answer depends on besides the result: where ARNs say that things are, and the request as the client sent it."""

    cluster: Cluster
    scope: Scope


class Listing(NamedTuple):
    """A page of ids and, if they were asked for, the jobs."""

    page: Page
    jobs: tuple[Job, ...] | None


class Log(NamedTuple):
    """A part of a run's log; ``after`` is the offset of the next part."""

    run_id: str
    text: bytes
    after: int


def started(job: Job, _request: StartRequests, view: View) -> Document:
    """``id``, ``arn`` (of the processing job) and ``creationTimeInMillis``."""
    arn = view.cluster.arn(_RESOURCES[StepName.PROCESSING], job.steps[0].resource_name)
    return {"id": job.id, "arn": arn, "creationTimeInMillis": job.created_at}


def listed(listing: Listing, request: ListJobs, view: View) -> Document:
    """``ids``; to users of Despina's own parameters also ``nextToken`` and, with ``details``, the ``jobs`` as Get gives them."""
    answer: Document = {"ids": listing.page.ids}
    if listing.page.next is not None and _uses_own_parameters(request):
        answer["nextToken"] = listing.page.next
    if listing.jobs is not None:
        answer["jobs"] = [{**_job(job, view), "details": _details(job)} for job in listing.jobs]
    return answer


def got(job: Job, request: GetJob, view: View) -> Document:
    """``id``, ``status``, ``processingJob`` and, of a training job, ``hpoJob`` and ``mlModels`` once they are there; of a transform
    job ``baseProcessingJob``, and ``models`` when it has completed.
    """
    answer = _job(job, view)
    if request.details:
        answer["details"] = _details(job)
    return answer


def cancelled(job: Job, _request: object, _view: View) -> Document:
    """``status``: the job's status as Get would show it."""
    return {"status": job.shown_status}


def logged(log: Log, _request: object, _view: View) -> Document:
    """The lines as ``events``, where to go on as ``nextForwardToken`` (both as in CloudWatch's GetLogEvents), and the ``run``."""
    lines = log.text.decode("utf-8", "replace").removesuffix("\n").split("\n") if log.text else []
    return {"run": log.run_id, "events": [{"message": line} for line in lines], "nextForwardToken": str(log.after)}


def _uses_own_parameters(request: ListJobs) -> bool:
    plain = ListJobs(max_items=request.max_items, neptune_iam_role_arn=request.neptune_iam_role_arn)
    return request != plain


def _job(job: Job, view: View) -> Document:
    answer: Document = {"id": job.id, "status": job.shown_status}
    for step in job.steps:
        answer[step.name] = _step(job, step, view)
    models = [{"name": model.name, "arn": view.cluster.arn("model", model.name)} for model in job.models]
    if job.kind is JobKind.MODEL_TRANSFORM:
        # graph-notebook and the toolkit look for the step of a transform job by the name that it has in the other kinds.
        answer[StepName.PROCESSING] = answer[StepName.BASE_PROCESSING]
        if job.status is Status.COMPLETED:
            answer["models"] = models
    elif models:
        answer["mlModels"] = models
    return answer


def _step(job: Job, step: Step, view: View) -> Document:
    """An ``MlResourceDefinition``."""
    status = step.status
    if status is Status.IN_PROGRESS and job.shown_status is Status.STOPPING:
        status = Status.STOPPING
    reason = step.failure_reason
    if step.name is not StepName.TUNING and not any(other.failure_reason for other in job.steps):
        # The job cannot complete any more, but its runs are not dead yet.
        reason = job.failure_reason
    return present({
        "name": step.resource_name,
        "arn": view.cluster.arn(_RESOURCES[step.name], step.resource_name),
        "status": status,
        "outputLocation": step.output_location,
        "failureReason": reason[:MAX_REASON] if reason else None,
        "cloudwatchLogUrl": f"{origin(view.scope)}/ml/{job.kind}/{job.id}/logs" if status is Status.FAILED else None,
    })


def _details(job: Job) -> Document:
    return present({
        "createdAt": job.created_at,
        "startedBy": job.started_by,
        "cancelledBy": job.stopped_by,
        "prefix": job.prefix,
        "notes": job.notes,
        "failureReason": job.failure_reason,
        "trials": plans.trials_wanted(job) or None,
        "runs": [_run(run) for run in job.runs],
    })


def _run(run: Run) -> Document:
    work, said = run.spec.work, run.progress
    # What a run of data processing has found out beside its graph is there for all to see; other results are for programs.
    result = dict(run.result or {}) if run.kind is RunKind.PROCESS else {}
    estimate, warnings = result.pop("estimate", None), result.pop("warnings", None)
    return present({
        "id": run.id,
        "kind": run.kind,
        "name": run.name or None,
        "number": run.number,
        "attempt": run.attempt,
        "state": run.state,
        "progress": present({"at": said.at, "step": said.step, "of": said.of, "unit": said.unit, "metric": said.metric,
                             "value": said.value, "best": said.best, "loss": said.loss,
                             "estimate": said.estimate if estimate is None else None}) if said else None,
        "startedAt": run.started_at,
        "finishedAt": run.finished_at,
        "usage": _usage(run.usage or (said.usage if said else None)),
        "parameters": work.parameters if isinstance(work, TrainWork) else None,
        "objective": run.result.get("objective") if run.result else None,
        "estimate": estimate,
        "warnings": warnings or None,
        "result": result or None,
        "failureReason": run.failure_reason,
    })


def _usage(used: Usage | None) -> Document | None:
    return {"cpuSeconds": used.cpu_seconds, "peakMemoryBytes": used.peak_memory_bytes} if used else None


def present(members: Mapping[str, Any]) -> Document:
    """The members that are there."""
    return {name: value for name, value in members.items() if value is not None}
