"""Incremental data processing, model transform and a model of one's own, all on an S3 server: the results are a folder's."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.exports import write_export
from tests.seaweed import Seaweed
from tests.serving import Server
from tests.wire.test_incremental import EDGES, NODES

Json = dict[str, Any]
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


@pytest.fixture
def inputs(export: Path, tmp_path: Path) -> Path:
    """Folders with an export, the same a week later with one item more, and the scripts of a model."""
    folder = tmp_path / "inputs"
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


def work(server: Server, inputs: str, bucket: str) -> dict[str, str]:
    """What builds on the jobs ``dp`` and ``tr``, which are made if they are not there; where the results of all jobs are."""
    client = server.boto3()
    made = client.list_ml_model_training_jobs()["ids"]

    def process(job_id: str, name: str, **members: str) -> None:
        client.start_ml_data_processing_job(id=job_id, inputDataS3Location=f"{inputs}/{name}",
                                            processedDataS3Location=f"s3://{bucket}/processed", **members)

    def train(job_id: str, **members: Any) -> None:
        client.start_ml_model_training_job(id=job_id, dataProcessingJobId="dp", trainModelS3Location=f"s3://{bucket}/models",
                                           maxHPONumberOfTrainingJobs=1, **members)

    def output(kind: str, job_id: str, step: str = "processingJob") -> str:
        job = server.wait_until_ended(kind, job_id)
        assert job["status"] == "Completed", job
        return str(job[step]["outputLocation"])

    if not made:
        process("dp", "export")
        output("dataprocessing", "dp")
        train("tr")
    train("custom", customModelTrainingParameters={"sourceS3DirectoryPath": f"{inputs}/code"})
    process("week", "week", previousDataProcessingJobId="dp")
    outputs = {job_id: output("dataprocessing", job_id) for job_id in ("dp", "week")}
    outputs |= {job_id: output("modeltraining", job_id) for job_id in ("tr", "custom")}
    for training in ("tr", "custom"):
        client.start_ml_model_transform_job(id=f"week-{training}", dataProcessingJobId="week", mlModelTrainingJobId=training,
                                            modelTransformOutputS3Location=f"s3://{bucket}/transformed")
    return outputs | {job_id: output("modeltransform", job_id, "baseProcessingJob") for job_id in ("week-tr", "week-custom")}


def test_what_builds_on_other_jobs_has_the_same_results_on_an_s3_server_as_in_a_folder(
        start_server: Callable[..., Server], seaweed: Seaweed, inputs: Path, trained_data: Path) -> None:
    bucket, client, allowed = seaweed.new_bucket(), seaweed.client(), {"DESPINA_CUSTOM_MODELS": "true"}
    for path in inputs.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), bucket, f"inputs/{path.relative_to(inputs)}")
    remote = start_server(environment={**allowed, **seaweed.environment()})
    outputs = work(remote, f"s3://{bucket}/inputs", bucket)
    remote.stop()
    assert not any((remote.data_dir / "s3").iterdir()), "nothing is in the folder that stands in for S3"
    here = start_server(environment=allowed, data=trained_data)
    for job_id, location in work(here, inputs.as_uri(), "test").items():
        mine, theirs = files_of(here.path(location)), objects(client, outputs[job_id])
        assert set(mine) == set(theirs)
        assert len(mine) >= 2
        assert {name for name in mine if mine[name] != theirs[name]} <= TIMED, job_id


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
