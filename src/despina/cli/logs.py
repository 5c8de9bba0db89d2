"""Prints the log of a run of a job or endpoint, and follows it."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from despina.cli import exits
from despina.cli.client import NoAnswer, Unavailable
from despina.cli.waiting import PATIENCE_SECONDS, POLL_SECONDS


def show(read: Callable[[str], dict[str, Any]], *, over: Callable[[], bool], follow: bool, as_json: bool) -> int:
    """Print what is there, and go on until nothing more is to come.

    Args:
        read: Gives a part of the log from a token on, the first of which is ``0`` (``nextForwardToken``).
        over: Whether no more is written.
        follow: Whether to wait for more.
        as_json: Print the events as JSON lines.
    """
    token, run, last_answer = "0", None, None
    while True:
        try:
            ended = not follow or over()
            answer = read(token)
        except (NoAnswer, Unavailable):
            if last_answer is None or time.monotonic() - last_answer > PATIENCE_SECONDS:
                raise
            time.sleep(POLL_SECONDS)
            continue
        last_answer = time.monotonic()
        if run not in {None, answer["run"]}:
            # The next run has started: its log begins anew.
            run, token = answer["run"], "0"
            continue
        run = answer["run"]
        for event in answer["events"]:
            print(json.dumps(event) if as_json else event["message"])
        sys.stdout.flush()
        moved, token = answer["nextForwardToken"] != token, answer["nextForwardToken"]
        if not moved and ended:
            return exits.DONE
        if not moved:
            time.sleep(POLL_SECONDS)
