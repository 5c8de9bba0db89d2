"""Trainings of several workers on a real Ray cluster of two nodes: the run takes one of them, its other worker the other."""

import os
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.contract.engine_world import RayWorld
from tests.ray_cluster import RayCluster
from tests.serving import wait_for
from tests.unit.learn.graphs import communities
from tests.unit.programs.test_several_workers import BATCHES, log_of, started
from tests.unit.programs.test_training import PROCESSED, Place

from despina.core.job import RunSpec, RunState, TrainWork
from despina.core.ports import WholeEngine
from despina.engine import open_engine
from despina.programs.ray_peer import PREFIX

CORES = len(os.sched_getaffinity(0))
LOG_BYTES = 100_000


class TrainingWorld(RayWorld):
    """Engines whose programs are the real ones."""

    def __init__(self, folder: Path, cluster: RayCluster, place: Place) -> None:
        super().__init__(folder, cluster)
        self.place = place

    def open(self) -> WholeEngine:
        engine = open_engine(self.cluster.url, folder=self.folder / "services", module="despina.programs",
                             environment={"DESPINA_S3_FOLDER": str(self.place.bucket.parent)}, on_change=self.note,
                             grace_seconds=self.GRACE_SECONDS, deployment=self.deployment, is_service=lambda _: False)
        self.engines.append(engine)
        return engine

    def train(self, engine: WholeEngine, **work: Any) -> str:
        """Submit a training of two workers; its run id, which is where its output is as well."""
        run_id = f"run-{uuid.uuid4().hex[:8]}"
        self.submitted.add(run_id)
        given = TrainWork(processed=PROCESSED, output=f"s3://bucket/{run_id}", instance_count=2, **work)
        engine.submit(RunSpec(run_id=run_id, work=given, share=2, memory_mib=1))
        return run_id


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.below(tmp_path)


@pytest.fixture
def world(tmp_path: Path, ray_cluster: RayCluster, place: Place) -> Iterator[TrainingWorld]:
    node = ray_cluster.add_node(cores=CORES)
    world = TrainingWorld(tmp_path, ray_cluster, place)
    yield world
    world.close()
    ray_cluster.kill(node)


def workers_of(run_id: str) -> list[int]:
    """The other workers of a run, wherever they are."""
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit() and
            read(folder / "cmdline").endswith(b"-m\0despina.programs.peer\0") and
            f"DESPINA_RUN_ID={run_id}\0".encode() in read(folder / "environ")]


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended
        return b""


def test_workers_on_two_nodes_leave_what_local_ones_do_and_one_that_is_killed_loses_the_run(world: TrainingWorld) -> None:
    place, engine = world.place, world.open()
    place.prepare(communities())
    run_id = world.train(engine, parameters=BATCHES)
    ended = world.end(engine, run_id)
    log, _ = engine.read(run_id, offset=0, limit=LOG_BYTES)
    assert ended.state is RunState.SUCCEEDED, log.decode()
    assert f"2 workers train together, with {CORES} threads each" in log.decode()
    with started(place, "local") as process:
        assert process.wait(60) == 0, log_of(place, "local")
    there, here = (load_file(place.bucket / name / "model.safetensors") for name in (run_id, "local"))
    assert there.keys() == here.keys()
    for name, weights in here.items():  # to the last bit only with as many threads, which this machine has not for two
        torch.testing.assert_close(there[name], weights, rtol=1e-4, atol=1e-5)

    run_id = world.train(engine, parameters=BATCHES | {"num-epochs": 100_000})
    wait_for("a state", lambda: list((place.bucket / run_id).glob("state/*.safetensors")))
    (worker,) = workers_of(run_id)
    folder = Path(f"/proc/{worker}/cwd").readlink()
    assert folder.parent == Path(tempfile.gettempdir())
    assert folder.name.startswith(PREFIX)
    os.kill(worker, signal.SIGKILL)
    assert world.end(engine, run_id).state is RunState.LOST
    wait_for("the end of the worker's folder", lambda: not folder.exists())

    run_id = world.train(engine, parameters=BATCHES | {"num-epochs": 100_000})
    wait_for("another worker", lambda: workers_of(run_id))
    engine.stop(run_id)
    assert world.end(engine, run_id).state is RunState.STOPPED
    wait_for("the end of the worker", lambda: not workers_of(run_id))
