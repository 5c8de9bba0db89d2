"""The thread that watches runs on a cluster and tells of every change."""

import logging
import threading
import time
from collections.abc import Callable

from despina.core.job import Observation
from despina.engine.ray_jobs import NodeSilent

_logger = logging.getLogger(__name__)

SHORTEST, LONGEST = 0.25, 1.0
"""Seconds between two rounds: right after something has happened, and when nothing has for long."""
_GROWTH = 1.5
_SHARE = 10
"""A round that took a second is followed by a pause of so many, so that asking for many runs is no load on the cluster."""
_OUTAGE = 5.0
"""Seconds after which a cluster that did not answer is asked again."""
_REMINDER = 60.0
"""Seconds after which the log says once more that it does not answer."""


class Watch:
    """Looks at the runs that are followed, one after the other, again and again; first of all, whether there is a cluster."""

    def __init__(self, *, greet: Callable[[], object], look: Callable[[str], Observation],
                 on_change: Callable[[str], None]) -> None:
        """``greet`` asks anything of the cluster. Both raise OSError when it does not answer: the run is then what it was.
        NodeSilent concerns one run alone."""
        self._greet = greet
        self._look = look
        self._on_change = on_change
        self._seen: dict[str, Observation] = {}
        """The live runs as of the last look at each."""
        self._lock = threading.Lock()
        self._stir = threading.Event()
        self._closing = False
        self._outage_told: float | None = None
        self._thread = threading.Thread(target=self._work, name="despina-engine", daemon=True)
        self._thread.start()

    def seen(self, run_id: str) -> Observation | None:
        """What was seen of a live run last; None: it is not followed."""
        with self._lock:
            return self._seen.get(run_id)

    def follow(self, run_id: str, seen: Observation) -> None:
        """Look at the run soon and tell when its state is another than that of ``seen``, if it is not followed already."""
        with self._lock:
            self._seen.setdefault(run_id, seen)
        self._stir.set()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._stir.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        pause = SHORTEST
        while not self._closing and not self._is_met():
            self._stir.wait(_OUTAGE)
            self._stir.clear()
        while not self._closing:
            if self._stir.wait(pause if self._seen else None):
                self._stir.clear()
                pause = SHORTEST
            began = time.monotonic()
            try:
                changed = self._round()
                self._tell_of_answer()
            except OSError as error:
                self._tell_of_outage(error)
                pause = _OUTAGE
                continue
            except Exception:
                _logger.exception("The engine could not look at its runs; it will try again.")
                pause = _OUTAGE
                continue
            grown = SHORTEST if changed else min(pause * _GROWTH, LONGEST)
            pause = max(grown, _SHARE * (time.monotonic() - began))

    def _is_met(self) -> bool:
        try:
            self._greet()
        except OSError as error:
            self._tell_of_outage(error)
            return False
        except Exception:
            _logger.exception("The engine could not greet its cluster.")
        self._tell_of_answer()
        return True

    def _tell_of_outage(self, error: OSError) -> None:
        now = time.monotonic()
        if self._outage_told is None or now - self._outage_told >= _REMINDER:
            _logger.error("%s Runs that are there go on, and nothing is started meanwhile; it is asked again every %.0f s.", error,
                          _OUTAGE)
            self._outage_told = now

    def _tell_of_answer(self) -> None:
        if self._outage_told is not None:
            _logger.info("The engine's cluster answers again.")
            self._outage_told = None

    def _round(self) -> bool:
        """Look at every run once; whether anything has changed."""
        changed = False
        for run_id, before in tuple(self._seen.items()):
            if self._closing:
                break
            try:
                now = self._look(run_id)
            except NodeSilent as error:
                _logger.info("%s", error)
                continue
            with self._lock:
                if now.state is not None and now.state.is_live:
                    self._seen[run_id] = now
                else:
                    del self._seen[run_id]
            if now.state is not before.state:
                changed = True
                self._tell(run_id)
        return changed

    def _tell(self, run_id: str) -> None:
        try:
            self._on_change(run_id)
        except Exception:
            _logger.exception("The listener failed for run %s.", run_id)
