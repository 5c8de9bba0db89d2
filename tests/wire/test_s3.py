"""A server whose artefacts are on an S3 server, which it shares with boto3, and which dies in the middle of jobs.

The tests go on with the jobs of those before them.
"""

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.exports import set_epochs, write_export
from tests.seaweed import Seaweed
from tests.serving import PATIENCE_SECONDS, Server, wait_for
from tests.wire.endpoints import ask, created
from tests.wire.test_incremental import EDGES, NODES

INVALID = "Invalid S3 URL or incorrect S3 permissions"
ENDLESS = 10**6
ALLOWED = {"DESPINA_CUSTOM_MODELS": "true"}
NEW = "item-new"
TIMED = {"training-report.json", "processing-report.json"}
"""Files that tell how long something took."""
TRAINING = """
import argparse, os, pathlib
import numpy as np
parser = argparse.ArgumentParser()
parser.add_argument("--weight", type=float)
weight = parser.parse_known_args()[0].weight
graph = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "graph")
arrays = sorted(graph.rglob("*.npy"))
assert arrays, graph
np.save(pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.npy"), np.array([weight * np.load(path).size for path in arrays]))
print(f"validation accuracy {weight:.3f}")
"""
TRANSFORM = """
import os, pathlib
import numpy as np
weights = np.load(pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.npy"))
nodes = pathlib.Path(os.environ["SM_DATA_DIR"], "graph", "graph.json").stat().st_size
np.save(pathlib.Path(os.environ["SM_OUTPUT_DIR"], "scores.npy"), weights + nodes)
"""
HYPERPARAMETERS = {"models": [{
    "model": "custom", "task_type": "node_class",
    "eval_metric": {"tuning_objective": {"MetricName": "validation:accuracy", "Type": "Maximize"},
                    "metric_definitions": [{"Name": "validation:accuracy", "Regex": "validation accuracy ([0-9.]+)"}]},
    "1-tier-param": [{"param": "weight", "type": "float", "range": [0.25, 0.75], "inc_strategy": "linear", "default": 0.5}],
    "2-tier-param": [], "3-tier-param": [], "fixed-param": []}]}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with an export, the same a week later with one item more, and the scripts of a model."""
    folder = tmp_path_factory.mktemp("inputs")
    write_export(folder / "export")
    week = write_export(folder / "week")
    with (week / NODES).open("a", encoding="utf-8") as nodes, (week / EDGES).open("a", encoding="utf-8") as edges:
        nodes.write(f"{NEW},item,0.5,green\n")
        edges.write(f"new-1,link,{NEW},item-1\n")
    (folder / "code").mkdir()
    for name, content in (("training.py", TRAINING), ("transform.py", TRANSFORM),
                          ("model-hpo-configuration.json", json.dumps(HYPERPARAMETERS))):
        (folder / "code" / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bucket(seaweed: Seaweed, inputs: Path) -> str:
    """A bucket with all inputs in it."""
    bucket, client = seaweed.new_bucket(), seaweed.client()
    for path in inputs.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), bucket, f"inputs/{path.relative_to(inputs)}")
    return bucket


@pytest.fixture(scope="module")
def remote(seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps everything on the S3 server."""
    server = Server(tmp_path_factory.mktemp("remote") / "data", environment={**ALLOWED, **seaweed.environment()}).start()
    yield server
    server.stop()
    for pid in server.processes():
        os.kill(pid, signal.SIGKILL)


def keys(client: Any, location: str) -> list[str]:
    """The keys below a location, relative to it."""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    found = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/").get("Contents", [])
    return sorted(entry["Key"].removeprefix(f"{prefix}/") for entry in found)


def output(server: Server, kind: str, job_id: str, step: str = "processingJob") -> str:
    """The location of the result of a job that completes."""
    job = server.wait_until_ended(kind, job_id)
    assert job["status"] == "Completed", job
    return str(job[step]["outputLocation"])


def test_jobs_read_and_write_buckets_and_outlive_the_death_of_their_server(remote: Server, seaweed: Seaweed, bucket: str) -> None:
    s3, client = seaweed.client(), remote.boto3()
    locations = {"inputDataS3Location": f"s3://{bucket}/inputs/export", "processedDataS3Location": f"s3://{bucket}/processed"}
    for wrong in ({"inputDataS3Location": "s3://no-such-bucket/export"}, {"processedDataS3Location": "s3://no-such-bucket/out"}):
        with pytest.raises(client.exceptions.BadRequestException, match=f"{INVALID}.*there is no bucket 'no-such-bucket' at http"):
            client.start_ml_data_processing_job(id="wrong", **(locations | wrong))
    client.start_ml_data_processing_job(id="dp", **locations)
    processed = output(remote, "dataprocessing", "dp")
    assert {"graph/graph.json", "info.pkl", "model-hpo-configuration.json"} <= set(keys(s3, processed))

    client.start_ml_model_training_job(id="tr", dataProcessingJobId="dp", trainModelS3Location=f"s3://{bucket}/models",
                                       maxHPONumberOfTrainingJobs=1)
    remote.wait_for_run("modeltraining", "tr", "trial", step=1)
    seaweed.kill()
    with pytest.raises(client.exceptions.InternalFailureException, match=r"the S3 server at .* gave no answer in 5 s") as raised:
        remote.boto3(retries={"max_attempts": 0}).start_ml_data_processing_job(id="late", **locations)
    assert raised.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "5"
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(client.start_ml_data_processing_job, id="late", **locations)  # which asks again of itself
        seaweed.start()
        assert starting.result(PATIENCE_SECONDS)["id"] == "late"
    client.cancel_ml_data_processing_job(id="late")
    trained = output(remote, "modeltraining", "tr")
    details = remote.details("modeltraining", "tr")["details"]
    assert {run["attempt"] for run in details["runs"]} == {1}
    assert {"embeddings/entity.npy", "mapping.info", "predictions/result.npz", "training-report.json"} <= set(keys(s3, trained))
    assert not [key for key in keys(s3, details["prefix"]) if "/state/" in key]
    created(remote, "ep")
    answer = ask(remote, "ep", {"data": {"nodes": [{"nodeId": "item-0"}]}})
    assert answer["output"]["nodes"][0]["predictions"]


def build_on(server: Server, inputs: str, bucket: str) -> dict[str, str]:
    """What builds on the jobs ``dp`` and ``tr``; where the results of all jobs are."""
    client = server.boto3()
    client.start_ml_model_training_job(
        id="custom", dataProcessingJobId="dp", trainModelS3Location=f"s3://{bucket}/models", maxHPONumberOfTrainingJobs=1,
        customModelTrainingParameters={"sourceS3DirectoryPath": f"{inputs}/code"})
    client.start_ml_data_processing_job(
        id="week", inputDataS3Location=f"{inputs}/week", processedDataS3Location=f"s3://{bucket}/processed",
        previousDataProcessingJobId="dp")
    outputs = {job_id: output(server, "dataprocessing", job_id) for job_id in ("dp", "week")}
    outputs |= {job_id: output(server, "modeltraining", job_id) for job_id in ("tr", "custom")}
    for training in ("tr", "custom"):
        client.start_ml_model_transform_job(id=f"week-{training}", dataProcessingJobId="week", mlModelTrainingJobId=training,
                                            modelTransformOutputS3Location=f"s3://{bucket}/transformed")
    transformed = {job_id: output(server, "modeltransform", job_id, "baseProcessingJob") for job_id in ("week-tr", "week-custom")}
    return outputs | transformed


def test_what_builds_on_other_jobs_has_the_same_results_on_an_s3_server_as_in_a_folder(
        remote: Server, start_server: Callable[..., Server], seaweed: Seaweed, inputs: Path, bucket: str, trained_data: Path,
) -> None:
    """Incremental data processing, model transform and a model of one's own; and the training that lived through an outage."""
    theirs = build_on(remote, f"s3://{bucket}/inputs", bucket)
    assert not any((remote.data_dir / "s3").iterdir()), "nothing is in the folder that stands in for S3"
    here = start_server(environment=ALLOWED, data=trained_data)
    for job_id, location in build_on(here, inputs.as_uri(), "test").items():
        mine, others = files_of(here.path(location)), objects(seaweed.client(), theirs[job_id])
        assert set(mine) == set(others)
        assert len(mine) >= 2
        assert {name for name in mine if mine[name] != others[name]} <= TIMED, job_id


def test_a_clean_that_meets_an_outage_need_not_be_asked_for_again(remote: Server, seaweed: Seaweed, bucket: str, tmp_path: Path,
                                                                  ) -> None:
    s3, client = seaweed.client(), remote.boto3()
    name = "model-hpo-configuration.json"
    key = f"{output(remote, 'dataprocessing', 'dp').removeprefix(f's3://{bucket}/')}/{name}"
    s3.download_file(bucket, key, str(tmp_path / name))
    set_epochs(tmp_path, ENDLESS)
    s3.upload_file(str(tmp_path / name), bucket, key)
    client.start_ml_model_training_job(id="cleaned", dataProcessingJobId="dp", trainModelS3Location=f"s3://{bucket}/models",
                                       maxHPONumberOfTrainingJobs=1)
    prefix = remote.details("modeltraining", "cleaned")["details"]["prefix"]
    wait_for("a state in the bucket", lambda: [key for key in keys(s3, prefix) if "/state/" in key])
    s3.put_object(Bucket=bucket, Key=f"{prefix.removeprefix(f's3://{bucket}/')}-2/neighbour", Body=b"")
    written = keys(s3, f"s3://{bucket}/models")
    seaweed.kill()
    assert client.cancel_ml_model_training_job(id="cleaned", clean=True)["status"] == "Stopping"
    stopped = remote.wait_until_ended("modeltraining", "cleaned")
    assert stopped["status"] == "Stopped"
    (note,) = stopped["details"]["notes"]
    assert "tried again" in note
    assert client.cancel_ml_model_training_job(id="cleaned", clean=True)["status"] == "Stopped", "impatient, and in vain"
    seaweed.start()
    wait_for("the bucket to be clean", lambda: not keys(s3, prefix))
    wait_for("the note to go", lambda: not remote.details("modeltraining", "cleaned")["details"]["notes"])
    own = f"{prefix.rpartition('/')[2]}/"
    assert keys(s3, f"s3://{bucket}/models") == [key for key in written if not key.startswith(own)]


def files_of(folder: Path) -> dict[str, str]:
    """The files below a folder, with checksums."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file()}


def objects(client: Any, location: str) -> dict[str, str]:
    """The same of the objects below a location."""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    listed = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]
    return {entry["Key"].removeprefix(f"{prefix}/"):
            hashlib.sha256(client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()).hexdigest() for entry in listed}
