"""Two versions at work on one data directory, as while processes are replaced one by one. The newer one is this code, changed."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Server, wait_for

import despina
from despina.core.frozen import RECORD_VERSION

CHANGES = (
    ("core/frozen.py", f"RECORD_VERSION = {RECORD_VERSION}\n", f"RECORD_VERSION = {RECORD_VERSION + 1}\n"),
    ("core/job.py", "    failed_sweeps: int = 0\n", '    failed_sweeps: int = 0\n    novelty: tuple[str, ...] = ("novel",)\n'),
    ("core/job.py", "    version: int = RECORD_VERSION\n", "    version: int = RECORD_VERSION\n    novelty: int = 1\n"),
    ("core/endpoint.py", "    deleting: bool = False\n", "    deleting: bool = False\n    novelty: int = 1\n"),
    ("store/migrations.py", ')\n"""Entry',
     '    ("ALTER TABLE jobs ADD COLUMN novelty TEXT NOT NULL DEFAULT \'\'",),\n)\n"""Entry'),
)
"""What is other in the version to come: a file, what stands there now and what will. Jobs, runs and endpoints get a field more."""


@pytest.fixture(scope="module")
def newer_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder to import the newer version from."""
    folder = tmp_path_factory.mktemp("newer")
    package = folder / "despina"
    shutil.copytree(Path(despina.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, now, then in CHANGES:
        text = (package / name).read_text(encoding="utf-8")
        assert text.count(now) == 1, name
        (package / name).write_text(text.replace(now, then), encoding="utf-8")
    return folder


@pytest.fixture
def both(start_server: Callable[..., Server], trained_data: Path, newer_code: Path) -> Iterator[tuple[Server, Server]]:
    """An older server and a newer one, started in this order."""
    older = start_server(data=trained_data)
    newer = Server(older.data_dir, environment={"PYTHONPATH": str(newer_code)}).start()
    yield older, newer
    newer.stop()


def records(server: Server, table: str) -> dict[str, dict[str, Any]]:
    """What is stored of jobs or endpoints, by id."""
    with closing(sqlite3.connect(server.data_dir / "despina.db")) as connection:
        return {name: json.loads(body) for name, body in connection.execute(f"SELECT id, body FROM {table}")}


def start(server: Server, export: Path, job_id: str) -> None:
    server.boto3().start_ml_data_processing_job(
        id=job_id, inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")


def test_processes_are_replaced_one_by_one(both: tuple[Server, Server], export: Path) -> None:
    older, newer = both
    for number, server in enumerate((older, newer, older, newer)):
        start(server, export, f"job-{number}")
    newer.boto3().create_ml_endpoint(id="ep", mlModelTrainingJobId="tr")
    for server in both:
        ids = server.boto3().list_ml_data_processing_jobs()["ids"]
        assert ids == ["job-3", "job-2", "job-1", "job-0", "dp"]
        assert {server.boto3().get_ml_data_processing_job(id=job_id)["id"] for job_id in ids} == set(ids)

    # The older one cancels what the newer one has started, and the newer one sweeps it.
    start(newer, export, "cleaned")
    assert older.request("DELETE", "/ml/dataprocessing/cleaned?clean=TRUE")[2]["status"] == "Stopping"
    for server in both:
        assert server.wait_until_ended("dataprocessing", "cleaned")["status"] == "Stopped"
    assert not older.path(older.details("dataprocessing", "cleaned")["details"]["prefix"]).exists()
    for number in range(4):
        assert older.wait_until_ended("dataprocessing", f"job-{number}")["status"] == "Completed"

    # It shows the newer one's endpoint, and refuses to change it in a way that SDKs take for a reason to ask another process.
    wait_for("the endpoint", lambda: older.request("GET", "/ml/endpoints/ep")[2]["status"] == "InService")
    status, _, answer = older.request("DELETE", "/ml/endpoints/ep")
    assert (status, answer["code"]) == (500, "InternalFailureException")
    assert "written by a newer version of Despina: processes of that version can change it" in older.log()
    assert newer.request("DELETE", "/ml/endpoints/ep")[0] == 200

    jobs = records(older, "jobs")
    assert {job_id for job_id, record in jobs.items() if record.get("novelty") == ["novel"]} >= {"job-1", "job-3", "cleaned"}
    assert "novelty" not in jobs["tr"], "nobody had to write it"
    done = older.completions()
    assert len(done) == len(set(done))
