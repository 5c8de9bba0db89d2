"""How the browser comes to the rows of endpoints and of what was done; ``visits.py`` says more."""

from collections.abc import Callable

from tests.browser.sites import SERVED
from tests.browser.strict import Strict

EXAMPLES: dict[str, str] = {
    "/console/endpoints": "/console/endpoints",
    "/console/endpoints/{id}": f"/console/endpoints/{SERVED}",
    "/console/endpoints/{id}/update": f"/console/endpoints/{SERVED}/update",
    "/console/endpoints/{id}/delete": f"/console/endpoints/{SERVED}/delete",
    "/console/new-endpoint": "/console/new-endpoint",
    "/console/activity": "/console/activity",
}


def create(strict: Strict, endpoint_id: str, *, job: str = "modeltraining/tr") -> None:
    """A new endpoint, by the form."""
    strict.open("/console/endpoints")
    page = strict.page
    page.get_by_role("link", name="New endpoint").click()
    page.get_by_label("Name").fill(endpoint_id)
    page.get_by_label("Model of").select_option(job)
    page.get_by_role("button", name="Create").click()


def _create(strict: Strict) -> None:
    create(strict, "by-form")
    strict.page.get_by_role("heading", level=1, name="by-form").wait_for()
    strict.page.locator("#state").get_by_text("InService").wait_for()


def _update(strict: Strict) -> None:
    create(strict, "to-update")
    page = strict.page
    page.get_by_role("link", name="Update").click()
    page.get_by_role("heading", name="Update to-update").wait_for()
    page.get_by_role("button", name="Update").click()
    page.locator("#state").get_by_text("2, coming").or_(page.locator("#state").get_by_text("2, in service")).wait_for()


def _delete(strict: Strict) -> None:
    create(strict, "to-delete")
    page = strict.page
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("dialog", name="Delete the endpoint to-delete?").get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/console/endpoints")
    page.get_by_role("link", name="to-delete").wait_for(state="detached")


def ask_for_a_sample(strict: Strict) -> None:
    """A prediction for the first of the nodes that the page offers."""
    strict.open(f"/console/endpoints/{SERVED}")
    page = strict.page
    page.get_by_role("group", name="item").get_by_role("button").first.click()
    page.get_by_role("region", name="colour of item").wait_for()


ACTIONS: dict[str, Callable[[Strict], None]] = {
    "/console/endpoints/{id}": ask_for_a_sample,
    "/console/endpoints/{id}/update": _update,
    "/console/endpoints/{id}/delete": _delete,
    "/console/new-endpoint": _create,
}
