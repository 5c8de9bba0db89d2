"""Every row of the console's table is visited, with and without signing in, and is open to everybody."""

import pytest
from tests.browser.sites import MODES
from tests.browser.strict import Strict, check_access
from tests.browser.visits import ACTIONS, EXAMPLES, ONLY_GUARDED

from despina.api.console.front import HOME
from despina.api.console.table import PAGES

GET, POST = ([page.path for page in PAGES if page.method == method] for method in ("GET", "POST"))


def test_there_is_a_way_to_every_page() -> None:
    assert set(EXAMPLES) == set(GET), "tests/browser/visits.py: EXAMPLES"
    assert set(ACTIONS) == set(POST), "tests/browser/visits.py: ACTIONS"


@pytest.mark.parametrize("path", GET)
def test_the_page_is_there(strict: Strict, path: str) -> None:
    response = strict.open(EXAMPLES[path])
    assert response.status == 200
    assert ("GET", path) in strict.seen
    if "text/html" not in response.headers["content-type"]:
        return
    page = strict.page
    assert page.title().endswith("· Despina")
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1 or page.get_by_role("heading", level=2).count() >= 1
    # Signing in changes the top of a page alone: one of them is looked at with it, and what is shown only then.
    if strict.site.mode == "open" or path in {HOME, *ONLY_GUARDED}:
        check_access(page)


@pytest.mark.parametrize(("site", "path"), [(mode, path) for path in POST for mode in MODES
                                            if mode == "guarded" or path not in ONLY_GUARDED], indirect=["site"])
def test_the_deed_is_done(strict: Strict, path: str) -> None:
    ACTIONS[path](strict)
    assert ("POST", path) in strict.seen
