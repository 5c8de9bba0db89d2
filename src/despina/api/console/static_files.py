"""The style sheet, the script and the icon. A hash of its content stands in each one's URL, so that browsers keep it for ever."""

import hashlib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "static"
PREFIX = "/console/static/"
_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}


class StaticFile(NamedTuple):
    """A file as it is sent."""

    content_type: bytes
    body: bytes


class StaticFiles:
    """All files of the folder, read once."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}
        self._files: dict[str, StaticFile] = {}
        for path in sorted(FOLDER.iterdir()):
            if path.suffix in _TYPES:
                body = path.read_bytes()
                url = f"{PREFIX}{path.stem}-{hashlib.sha256(body).hexdigest()[:16]}{path.suffix}"
                self._urls[path.name] = url
                self._files[url] = StaticFile(_TYPES[path.suffix], body)

    def url(self, name: str) -> str:
        """Where a file is found; KeyError if there is none of this name."""
        return self._urls[name]

    def find(self, path: str) -> StaticFile | None:
        """The file at this path."""
        return self._files.get(path)
