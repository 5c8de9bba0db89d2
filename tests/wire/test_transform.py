"""Model transform through boto3 against a real server: incremental inference, other trials, errors, cancel and clean."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from tests.exports import write_export
from tests.serving import Server
from tests.wire.conftest import CommandLine
from tests.wire.test_incremental import EDGES, NODES

Json = dict[str, Any]
PAIR = {"dataProcessingJobId": "dp", "mlModelTrainingJobId": "tr"}
NEW = "item-new"


@pytest.fixture(scope="module")
def trained(server: Server, export: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server with the jobs ``dp`` and ``tr`` (of two trials), and ``week``, which builds on ``dp`` and has one item more."""
    server.process(export)
    server.boto3().start_ml_model_training_job(id="tr", dataProcessingJobId="dp", trainModelS3Location="s3://test/models")
    assert server.wait_until_ended("modeltraining", "tr")["status"] == "Completed"
    folder = write_export(tmp_path_factory.mktemp("week") / "export")
    with (folder / NODES).open("a", encoding="utf-8") as nodes, (folder / EDGES).open("a", encoding="utf-8") as edges:
        nodes.write(f"{NEW},item,0.5,green\n")  # a class that is new, too
        edges.write(f"new-1,link,{NEW},item-1\n")
    server.boto3().start_ml_data_processing_job(
        id="week", inputDataS3Location=folder.as_uri(), processedDataS3Location="s3://test/processed",
        previousDataProcessingJobId="dp")
    assert server.wait_until_ended("dataprocessing", "week")["status"] == "Completed"
    return server


def transform(server: Server, job_id: str, **members: Any) -> Json:
    """A transform job once it has ended."""
    started = server.boto3().start_ml_model_transform_job(
        id=job_id, modelTransformOutputS3Location="s3://test/transformed", **members)
    assert started["id"] == job_id
    assert started["arn"].startswith("arn:aws:sagemaker:us-east-1:123456789012:processing-job/")
    return server.wait_until_ended("modeltransform", job_id)


def output(server: Server, job: Json) -> Path:
    return server.path(job["baseProcessingJob"]["outputLocation"])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def trials(server: Server) -> list[Json]:
    return [run for run in server.details("modeltraining", "tr")["details"]["runs"] if run["kind"] == "trial"]


def test_the_same_data_give_the_same_artefacts_as_the_training(trained: Server) -> None:
    job = transform(trained, "same", **PAIR)
    assert job["status"] == "Completed", job
    client = trained.boto3()
    got = client.get_ml_model_transform_job(id="same")
    assert set(got) == {"id", "status", "baseProcessingJob", "models", "ResponseMetadata"}, "what boto3 knows"
    assert got["baseProcessingJob"]["status"] == "Completed"
    training = client.get_ml_model_training_job(id="tr")
    assert got["models"] == training["mlModels"]
    assert job["processingJob"] == job["baseProcessingJob"], "by the name that graph-notebook looks for"
    assert client.list_ml_model_transform_jobs()["ids"][0] == "same"
    mine, theirs = files(output(trained, job)), files(trained.path(training["processingJob"]["outputLocation"]))
    assert set(mine) == set(theirs)
    assert {name for name in mine if mine[name] != theirs[name]} <= {"training-report.json", "predictions/result.npz"}
    np.testing.assert_array_equal(scores(output(trained, job)), scores(trained.path(training["processingJob"]["outputLocation"])))


def scores(folder: Path) -> Any:
    return np.load(folder / "predictions" / "result.npz")["infer_scores"]


def test_new_nodes_are_predicted_without_training(trained: Server) -> None:
    job = transform(trained, "week", **PAIR | {"dataProcessingJobId": "week"})
    assert job["status"] == "Completed", job["baseProcessingJob"]
    folder = output(trained, job)
    mapping = pickle.loads((folder / "mapping.info").read_bytes())
    row = mapping["node2id"]["item"][NEW]
    predicted = scores(folder)
    assert len(predicted) == len(mapping["node2id"]["item"]) == 61
    np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-4)
    assert mapping["label_map"]["item"][int(predicted[row].argmax())] in {"red", "blue"}
    before = scores(output(trained, transform(trained, "before", **PAIR)))
    assert np.mean(predicted[:60].argmax(axis=1) == before.argmax(axis=1)) > 0.9, "the model is the same"
    assert np.abs(predicted[:60] - before).max() > 0, "but neighbours have a neighbour more"


def test_any_trial_can_be_transformed_by_its_name(trained: Server) -> None:
    for number, trial in enumerate(trials(trained)):
        job = transform(trained, f"trial-{number}", trainingJobName=trial["name"])
        assert job["status"] == "Completed", job
        assert job["models"][0]["name"] == f"{trial['name']}-cpu"
        model = json.loads((output(trained, job) / "model.json").read_bytes())
        assert model["value"] == pytest.approx(trial["objective"])


NO_TRIAL = "trzz-neptune-ml-261125-1600-001-0a1b2c3d"


@pytest.mark.parametrize(("members", "code", "text"), [
    ({}, "MissingParameterException", "'dataProcessingJobId'"),
    ({"dataProcessingJobId": "dp"}, "MissingParameterException", "'mlModelTrainingJobId'"),
    ({"mlModelTrainingJobId": "tr"}, "MissingParameterException", "'dataProcessingJobId'"),
    ({**PAIR, "trainingJobName": NO_TRIAL}, "IllegalArgumentException", "may not stand together"),
    ({**PAIR, "mlModelTrainingJobId": "nobody"}, "BadRequestException", "Provided MLModelTraining job doesn't exist."),
    ({**PAIR, "dataProcessingJobId": "nobody"}, "BadRequestException", "Provided MLDataProcessing job doesn't exist."),
    ({"trainingJobName": NO_TRIAL}, "BadRequestException", "Unable to find SageMaker AI resource."),
    ({"trainingJobName": "whatever"}, "BadRequestException", "Unable to find SageMaker AI resource."),
    ({**PAIR, "baseProcessingInstanceType": "large"}, "InvalidParameterException", "Invalid ML instance type."),
    ({**PAIR, "baseProcessingInstanceVolumeSizeInGB": -1}, "ConstraintViolationException", "baseProcessingInstanceVolumeSizeInGB"),
    ({**PAIR, "customModelTransformParameters": {"sourceS3DirectoryPath": "s3://test/code"}}, "IllegalArgumentException",
     "'customModelTransformParameters' may not stand beside this model"),
], ids=lambda value: value if isinstance(value, str) and value.endswith("Exception") else "")
def test_what_cannot_be_transformed_is_refused(trained: Server, members: Json, code: str, text: str) -> None:
    with pytest.raises(ClientError) as caught:
        trained.boto3().start_ml_model_transform_job(modelTransformOutputS3Location="s3://test/transformed", **members)
    assert caught.value.response["Error"]["Code"] == code
    assert text in caught.value.response["Error"]["Message"]


def test_data_of_another_form_fail_with_the_reason(trained: Server, tmp_path: Path) -> None:
    folder = write_export(tmp_path / "other")
    text = (folder / NODES).read_text(encoding="utf-8")
    (folder / NODES).write_text(text.replace("blue", "yellow"), encoding="utf-8")
    trained.process(folder, "other")
    job = transform(trained, "other", **PAIR | {"dataProcessingJobId": "other"})
    assert job["status"] == "Failed"
    assert "classes" in job["baseProcessingJob"]["failureReason"]
    assert "previousDataProcessingJobId" in job["baseProcessingJob"]["failureReason"]
    assert "models" not in job


def test_cancel_with_clean_leaves_nothing(trained: Server) -> None:
    client = trained.boto3()
    client.start_ml_model_transform_job(id="swept", modelTransformOutputS3Location="s3://test/swept", **PAIR)
    assert client.cancel_ml_model_transform_job(id="swept", clean=True)["status"] in {"Stopping", "Stopped"}
    job = trained.wait_until_ended("modeltransform", "swept")
    assert job["status"] == "Stopped"
    assert not list(trained.path("s3://test/swept").rglob("*.npy"))
    with pytest.raises(ClientError, match="already completed or failed"):
        client.cancel_ml_model_transform_job(id="same")


def test_logs_and_ids_are_a_kinds_own(trained: Server) -> None:
    status, _, log = trained.request("GET", "/ml/modeltransform/same/logs")
    assert status == 200
    assert log["events"]
    job = transform(trained, "tr", **PAIR)
    assert job["status"] == "Completed", "the training job of this id is another one"


def test_the_command_line(trained: Server, command_line: CommandLine) -> None:
    start = ("start-ml-model-transform-job", "--id", "by-cli", "--data-processing-job-id", "dp", "--ml-model-training-job-id", "tr",
             "--model-transform-output-s3-location", "s3://test/by-cli")
    status, out, err = command_line(*start)
    assert status == 0, err
    assert json.loads(out)["id"] == "by-cli"
    assert json.loads(command_line("get-ml-model-transform-job", "--id", "by-cli")[1])["id"] == "by-cli"
    assert json.loads(command_line("list-ml-model-transform-jobs", "--max-items", "1")[1])["ids"] == ["by-cli"]
    status, out, err = command_line(*start)
    assert status != 0
    assert "InvalidParameterException" in err
    assert trained.wait_until_ended("modeltransform", "by-cli")["status"] == "Completed"
    status, out, err = command_line("cancel-ml-model-transform-job", "--id", "by-cli", "--clean")
    assert status != 0
    assert "already completed or failed" in err
