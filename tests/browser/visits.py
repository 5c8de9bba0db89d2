"""How the browser comes to every row of the console's table: ``test_every_page.py`` demands that each is here, and goes there.

A new page needs an entry: a GET by an example of its path, a POST by a function that does it as people do, with the mouse.
"""

from collections.abc import Callable

from tests.browser import endpoint_visits
from tests.browser.strict import Strict, sign_in
from tests.wire.guarded import client

from despina.core.job import JobKind

EXAMPLES: dict[str, str] = {
    "/console": "/console",
    "/console/sign-in": "/console/sign-in",
    "/console/modeltraining": "/console/modeltraining",
    "/console/dataprocessing": "/console/dataprocessing",
    "/console/modeltransform": "/console/modeltransform",
    "/console/modeltraining/{id}/cancel": "/console/modeltraining/continents-waiting/cancel",
    "/console/dataprocessing/{id}/cancel": "/console/dataprocessing/airports-waiting/cancel?clean=true",
    "/console/modeltransform/{id}/cancel": "/console/modeltransform/moved-waiting/cancel",
    "/console/modeltraining/{id}": "/console/modeltraining/tr?trial=1&scale=log&sort=p:lr",
    "/console/dataprocessing/{id}": "/console/dataprocessing/dp",
    "/console/modeltransform/{id}": "/console/modeltransform/moved-failed",
    "/console/modeltraining/{id}/log": "/console/modeltraining/tr/log",
    "/console/dataprocessing/{id}/log": "/console/dataprocessing/dp/log",
    "/console/modeltransform/{id}/log": "/console/modeltransform/moved-waiting/log",
    **endpoint_visits.EXAMPLES,
}
"""Pages that are looked at: a path for each pattern."""


def _sign_in(strict: Strict) -> None:
    strict.page.context.clear_cookies()
    sign_in(strict, strict.site.keys)
    strict.page.get_by_role("heading", name="Training jobs").wait_for()


def _sign_out(strict: Strict) -> None:
    _sign_in(strict)
    strict.page.get_by_role("button", name="Sign out").click()
    strict.page.get_by_role("heading", name="Sign in").wait_for()


def _cancel(kind: JobKind) -> Callable[[Strict], None]:
    def act(strict: Strict) -> None:
        job = f"{kind}-to-cancel"
        strict.open(f"/console/{kind}?name={job}")
        page = strict.page
        page.get_by_role("link", name=f"Cancel {job}", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
        page.get_by_role("row", name=job).get_by_text("Stop").first.wait_for()

    return act


def _create_endpoint(kind: JobKind, job: str) -> Callable[[Strict], None]:
    def act(strict: Strict) -> None:
        name = f"{strict.site.mode}-{kind}"
        strict.open(f"/console/{kind}/{job}")
        strict.page.get_by_label("Id of the new endpoint").fill(name)
        strict.page.get_by_role("button", name="Create endpoint").click()
        strict.page.get_by_role("heading", level=1, name=name).wait_for()
        api = client(strict.site.server, strict.site.keys) if strict.site.keys else strict.site.server.boto3()
        assert api.get_ml_endpoint(id=name)["status"] in {"Creating", "InService"}
        api.delete_ml_endpoint(id=name)

    return act


ACTIONS: dict[str, Callable[[Strict], None]] = {
    "/console/sign-in": _sign_in,
    "/console/sign-out": _sign_out,
    **{f"/console/{kind}/{{id}}/cancel": _cancel(kind) for kind in JobKind},
    "/console/modeltraining/{id}/endpoint": _create_endpoint(JobKind.MODEL_TRAINING, "tr"),
    "/console/modeltransform/{id}/endpoint": _create_endpoint(JobKind.MODEL_TRANSFORM, "moved-completed"),
    **endpoint_visits.ACTIONS,
}
"""Pages that something is sent to: what does so for each pattern."""

ONLY_GUARDED = frozenset({"/console/sign-in", "/console/sign-out"})
"""Patterns that make no sense where nobody signs in."""
