"""Templates: what ``request.render`` makes of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from despina.api.console import formats, job_view
from despina.api.console.page import Page
from despina.api.console.static_files import StaticFiles

FOLDER = Path(__file__).parent / "templates"


class Templates:
    """The templates of the folder. Everything is escaped, and a name that is not there is an error."""

    def __init__(self, static: StaticFiles, navigation: tuple[Page, ...]) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, auto_reload=False, trim_blocks=True,
            lstrip_blocks=True)
        self._environment.globals.update(static=static.url, navigation=navigation)
        self._environment.filters.update(
            when=formats.when, iso=formats.iso, duration=formats.duration, person=formats.person, spent=job_view.spent)

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """The text of a template with these values."""
        return self._environment.get_template(template).render(values)
