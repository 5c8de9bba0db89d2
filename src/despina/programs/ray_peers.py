"""The other workers of a training on the nodes of a Ray cluster (``peers`` tells what workers are).

All places for them are taken together, spread over the nodes, each with as many cores as the run has itself: two trainings that
want the same cores do not wait for each other half-equipped. Where there is no room within ``ROOM_SECONDS``, the workers are local
ones: a training that is slower is better than one that waits for a machine that may never come. Ray ends the workers when the run
ends, however it does.
"""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import msgspec
import torch

from despina.core.errors import WorkFailed
from despina.engine.ray_run import CACHE
from despina.programs.context import Context
from despina.programs.peers import Launcher, Order, Peer, local_peers
from despina.programs.ray_peer import accompany

log = logging.getLogger(__name__)

ROOM_SECONDS = 30.0
"""How long a training waits for room for its other workers."""
END_SECONDS = 5.0
"""How long a worker may take to end and to remove its folder before its process is killed."""


@contextmanager
def ray_peers(context: Context, count: int) -> Iterator[Launcher]:
    """What starts workers on the cluster at ``RAY_ADDRESS``, or here if it has no room for ``count - 1`` more.

    Raises:
        WorkFailed: Ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise WorkFailed("RAY_ADDRESS is set, and Ray is not installed, by which the workers of a training would be started: "
                         "pip install 'despina[ray]', or unset it") from error
    from ray.util.placement_group import placement_group, remove_placement_group

    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False, configure_logging=False)
    except ConnectionError as error:
        raise WorkFailed(f"the Ray cluster on whose nodes the other workers would be does not answer at RAY_ADDRESS="
                         f"{os.environ['RAY_ADDRESS']}: {error}") from error
    signal.signal(signal.SIGTERM, on_termination)  # Ray would have it take its time
    try:
        threads = torch.get_num_threads()
        places = placement_group([{"CPU": threads}] * (count - 1), strategy="SPREAD")
        if places.wait(ROOM_SECONDS):
            yield _RayPeers(ray, places, threads)
            return
        remove_placement_group(places)
    finally:
        ray.shutdown()
    log.warning("the cluster has had no room for %d more workers of %d cores for %g s: they share this run's own cores",
                count - 1, threads, ROOM_SECONDS)
    with local_peers(context, count) as start:
        yield start


class _RayPeers:
    def __init__(self, ray: Any, places: Any, threads: int) -> None:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self._ray, self._places, self._strategy = ray, places, PlacementGroupSchedulingStrategy
        self.threads = threads
        self.host = ray.util.get_node_ip_address()

    def start(self, order: Order) -> Peer:
        ray = self._ray
        passed_on = {name: value for name, value in os.environ.items()
                     if name.startswith(("AWS_", "DESPINA_")) and name != CACHE}  # each node has a cache of its own
        task = ray.remote(accompany).options(
            num_cpus=self.threads, max_retries=0,
            scheduling_strategy=self._strategy(self._places, placement_group_bundle_index=order.rank - 1))
        return _RayPeer(ray, task.remote(msgspec.json.encode(order), passed_on, version("despina")), order.rank)


class _RayPeer:
    def __init__(self, ray: Any, task: Any, rank: int) -> None:
        self._ray, self._task, self._rank = ray, task, rank
        self._ended: int | None = None

    def wait(self, seconds: float) -> int | None:
        if self._ended is None and self._ray.wait([self._task], timeout=seconds)[0]:
            self._ended = self._status()
        return self._ended

    def _status(self) -> int:
        try:
            status, said = self._ray.get(self._task)
        except (self._ray.exceptions.RayTaskError, self._ray.exceptions.RuntimeEnvSetupError) as error:
            log.error("worker %d could not be run: %s", self._rank, error)  # noqa: TRY400 - the traceback is the node's
            return 1
        except self._ray.exceptions.RayError as error:
            log.warning("worker %d, its Ray process or its node is gone: %s", self._rank, error)
            return -signal.SIGKILL
        if said:
            log.warning("worker %d says:\n%s", self._rank, said.rstrip())
        return int(status)

    def end(self) -> None:
        if self._ended is None and not self._ray.wait([self._task], timeout=0)[0]:
            self._ray.cancel(self._task)
            if not self._ray.wait([self._task], timeout=END_SECONDS)[0]:
                self._ray.cancel(self._task, force=True)
