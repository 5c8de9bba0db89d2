"""The loop that keeps endpoints up: observe their replicas, advance them, write, and only then do what is to be done.

Any number of reconcilers may work on one store: of two that have read the same record one writes, and what the other does is the
same. A pass may be cut off anywhere: submitting, stopping and forgetting twice is once.
"""

import logging
import threading

from despina.control.hints import Hints
from despina.core.endpoint import Endpoint
from despina.core.endpoint_lifecycle import (
    EndpointCommand,
    Forget,
    Remove,
    advance_endpoint,
    is_settled,
    next_endpoint_moment,
)
from despina.core.lifecycle import Seen, Stop, Submit
from despina.core.ports import Clock, EndpointStore, Engine, StoredEndpoint

log = logging.getLogger("despina.endpoints")

LOOK_AGAIN_MS = 5_000
"""How often an endpoint is looked at although nothing was reported."""
MOVING_MS = 40
"""… while a replica is on its way up or down: that it answers is reported to nobody."""
LONGEST_WAIT_MS = 1_000
"""Wishes written by other processes are seen after this time at the latest, also where the database tells nothing of them."""


class EndpointReconciler:
    """Keeps endpoints as they are wished. Call ``run`` in a thread of its own, or ``step`` by hand."""

    def __init__(self, *, store: EndpointStore, engine: Engine, clock: Clock, hints: Hints[str]) -> None:
        self._store, self._engine, self._clock, self._hints = store, engine, clock, hints
        self._due: dict[int, tuple[int, int]] = {}
        """By key: the revision that was looked at last, and when to look again (ms)."""
        self._closing = threading.Event()

    def close(self) -> None:
        """End ``run`` after the pass it is in."""
        self._closing.set()
        self._hints.close()

    def run(self) -> None:
        """Reconcile until ``close`` is called. An error of a pass is logged, and the endpoint is taken up again later."""
        while not self._closing.is_set():
            try:
                pause = self.step()
                self._hints.wait(pause / 1000)
            except Exception:  # the loop must outlive a full disk or a lost database
                log.exception("A pass over the endpoints failed; it goes on in a second.")
                self._closing.wait(1.0)

    def step(self) -> int:
        """One pass over all endpoints that are due or hinted at; the time (ms) until the next one is due."""
        hinted = set()
        while (endpoint_id := self._hints.take()) is not None:
            hinted.add(endpoint_id)
        now, due = self._clock.now(), dict[int, tuple[int, int]]()
        for stored in self._store.all():
            if stored.newer:
                continue  # processes of that version look after it
            revision, moment = self._due.get(stored.key, (0, 0))
            if stored.revision != revision or now >= moment or stored.endpoint.id in hinted:
                stored = self._pass(stored)  # noqa: PLW2901
                moment = self._next_look(stored.endpoint)
            due[stored.key] = stored.revision, moment
        self._due = due
        return max(0, min([LONGEST_WAIT_MS, *(moment - self._clock.now() for _, moment in due.values())]))

    def _pass(self, stored: StoredEndpoint) -> StoredEndpoint:
        """Observe, advance, write, do; the record as it is then, as far as is known."""
        before = stored.endpoint
        runs = {replica.spec.run_id: self._engine.observe(replica.spec.run_id) for replica in before.replicas
                if replica.state.is_live}
        endpoint, commands = advance_endpoint(before, Seen(now=self._clock.now(), runs=runs))
        if endpoint != before:
            if not self._store.write(stored, endpoint):
                return stored  # a wish or another reconciler was faster: its revision brings the next pass at once
            if endpoint.status is not before.status:
                log.info("endpoint %s: %s%s", endpoint.id, endpoint.status,
                         f" ({endpoint.failure_reason})" if endpoint.failure_reason else "")
            stored = StoredEndpoint(key=stored.key, revision=stored.revision + 1, endpoint=endpoint)
        for command in commands:
            self._do(stored, command)
        return stored

    def _do(self, stored: StoredEndpoint, command: EndpointCommand) -> None:
        match command:
            case Submit():
                spec = next(replica.spec for replica in stored.endpoint.replicas if replica.spec.run_id == command.run_id)
                self._engine.submit(spec)
            case Stop():
                self._engine.stop(command.run_id)
            case Forget():
                self._engine.forget(command.run_id)
            case Remove():
                self._store.remove(stored)
                log.info("endpoint %s: deleted", stored.endpoint.id)

    def _next_look(self, endpoint: Endpoint) -> int:
        now = self._clock.now()
        moment = next_endpoint_moment(endpoint, now)
        look = now + (LOOK_AGAIN_MS if is_settled(endpoint) else MOVING_MS)
        return look if moment is None else min(look, moment)
