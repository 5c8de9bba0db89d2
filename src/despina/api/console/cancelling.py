"""Cancelling a job, with and without ``clean``: the question, and the deed. Also what buttons other pages show for it."""

from functools import partial

from despina.api.console.actions import CANCEL, GET, GET_ACTION
from despina.api.console.page import ROOT, ConsoleRequest, Page, Reply
from despina.api.console.protection import local_path
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind, Status
from despina.core.requests import CancelJob


class Choices(Frozen, frozen=True, kw_only=True):
    """Which buttons a page shows for a job (the macro ``cancel`` of ``components.html``)."""

    id: str
    url: str
    """Of the page that asks."""
    cancel: bool
    clean: bool


def may_cancel(request: ConsoleRequest, kind: JobKind) -> bool:
    """Whether who asks may cancel jobs of this kind."""
    return request.allows(f"neptune-db:{CANCEL[kind]}")


def choices(job: Job, *, allowed: bool) -> Choices:
    """What there is to choose for a job: nothing once it has completed or failed, and nothing twice.

    Args:
        job: The job.
        allowed: Whether who asks may cancel it.
    """
    stopping = job.shown_status is Status.IN_PROGRESS
    cleaning = not job.clean and not job.status.is_terminal
    sweeping = job.status is Status.STOPPED and not job.swept
    return Choices(id=job.id, url=_url(job.kind, job.id), cancel=allowed and stopping, clean=allowed and (cleaning or sweeping))


def _url(kind: JobKind, job_id: str) -> str:
    return f"{ROOT}/{kind}/{job_id}/cancel"


def _ask(kind: JobKind, request: ConsoleRequest) -> Reply:
    job = request.plane.jobs.get(kind, request.path["id"])
    clean = request.query.get("clean") == "true"
    back = local_path(request.query.get("back"), f"{ROOT}/{kind}")
    running = not job.status.is_terminal
    texts = []
    if running:
        texts.append("Its runs are stopped; what they have not written yet is lost.")
    texts.append("The job itself stays in the list.")
    what = f"Cancel {job.id}" if running else f"Clean {job.id}"
    return request.render(
        "confirm_dialog.html" if request.fragment else "confirm.html",
        question=f"{what}{' and delete its artefacts' if clean and running else ''}?", texts=texts,
        roles=roles_to_choose(request), deleted=job.prefix if clean else "", action=_url(kind, job.id),
        hidden={"clean": str(clean).lower(), "back": back},
        yes="Cancel and delete" if clean and running else "Delete" if clean else "Cancel the job",
        no="Keep it going" if running else "Keep them")


def roles_to_choose(request: ConsoleRequest) -> tuple[str, ...]:
    """The roles of which one must be named, because the cluster has no default."""
    group = request.settings.parameter_group
    return (group.roles or ()) if not group.default else ()


def _cancel(kind: JobKind, request: ConsoleRequest) -> Reply:
    wish = CancelJob(id=request.path["id"], clean=request.form.get("clean") == "true",
                     neptune_iam_role_arn=request.form.get("role"))
    request.plane.jobs.cancel(kind, wish, request.caller())
    return request.redirect(local_path(request.form.get("back"), f"{ROOT}/{kind}"))


PAGES = tuple(
    page for kind in JobKind for page in (
        Page(GET[kind], "GET", f"{ROOT}/{kind}/{{id}}/cancel", GET_ACTION[kind], partial(_ask, kind)),
        Page(CANCEL[kind], "POST", f"{ROOT}/{kind}/{{id}}/cancel", CANCEL[kind], partial(_cancel, kind))))
