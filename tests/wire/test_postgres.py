"""Servers that share one PostgreSQL database: any of them starts, lists and cancels any job, also after its restart."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.exports import set_epochs
from tests.postgres import PASSWORD, Cluster
from tests.scraping import scrape
from tests.serving import PATIENCE_SECONDS, Server, wait_for
from tests.wire.guarded import client, despina_keys, grant, issued


@pytest.fixture
def url(postgresql: Cluster) -> Iterator[str]:
    with postgresql.empty_database() as url:
        yield url


def test_servers_and_reconcilers_share_a_database_that_is_restarted(
        postgresql: Cluster, url: str, tmp_path: Path, export: Path) -> None:
    """Two servers of the API alone and a reconciler; the job outlives the restart and is cleaned in the end."""
    data, environment = tmp_path / "data", {"DESPINA_DATABASE_URL": url}
    one, other = (Server(data, "--api-only", environment=environment).start() for _ in range(2))
    reconciler = subprocess.Popen([sys.executable, "-m", "despina", "reconcile", "--data-dir", str(data)], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
    try:
        job = one.process(export)
        set_epochs(one.path(job["processingJob"]["outputLocation"]), 10_000_000)
        one.boto3().start_ml_model_training_job(id="tr", dataProcessingJobId="dp", trainModelS3Location="s3://test/models")
        assert other.boto3().list_ml_model_training_jobs()["ids"] == ["tr"]
        other.wait_for_run("modeltraining", "tr", "trial", step=1)
        assert not any(url.encode() in Path(f"/proc/{pid}/environ").read_bytes() for pid in one.processes()), "no run has the URL"

        with postgresql.stopped():
            assert [server.request("GET", "/ml/modeltraining")[0] for server in (one, other)] == [500, 500]
            assert [other.request("GET", path)[0] for path in ("/readyz", "/healthz")] == [503, 200]
            away = scrape(other)
            assert (away.value("despina_store_up"), away.total("despina_jobs")) == (0, 0)
            assert away.value("despina_http_request_seconds_count", operation="ListMLModelTrainingJobs", code="500") == 1
        wait_for("the servers to be ready", lambda: all(server.request("GET", "/readyz")[0] == 200 for server in (one, other)))
        assert scrape(other).value("despina_jobs", kind="modeltraining", status="InProgress") == 1

        assert one.boto3().list_ml_model_training_jobs()["ids"] == ["tr"]
        assert other.boto3().cancel_ml_model_training_job(id="tr", clean=True)["status"] == "Stopping"
        assert one.wait_until_ended("modeltraining", "tr")["status"] == "Stopped"
        assert not one.path("s3://test/models/tr").exists()
        assert one.processes() == []
        done = one.completions()
        assert len(done) == len(set(done)), "no run was started twice"
        assert PASSWORD not in one.log()
    finally:
        reconciler.send_signal(signal.SIGTERM)
        assert reconciler.wait(PATIENCE_SECONDS) == 0
        assert reconciler.stdout is not None
        reconciler.stdout.close()
        for server in (one, other):
            server.stop()


def test_keys_are_read_from_the_database(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESPINA_DATABASE_URL", url)
    server = Server(tmp_path / "data", "--iam-auth").start()
    try:
        assert server.request("GET", "/ml/modeltraining")[0] == 403
        grant(server, "alice", "*")
        keys = issued(server, "alice")
        alice = client(server, keys)
        assert alice.list_ml_endpoints()["ids"] == alice.list_ml_data_processing_jobs()["ids"] == []
        despina_keys(server, "disable", keys["AWS_ACCESS_KEY_ID"])
        with pytest.raises(ClientError, match="AccessDenied"):
            alice.list_ml_endpoints()
    finally:
        server.stop()


def test_a_server_whose_database_is_down_says_so(tmp_path: Path) -> None:
    url = f"postgresql://despina:{PASSWORD}@127.0.0.1:1/jobs"
    command = [sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", str(tmp_path), "--database-url", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 1
    assert "despina: The job store postgresql://despina@127.0.0.1:1/jobs cannot be used: " in done.stderr
    assert "Connection refused" in done.stderr
    assert PASSWORD not in done.stderr
