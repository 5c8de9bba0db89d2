"""The log of a process on standard error, as text or as JSON, one line an entry.

Each entry tells to what it belongs: the request, and who made it; the job, and its run.
"""

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol

import msgspec

from despina.core.errors import DespinaError

log = logging.getLogger("despina")


class About(Protocol):
    """What is being worked on."""

    def told(self) -> Mapping[str, str | None]:
        """By the names of ``NAMES``, as it is known when an entry is written."""
        ...


about: ContextVar[About | None] = ContextVar("about", default=None)
NAMES = ("request_id", "operation", "principal", "job_kind", "job_id", "run_id")
"""In the order of their telling."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS = ("text", "json")


class Text(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of logging
        """The line before a traceback."""
        told = " ".join(f"{name}={value}" for name, value in belongings(record).items())
        return f"{super().formatMessage(record)} [{told}]" if told else super().formatMessage(record)


class Json(logging.Formatter):
    """For programs: ``time``, ``level``, ``logger``, ``message``, those of ``NAMES`` that are known, and ``error``, a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname, "logger": record.name, "message": record.getMessage(), **belongings(record)}
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        # A text may quote a lone surrogate, which has no UTF-8.
        clean = {name: value.encode("utf-8", "backslashreplace").decode() for name, value in entry.items()}
        return msgspec.json.encode(clean).decode()


def belongings(record: logging.LogRecord) -> dict[str, str]:
    """What the entry belongs to, as far as that is known; what is given with it (``extra``) comes first."""
    work = about.get()
    told = {**(work.told() if work is not None else {}), **{name: value for name, value in vars(record).items() if name in NAMES}}
    return {name: value for name in NAMES if (value := told.get(name)) is not None}


def log_to_stderr(environ: Mapping[str, str]) -> str:
    """Send the log, Python's warnings and whatever ends a thread to standard error; in which format.

    ``DESPINA_LOG_LEVEL`` is the least level (INFO), ``DESPINA_LOG_FORMAT`` is ``text`` or ``json``.

    Raises:
        DespinaError: one of them has another value.
    """
    level = _one_of(environ, "DESPINA_LOG_LEVEL", "INFO", LEVELS, str.upper)
    shape = _one_of(environ, "DESPINA_LOG_FORMAT", "text", FORMATS, str.lower)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if shape == "json" else Text())
    logging.basicConfig(handlers=[handler], level=level)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _ended
    threading.excepthook = lambda what: _ended(what.exc_type, what.exc_value or what.exc_type(), what.exc_traceback)
    return shape


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    elif not issubclass(kind, SystemExit):
        log.critical("Nobody expected this.", exc_info=(kind, error, trace))


def _one_of(environ: Mapping[str, str], name: str, default: str, choice: tuple[str, ...], spelled: Callable[[str], str]) -> str:
    value = spelled(environ.get(name) or default)
    if value not in choice:
        raise DespinaError(f"{name} is '{environ[name]}': it must be one of {', '.join(choice)}.")
    return value
