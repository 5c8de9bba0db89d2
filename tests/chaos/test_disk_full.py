"""The disk is full: starts are refused, nothing acknowledged is lost, and work goes on when there is room again."""

import json
import os
from pathlib import Path

from tests.serving import Server, wait_for

ROOM = 150_000
"""Bytes: enough to record a job, too few for its output."""


def fill(disk: Path, *, leave: int) -> Path:
    """Fill the disk but for ``leave`` bytes; the file that does it."""
    path = disk / "fill"
    statistics = os.statvfs(disk)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, statistics.f_bavail * statistics.f_frsize - leave)
    return path


def start(server: Server, export: Path, job_id: str) -> int:
    body = {"id": job_id, "inputDataS3Location": f"file://{export}", "processedDataS3Location": "s3://test/processed"}
    status, _, answer = server.request("POST", "/ml/dataprocessing", json.dumps(body).encode())
    assert status in {200, 500}, answer
    return status


def test_nothing_acknowledged_is_lost_and_work_goes_on_when_there_is_room(small_disk: Path, export: Path) -> None:
    server = Server(small_disk / "data").start()
    try:
        server.process(export, "before")
        filling = fill(small_disk, leave=0)
        assert start(server, export, "refused") == 500
        assert server.request("GET", "/ml/dataprocessing")[2]["ids"] == ["before"], "what was refused is not there"
        filling.unlink()

        filling = fill(small_disk, leave=ROOM)
        assert start(server, export, "acknowledged") == 200
        wait_for("a run in trouble", lambda: any(
            run["state"] not in {"pending", "running"} or run["attempt"] > 1
            for run in server.details("dataprocessing", "acknowledged")["details"]["runs"]))
        filling.unlink()

        job = server.wait_until_ended("dataprocessing", "acknowledged")
        if job["status"] == "Failed":
            assert "No space left on device" in job["processingJob"]["failureReason"]
        assert server.process(export, "after")["status"] == "Completed"
        assert server.details("dataprocessing", "before")["status"] == "Completed"
    finally:
        server.stop()
