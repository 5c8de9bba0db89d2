"""A trial dies of SIGKILL, and another attempt goes on from the state that it kept."""

import contextlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.exports import set_epochs
from tests.serving import Server, wait_for

EPOCHS = 600


def test_a_trial_that_was_killed_goes_on_where_it_was(start_server: Callable[..., Server], trained_data: Path) -> None:
    server = start_server(data=trained_data)
    set_epochs(server.path(server.details("dataprocessing", "dp")["processingJob"]["outputLocation"]), EPOCHS)
    server.boto3().start_ml_model_training_job(
        id="again", dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=1)
    first = server.wait_for_run("modeltraining", "again", "trial", step=2)
    prefix = server.path(server.details("modeltraining", "again")["details"]["prefix"])
    wait_for("a state", lambda: list(prefix.glob("*/*/state/*.safetensors")))
    for pid in server.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    job = server.wait_until_ended("modeltraining", "again")
    assert job["status"] == "Completed", job
    trials = [run for run in job["details"]["runs"] if run["kind"] == "trial"]
    assert trials[0]["id"] != first["id"], "another attempt took its place"
    log = (server.data_dir / "runs" / trials[0]["id"] / "log.txt").read_text(encoding="utf-8")
    assert "going on after epoch" in log
    report = json.loads((server.path(job["processingJob"]["outputLocation"]) / "training-report.json").read_bytes())
    assert [point["epoch"] for point in report["curve"]] == list(range(1, EPOCHS + 1))
    assert len(list(prefix.glob("*/*/state/*"))) == 1, "that of the attempt that was lost; the other has none left"
