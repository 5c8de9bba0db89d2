"""Waiting for something to become true, for so long and no longer."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 90
"""How long a test waits for anything at all."""

T = TypeVar("T")


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    """What ``look`` finds, as soon as it finds something true."""
    end = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"waited {PATIENCE_SECONDS} s for {what}"
        pause.wait(0.02)
