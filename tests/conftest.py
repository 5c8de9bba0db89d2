"""Fixtures that several suites share: real servers on loopback."""

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.exports import write_export
from tests.postgres import Cluster, postgresql_cluster
from tests.ray_cluster import RayCluster
from tests.seaweed import seaweed
from tests.serving import Server

__all__ = ["seaweed"]


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small export."""
    return write_export(tmp_path_factory.mktemp("exports") / "colours")


@pytest.fixture(scope="session")
def trained_data(tmp_path_factory: pytest.TempPathFactory, export: Path) -> Path:
    """The data of a server that has ended, with a data-processing job ``dp`` and a training job ``tr``. To be copied."""
    server = Server(tmp_path_factory.mktemp("trained") / "data").start()
    server.process(export)
    server.boto3().start_ml_model_training_job(
        id="tr", dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=1)
    assert server.wait_until_ended("modeltraining", "tr")["status"] == "Completed"
    server.stop()
    return server.data_dir


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server."""
    with postgresql_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[RayCluster]:
    """A Ray cluster of one node, with the cores that the local engine has: the last bits of a result are those of that many.

    For a module alone: it takes some of a core as long as it is there.
    """
    if importlib.util.find_spec("ray") is None:
        if os.environ.get("CI"):
            raise AssertionError("Ray is not installed, and CI is set.")
        pytest.skip("Ray is not installed")
    cluster = RayCluster(cores=len(os.sched_getaffinity(0)))
    yield cluster
    cluster.close()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children heed SIGINT, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of six megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, each on a data directory of its own, and ends what is left of them and of their runs."""
    servers: list[Server] = []

    def start(*flags: str, environment: dict[str, str] | None = None, data: Path | None = None) -> Server:
        """``data``: what is there when the server starts, a copy of it."""
        folder = tmp_path / f"data-{len(servers)}"
        if data is not None:
            shutil.copytree(data, folder)
        servers.append(Server(folder, *flags, environment=environment))
        return servers[-1].start()

    yield start
    for server in servers:
        _end(server)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module."""
    server = Server(tmp_path_factory.mktemp("server") / "data").start()
    yield server
    _end(server)


def _end(server: Server) -> None:
    server.stop()
    for pid in server.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
