"""Whole jobs on a Ray cluster whose nodes share nothing with the server: everything goes through an S3 server."""

import argparse
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest
from tests.ray_cluster import RayCluster
from tests.seaweed import Seaweed
from tests.serving import Server

from despina.cli.doctor import engines
from despina.engine.ray_jobs import RayJobs
from despina.settings import load

pytestmark = pytest.mark.slow

OUTPUTS = {"preloading-output", "autotrainer-output"}
"""The folders of a job's outputs: above them there are names with the time in them."""
ARRAYS = {".npy", ".npz", ".safetensors"}
"""Other files have times in them."""


def test_jobs_on_a_cluster_end_with_the_results_of_this_machine(
        start_server: Callable[..., Server], ray_cluster: RayCluster, seaweed: Seaweed, export: Path) -> None:
    found = {}
    for engine in (ray_cluster.url, "local"):
        bucket = seaweed.new_bucket()
        upload(seaweed, export, bucket)
        server = start_server("--engine", engine, environment=dict(seaweed.environment()))
        client = server.boto3()
        client.start_ml_data_processing_job(
            id="dp", inputDataS3Location=f"s3://{bucket}/export", processedDataS3Location=f"s3://{bucket}/processed")
        assert server.wait_until_ended("dataprocessing", "dp")["status"] == "Completed"
        client.start_ml_model_training_job(id="tr", dataProcessingJobId="dp", trainModelS3Location=f"s3://{bucket}/models",
                                           maxHPONumberOfTrainingJobs=2, maxHPOParallelTrainingJobs=2)
        assert server.wait_until_ended("modeltraining", "tr")["status"] == "Completed"
        trials = [run for run in server.details("modeltraining", "tr")["details"]["runs"] if run["kind"] == "trial"]
        found[engine] = [(run["parameters"], run["objective"]) for run in trials], arrays(seaweed, bucket)
        if engine != "local":
            assert [path for path in (server.data_dir / "runs").iterdir() if path.is_dir()] == [], "no run was on this machine"
        server.stop()
    (trials, written), (trials_here, written_here) = found.values()
    assert len(trials) == 2
    assert trials == trials_here
    assert len(written) >= 3
    assert written == written_here


def test_the_doctor_has_a_cluster_run_a_program(ray_cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    settings = load({"engine": ray_cluster.url, "data_dir": str(tmp_path)})
    checks = {check.name: check for check in engines.examine(settings, argparse.Namespace())}
    assert checks["program"].status == "ok", checks
    assert "torch 2." in checks["program"].found
    assert "no S3 server is configured" in checks["engine"].found
    assert list(tmp_path.iterdir()) == []
    assert not [job for job in RayJobs(ray_cluster.url).all() if "doctor" in (job.submission_id or "")]
    monkeypatch.setattr(engines, "version", lambda _name: "0.0.1")
    monkeypatch.setattr("despina.engine.version", lambda _name: "0.0.1")
    told = {check.name: check for check in engines.examine(settings, argparse.Namespace())}["program"]
    assert (told.status, "0.0.1" in told.found) == ("error", True), told
    assert told.advice is not None
    assert told.advice.startswith("pip install 'despina[train]==0.0.1' on every node")


def upload(seaweed: Seaweed, folder: Path, bucket: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            seaweed.client().upload_file(str(path), bucket, f"export/{path.relative_to(folder)}")


def arrays(seaweed: Seaweed, bucket: str) -> dict[str, str]:
    """The arrays and weights among the outputs of the jobs in a bucket, with their checksums."""
    listed = {PurePath(entry["Key"]): entry["ETag"] for entry in seaweed.client().list_objects_v2(Bucket=bucket)["Contents"]}
    return {"/".join(path.parts[2:]): checksum for path, checksum in listed.items()
            if path.suffix in ARRAYS and OUTPUTS.intersection(path.parts)}
