"""A browser that puts up with nothing: what a page does wrong fails the test."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response
from tests.browser.sites import Site

from despina.api.console.table import PAGES, Table

AXE = Path(__file__).parent / "js" / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 860}
_FAILED_LOAD = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
_TABLE = Table(PAGES)


class Strict:
    """Watches a page. ``faults`` must stay empty; ``seen`` are the rows of the console's table that were asked for and answered."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site
        self.faults: list[str] = []
        self.seen: set[tuple[str, str]] = set()
        self._expected: set[int] = set()
        self._told: set[int] = set()
        """Those that were ever expected: the browser's own line about an answer may come some time after it."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on("requestfailed", self._on_failure)
        page.on("response", self._on_response)

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """Within this, answers of these statuses are no fault."""
        self._expected |= set(statuses)
        self._told |= set(statuses)
        yield
        self.page.wait_for_load_state()
        self._expected -= set(statuses)

    def open(self, path: str) -> Response:
        """Go to a path of the site."""
        response = self.page.goto(self.site.url + path)
        assert response is not None
        return response

    def _on_console(self, message: ConsoleMessage) -> None:
        failed = _FAILED_LOAD.match(message.text)
        if message.type in {"error", "warning"} and not (failed and int(failed[1]) in self._told):
            self.faults.append(f"console {message.type}: {message.text}")

    def _on_failure(self, request: Request) -> None:
        # Leaving a page ends what it was fetching.
        if request.failure != "net::ERR_ABORTED" or request.is_navigation_request():
            self.faults.append(f"failed request: {request.method} {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        parts = urlsplit(response.url)
        if f"{parts.scheme}://{parts.netloc}" != self.site.url:
            self.faults.append(f"a request to elsewhere: {response.url}")
        if response.status >= 400 and response.status not in self._expected:
            self.faults.append(f"status {response.status}: {response.request.method} {response.url}")
        methods, _ = _TABLE.find(parts.path)
        if methods and response.request.method in methods and response.status < 400:
            self.seen.add((response.request.method, methods[response.request.method].path))


def sign_in(strict: Strict, keys: dict[str, str], *, path: str = "/console") -> None:
    """Sign in by the form, to go to this path."""
    strict.open(path)
    page = strict.page
    page.get_by_label("Access key id").fill(keys["AWS_ACCESS_KEY_ID"])
    page.get_by_label("Secret access key").fill(keys["AWS_SECRET_ACCESS_KEY"])
    if "AWS_SESSION_TOKEN" in keys:
        page.get_by_text("Temporary key").click()
        page.get_by_label("Session token").fill(keys["AWS_SESSION_TOKEN"])
    page.get_by_role("button", name="Sign in").click()


def check_access(page: Page, *, thorough: bool = True) -> None:
    """Have axe look for what WCAG 2.1 (A, AA) forbids and best practice advises against: light, dark, and on a phone.

    Args:
        page: The page as it stands.
        thorough: Whether it is looked at in dark mode and on a phone, too.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    views: list[tuple[Any, Any, dict[str, Any]]] = [("light", DESK, {})]
    if thorough:
        # What the colours do not change is not looked at again.
        views += [("dark", DESK, {"runOnly": {"type": "rule", "values": ["color-contrast"]}}), ("light", PHONE, {})]
    for colours, size, options in views:
        page.emulate_media(color_scheme=colours)
        page.set_viewport_size(size)
        found = page.evaluate("options => axe.run(document, {resultTypes: ['violations'], ...options})", options)
        told = [f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']][:3]}" for one in found["violations"]]
        assert not told, f"{page.url} ({colours}, {size['width']} px): {told}"
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{page.url} is {wide} px too wide for {size['width']} px"
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(views[0][1])


def cookies_of(context: BrowserContext) -> dict[str, dict[str, Any]]:
    """The cookies of a context by name."""
    return {str(cookie.get("name")): dict(cookie) for cookie in context.cookies()}
