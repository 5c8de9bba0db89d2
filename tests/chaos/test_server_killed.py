"""The server dies of SIGKILL at the worst moments.

Whatever was acknowledged reaches its right end; no run completes twice; no process is left over.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.exports import set_epochs, write_export
from tests.serving import Server, wait_for

StartServer = Callable[..., Server]


def train(server: Server, job_id: str, *, trials: int = 1, parallel: int = 1) -> None:
    server.boto3().start_ml_model_training_job(
        id=job_id, dataProcessingJobId="dp", trainModelS3Location="s3://test/models",
        maxHPONumberOfTrainingJobs=trials, maxHPOParallelTrainingJobs=parallel)


def processed(server: Server) -> Path:
    return server.path(server.details("dataprocessing", "dp")["processingJob"]["outputLocation"])


def assert_each_run_completed_once(server: Server) -> None:
    done = server.completions()
    assert len(done) == len(set(done)), done
    wait_for("the end of all processes", lambda: not server.processes())


def test_during_data_processing(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    export = write_export(tmp_path / "large", nodes=40_000, edges=200_000)
    server.boto3().start_ml_data_processing_job(
        id="dp", inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
    server.wait_for_run("dataprocessing", "dp", "process")
    server.kill()
    server.start()
    assert server.wait_until_ended("dataprocessing", "dp")["status"] == "Completed"
    assert (processed(server) / "info.pkl").is_file()
    assert_each_run_completed_once(server)


def test_right_after_the_acknowledgement(start_server: StartServer, export: Path) -> None:
    server = start_server()
    server.boto3().start_ml_data_processing_job(
        id="dp", inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
    server.kill()
    server.start()
    assert server.wait_until_ended("dataprocessing", "dp")["status"] == "Completed"
    assert_each_run_completed_once(server)


def test_during_a_trial_which_goes_on_meanwhile(start_server: StartServer, trained_data: Path) -> None:
    server = start_server(data=trained_data)
    set_epochs(processed(server), 300)
    train(server, "again")
    before = server.wait_for_run("modeltraining", "again", "trial", step=1)
    pids = server.processes()
    server.kill()
    assert set(pids) & set(server.processes()), "the trial outlives the server"
    server.start()
    job = server.wait_until_ended("modeltraining", "again")
    assert job["status"] == "Completed"
    assert [run["id"] for run in job["details"]["runs"] if run["kind"] == "trial"] == [before["id"]], "it was not started anew"
    assert_each_run_completed_once(server)


def test_during_a_cancel(start_server: StartServer, trained_data: Path) -> None:
    server = start_server(data=trained_data)
    set_epochs(processed(server), 1_000_000)
    train(server, "again")
    server.wait_for_run("modeltraining", "again", "trial", step=1)
    prefix = server.path(server.details("modeltraining", "again")["details"]["prefix"])
    assert server.boto3().cancel_ml_model_training_job(id="again", clean=True)["status"] == "Stopping"
    server.kill()
    server.start()
    assert server.wait_until_ended("modeltraining", "again")["status"] == "Stopped"
    assert not prefix.exists()
    assert_each_run_completed_once(server)


def test_between_two_trials(start_server: StartServer, trained_data: Path) -> None:
    server = start_server(data=trained_data)
    set_epochs(processed(server), 200)
    train(server, "again", trials=2, parallel=1)
    first = server.wait_for_run("modeltraining", "again", "trial", step=1)
    server.kill()
    wait_for("the end of the first trial", (server.data_dir / "runs" / first["id"] / "exit.json").exists)
    server.start()
    job = server.wait_until_ended("modeltraining", "again")
    assert job["status"] == "Completed"
    trials = [run for run in job["details"]["runs"] if run["kind"] == "trial"]
    assert [run["number"] for run in trials] == [0, 1]
    assert trials[0]["id"] == first["id"]
    assert_each_run_completed_once(server)


@pytest.mark.slow
def test_again_and_again(start_server: StartServer, trained_data: Path) -> None:
    server, generator = start_server(data=trained_data), random.Random(7)
    train(server, "again", trials=2, parallel=1)
    for _ in range(8):
        for _ in range(generator.randrange(40)):
            if server.details("modeltraining", "again")["status"] != "InProgress":
                break
        server.kill()
        server.start()
    assert server.wait_until_ended("modeltraining", "again")["status"] == "Completed"
    assert_each_run_completed_once(server)
