"""A real browser, Debian's Chromium, and the servers that it visits, shared by all tests here."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from tests.browser.sites import MODES, Site, end_site, start_site
from tests.browser.strict import AXE, DESK, Strict

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
PATIENCE_MS = 30_000

expect.set_options(timeout=PATIENCE_MS)

NewPage = Callable[..., Strict]


@pytest.fixture(scope="session")
def set_up() -> None:
    """That there are a browser and axe."""
    missing = [what for what, path in (("scripts/setup-chromium", CHROMIUM), ("scripts/setup-js", AXE)) if not path.exists()]
    if missing:
        message = f"the browser's tests are not set up: {', '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="module")
def browser(set_up: None) -> Iterator[Browser]:
    """The browser. One for each file: while there is one its event loop runs, and other tests want one of their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sites(set_up: None, tmp_path_factory: pytest.TempPathFactory, trained_data: Path) -> Iterator[dict[str, Site]]:
    """The servers by mode. They are for all tests: a test leaves the jobs that it finds as they are."""
    folder = tmp_path_factory.mktemp("sites")
    started = {mode: start_site(mode, folder / mode, trained_data) for mode in MODES}
    yield started
    for site in started.values():
        end_site(site)


@pytest.fixture(params=MODES)
def site(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    """Each of the servers in its turn."""
    return sites[request.param]


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """Opens pages, each in a context of its own, and fails the test in the end if one of them did anything wrong."""
    opened: list[tuple[Strict, BrowserContext]] = []

    def new(site: Site, *, signed_in: bool = True, **options: Any) -> Strict:
        """``signed_in``: as Alice, where people sign in."""
        context = browser.new_context(viewport=DESK, **options)  # type: ignore[arg-type]
        if signed_in and site.session:
            name, value = site.session
            context.add_cookies([{"name": name, "value": value, "url": f"{site.url}/console"}])
        context.set_default_timeout(PATIENCE_MS)
        opened.append((Strict(context.new_page(), site), context))
        return opened[-1][0]

    yield new
    faults = [fault for strict, _ in opened for fault in strict.faults]
    for _, context in opened:
        context.close()
    assert not faults, faults


@pytest.fixture
def strict(new_page: NewPage, site: Site) -> Strict:
    """A page at each of the servers, signed in."""
    return new_page(site)
