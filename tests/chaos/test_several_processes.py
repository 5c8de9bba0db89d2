"""Several servers and reconcilers on one data directory: any of them serves, moves and ends any job."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.exports import set_epochs
from tests.serving import PATIENCE_SECONDS, Server, wait_for

from despina.core.job import JobKind
from despina.store import open_store

StartServer = Callable[..., Server]


@contextmanager
def reconciling(data_dir: Path) -> Iterator[None]:
    """``despina reconcile`` on a data directory."""
    with subprocess.Popen([sys.executable, "-m", "despina", "reconcile", "--data-dir", str(data_dir)],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Despina reconciles\n"
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0


@pytest.fixture
def second(start_server: StartServer) -> Iterator[Callable[[Server], Server]]:
    """Starts a second server on the data directory of a first one."""
    servers: list[Server] = []

    def start(first: Server) -> Server:
        servers.append(Server(first.data_dir).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def test_a_job_started_at_one_server_is_listed_and_cancelled_at_another(
        start_server: StartServer, second: Callable[[Server], Server], trained_data: Path) -> None:
    one = start_server(data=trained_data)
    other = second(one)
    job = one.details("dataprocessing", "dp")
    set_epochs(one.path(job["processingJob"]["outputLocation"]), 10_000_000)
    one.boto3().start_ml_model_training_job(id="again", dataProcessingJobId="dp", trainModelS3Location="s3://test/models")
    assert other.boto3().list_ml_model_training_jobs()["ids"] == ["again", "tr"]
    other.wait_for_run("modeltraining", "again", "trial", step=1)
    assert other.boto3().cancel_ml_model_training_job(id="again", clean=True)["status"] == "Stopping"
    assert one.wait_until_ended("modeltraining", "again")["status"] == "Stopped"
    assert one.processes() == []
    done = one.completions()
    assert len(done) == len(set(done)), "no run was started twice"


def test_jobs_started_at_two_servers_do_not_exceed_the_machine(
        start_server: StartServer, second: Callable[[Server], Server], export: Path) -> None:
    one = start_server()
    other = second(one)
    for number in range(3):
        for name, server in (("one", one), ("other", other)):
            server.boto3().start_ml_data_processing_job(
                id=f"{name}-{number}", inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
    spans = []
    for number in range(3):
        for name in ("one", "other"):
            job = other.wait_until_ended("dataprocessing", f"{name}-{number}")
            assert job["status"] == "Completed"
            spans += [(run["startedAt"], run["finishedAt"]) for run in job["details"]["runs"]]
    assert len(spans) == 6
    most = max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
    assert most <= len(os.sched_getaffinity(0)), "a run has a core at least"


def test_a_reconciler_alone_ends_what_a_dead_server_acknowledged(start_server: StartServer, export: Path) -> None:
    server = start_server()
    server.boto3().start_ml_data_processing_job(
        id="dp", inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
    server.kill()
    with reconciling(server.data_dir):
        store = open_store(server.data_dir / "despina.db")
        wait_for("the end of the job", lambda: (job := store.get(JobKind.DATA_PROCESSING, "dp")) and job.status.is_terminal)
        store.close()
    server.start()
    assert server.details("dataprocessing", "dp")["status"] == "Completed"
    assert len(server.completions()) == 1
