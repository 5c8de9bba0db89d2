"""Trainings that run out of time, stall, or build on earlier ones, through boto3 against a real server."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.exports import set_epochs
from tests.serving import Server, wait_for

ENDLESS = 10**6


def report(server: Server, job: dict[str, Any]) -> dict[str, Any]:
    """The report at the output of a training job."""
    folder = server.path(job["processingJob"]["outputLocation"])
    found: dict[str, Any] = json.loads((folder / "training-report.json").read_bytes())
    return found


def test_a_training_whose_time_is_over_completes_with_its_best_model(server: Server, export: Path) -> None:
    set_epochs(server.path(server.process(export, "endless")["processingJob"]["outputLocation"]), ENDLESS)
    server.boto3().start_ml_model_training_job(
        id="short", dataProcessingJobId="endless", trainModelS3Location="s3://test/models", trainingTimeOutInSeconds=8,
        maxHPONumberOfTrainingJobs=3, maxHPOParallelTrainingJobs=1)
    details = server.wait_until_ended("modeltraining", "short")
    assert details["status"] == "Completed", details
    job = server.boto3().get_ml_model_training_job(id="short")
    assert job["hpoJob"]["status"] == "Stopped"
    reason = "The job ran longer than trainingTimeOutInSeconds (8 s) allows. 0 of 3 trainings had ended by then"
    assert job["hpoJob"]["failureReason"].startswith(reason)
    assert job["mlModels"]
    written = report(server, details)
    assert written["ended"] == "time out"
    assert [trial["ended"] for trial in written["trials"]] == ["time out"]
    assert np.load(server.path(job["processingJob"]["outputLocation"]) / "predictions" / "result.npz")["infer_scores"].size


def test_a_training_that_hangs_is_ended_and_goes_on_from_its_state(start_server: Callable[..., Server], export: Path) -> None:
    server = start_server(environment={"DESPINA_STALLED_AFTER_SECONDS": "7", "DESPINA_STOP_GRACE_SECONDS": "0.2"})
    set_epochs(server.path(server.process(export)["processingJob"]["outputLocation"]), ENDLESS)
    server.boto3().start_ml_model_training_job(
        id="tr", dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=1)
    first = server.wait_for_run("modeltraining", "tr", "trial", step=2)
    prefix = server.path(server.details("modeltraining", "tr")["details"]["prefix"])
    wait_for("a state", lambda: list(prefix.glob("*/*/state/*.safetensors")))
    hung = [pid for pid in server.processes() if b"supervisor.py" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert hung
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)

    def second() -> dict[str, Any] | None:
        (run,) = [run for run in server.details("modeltraining", "tr")["details"]["runs"] if run["kind"] == "trial"]
        return run if run["attempt"] == 2 and (run.get("progress") or {"step": 0})["step"] > 2 else None

    run = wait_for("another attempt", second)
    assert run["id"] != first["id"]
    assert "going on after epoch" in (server.data_dir / "runs" / run["id"] / "log.txt").read_text(encoding="utf-8")
    server.boto3().cancel_ml_model_training_job(id="tr")
    assert server.wait_until_ended("modeltraining", "tr")["status"] == "Stopped"


def test_a_training_that_builds_on_another_begins_with_its_best_trial_and_weights(server: Server, export: Path) -> None:
    client = server.boto3()
    server.process(export)
    client.start_ml_model_training_job(
        id="first", dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=3)
    first = server.wait_until_ended("modeltraining", "first")
    assert first["status"] == "Completed", first
    client.start_ml_data_processing_job(id="dp-2", inputDataS3Location=f"file://{export}", previousDataProcessingJobId="dp",
                                        processedDataS3Location="s3://test/processed")
    assert server.wait_until_ended("dataprocessing", "dp-2")["status"] == "Completed"
    client.start_ml_model_training_job(id="second", dataProcessingJobId="dp-2", trainModelS3Location="s3://test/models",
                                       previousModelTrainingJobId="first", maxHPONumberOfTrainingJobs=1)
    second = server.wait_until_ended("modeltraining", "second")
    assert second["status"] == "Completed", second
    trials = [run for run in first["details"]["runs"] if run["kind"] == "trial"]
    best = max(trials, key=lambda run: (run["objective"], -run["number"]))
    (begun,) = [run for run in second["details"]["runs"] if run["kind"] == "trial"]
    assert begun["parameters"] == best["parameters"]
    warm = report(server, second)["warm_start"]
    assert warm["tensors"] == warm["of"] > 0
    assert warm["known_nodes"] == {"item": 60}
