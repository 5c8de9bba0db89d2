"""The page of one job."""

from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from despina.api.console import charts, job_log, job_trials, job_view
from despina.api.console.actions import GET, GET_ACTION, LIST
from despina.api.console.cancelling import choices, may_cancel, roles_to_choose
from despina.api.console.job_view import size
from despina.api.console.page import ROOT, ConsoleRequest, Page, Reply
from despina.api.console.summaries import ended_at
from despina.core import rules
from despina.core.endpoint import Endpoint
from despina.core.errors import DespinaError, JobNotFound
from despina.core.job import Job, JobKind, Status
from despina.core.report import JobReport
from despina.core.requests import CreateEndpoint

_SERVED = {JobKind.MODEL_TRAINING: "ml_model_training_job_id", JobKind.MODEL_TRANSFORM: "ml_model_transform_job_id"}
"""The kinds of job whose artefacts can be served, and the member of CreateEndpoint that names one."""
_KEPT = ("sort", "order", "trial", "scale", "run", "from")
"""The query of the page."""
PLAIN = b"text/plain; charset=utf-8"


def _show(kind: JobKind, request: ConsoleRequest, *, problem: str = "") -> Reply:
    if request.fragment == "log":
        job = request.plane.jobs.get(kind, request.path["id"])
        return request.render("job_log.html", **_log(request, job))
    report = request.plane.jobs.report(kind, request.path["id"])
    report = replace(report, after=tuple(other for other in report.after if request.allows(f"neptune-db:{LIST[other.kind]}")))
    values = _values(request, report)
    if request.fragment:
        return request.render("job_live.html", **values)
    return request.render("job.html", problem=problem, **values | _log(request, report.job))


def _values(request: ConsoleRequest, report: JobReport) -> dict[str, Any]:
    job, now = report.job, request.now
    shown = job_trials.trials(report, now, request.query)
    chosen = _number(request.query.get("trial"))
    chosen = chosen if chosen in {trial.number for trial in shown.rows} else None
    log_scale = request.query.get("scale") == "log"
    return {
        "roles": roles_to_choose(request),
        "report": report, "job": job, "title": job_view.KINDS[job.kind],
        "live_url": "" if _is_over(job) else _link(request, fragment="live"),
        "choices": choices(job, allowed=may_cancel(request, job.kind)), "servable": _is_servable(request, job),
        "ended_at": ended_at(job), "parameters": job_view.parameters(job), "places": job_view.places(job),
        "tiles": job_view.tiles(report), "steps": job_view.steps(report, now), "trials": shown, "chosen": chosen,
        "columns": job_trials.columns(shown, request.query, partial(_link, request)), "log_scale": log_scale,
        "curves": job_trials.curves(shown, report, chosen=chosen, log=log_scale), "scatters": job_trials.scatters(shown, report),
        "charts": charts, "link": partial(_link, request), "size": size, "number": charts.number, "kinds": job_view.KINDS,
        "endpoints": _serving(request, job),
    }


def _log(request: ConsoleRequest, job: Job) -> dict[str, Any]:
    run = job_log.chosen_run(job, request.query.get("run"))
    begun = [one for one in job.runs if one.started_at is not None]
    if run is None:
        return {"log": None, "log_runs": (), "log_url": "", "log_live": True, "log_path": "", "job": job}
    log = job_log.tail(request, job.kind, job, run, _number(request.query.get("from")) or 0)
    again = urlencode({"run": run.id, "from": log.begin, "fragment": "log"})
    path = f"{ROOT}/{job.kind}/{quote(job.id)}"
    return {"log": log, "log_runs": [(one.id, job_log.run_name(one)) for one in begun], "log_url": f"{path}?{again}", "job": job,
            "log_live": run.state.is_live and not log.gone, "log_path": f"{path}/log?{urlencode({'run': run.id})}"}


def _show_log(kind: JobKind, request: ConsoleRequest) -> Reply:
    job = request.plane.jobs.get(kind, request.path["id"])
    wanted = request.query.get("run")
    run = job_log.chosen_run(job, wanted)
    if wanted is not None and (run is None or run.id != wanted):
        raise JobNotFound(f"No run '{wanted[:150]}' of the job '{job.id}' has started.")
    text = job_log.whole(request, kind, job, run, _number(request.query.get("from")) or 0) if run is not None else b""
    return Reply(200, [(b"content-type", PLAIN)], text)


def _create_endpoint(kind: JobKind, request: ConsoleRequest) -> Reply:
    if "endpoint" in request.form:
        rules.job_id("id", request.form["endpoint"])
    endpoint = request.plane.endpoints.create(
        msgspec.structs.replace(CreateEndpoint(id=request.form.get("endpoint"), neptune_iam_role_arn=request.form.get("role")),
                                **{_SERVED[kind]: request.path["id"]}), request.caller())
    return request.redirect(f"{ROOT}/endpoints/{endpoint.id}")


def _again(kind: JobKind, request: ConsoleRequest, error: DespinaError) -> Reply:
    """The page once more, with what kept the endpoint from being made."""
    return _show(kind, request, problem=str(error))


def _serving(request: ConsoleRequest, job: Job) -> list[Endpoint]:
    """The endpoints that serve, or are going to serve, what the job has made; none for who may not list them."""
    if not request.allows("neptune-db:ListMLEndpoints"):
        return []
    return [endpoint for endpoint in request.plane.endpoints.all() if any(
        version is not None and (version.kind, version.job_id) == (job.kind, job.id)
        for version in (endpoint.serving, endpoint.upcoming))]


def _is_servable(request: ConsoleRequest, job: Job) -> bool:
    return job.kind in _SERVED and job.status is Status.COMPLETED and request.allows("neptune-db:CreateMLEndpoint")


def _is_over(job: Job) -> bool:
    """Whether nothing about the job will change any more: it has ended, and what is to be deleted is."""
    return job.status.is_terminal and not (job.status is Status.STOPPED and job.clean and not job.swept)


def _link(request: ConsoleRequest, anchor: str = "", **changes: str | None) -> str:
    """The URL of this page with some of its query changed; None takes a field away."""
    query = {name: request.query[name] for name in _KEPT if name in request.query and name != "from"} | changes
    text = urlencode({name: value for name, value in query.items() if value is not None})
    path = request.target.partition("?")[0].removesuffix("/endpoint")
    return f"{path}{'?' if text else ''}{text}{'#' if anchor else ''}{anchor}"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None


PAGES = tuple(
    page for kind in JobKind for page in (
        Page(GET[kind], "GET", f"{ROOT}/{kind}/{{id}}", GET_ACTION[kind], partial(_show, kind)),
        Page(f"Read{GET[kind].removeprefix('GetML')}Logs", "GET", f"{ROOT}/{kind}/{{id}}/log", GET_ACTION[kind],
             partial(_show_log, kind), content_type=PLAIN),
        *((Page("CreateMLEndpoint", "POST", f"{ROOT}/{kind}/{{id}}/endpoint", "CreateMLEndpoint", partial(_create_endpoint, kind),
                form_again=partial(_again, kind), form_action=GET_ACTION[kind]),) if kind in _SERVED else ())))
