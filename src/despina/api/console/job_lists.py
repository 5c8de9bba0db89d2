"""The lists of jobs, one for each kind, newest first."""

from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlencode

from despina.api.console.actions import LIST
from despina.api.console.cancelling import choices, may_cancel
from despina.api.console.job_view import KINDS
from despina.api.console.page import ROOT, ConsoleRequest, Page, Reply
from despina.api.console.snippets import client
from despina.api.console.summaries import row
from despina.core.errors import UnreadableParameter
from despina.core.frozen import Frozen
from despina.core.job import JobKind, Status
from despina.core.requests import ListJobs

JOBS_A_PAGE = 25
FILTERS = ("name", "status", "from", "until")
"""The fields of the filters."""


class Wording(Frozen, frozen=True, kw_only=True):
    """What a list says in words."""

    label: str
    """In the navigation."""
    explained: str
    """When there is none yet."""
    call: str
    """Of boto3, that starts a job."""


_WORDS = {
    JobKind.MODEL_TRAINING: Wording(
        label="Training",
        explained="A training job learns from the output of a data-processing job. Start the first one from Python:",
        call="""neptune.start_ml_model_training_job(
    id="airports-1",
    dataProcessingJobId="airports",
    trainModelS3Location="s3://my-bucket/models",
)"""),
    JobKind.DATA_PROCESSING: Wording(
        label="Data processing",
        explained="A data-processing job reads the export of a graph, for models to learn from. Start the first one from Python:",
        call="""neptune.start_ml_data_processing_job(
    id="airports",
    inputDataS3Location="s3://my-bucket/export",
    processedDataS3Location="s3://my-bucket/processed",
)"""),
    JobKind.MODEL_TRANSFORM: Wording(
        label="Transform",
        explained="A transform job computes a trained model's artefacts for new data. Start the first one from Python:",
        call="""neptune.start_ml_model_transform_job(
    id="airports-2",
    dataProcessingJobId="airports-new",
    mlModelTrainingJobId="airports-1",
    modelTransformOutputS3Location="s3://my-bucket/transformed",
)"""),
}


def _list(kind: JobKind, request: ConsoleRequest) -> Reply:
    words, problem = _WORDS[kind], ""
    try:
        wanted = _wanted(request)
    except UnreadableParameter as error:
        wanted, problem = ListJobs(max_items=JOBS_A_PAGE), str(error)
    page = request.plane.jobs.list(kind, wanted)
    allowed = may_cancel(request, kind)
    rows = [row(job, choices(job, allowed=allowed), request.now) for job in request.plane.jobs.details(kind, page.ids)]
    kept = {} if problem else {name: request.query[name] for name in FILTERS if name in request.query}
    return request.render(
        "job_list_live.html" if request.fragment else "job_list.html",
        title=f"{KINDS[kind]}s", noun=KINDS[kind].lower(), explained=words.explained, snippet=_snippet(request, words.call),
        problem=problem, filters=kept,
        statuses=list(Status), rows=rows, filtered=bool(kept) or "after" in request.query,
        people=request.credential is not None or any(one.started_by for one in rows),
        first_url=f"{request.page.path}?{urlencode(kept)}" if "after" in request.query else "",
        next_url=f"{request.page.path}?{urlencode({**kept, 'after': page.next})}" if page.next else "")


def _wanted(request: ConsoleRequest) -> ListJobs:
    """What the filters ask for. Days are whole ones, UTC, the last one included."""
    status = request.query.get("status")
    if status is not None and status not in set(Status):
        raise UnreadableParameter(f"The status '{status[:100]}' is not one of {', '.join(Status)}.")
    first, last = _day(request, "from"), _day(request, "until")
    return ListJobs(
        max_items=JOBS_A_PAGE, status=status, name_contains=request.query.get("name"), next_token=request.query.get("after"),
        created_after=_ms(first) - 1 if first else None, created_before=_ms(last + timedelta(days=1)) if last else None)


def _day(request: ConsoleRequest, name: str) -> datetime | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        day = None
    if day is None or not 1970 <= day.year < 9999:
        raise UnreadableParameter(f"The day '{text[:100]}' cannot be read: it must be as in 2026-11-29.")
    return day


def _ms(day: datetime) -> int:
    return int(day.timestamp()) * 1000


def _snippet(request: ConsoleRequest, call: str) -> str:
    return f"import boto3\n\n{client(request, 'neptunedata', 'neptune')}\n{call}"


PAGES = tuple(Page(LIST[kind], "GET", f"{ROOT}/{kind}", LIST[kind], partial(_list, kind), label=words.label)
              for kind, words in _WORDS.items())
