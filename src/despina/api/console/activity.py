"""Who did what: the audit log, or, where nobody is known by name, what became of jobs and endpoints."""

from urllib.parse import urlencode

from despina.api.console.endpoints import PATH as ENDPOINTS
from despina.api.console.formats import duration, first_line
from despina.api.console.job_view import KINDS
from despina.api.console.page import ROOT, ConsoleRequest, Page, Reply
from despina.api.console.summaries import ended_at
from despina.api.operations import INVOKE_ENDPOINT, LOG_OPERATIONS, OPERATIONS
from despina.auth.audit import Entry
from despina.auth.audit_search import Outcome, Wanted, newest, outcome
from despina.core.endpoint import Endpoint
from despina.core.errors import UnreadableParameter
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind, Status
from despina.core.requests import ListJobs

PATH = f"{ROOT}/activity"
ROWS = 50
FILTERS = ("who", "operation", "resource", "outcome")
"""The fields of the filters."""
NAMES = (*sorted(operation.name for operation in (*OPERATIONS, *LOG_OPERATIONS, INVOKE_ENDPOINT)), "GetEngineStatus",
         "ConsoleLogin", "LookupEvents")
"""Of what may be in the log."""
_ENDED = {Status.COMPLETED: "completed", Status.FAILED: "failed", Status.STOPPED: "was cancelled"}


class Called(Frozen, frozen=True, kw_only=True):
    """A call, as the page tells of it."""

    time: str
    """ISO 8601, UTC."""
    principal: str | None
    key: str | None
    operation: str
    resource: str
    url: str
    """Of the page of the job or endpoint, if there is one."""
    outcome: Outcome
    status: int
    error: str
    """The exception and, of a refusal, why."""
    address: str
    agent: str


class Happened(Frozen, frozen=True, kw_only=True):
    """What became of a job or endpoint. Times are ms since 1970."""

    at: int
    """When it was created."""
    noun: str
    id: str
    url: str
    status: str
    ended: str
    """How it ended, and after how long; empty while it goes on."""
    reason: str


def _show(request: ConsoleRequest) -> Reply:
    if request.edge.audit_folder is None:
        return _history(request)
    problem, before = "", request.query.get("before")
    try:
        wanted = _wanted(request)
        found = newest(request.edge.audit_folder, wanted, count=ROWS, before=before)
    except UnreadableParameter as error:
        problem, before = str(error), None
        found = newest(request.edge.audit_folder, Wanted(), count=ROWS)
    kept = {name: request.query[name] for name in FILTERS if name in request.query}
    return request.render(
        "activity.html", rows=[_called(entry) for entry in found.entries], names=NAMES, outcomes=list(Outcome), problem=problem,
        filtered=bool(kept), cut_short=len(found.entries) < ROWS and found.older is not None, searched=found.searched // 2**20,
        first_url=f"{PATH}?{urlencode(kept)}" if before else "",
        next_url=f"{PATH}?{urlencode({**kept, 'before': found.older})}" if found.older else "")


def _wanted(request: ConsoleRequest) -> Wanted:
    given = request.query.get("outcome")
    if given is not None and given not in set(Outcome):
        raise UnreadableParameter(f"The outcome '{given[:100]}' is not one of {', '.join(Outcome)}.")
    return Wanted(principal=request.query.get("who", ""), event_name=request.query.get("operation", ""),
                  resource_id=request.query.get("resource", ""), outcome=Outcome(given) if given else None)


def _called(entry: Entry) -> Called:
    resource = entry.resource_id or ""
    error = ": ".join(part for part in (entry.error_code, entry.error_message) if part)
    return Called(
        time=entry.event_time, principal=entry.principal, key=entry.access_key_id, operation=entry.event_name, resource=resource,
        url=_url(entry.event_name, resource), outcome=outcome(entry), status=entry.status, error=error,
        address=entry.source_ip_address, agent=entry.user_agent or "")


def _url(operation: str, resource: str) -> str:
    if not resource:
        return ""
    for part, path in (("DataProcessing", f"{ROOT}/dataprocessing"), ("ModelTraining", f"{ROOT}/modeltraining"),
                       ("ModelTransform", f"{ROOT}/modeltransform"), ("Endpoint", ENDPOINTS)):
        if part in operation:
            return f"{path}/{resource}"
    return ""


def _history(request: ConsoleRequest) -> Reply:
    """Jobs and endpoints by when they were created; ``before`` (ms) goes on with older ones."""
    text = request.query.get("before", "")
    before = int(text) if text.isdecimal() and len(text) < 16 else None
    found = [_job(job) for kind in JobKind for job in request.plane.jobs.details(
        kind, request.plane.jobs.list(kind, ListJobs(max_items=ROWS + 1, created_before=before)).ids)]
    found += [_endpoint(endpoint) for endpoint in request.plane.endpoints.all()
              if before is None or endpoint.created_at < before]
    found.sort(key=lambda one: one.at, reverse=True)
    shown = found[:ROWS]
    # Those of one millisecond stay together, since the next page begins before it.
    shown += [one for one in found[ROWS:] if one.at == shown[-1].at]
    more = len(found) > len(shown)
    return request.render("history.html", rows=shown, first_url=PATH if before is not None else "",
                          next_url=f"{PATH}?before={shown[-1].at}" if more else "")


def _job(job: Job) -> Happened:
    ended, at = "", ended_at(job)
    if job.status.is_terminal:
        ended = _ENDED[job.status] + (f" after {duration(at - job.created_at)}" if at is not None else "")
        ended += ", its artefacts are deleted" if job.swept else ""
    return Happened(at=job.created_at, noun=KINDS[job.kind].lower(), id=job.id, url=f"{ROOT}/{job.kind}/{job.id}",
                    status=job.shown_status, ended=ended, reason=first_line(job.failure_reason))


def _endpoint(endpoint: Endpoint) -> Happened:
    updates = endpoint.versions - 1
    return Happened(at=endpoint.created_at, noun="endpoint", id=endpoint.id, url=f"{ENDPOINTS}/{endpoint.id}",
                    status=endpoint.status, ended="" if not updates else "1 update" if updates == 1 else f"{updates} updates",
                    reason=first_line(endpoint.failure_reason))


PAGES = (Page("LookupEvents", "GET", PATH, "LookupEvents", _show, label="Activity", service="cloudtrail"),)
