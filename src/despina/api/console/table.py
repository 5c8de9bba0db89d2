"""THE TABLE of the console's pages: each file of pages has its rows, and here they come together."""

from collections import defaultdict
from urllib.parse import unquote

from despina.api.console import (
    activity,
    cancelling,
    endpoint_changes,
    endpoint_page,
    endpoints,
    front,
    job_lists,
    job_page,
    sign_in,
)
from despina.api.console.page import Page

PAGES: tuple[Page, ...] = (
    *front.PAGES,
    *job_lists.PAGES,
    *job_page.PAGES,
    *cancelling.PAGES,
    *endpoints.PAGES,
    *endpoint_page.PAGES,
    *endpoint_changes.PAGES,
    *activity.PAGES,
    *sign_in.PAGES,
)


class Table:
    """Finds pages by path. Fixed segments come before variables."""

    def __init__(self, pages: tuple[Page, ...]) -> None:
        self.navigation = tuple(page for page in pages if page.label)
        self._patterns: dict[int, dict[tuple[str, ...], dict[str, Page]]] = defaultdict(dict)
        for page in pages:
            pattern = tuple(page.path.strip("/").split("/"))
            self._patterns[len(pattern)].setdefault(pattern, {})[page.method] = page
        for length, patterns in self._patterns.items():
            # A variable begins with a brace, which comes after all letters.
            self._patterns[length] = dict(sorted(patterns.items()))

    def find(self, path: str) -> tuple[dict[str, Page] | None, dict[str, str]]:
        """The pages of a path by method, or None; and the variables in it, decoded. A slash at the end does not count."""
        segments = path.strip("/").split("/")
        for pattern, methods in self._patterns.get(len(segments), {}).items():
            pairs = list(zip(pattern, segments, strict=True))
            if all(part == segment or (part.startswith("{") and segment) for part, segment in pairs):
                return methods, {part[1:-1]: unquote(segment) for part, segment in pairs if part.startswith("{")}
        return None, {}
