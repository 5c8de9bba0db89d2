"""Making an endpoint, having it serve another model, and deleting it: the forms, the question, and the deeds."""

from despina.api.console.actions import LIST
from despina.api.console.cancelling import roles_to_choose
from despina.api.console.endpoints import PATH
from despina.api.console.job_view import KINDS
from despina.api.console.page import ROOT, ConsoleRequest, Page, Reply
from despina.core.endpoint import Endpoint
from despina.core.errors import DespinaError, MissingMember, UnreadableParameter
from despina.core.frozen import Frozen
from despina.core.job import JobKind, Status
from despina.core.requests import CancelJob, CreateEndpoint, ListJobs, members
from despina.core.rules import job_id

NEW = f"{ROOT}/new-endpoint"
_OFFERED = 100
"""Completed jobs of each kind that there are to choose from, the newest."""
_SERVED = (JobKind.MODEL_TRAINING, JobKind.MODEL_TRANSFORM)
"""The kinds of job that leave a model."""


class Served(Frozen, frozen=True, kw_only=True):
    """A completed job whose model can be served."""

    value: str
    """Of the form's field: the kind and the id."""
    text: str


def _new(request: ConsoleRequest) -> Reply:
    request.authorize("neptune-db:CreateMLEndpoint")
    return _form(request, None)


def _update(request: ConsoleRequest) -> Reply:
    request.authorize("neptune-db:CreateMLEndpoint")
    return _form(request, request.plane.endpoints.get(request.path["id"]))


def _create(request: ConsoleRequest) -> Reply:
    wish = _wish(request, request.form.get("id"), update=False)
    return request.redirect(f"{PATH}/{request.plane.endpoints.create(wish, request.caller()).id}")


def _replace(request: ConsoleRequest) -> Reply:
    wish = _wish(request, request.path["id"], update=True)
    return request.redirect(f"{PATH}/{request.plane.endpoints.create(wish, request.caller()).id}")


def _again(request: ConsoleRequest, error: DespinaError) -> Reply:
    updated = request.plane.endpoints.find(request.path["id"]) if "id" in request.path else None
    return _form(request, updated, problem=str(error))


def _wish(request: ConsoleRequest, endpoint_id: str | None, *, update: bool) -> CreateEndpoint:
    """What the form says, held to the rules that the API has for it."""
    if endpoint_id:
        job_id("id", endpoint_id)
    kind, _, job = request.form.get("job", "").partition("/")
    if kind not in _SERVED or not job:
        raise MissingMember("A completed job must be chosen whose model is to be served.")
    job_id("job", job)
    text = request.form.get("instances", "1")
    if not text.isdecimal() or len(text) > 9:
        raise UnreadableParameter(f"The value '{text[:100]}' of 'replicas' cannot be read: it must be a whole number.")
    rule = members(CreateEndpoint)["instance_count"].rule
    if rule is not None:
        rule("replicas", int(text))
    training = kind == JobKind.MODEL_TRAINING
    return CreateEndpoint(
        id=endpoint_id, update=update, instance_count=int(text), ml_model_training_job_id=job if training else None,
        ml_model_transform_job_id=None if training else job, neptune_iam_role_arn=request.form.get("role"))


def _form(request: ConsoleRequest, updated: Endpoint | None, *, problem: str = "") -> Reply:
    version = updated.newest if updated else None
    instances = str(version.instances) if version else "1"
    given = request.form or request.query  # a link may have chosen the job already
    return request.render(
        "endpoint_form.html", updated=updated, problem=problem, jobs=_offered(request), id=given.get("id", ""),
        chosen=given.get("job", f"{version.kind}/{version.job_id}" if version else ""), instances=given.get("instances", instances),
        action=f"{PATH}/{updated.id}/update" if updated else NEW, back=f"{PATH}/{updated.id}" if updated else PATH,
        roles=roles_to_choose(request))


def _offered(request: ConsoleRequest) -> tuple[Served, ...]:
    wanted, found = ListJobs(max_items=_OFFERED, status=Status.COMPLETED), []
    for kind in _SERVED:
        if request.allows(f"neptune-db:{LIST[kind]}"):
            found += [Served(value=f"{kind}/{job}", text=f"{job} ({KINDS[kind].lower()})")
                      for job in request.plane.jobs.list(kind, wanted).ids]
    return tuple(found)


def _ask(request: ConsoleRequest) -> Reply:
    endpoint = request.plane.endpoints.get(request.path["id"])
    return request.render(
        "confirm_dialog.html" if request.fragment else "confirm.html", question=f"Delete the endpoint {endpoint.id}?",
        texts=["Its replicas are ended, and who asks it is refused from then on.",
               "The job's artefacts stay, and can be served again."],
        roles=roles_to_choose(request), deleted="", action=f"{PATH}/{endpoint.id}/delete", hidden={"back": f"{PATH}/{endpoint.id}"},
        yes="Delete it", no="Keep it")


def _delete(request: ConsoleRequest) -> Reply:
    wish = CancelJob(id=request.path["id"], neptune_iam_role_arn=request.form.get("role"))
    request.plane.endpoints.delete(wish, request.caller())
    return request.redirect(PATH)


PAGES = (
    Page("ListMLEndpoints", "GET", NEW, "ListMLEndpoints", _new),
    Page("CreateMLEndpoint", "POST", NEW, "CreateMLEndpoint", _create, form_again=_again),
    Page("GetMLEndpoint", "GET", f"{PATH}/{{id}}/update", "GetMLEndpointStatus", _update),
    Page("CreateMLEndpoint", "POST", f"{PATH}/{{id}}/update", "CreateMLEndpoint", _replace, form_again=_again,
         form_action="GetMLEndpointStatus"),
    Page("GetMLEndpoint", "GET", f"{PATH}/{{id}}/delete", "GetMLEndpointStatus", _ask),
    Page("DeleteMLEndpoint", "POST", f"{PATH}/{{id}}/delete", "DeleteMLEndpoint", _delete),
)
