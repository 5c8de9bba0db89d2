"""Cancel from every state, what ``clean`` deletes and what it leaves, and races with completion."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.exports import set_epochs
from tests.serving import Server, wait_for

ENDED = "Failed to stop the job because it has already completed or failed."
StartServer = Callable[..., Server]


@pytest.fixture(scope="module")
def slow(server: Server, export: Path) -> Server:
    """The module's server, on whose processed graph training never ends by itself."""
    job = server.process(export)
    set_epochs(server.path(job["processingJob"]["outputLocation"]), 10_000_000)
    return server


def train(server: Server, job_id: str) -> Path:
    """Start a training, wait until a trial trains; the folder that is the job's own."""
    server.boto3().start_ml_model_training_job(
        id=job_id, dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=2)
    server.wait_for_run("modeltraining", job_id, "trial", step=1)
    return server.path(server.details("modeltraining", job_id)["details"]["prefix"])


def cancel(server: Server, job_id: str, query: str = "", kind: str = "modeltraining") -> tuple[int, Any]:
    status, _, body = server.request("DELETE", f"/ml/{kind}/{job_id}{query}")
    return status, body


def test_a_running_job_is_stopping_at_once_and_stopped_soon_with_every_process_gone(slow: Server) -> None:
    train(slow, "running")
    assert slow.processes()
    assert cancel(slow, "running") == (200, {"status": "Stopping"})
    job = slow.request("GET", "/ml/modeltraining/running")[2]
    assert job["status"] in {"Stopping", "Stopped"}
    assert job["processingJob"]["status"] == job["hpoJob"]["status"] == job["status"]
    assert cancel(slow, "running")[1]["status"] in {"Stopping", "Stopped"}
    job = slow.wait_until_ended("modeltraining", "running")
    assert job["status"] == job["processingJob"]["status"] == job["hpoJob"]["status"] == "Stopped"
    assert slow.processes() == []
    assert {run["state"] for run in job["details"]["runs"] if run["kind"] == "trial"} == {"stopped"}


def test_without_clean_the_files_stay_and_a_later_clean_sweeps_them(slow: Server) -> None:
    prefix = train(slow, "kept")
    mark = prefix / "trials" / "some-trial" / "model.json"
    mark.parent.mkdir(parents=True)
    mark.write_text("{}")
    cancel(slow, "kept")
    slow.wait_until_ended("modeltraining", "kept")
    assert mark.is_file()
    assert cancel(slow, "kept") == (200, {"status": "Stopped"})
    assert mark.is_file()
    assert cancel(slow, "kept", "?clean=TRUE") == (200, {"status": "Stopped"})
    wait_for("the sweep", lambda: not mark.exists())
    assert slow.details("modeltraining", "kept")["status"] == "Stopped", "the record stays"


def test_clean_deletes_only_what_the_job_wrote(slow: Server, tmp_path: Path) -> None:
    prefix = train(slow, "swept")
    written = prefix / "autotrainer-output" / "deep" / "file.npy"
    written.parent.mkdir(parents=True)
    written.write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    (prefix / "autotrainer-output" / "link-to-folder").symlink_to(outside)
    (prefix / "trials").mkdir(exist_ok=True)
    (prefix / "trials" / "link-to-file").symlink_to(outside / "precious")
    neighbours = [prefix.parent / "neighbour.txt", prefix.parent / (prefix.name + "-2") / "autotrainer-output" / "model",
                  prefix.parent / (prefix.name + "2") / "model", prefix.parent / prefix.name[:-1] / "model"]
    for neighbour in neighbours:
        neighbour.parent.mkdir(parents=True, exist_ok=True)
        neighbour.write_text("neighbour")
    assert cancel(slow, "swept", "?clean=true") == (200, {"status": "Stopping"})
    assert slow.wait_until_ended("modeltraining", "swept")["status"] == "Stopped"
    assert not prefix.exists()
    assert all(neighbour.read_text() == "neighbour" for neighbour in neighbours)
    assert (outside / "precious").read_text() == "precious"
    assert slow.path(slow.details("dataprocessing", "dp")["processingJob"]["outputLocation"]).is_dir(), "its input is not its own"
    assert "swept" in slow.request("GET", "/ml/modeltraining")[2]["ids"], "the record stays listed"


def test_clean_deletes_nothing_through_a_link_that_took_the_place_of_the_own_folder(slow: Server, tmp_path: Path) -> None:
    prefix = train(slow, "linked")
    (tmp_path / "precious").write_text("precious")
    prefix.mkdir(parents=True, exist_ok=True)
    (prefix / "autotrainer-output").symlink_to(tmp_path)
    cancel(slow, "linked", "?clean=true")
    assert slow.wait_until_ended("modeltraining", "linked")["status"] == "Stopped"
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_job_that_waits_for_a_slot_is_in_progress_and_its_programs_never_start(slow: Server) -> None:
    train(slow, "first")
    slow.boto3().start_ml_model_training_job(id="waits", dataProcessingJobId="dp", trainModelS3Location="s3://test/models")
    (submitted,) = wait_for("the submission", lambda: list((slow.data_dir / "runs").glob("modeltraining-waits-*/spec.json")))
    job = slow.details("modeltraining", "waits")
    assert job["status"] == "InProgress"
    assert [run["state"] for run in job["details"]["runs"]] == ["pending"]
    cancel(slow, "waits")
    job = slow.wait_until_ended("modeltraining", "waits")
    assert job["status"] == "Stopped"
    assert "startedAt" not in job["details"]["runs"][0]
    assert not submitted.with_name("progress.jsonl").exists(), "its program never started"
    assert slow.details("modeltraining", "first")["status"] == "InProgress", "its neighbour goes on"
    cancel(slow, "first")
    slow.wait_until_ended("modeltraining", "first")


def test_completed_and_failed_jobs_are_refused(server: Server, export: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing-useful").write_text("")
    server.boto3().start_ml_data_processing_job(
        id="bad", inputDataS3Location=f"file://{tmp_path}", processedDataS3Location="s3://test/processed")
    job = server.wait_until_ended("dataprocessing", "bad")
    assert job["status"] == job["processingJob"]["status"] == "Failed"
    assert "training-data-configuration.json" in job["processingJob"]["failureReason"]
    server.process(export, "good")
    for job_id in ("bad", "good"):
        status, body = cancel(server, job_id, "?clean=true", "dataprocessing")
        assert (status, body["code"], body["message"]) == (400, "InvalidParameterException", ENDED)


@pytest.mark.slow
def test_a_cancel_that_races_with_completion_ends_in_exactly_one_of_the_two(start_server: StartServer, export: Path) -> None:
    server, generator = start_server(environment={"DESPINA_REQUESTS_PER_SECOND": "100000"}), random.Random(11)
    runs = server.data_dir / "runs"

    def status_of(job_id: str) -> str:
        return str(server.request("GET", f"/ml/dataprocessing/{job_id}")[2]["status"])

    def reached(job_id: str, moment: str) -> bool:
        if moment == "Completed":
            return status_of(job_id) == moment
        return moment == "" or any(runs.glob(f"dataprocessing-{job_id}-*/{moment}"))

    ends = []
    for number in range(25):
        job_id = f"race-{number}"
        server.boto3().start_ml_data_processing_job(
            id=job_id, inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
        # From the start to after the end, most often where the run has ended and the job has not.
        moment = generator.choice(["", "claim", "progress.jsonl", *["result.json"] * 2, *["exit.json"] * 2, "Completed"])
        wait_for(moment, partial(reached, job_id, moment))
        for _ in range(generator.randrange(4)):
            status_of(job_id)
        status, body = cancel(server, job_id, "?clean=true", "dataprocessing")
        job = server.wait_until_ended("dataprocessing", job_id)
        output = server.path(job["processingJob"]["outputLocation"])
        if status == 200:
            assert job["status"] == "Stopped"
            assert not output.exists()
        else:
            assert (body["code"], job["status"]) == ("InvalidParameterException", "Completed")
            assert (output / "info.pkl").is_file()
        ends.append(job["status"])
    assert set(ends) == {"Stopped", "Completed"}, "both outcomes were seen"
