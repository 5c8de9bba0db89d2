"""How the browser comes to every row of the console's table: ``test_every_page.py`` demands that each is here, and goes there.

A new page needs an entry: a GET by an example of its path, a POST by a function that does it as people do, with the mouse.
"""

from collections.abc import Callable

from tests.browser.strict import Strict, sign_in

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


ACTIONS: dict[str, Callable[[Strict], None]] = {
    "/console/sign-in": _sign_in,
    "/console/sign-out": _sign_out,
    **{f"/console/{kind}/{{id}}/cancel": _cancel(kind) for kind in JobKind},
}
"""Pages that something is sent to: what does so for each pattern."""

ONLY_GUARDED = frozenset({"/console/sign-in", "/console/sign-out"})
"""Patterns that make no sense where nobody signs in."""
