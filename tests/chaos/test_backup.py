"""A back-up that is made while jobs run and start, and a server that goes on from it elsewhere."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from tests.exports import write_export
from tests.serving import Server, wait_for

from despina.core.job import JobKind, RunState
from despina.store import open_store

MOST = 12
"""Jobs, as each of them has to be done again or waited for."""


def back_up(server: Server, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "despina", "backup", "--data-dir", server.data_dir, *flags, folder],
                          capture_output=True, text=True, check=False)


def start(server: Server, export: Path, job_id: str) -> None:
    server.boto3().start_ml_data_processing_job(
        id=job_id, inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")


def recorded_state(data: Path) -> RunState:
    """Of the run of the job ``going``."""
    with closing(open_store(data / "despina.db")) as store:
        job = store.get(JobKind.DATA_PROCESSING, "going")
    assert job is not None
    return job.runs[0].state


def test_a_server_goes_on_from_a_backup_made_under_load(
        start_server: Callable[..., Server], trained_data: Path, export: Path, tmp_path: Path) -> None:
    server = start_server(data=trained_data)
    server.boto3().create_ml_endpoint(id="ep", mlModelTrainingJobId="tr")
    wait_for("the endpoint", lambda: server.request("GET", "/ml/endpoints/ep")[2]["status"] == "InService")
    large = write_export(tmp_path / "large", nodes=20_000, edges=100_000)
    over, started = threading.Event(), ["dp"]

    def load() -> None:
        for number in range(MOST):
            if over.is_set():
                return
            start(server, export, f"load-{number}")
            started.append(f"load-{number}")

    thread = threading.Thread(target=load)
    thread.start()
    wait_for("some load", lambda: len(started) > 4)
    start(server, large, "going")
    started.append("going")
    wait_for("the record of its run", lambda: recorded_state(server.data_dir) is RunState.RUNNING)
    before = list(started)
    done = back_up(server, tmp_path / "backup")
    over.set()
    thread.join()
    assert done.returncode == 0, done.stderr
    shutil.copytree(server.data_dir / "s3", tmp_path / "backup" / "s3")
    server.kill()
    for pid in server.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    had = recorded_state(tmp_path / "backup")
    restored = start_server(data=tmp_path / "backup")
    ids = restored.request("GET", "/ml/dataprocessing?maxItems=1000")[2]["ids"]
    assert set(before) <= set(ids) <= set(started)
    for job_id in ids:
        assert restored.wait_until_ended("dataprocessing", job_id)["status"] == "Completed"
    (run,) = restored.details("dataprocessing", "going")["details"]["runs"]
    assert run["attempt"] == (2 if had is RunState.RUNNING else 1), "a run that it had is unknown here, and was tried again"
    assert restored.request("GET", "/ml/modeltraining")[2]["ids"] == ["tr"]
    wait_for("the endpoint", lambda: restored.request("GET", "/ml/endpoints/ep")[2]["status"] == "InService")


def test_what_a_backup_has_in_it(start_server: Callable[..., Server], tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"Version": "2012-10-17", "Statement": []}')
    server = start_server("--iam-auth")
    assert server.request("GET", "/ml/dataprocessing")[0] == 403, "which the audit log has"
    for verb in (["grant", "alice", "--policy", policy], ["create", "alice"]):
        subprocess.run([sys.executable, "-m", "despina", "keys", *verb, "--data-dir", server.data_dir], check=True)
    assert back_up(server, tmp_path / "plain").returncode == 0
    assert {path.name for path in (tmp_path / "plain").iterdir()} == {"despina.db", "audit"}
    assert back_up(server, tmp_path / "whole", "--with-secrets-key").returncode == 0
    assert (tmp_path / "whole" / "secrets.key").read_bytes() == (server.data_dir / "secrets.key").read_bytes()
    assert (tmp_path / "whole").stat().st_mode & 0o077 == 0

    again = back_up(server, tmp_path / "plain")
    assert again.returncode == 1
    assert "is not empty" in again.stderr
    networked = back_up(server, tmp_path / "other", "--database-url", "postgresql://localhost/despina")
    assert networked.returncode == 1
    assert "pg_dump" in networked.stderr
