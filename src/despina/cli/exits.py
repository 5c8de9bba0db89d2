"""The exit statuses of ``despina``; docs/cli.md has them, too."""

import signal
from collections.abc import Iterable

DONE = 0
ERROR = 1
"""It could not be done: told in one line on standard error."""
USAGE = 2
FAILED = 3
"""What was waited for has failed."""
STOPPED = 4
"""What was waited for was stopped or deleted by somebody."""
TIMED_OUT = 124
"""``--timeout`` came before the end; as of timeout(1)."""
INTERRUPTED = 128 + signal.SIGINT


def worst(statuses: Iterable[int]) -> int:
    """That of several things that were waited for: failed before stopped before done."""
    seen = set(statuses)
    return next((status for status in (FAILED, STOPPED) if status in seen), DONE)
