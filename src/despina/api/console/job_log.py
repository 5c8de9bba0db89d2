"""The log of a job's run on its page: its end, which follows, and the whole of it as plain text."""

import re

from despina.api.console.page import ConsoleRequest
from despina.core.errors import JobNotFound
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind, Run, RunKind
from despina.core.requests import ReadJobLogs

SHOWN_LINES = 200
MOST_PARTS = 16
"""Parts of a log (each 256 KiB at most) that are read for one page."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""ECMA-48: control sequences, operating-system commands, and the other escapes of two characters."""


class Tail(Frozen, frozen=True, kw_only=True):
    """The end of a run's log."""

    run: str
    name: str
    text: str = ""
    begin: int = 0
    """The offset of its first byte: from there on the page asks again."""
    left_out: bool = False
    """Whether there are lines before it."""
    after: int | None = None
    """Where the log goes on, if it is longer than what is read for a page."""
    gone: str = ""
    """Why there is none."""


def run_name(run: Run) -> str:
    """What a run is called where one is to be chosen."""
    name = f"trial {run.number + 1}" if run.kind is RunKind.TRIAL else str(run.kind)
    return f"{name}, attempt {run.attempt}" if run.attempt > 1 else name


def chosen_run(job: Job, wanted: str | None) -> Run | None:
    """The run asked for; else the one that failed, or that started last. None while none has started."""
    started = [run for run in job.runs if run.started_at is not None]
    named = [run for run in started if run.id == wanted]
    failed = [run for run in started if run.failure_reason and job.failure_reason]
    return next(iter(named or failed or sorted(started, key=lambda run: run.started_at or 0, reverse=True)), None)


def tail(request: ConsoleRequest, kind: JobKind, job: Job, run: Run, offset: int) -> Tail:
    """The last lines of what the log has from ``offset`` on."""
    data, begin, after, more = b"", offset, offset, False
    try:
        for part in range(MOST_PARTS + 1):
            _, text, end = request.plane.jobs.read_logs(kind, ReadJobLogs(id=job.id, run=run.id, next_token=after))
            if not text:
                break
            if part == MOST_PARTS:
                more = True
                break
            data, after = data + text, end
    except JobNotFound as error:
        return Tail(run=run.id, name=run_name(run), gone=str(error))
    lines = data.splitlines(keepends=True)
    shown = lines[-SHOWN_LINES:]
    left_out = sum(map(len, lines[:-SHOWN_LINES]))
    return Tail(run=run.id, name=run_name(run), text=plain(b"".join(shown)), begin=begin + left_out, after=after if more else None,
                left_out=bool(begin + left_out))


def whole(request: ConsoleRequest, kind: JobKind, job: Job, run: Run, offset: int) -> bytes:
    """The log from ``offset`` on as plain text, with a last line that says so if it goes on."""
    parts, after = [], offset
    for _ in range(MOST_PARTS):
        _, text, after = request.plane.jobs.read_logs(kind, ReadJobLogs(id=job.id, run=run.id, next_token=after))
        parts.append(text)
        if not text:
            return b"".join(parts)
    return b"".join(parts) + f"\n[The log goes on: add &from={after} to this page's address for the rest.]\n".encode()


def plain(text: bytes) -> str:
    """The text without what steers a terminal; of a line that was written over (carriage return) what stands there at last."""
    without = _ESCAPES.sub("", text.decode("utf-8", "replace"))
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in without.split("\n")]
    return "\n".join("".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line) for line in lines)
