"""What a run's files and processes say of how it ended."""

import contextlib
import os
import signal
import time
from typing import Any

import msgspec

from despina.core.job import Observation, RunState
from despina.engine.folder import Exit, RunClaim, RunFolder
from despina.engine.processes import kill_marked, open_process

_LOG_LIMIT = 600
"""Characters of the log that a reason quotes."""


def find_end(run: RunFolder, claim: RunClaim) -> Exit | None:
    """How a claimed run ended, or None while it runs.

    When its supervisor died without a word (it was killed, or the machine was), whatever is left of the run is killed, and the end
    is recorded once nothing is left.
    """
    if claim.supervisor is None:
        return Exit(code=None, signal=None, stopped=True, started_at=claim.at, finished_at=claim.at)
    end = run.read_exit()
    if end is not None:
        return end
    pidfd = open_process(claim.supervisor)
    if pidfd is not None:
        os.close(pidfd)
        return None
    end = run.read_exit()  # again: it may have been written between the two looks
    if end is not None:
        return end
    if kill_marked(run.marks) > 0:
        return None
    end = Exit(code=None, signal=None, stopped=False, started_at=claim.at, finished_at=time.time_ns() // 1_000_000)
    with contextlib.suppress(OSError):  # a full disk keeps the record from being made, not the run from being over
        run.end(end)
    return end


def describe(run: RunFolder, claim: RunClaim, end: Exit) -> Observation:
    """The observation of a run that has ended."""
    state, result, reason = _judge(run, end)
    started = claim.supervisor is not None
    return Observation(
        state=state,
        progress=run.read_progress(),
        result=result,
        failure_reason=reason,
        out_of_memory=end.out_of_memory,
        started_at=end.started_at if started else None,
        finished_at=end.finished_at,
        usage=end.usage,
    )


def _judge(run: RunFolder, end: Exit) -> tuple[RunState, dict[str, Any] | None, str | None]:  # noqa: PLR0911 - a table of cases
    """State, result and reason. A failure that the program itself gives a reason for needs no other."""
    if end.stopped:
        return RunState.STOPPED, None, None
    try:
        word = run.read_last_word()
    except (msgspec.DecodeError, RecursionError) as error:
        return RunState.FAILED, None, f"The program's last word cannot be read: {error}."
    if word is not None and word.failure_reason is not None:
        return RunState.FAILED, None, word.failure_reason
    if word is not None and word.result is not None:
        # It is the last thing that a program writes: the work is done, whatever happened to the process after it.
        return RunState.SUCCEEDED, word.result, None
    if end.signal is not None:
        why = "killed for lack of memory" if end.out_of_memory else f"killed by {_name(end.signal)}"
        return RunState.LOST, None, f"The program was {why}."
    if end.code is None:
        return RunState.LOST, None, "The run's processes were killed from outside, or the machine was restarted."
    if end.code != 0:
        log = run.read_last_log_lines(_LOG_LIMIT)
        return RunState.FAILED, None, f"The program ended with exit status {end.code}{': ' + log if log else '.'}"
    return RunState.FAILED, None, "The program ended with exit status 0 and left no result."


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
