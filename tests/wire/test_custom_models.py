"""A user's own model, through boto3 against a real server."""

import csv
import json
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from tests.serving import Server, wait_for
from tests.wire.endpoints import ask, created, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
CODE = {"sourceS3DirectoryPath": (EXAMPLES / "custom-model").as_uri()}


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that allows custom models, with the air routes processed as ``dp``."""
    data = tmp_path_factory.mktemp("custom") / "data"
    server = Server(data, environment={"DESPINA_CUSTOM_MODELS": "true", "DESPINA_STOP_GRACE_SECONDS": "0.2"}).start()
    server.process(EXAMPLES / "air-routes")
    yield server
    server.stop()
    for pid in server.processes():
        os.kill(pid, signal.SIGKILL)


def start(server: Server, job_id: str, **members: Any) -> None:
    server.boto3().start_ml_model_training_job(
        id=job_id, dataProcessingJobId="dp", trainModelS3Location="s3://test/models",
        **{"customModelTrainingParameters": CODE, **members})


def test_the_example_trains_and_its_artefacts_are_there(allowing: Server) -> None:
    start(allowing, "custom")
    job = allowing.wait_until_ended("modeltraining", "custom")
    assert job["status"] == "Completed", job
    assert job["mlModels"]
    output = allowing.path(job["processingJob"]["outputLocation"])
    accuracy = json.loads((output / "test_metrics_info.json").read_bytes())["acc"]
    assert accuracy > 0.8, "a third are of the commonest class"
    scores = np.load(output / "predictions" / "result.npz")["infer_scores"]
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-4)
    mapping = pickle.loads((output / "mapping.info").read_bytes())
    assert len(mapping["node2id"]["airport"]) == len(scores) == len(np.load(output / "embeddings" / "entity.npy"))
    assert json.loads((output / "config.json").read_bytes())["name"] == "node_class-custom"
    assert (output / "infer_instance_recommendation.json").is_file()
    trials = [run for run in job["details"]["runs"] if run["kind"] == "trial"]
    assert len({run["parameters"]["lr"] for run in trials}) == 2, "the second trial was tuned"
    assert all(0 < run["objective"] <= 1 for run in trials)
    assert len(json.loads((output / "training-report.json").read_bytes())["trials"]) == 2


def test_a_transform_job_runs_the_script_with_the_trained_model(allowing: Server, tmp_path: Path) -> None:
    trial = next(run for run in allowing.details("modeltraining", "custom")["details"]["runs"] if run["kind"] == "trial")
    for path in (EXAMPLES / "custom-model").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "again.py").write_text("import transform\ntransform.main()\nprint('once more')\n", encoding="utf-8")
    own = {"sourceS3DirectoryPath": tmp_path.as_uri(), "transformEntryPointScript": "again.py"}
    for job_id, members in (("pair", {"dataProcessingJobId": "dp", "mlModelTrainingJobId": "custom"}),
                            ("own", {"trainingJobName": trial["name"], "customModelTransformParameters": own})):
        allowing.boto3().start_ml_model_transform_job(
            id=job_id, modelTransformOutputS3Location="s3://test/transformed", **members)
        job = allowing.wait_until_ended("modeltransform", job_id)
        assert job["status"] == "Completed", job
        output = allowing.path(job["baseProcessingJob"]["outputLocation"])
        assert json.loads((output / "test_metrics_info.json").read_bytes())["acc"] > 0.5
    log = allowing.request("GET", "/ml/modeltransform/own/logs")[2]
    assert {"message": "once more"} in log["events"]


def test_an_endpoint_serves_what_it_wrote_and_asks_its_own_script_about_new_nodes(allowing: Server) -> None:
    found = created(allowing, "custom", job="custom")
    output = allowing.path(found["details"]["serving"]["artifacts"])
    ids = pickle.loads((output / "mapping.info").read_bytes())["node2id"]["airport"]
    names = list(ids)[:20]
    scores = np.load(output / "predictions" / "result.npz")["infer_scores"]
    answers = ask(allowing, "custom", {"data": {"nodes": [{"nodeId": name} for name in names]}})["output"]["nodes"]
    assert [item["predictions"][0]["score"] for item in answers] == [float(scores[ids[name]].max()) for name in names]
    known = next(item for item in answers if item["predictions"][0]["score"] > 0.9)
    [path] = (EXAMPLES / "air-routes" / "edges").glob("*.csv")
    with path.open(newline="", encoding="utf-8") as file:
        ends = [row["~to"] for row in csv.DictReader(file) if row["~from"] == known["nodeId"]][:8]
    body = {"data": {"globalParameters": {"topk": 3}, "nodes": [{"nodeId": "new"}, {"nodeId": "other"}]}, "subgraph": {
        "nodes": [{"id": "new", "type": "airport", "properties": {"runways": 2, "longest": 9000, "elev": 100}}],
        "edges": [{"from": "new", "to": end, "type": "route"} for end in ends]}}
    new, other = ask(allowing, "custom", body)["output"]["nodes"]
    assert new["predictions"][0]["class"] == known["predictions"][0]["class"], "that of the airports it has routes with"
    assert other["error"]["code"] == "UnknownNode"
    allowing.boto3().delete_ml_endpoint(id="custom")


def test_scripts_that_fail_are_the_models_errors(allowing: Server, tmp_path: Path) -> None:
    for path in (EXAMPLES / "custom-model").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "inference.py").write_text(FAULTY, encoding="utf-8")
    trial = next(run for run in allowing.details("modeltraining", "custom")["details"]["runs"] if run["kind"] == "trial")
    allowing.boto3().start_ml_model_transform_job(
        id="faulty", modelTransformOutputS3Location="s3://test/transformed", trainingJobName=trial["name"],
        customModelTransformParameters={"sourceS3DirectoryPath": tmp_path.as_uri()})
    assert allowing.wait_until_ended("modeltransform", "faulty")["status"] == "Completed"
    allowing.boto3().create_ml_endpoint(id="faulty", mlModelTransformJobId="faulty")
    wait_until(allowing, "faulty", "InService")
    for node, text in (("raise", "ValueError: no idea"), ("short", "an element for each of the 1 items"), ("nan", "failed"),
                       ("die", "ended, or did not answer")):
        with pytest.raises(ClientError, match=text) as raised:
            ask(allowing, "faulty", {"data": {"nodes": [{"nodeId": node}]}, "subgraph": {}})
        assert raised.value.response["Error"]["Code"] == "ModelError"
    good = ask(allowing, "faulty", {"data": {"nodes": [{"nodeId": "good"}]}, "subgraph": {}})
    assert good["output"]["nodes"] == [{"nodeId": "good", "predictions": [{"class": "x", "score": 1.0}]}], "it goes on after all"
    allowing.boto3().delete_ml_endpoint(id="faulty")


FAULTY = """
import os, pathlib

def model_fn(model_dir):
    print("loaded")
    return sorted(os.listdir(model_dir))

def predict_fn(request, model):
    name = request["data"]["nodes"][0]["nodeId"]
    print("asked about", name)
    if name == "raise":
        raise ValueError("no idea")
    if name == "die":
        os._exit(3)
    return {"short": [], "nan": [[{"score": float("nan")}]]}.get(name, [[{"class": "x", "score": 1.0}]])
"""


def test_another_model_cannot_begin_with_one_of_somebodys_own(allowing: Server) -> None:
    with pytest.raises(ClientError, match="'previousModelTrainingJobId' names a job with a model of somebody's own") as raised:
        allowing.boto3().start_ml_model_training_job(
            dataProcessingJobId="dp", trainModelS3Location="s3://test/models", previousModelTrainingJobId="custom")
    assert raised.value.response["Error"]["Code"] == "IllegalArgumentException"


def test_cancel_ends_the_script_and_what_it_started_and_clean_deletes(allowing: Server, tmp_path: Path) -> None:
    (tmp_path / "training.py").write_text(
        "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print('validation accuracy 0.5', flush=True)\nchild.wait()\n", encoding="utf-8")
    for name in ("transform.py", "model-hpo-configuration.json"):
        (tmp_path / name).write_bytes((EXAMPLES / "custom-model" / name).read_bytes())
    start(allowing, "endless", customModelTrainingParameters={"sourceS3DirectoryPath": tmp_path.as_uri()})
    allowing.wait_for_run("modeltraining", "endless", "trial", step=1)
    prefix = allowing.path(allowing.details("modeltraining", "endless")["details"]["prefix"])
    running = allowing.processes()
    assert len(running) >= 4, "supervisor, program, script and its child"
    allowing.boto3().cancel_ml_model_training_job(id="endless", clean=True)
    assert allowing.wait_until_ended("modeltraining", "endless")["status"] == "Stopped"
    wait_for("nobody left", lambda: not allowing.processes())
    assert not prefix.exists()


def test_a_script_that_fails_fails_the_job_with_its_last_words(allowing: Server, tmp_path: Path) -> None:
    for name in ("transform.py", "model-hpo-configuration.json"):
        (tmp_path / name).write_bytes((EXAMPLES / "custom-model" / name).read_bytes())
    (tmp_path / "training.py").write_text("raise SystemExit('no such feature: altitude')", encoding="utf-8")
    start(allowing, "failing", customModelTrainingParameters={"sourceS3DirectoryPath": tmp_path.as_uri()})
    job = allowing.wait_until_ended("modeltraining", "failing")
    assert job["status"] == "Failed"
    assert "training.py ended with exit status 1: no such feature: altitude" in job["processingJob"]["failureReason"]


def test_a_script_that_is_missing_fails_the_job_before_any_trial(allowing: Server) -> None:
    start(allowing, "missing", customModelTrainingParameters={**CODE, "trainingEntryPointScript": "train.py"})
    job = allowing.wait_until_ended("modeltraining", "missing")
    assert (job["status"], "hpoJob" in job) == ("Failed", False)
    reason = job["processingJob"]["failureReason"]
    assert reason.startswith(f"MissingFile: there is no file train.py at {CODE['sourceS3DirectoryPath']}")
    assert "trainingEntryPointScript" in reason


def test_custom_models_are_off_unless_the_deployment_allows_them(start_server: Callable[..., Server]) -> None:
    with pytest.raises(ClientError, match=r"custom_models") as raised:
        start(start_server(), "custom")
    assert raised.value.response["Error"]["Code"] == "UnsupportedOperationException"


@pytest.mark.parametrize(("members", "code", "text"), [
    ({"customModelTrainingParameters": {"sourceS3DirectoryPath": "s3://test/nothing"}}, "BadRequestException", "s3://test/nothing"),
    ({"customModelTrainingParameters": {**CODE, "trainingEntryPointScript": "../x.py"}}, "IllegalArgumentException",
     "a script in the folder sourceS3DirectoryPath")])
def test_a_source_that_is_not_there_and_a_path_are_refused(allowing: Server, members: Any, code: str, text: str) -> None:
    with pytest.raises(ClientError) as raised:
        start(allowing, "refused", **members)
    assert raised.value.response["Error"]["Code"] == code
    assert text in raised.value.response["Error"]["Message"]


def test_the_model_custom_needs_scripts(allowing: Server) -> None:
    body = {"dataProcessingJobId": "dp", "trainModelS3Location": "s3://test/models", "modelName": "custom"}
    status, _, answer = allowing.request("POST", "/ml/modeltraining", json.dumps(body).encode())
    assert (status, answer["code"]) == (400, "MissingParameterException")
    assert "customModelTrainingParameters" in answer["message"]
