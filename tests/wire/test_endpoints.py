"""The four operations of endpoints from outside: their whole life, every error, and the clients that their users have."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Server, wait_for
from tests.wire.conftest import CommandLine, JavaScript
from tests.wire.endpoints import ask, created, endpoint, serving, wait_until, wait_until_gone
from tests.wire.test_errors import NO_SUCH_ID, assert_error

ROLE = "arn:aws:iam::123456789012:role/NeptuneML"
NODE = {"data": {"nodes": [{"nodeId": "item-1"}]}}


def body(**members: Any) -> bytes:
    return json.dumps({"mlModelTrainingJobId": "tr", **members}).encode()


def create(server: Server, **members: Any) -> Any:
    return server.request("POST", "/ml/endpoints", body(**members))


def test_an_endpoint_from_its_creation_to_its_end(trained: Server) -> None:
    client = trained.boto3()
    made = client.create_ml_endpoint(id="node-classification-1642703697", mlModelTrainingJobId="tr", instanceType="ml.m5.xlarge",
                                     modelName="rgcn")
    assert made["arn"].startswith("arn:aws:sagemaker:us-east-1:123456789012:endpoint/node-cla-")
    assert isinstance(made["creationTimeInMillis"], int)
    wait_until(trained, made["id"], "InService")
    got = client.get_ml_endpoint(id=made["id"])
    assert set(got) == {"id", "status", "endpoint", "endpointConfig", "ResponseMetadata"}
    name = got["endpoint"]["name"]
    assert re.fullmatch(r"node-cla-\d{4}(-\d\d){4}-\d+-endpoint", name)
    assert got["endpoint"] == {"name": name, "arn": made["arn"], "status": "InService"}
    assert got["endpointConfig"] == {"name": f"{name}config",
                                     "arn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/{name}config"}
    assert client.list_ml_endpoints()["ids"][0] == made["id"]
    notes = endpoint(trained, made["id"])["details"]["serving"]["notes"]
    assert [note.partition(" is recorded")[0] for note in notes] == ["modelName (rgcn)", "instanceType (ml.m5.xlarge)"]
    for known_as in (made["id"], name):
        assert ask(trained, known_as, NODE)["output"]["nodes"][0]["nodeId"] == "item-1"
    assert client.delete_ml_endpoint(id=made["id"], clean=True)["status"] == "Deleting"
    wait_until_gone(trained, made["id"])
    assert made["id"] not in client.list_ml_endpoints()["ids"]
    assert not [path for path in (trained.data_dir / "runs").iterdir() if made["id"] in path.name], "nor do its runs leave anything"
    assert trained.boto3().get_ml_model_training_job(id="tr")["status"] == "Completed", "the job's artefacts are the job's"
    created(trained, made["id"])
    client.delete_ml_endpoint(id=made["id"])


def test_an_id_is_made_up_if_none_is_given(trained: Server) -> None:
    client = trained.boto3()
    made = client.create_ml_endpoint(mlModelTrainingJobId="tr")
    assert re.fullmatch(r"endpoint-\d{4}(-\d\d){4}-\d+", made["id"])
    assert client.delete_ml_endpoint(id=made["id"])["status"] == "Deleting", "an endpoint can be deleted while it is created"
    wait_until_gone(trained, made["id"])


def test_an_update_serves_the_new_model_once_it_answers(trained: Server) -> None:
    created(trained, "updated")
    client = trained.boto3()
    client.start_ml_model_transform_job(id="tf", dataProcessingJobId="dp", mlModelTrainingJobId="tr",
                                        modelTransformOutputS3Location="s3://test/transformed")
    assert trained.wait_until_ended("modeltransform", "tf")["status"] == "Completed"
    first = serving(trained, "updated")
    answer = client.create_ml_endpoint(id="updated", mlModelTransformJobId="tf", update=True, instanceCount=2)
    assert answer["id"] == "updated"
    after = wait_for("the second version", lambda: (found := endpoint(trained, "updated"))["details"]["serving"]["version"] == 2
                     and len(found["details"]["replicas"]) == 2 and found)
    assert after["status"] == "InService"
    assert after["endpointConfig"]["name"] == f"{after['endpoint']['name']}config-2"
    assert (after["details"]["serving"]["jobKind"], after["details"]["serving"]["jobId"]) == ("modeltransform", "tf")
    assert not set(first) & set(serving(trained, "updated"))
    assert ask(trained, "updated", NODE)["output"]["nodes"][0]["predictions"]
    client.delete_ml_endpoint(id="updated")


def test_an_update_whose_model_cannot_be_served_is_rolled_back(trained: Server) -> None:
    created(trained, "rolled-back")
    client = trained.boto3()
    client.start_ml_model_transform_job(id="broken", dataProcessingJobId="dp", mlModelTrainingJobId="tr",
                                        modelTransformOutputS3Location="s3://test/transformed")
    job = trained.wait_until_ended("modeltransform", "broken")
    trained.path(job["baseProcessingJob"]["outputLocation"]).joinpath("embeddings", "entity.npy").unlink()
    client.create_ml_endpoint(id="rolled-back", mlModelTransformJobId="broken", update=True)
    after = wait_until(trained, "rolled-back", "InService")
    assert after["details"]["serving"]["version"] == 1
    assert after["endpoint"]["failureReason"] == "the artefacts have no file embeddings/entity.npy"
    assert ask(trained, "rolled-back", NODE)["output"]["nodes"][0]["predictions"]
    client.create_ml_endpoint(id="rolled-back", mlModelTrainingJobId="tr", update=True)
    wait_for("the third version", lambda: endpoint(trained, "rolled-back")["details"].get("serving", {}).get("version") == 3)
    assert "failureReason" not in endpoint(trained, "rolled-back")["endpoint"]
    client.delete_ml_endpoint(id="rolled-back")


def test_an_endpoint_that_cannot_serve_says_why(trained: Server) -> None:
    client = trained.boto3()
    client.start_ml_model_transform_job(id="gone", dataProcessingJobId="dp", mlModelTrainingJobId="tr",
                                        modelTransformOutputS3Location="s3://test/transformed")
    job = trained.wait_until_ended("modeltransform", "gone")
    folder = trained.path(job["baseProcessingJob"]["outputLocation"])
    (folder / "predictions" / "result.npz").unlink()
    client.create_ml_endpoint(id="failed", mlModelTransformJobId="gone")
    found = wait_until(trained, "failed", "Failed")
    assert found["endpoint"]["failureReason"] == "the artefacts have no file predictions/result.npz"
    status, _, log = trained.request("GET", found["endpoint"]["cloudwatchLogUrl"].removeprefix(trained.url))
    assert status == 200
    assert "predictions/result.npz" in " ".join(line["message"] for line in log["events"])
    shutil.rmtree(folder)
    answer = trained.request("POST", "/ml/endpoints", json.dumps({"mlModelTransformJobId": "gone"}).encode())
    assert_error(answer, 400, "BadRequestException", "Invalid S3 URL", "no artefacts of the job 'gone'")
    client.delete_ml_endpoint(id="failed")
    wait_until_gone(trained, "failed")


def test_a_repeated_call_makes_one_endpoint_and_one_update(trained: Server) -> None:
    call = {"amz-sdk-invocation-id": "11111111-2222-4333-8444-555555555555"}
    answers = [trained.request("POST", "/ml/endpoints", body(id="once"), call)[2] for _ in range(3)]
    assert len({json.dumps(answer) for answer in answers}) == 1
    assert_error(create(trained, id="once"), 400, "InvalidParameterException", "Another resource with same ID already exists.")
    wait_until(trained, "once", "InService")
    call = {"amz-sdk-invocation-id": "22222222-2222-4333-8444-555555555555"}
    for _ in range(3):
        assert trained.request("POST", "/ml/endpoints", body(id="once", update=True), call)[0] == 200
    wait_for("the update", lambda: endpoint(trained, "once")["status"] == "InService")
    assert endpoint(trained, "once")["details"]["serving"]["version"] == 2
    trained.boto3().delete_ml_endpoint(id="once")


@pytest.mark.parametrize(("members", "code", "texts"), [
    ({"mlModelTrainingJobId": ""}, "MissingParameterException", ["mlModelTrainingJobId", "mlModelTransformJobId"]),
    ({"mlModelTransformJobId": "tf"}, "IllegalArgumentException", ["may not stand together"]),
    ({"mlModelTrainingJobId": "nobody"}, "BadRequestException", ["Provided MLModelTraining job doesn't exist."]),
    ({"mlModelTrainingJobId": "", "mlModelTransformJobId": "nobody"}, "BadRequestException",
     ["Provided ModelTransformJob doesn't exist."]),
    ({"update": True}, "MissingParameterException", ["'id'"]),
    ({"instanceCount": 0}, "ConstraintViolationException", ["instanceCount", "0", "1 or more"]),
    ({"instanceCount": "2"}, "BadRequestException", ["instanceCount"]),
    ({"instanceType": "m5.large"}, "InvalidParameterException", ["Invalid ML instance type."]),
    ({"modelName": "gpt"}, "InvalidArgumentException", ["gpt", "rgcn"]),
    ({"id": "a_b"}, "InvalidParameterException", ["letters, digits, or hyphens"]),
    ({"id": "a" * 49}, "InvalidParameterException", ["1-48"]),
    ({"neptuneIamRoleArn": "me"}, "InvalidArgumentException", ["neptuneIamRoleArn"]),
    ({"volumeEncryptionKMSKey": "x" * 2049}, "InvalidArgumentException", ["volumeEncryptionKMSKey"]),
    ({"update": "perhaps"}, "BadRequestException", ["update"]),
])
def test_what_cannot_be_created(trained: Server, members: dict[str, Any], code: str, texts: list[str]) -> None:
    assert_error(create(trained, **members), 400, code, *texts)


def test_a_job_that_has_not_completed(trained: Server, tmp_path: Path) -> None:
    (tmp_path / "training-data-configuration.json").write_text("{}")
    client = trained.boto3()
    client.start_ml_model_training_job(id="going", dataProcessingJobId="dp", trainModelS3Location="s3://test/models")
    answer = create(trained, mlModelTrainingJobId="going")
    assert_error(answer, 400, "BadRequestException", "Provided ModelTraining job has not completed.")
    client.cancel_ml_model_training_job(id="going")
    trained.wait_until_ended("modeltraining", "going")
    answer = create(trained, mlModelTrainingJobId="going")
    assert_error(answer, 400, "BadRequestException", "Provided ModelTraining job has not completed.")


def test_what_is_not_there(trained: Server) -> None:
    assert_error(create(trained, id="nobody", update=True), 404, "MLResourceNotFoundException", NO_SUCH_ID)
    for method in ("GET", "DELETE"):
        assert_error(trained.request(method, "/ml/endpoints/nobody"), 404, "MLResourceNotFoundException", NO_SUCH_ID)
    assert_error(trained.request("GET", "/ml/endpoints/nobody/logs"), 404, "MLResourceNotFoundException", NO_SUCH_ID)
    name = created(trained, "named")["endpoint"]["name"]
    answer = trained.request("DELETE", f"/ml/endpoints/{name}")
    assert_error(answer, 404, "MLResourceNotFoundException", NO_SUCH_ID)
    assert_error(trained.request("GET", "/ml/endpoints/named/logs?run=other"), 404, "MLResourceNotFoundException", "other")
    trained.boto3().delete_ml_endpoint(id="named")


@pytest.mark.parametrize(("query", "status", "code"), [
    ("maxItems=0", 400, "ConstraintViolationException"), ("maxItems=1025", 400, "ConstraintViolationException"),
    ("maxItems=ten", 400, "InvalidParameterException"), ("status=Completed", 400, "InvalidArgumentException"),
    ("nextToken=nobody", 400, "InvalidParameterException"), ("neptuneIamRoleArn=me", 400, "InvalidArgumentException"),
])
def test_lists_that_cannot_be(server: Server, query: str, status: int, code: str) -> None:
    assert_error(server.request("GET", f"/ml/endpoints?{query}"), status, code)


def test_lists_and_their_filters(start_server: Callable[..., Server], trained: Server) -> None:
    ids = [f"list-{i}" for i in range(3)]
    for endpoint_id in ids:
        create(trained, id=endpoint_id)
    for endpoint_id in ids:
        wait_until(trained, endpoint_id, "InService")
    newest_first = ids[::-1]

    def listed(query: str) -> Any:
        status, _, answer = trained.request("GET", f"/ml/endpoints?nameContains=LIST-&{query}")
        assert status == 200, answer
        return answer

    assert listed("")["ids"] == newest_first
    page = listed("maxItems=2")
    assert (page["ids"], page["nextToken"]) == (newest_first[:2], "list-1")
    assert listed(f"maxItems=2&nextToken={page['nextToken']}") == {"ids": ["list-0"]}
    assert listed("status=InService")["ids"] == newest_first
    assert listed("status=Failed")["ids"] == []
    at = [one["details"]["createdAt"] for one in listed("details=true")["endpoints"]]
    assert listed(f"createdAfter={at[2]}&createdBefore={at[0]}")["ids"] in ([], ["list-1"])
    assert trained.request("GET", "/ml/endpoints?maxItems=1")[2].keys() == {"ids"}, "plain clients see no token"
    for endpoint_id in ids:
        trained.boto3().delete_ml_endpoint(id=endpoint_id)


def test_so_many_endpoints_at_most(start_server: Callable[..., Server], trained_data: Path) -> None:
    server = start_server(environment={"DESPINA_MAX_ENDPOINTS": "1"}, data=trained_data)
    assert create(server, id="one")[0] == 200
    answer = create(server, id="two")
    assert_error(answer, 429, "TooManyRequestsException", "limits.max_endpoints")
    assert int(answer[1]["retry-after"]) >= 1
    server.boto3().delete_ml_endpoint(id="one")
    wait_until_gone(server, "one")
    assert create(server, id="two")[0] == 200


def test_the_command_line(trained: Server, command_line: CommandLine) -> None:
    status, out, err = command_line("create-ml-endpoint", "--id", "by-cli", "--ml-model-training-job-id", "tr",
                                    "--instance-count", "1")
    assert status == 0, err
    assert json.loads(out)["id"] == "by-cli"
    wait_until(trained, "by-cli", "InService")
    assert json.loads(command_line("get-ml-endpoint", "--id", "by-cli")[1])["status"] == "InService"
    assert "by-cli" in json.loads(command_line("list-ml-endpoints", "--max-items", "5")[1])["ids"]
    status, out, err = command_line("create-ml-endpoint", "--id", "by-cli", "--ml-model-training-job-id", "tr")
    assert status != 0
    assert "InvalidParameterException" in err
    assert json.loads(command_line("delete-ml-endpoint", "--id", "by-cli", "--clean")[1])["status"] == "Deleting"


def test_the_javascript_client(trained: Server, javascript: JavaScript) -> None:
    made = javascript("CreateMLEndpoint", {"id": "by-js", "mlModelTrainingJobId": "tr", "instanceCount": 1})["output"]
    assert (made["id"], type(made["creationTimeInMillis"])) == ("by-js", int)
    wait_until(trained, "by-js", "InService")
    assert javascript("GetMLEndpoint", {"id": "by-js"})["output"]["endpoint"]["status"] == "InService"
    assert "by-js" in javascript("ListMLEndpoints", {})["output"]["ids"]
    error = javascript("GetMLEndpoint", {"id": "nobody"})["error"]
    assert (error["name"], error["status"], error["message"]) == ("MLResourceNotFoundException", 404, NO_SUCH_ID)
    error = javascript("CreateMLEndpoint", {})["error"]
    assert (error["name"], error["status"]) == ("MissingParameterException", 400)
    assert javascript("DeleteMLEndpoint", {"id": "by-js", "clean": True})["output"]["status"] == "Deleting"
