"""Every row of the table in the design's section 4 (signatures and roles aside), provoked from outside."""

import json
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.serving import Server, wait_for

StartServer = Callable[..., Server]
Answer = tuple[int, dict[str, str], Any]
NO_SUCH_ID = "Invalid ID provided. Please check whether a resource with the given ID exists."
S3_TEXT = "Invalid S3 URL or incorrect S3 permissions. Please check your S3 configuration."
ROLE = "arn:aws:iam::123456789012:role/NeptuneML"


def assert_error(answer: Answer, status: int, code: str, *texts: str) -> None:
    """The status, the code, the four members and the two headers; and each of ``texts`` in the message."""
    assert answer[0] == status, answer
    headers, body = answer[1], answer[2]
    assert set(body) == {"requestId", "code", "detailedMessage", "message"}
    assert body["code"] == code
    assert body["detailedMessage"] == body["message"] != ""
    assert headers["x-amzn-errortype"] == code
    assert headers["x-amzn-requestid"] == body["requestId"]
    assert headers["content-type"] == "application/json"
    for text in texts:
        assert text in body["message"]


def training(**members: Any) -> bytes:
    return json.dumps({"dataProcessingJobId": "dp", "trainModelS3Location": "s3://test/models", **members}).encode()


def processing(**members: Any) -> bytes:
    return json.dumps({"inputDataS3Location": "s3://test/in", "processedDataS3Location": "s3://test/out", **members}).encode()


@pytest.mark.parametrize(("body", "texts"), [
    (b"{", ["JSON"]),
    (b"nonsense", ["JSON"]),
    (b"[]", ["object"]),
    (b'"text"', ["object"]),
    (b'{"dataProcessingJobId": NaN}', ["NaN"]),
    (b'{"maxHPONumberOfTrainingJobs": Infinity}', ["Infinity"]),
    (b'{"id": "a"} {"id": "b"}', []),
    (b'{"id": "a", "id": "b"}', ["'id'"]),
    (b'{"x":' * 200 + b"1" + b"}" * 200, ["deep"]),
    (b'{"id": "\xff"}', ["UTF-8"]),
    (b'{"id": "\\ud800"}', []),
    (training(maxHPONumberOfTrainingJobs="two"), ["maxHPONumberOfTrainingJobs"]),
    (training(maxHPONumberOfTrainingJobs=2.0), ["maxHPONumberOfTrainingJobs"]),
    (training(maxHPONumberOfTrainingJobs=True), ["maxHPONumberOfTrainingJobs"]),
    (training(subnets="subnet-1"), ["subnets"]),
    (training(subnets=[1]), ["subnets"]),
    (training(id=7), ["'id'"]),
    (training(enableManagedSpotTraining="perhaps"), ["enableManagedSpotTraining"]),
    (training(customModelTrainingParameters="here"), ["customModelTrainingParameters"]),
])
def test_a_body_that_is_no_json_object_or_has_a_member_of_the_wrong_type(server: Server, body: bytes, texts: list[str]) -> None:
    assert_error(server.request("POST", "/ml/modeltraining", body), 400, "BadRequestException", *texts)


def test_a_body_over_the_limit(start_server: StartServer) -> None:
    server = start_server(environment={"DESPINA_MAX_BODY_BYTES": "1000"})
    assert_error(server.request("POST", "/ml/modeltraining", training(modelName="x" * 1000)), 400, "BadRequestException",
                 "Request size exceeds max allowed value of 1000 bytes.")


def test_the_default_limit_of_a_body_is_one_mebibyte(server: Server) -> None:
    body = training(unknown="x" * 1_048_576)
    assert_error(server.request("POST", "/ml/modeltraining", body), 400, "BadRequestException",
                 "Request size exceeds max allowed value of 1048576 bytes.")


def exchange(server: Server, data: bytes) -> Answer:
    """Send raw bytes; the answer, after which the server must close the connection: otherwise this times out."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)


def test_a_body_that_does_not_arrive_in_time(start_server: StartServer) -> None:
    server = start_server(environment={"DESPINA_BODY_TIMEOUT_SECONDS": "0.3"})
    answer = exchange(server, b"POST /ml/modeltraining HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert_error(answer, 408, "ClientTimeoutException")
    assert answer[1]["connection"] == "close"


def test_what_is_not_http(server: Server) -> None:
    answer = exchange(server, b"\x16\x03\x01 this is not HTTP\r\n\r\n")
    assert_error(answer, 400, "BadRequestException")


@pytest.mark.parametrize(("path", "body", "name"), [
    ("/ml/modeltraining", b"{}", "dataProcessingJobId"),
    ("/ml/modeltraining", b"", "dataProcessingJobId"),
    ("/ml/modeltraining", training(dataProcessingJobId=""), "dataProcessingJobId"),
    ("/ml/modeltraining", training(trainModelS3Location=None), "trainModelS3Location"),
    ("/ml/dataprocessing", processing(inputDataS3Location=""), "inputDataS3Location"),
    ("/ml/dataprocessing", processing(processedDataS3Location=""), "processedDataS3Location"),
    ("/ml/modeltraining", training(customModelTrainingParameters={}), "sourceS3DirectoryPath"),
])
def test_a_required_member_that_is_missing_or_empty(server: Server, path: str, body: bytes, name: str) -> None:
    assert_error(server.request("POST", path, body), 400, "MissingParameterException", name)


@pytest.mark.parametrize(("member", "value", "text"), [
    ("maxHPONumberOfTrainingJobs", 0, "1 or more"),
    ("maxHPOParallelTrainingJobs", 0, "1 or more"),
    ("trainingTimeOutInSeconds", 0, "between 1 and 2419200"),
    ("trainingTimeOutInSeconds", 2_419_201, "between 1 and 2419200"),
    ("trainingInstanceVolumeSizeInGB", -1, "between 0 and 16384"),
    ("trainingInstanceVolumeSizeInGB", 16_385, "between 0 and 16384"),
    ("maxWaitTime", 0, "1 or more"),
    ("subnets", ["subnet-1"] * 17, "at most 16"),
    ("securityGroupIds", ["sg-1"] * 6, "at most 5"),
])
def test_a_number_outside_its_range_in_a_training_request(server: Server, member: str, value: Any, text: str) -> None:
    answer = server.request("POST", "/ml/modeltraining", training(**{member: value}))
    assert_error(answer, 400, "ConstraintViolationException", member, text)


@pytest.mark.parametrize(("member", "value"), [
    ("processingInstanceVolumeSizeInGB", -1), ("processingInstanceVolumeSizeInGB", 16_385),
    ("processingTimeOutInSeconds", 0), ("processingTimeOutInSeconds", 777_601),
])
def test_a_number_outside_its_range_in_a_processing_request(server: Server, member: str, value: int) -> None:
    answer = server.request("POST", "/ml/dataprocessing", processing(**{member: value}))
    assert_error(answer, 400, "ConstraintViolationException", member, str(value))


@pytest.mark.parametrize("value", ["0", "1025", "-1", "99999999999999999999"])
def test_max_items_outside_its_range(server: Server, value: str) -> None:
    answer = server.request("GET", f"/ml/modeltraining?maxItems={value}")
    assert_error(answer, 400, "ConstraintViolationException", "maxItems", value, "between 1 and 1024")


@pytest.mark.parametrize(("method", "target", "name"), [
    ("GET", "/ml/modeltraining?maxItems=ten", "maxItems"),
    ("GET", "/ml/modeltraining?maxItems=1.0", "maxItems"),
    ("GET", "/ml/modeltraining?maxItems=1&maxItems=2", "maxItems"),
    ("DELETE", "/ml/modeltraining/x?clean=maybe", "clean"),
    ("GET", "/ml/modeltraining?nextToken=nonsense", "nextToken"),
])
def test_a_parameter_that_cannot_be_read(server: Server, method: str, target: str, name: str) -> None:
    assert_error(server.request(method, target), 400, "InvalidParameterException", name)


@pytest.mark.parametrize(("job_id", "text"), [
    ("x" * 49, "Invalid ID provided. ID can be 1-48 alphanumeric characters."),
    ("tr_1", "Invalid ID provided. Must contain only letters, digits, or hyphens."),
    ("tr 1/é", "Invalid ID provided. Must contain only letters, digits, or hyphens."),
])
def test_an_id_that_breaks_the_rule(server: Server, job_id: str, text: str) -> None:
    assert_error(server.request("POST", "/ml/modeltraining", training(id=job_id)), 400, "InvalidParameterException", text)
    quoted = job_id.replace(" ", "%20").replace("/", "%2F").replace("é", "%C3%A9")
    assert_error(server.request("GET", f"/ml/modeltraining/{quoted}"), 400, "InvalidParameterException", text)
    assert_error(server.request("DELETE", f"/ml/dataprocessing/{quoted}"), 400, "InvalidParameterException", text)


def test_an_id_that_is_taken_even_by_a_failed_job_but_not_of_another_kind(trained: Server, export: Path) -> None:
    text = "Another resource with same ID already exists. Please use a new ID."
    body = processing(id="dp", inputDataS3Location=f"file://{export}")
    assert_error(trained.request("POST", "/ml/dataprocessing", body), 400, "InvalidParameterException", text)
    assert_error(trained.request("POST", "/ml/modeltraining", training(id="tr")), 400, "InvalidParameterException", text)
    assert trained.request("POST", "/ml/dataprocessing", processing(id="tr", inputDataS3Location=f"file://{export}"))[0] == 200


def test_a_job_that_has_already_ended_is_not_stopped(trained: Server) -> None:
    output = trained.path(trained.details("modeltraining", "tr")["processingJob"]["outputLocation"])
    for path in ("/ml/modeltraining/tr", "/ml/modeltraining/tr?clean=true", "/ml/dataprocessing/dp?clean=TRUE"):
        assert_error(trained.request("DELETE", path), 400, "InvalidParameterException",
                     "Failed to stop the job because it has already completed or failed.")
    assert (output / "mapping.info").is_file(), "nothing is deleted"
    assert trained.details("modeltraining", "tr")["status"] == "Completed"


@pytest.mark.parametrize(("body", "text"), [
    (training(neptuneIamRoleArn="NeptuneML"), "neptuneIamRoleArn"),
    (training(sagemakerIamRoleArn="arn:aws:iam::12:role/X"), "sagemakerIamRoleArn"),
    (training(modelName="rgnc"), "modelName"),
    (training(subnets=["no spaces"]), "subnets"),
])
def test_an_argument_outside_its_vocabulary_or_form(server: Server, body: bytes, text: str) -> None:
    assert_error(server.request("POST", "/ml/modeltraining", body), 400, "InvalidArgumentException", text)


def test_a_model_type_a_status_and_a_role_outside_their_vocabulary_or_form(server: Server) -> None:
    answer = server.request("POST", "/ml/dataprocessing", processing(modelType="homogeneous"))
    assert_error(answer, 400, "InvalidArgumentException", "homogeneous", "heterogeneous")
    assert_error(server.request("GET", "/ml/modeltraining?status=Done"), 400, "InvalidArgumentException", "Done", "Completed")
    for method, target in (("GET", "/ml/modeltraining"), ("GET", "/ml/modeltraining/x"), ("DELETE", "/ml/modeltraining/x")):
        assert_error(server.request(method, f"{target}?neptuneIamRoleArn=me"), 400, "InvalidArgumentException", "neptuneIamRoleArn")


@pytest.mark.parametrize(("path", "body"), [
    ("/ml/modeltraining", training(trainingInstanceType="p3.2xlarge")),
    ("/ml/modeltraining", training(baseProcessingInstanceType="ml.p3")),
    ("/ml/dataprocessing", processing(processingInstanceType="big")),
])
def test_an_instance_type_keeps_the_text_of_aws(server: Server, path: str, body: bytes) -> None:
    assert_error(server.request("POST", path, body), 400, "InvalidParameterException", "Invalid ML instance type.")


@pytest.mark.parametrize("url", ["bucket/key", "http://bucket/key", "s3://", "s3://UPPER/x", "s3://test/../x", "s3://test//x",
                                 "file://relative", "s3://test/" + "x" * 1024])
def test_an_s3_location_keeps_the_text_of_aws(server: Server, url: str) -> None:
    answer = server.request("POST", "/ml/modeltraining", training(trainModelS3Location=url))
    assert_error(answer, 400, "BadRequestException", S3_TEXT, "trainModelS3Location")
    answer = server.request("POST", "/ml/dataprocessing", processing(inputDataS3Location=url))
    assert_error(answer, 400, "BadRequestException", S3_TEXT, "inputDataS3Location")


def test_an_input_location_with_nothing_there(server: Server) -> None:
    answer = server.request("POST", "/ml/dataprocessing", processing(inputDataS3Location="s3://test/nothing-here"))
    assert_error(answer, 400, "BadRequestException", S3_TEXT, "s3://test/nothing-here")


def test_a_config_file_name_with_a_path(server: Server) -> None:
    for name in ("../secret.json", "a/b.json", ".."):
        answer = server.request("POST", "/ml/dataprocessing", processing(configFileName=name))
        assert_error(answer, 400, "IllegalArgumentException", "configFileName", name)


def test_a_job_that_this_one_builds_on_is_missing_or_not_completed(trained: Server, tmp_path: Path) -> None:
    answer = trained.request("POST", "/ml/modeltraining", training(dataProcessingJobId="nobody"))
    assert_error(answer, 400, "BadRequestException", "Provided MLDataProcessing job doesn't exist.")
    answer = trained.request("POST", "/ml/modeltraining", training(previousModelTrainingJobId="nobody"))
    assert_error(answer, 400, "BadRequestException", "Provided MLModelTraining job doesn't exist.")
    (tmp_path / "training-data-configuration.json").write_text("{}")
    body = processing(id="broken", inputDataS3Location=f"file://{tmp_path}")
    assert trained.request("POST", "/ml/dataprocessing", body)[0] == 200
    assert trained.wait_until_ended("dataprocessing", "broken")["status"] == "Failed"
    answer = trained.request("POST", "/ml/modeltraining", training(dataProcessingJobId="broken"))
    assert_error(answer, 400, "BadRequestException", "Provided MLDataProcessing job is not completed.")
    answer = trained.request("POST", "/ml/dataprocessing", processing(
        previousDataProcessingJobId="broken", inputDataS3Location=f"file://{tmp_path}"))
    assert_error(answer, 400, "BadRequestException", "Provided MLDataProcessing job is not completed.")


def test_machine_learning_switched_off(start_server: StartServer) -> None:
    server = start_server(environment={"DESPINA_ML_ENABLED": "false"})
    for method, target in (("GET", "/ml/modeltraining"), ("POST", "/ml/dataprocessing"), ("DELETE", "/ml/endpoints/x")):
        assert_error(server.request(method, target), 400, "UnsupportedOperationException", "ml_enabled")
    assert server.request("GET", "/status")[0] == 200


def test_custom_models_switched_off(trained: Server, export: Path) -> None:
    requests = [
        ("/ml/modeltraining", training(modelName="custom"), "custom"),
        ("/ml/modeltraining", training(customModelTrainingParameters={"sourceS3DirectoryPath": "s3://test/code"}), "custom"),
    ]
    for path, body, text in requests:
        assert_error(trained.request("POST", path, body), 400, "UnsupportedOperationException", text)


def test_more_requests_in_flight_than_allowed(start_server: StartServer) -> None:
    server = start_server(environment={"DESPINA_MAX_IN_FLIGHT": "1"})
    with closing(sqlite3.connect(server.data_dir / "despina.db", isolation_level=None)) as writer, server.connect() as slow:
        writer.execute("BEGIN IMMEDIATE")
        slow.sendall(b"DELETE /ml/modeltraining/nobody HTTP/1.1\r\nHost: x\r\n\r\n")  # waits for the writer

        def refusal() -> Answer | None:
            answer = server.request("GET", "/ml/modeltraining")
            return answer if answer[0] != 200 else None

        answer = wait_for("a refusal", refusal)
        assert_error(answer, 429, "TooManyRequestsException", "max_in_flight")
        assert int(answer[1]["retry-after"]) >= 1
        assert server.request("GET", "/status")[0] == 200, "health is always answered"
        writer.execute("ROLLBACK")
        assert b"MLResourceNotFoundException" in slow.recv(65_536)
    assert server.request("GET", "/ml/modeltraining")[0] == 200


def test_who_sends_a_body_slowly_takes_nobodys_place(start_server: StartServer) -> None:
    server = start_server(environment={"DESPINA_MAX_IN_FLIGHT": "1"})
    with server.connect() as slow:
        slow.sendall(b"POST /ml/modeltraining HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert b"100 Continue" in slow.recv(1000), "the first request is being read"
        assert server.request("GET", "/ml/modeltraining")[0] == 200
        slow.sendall(b"{}")
        assert b"MissingParameterException" in slow.recv(65_536)


def test_more_requests_a_second_than_allowed(start_server: StartServer) -> None:
    server = start_server(environment={"DESPINA_REQUESTS_PER_SECOND": "1"})
    answers = [server.request("GET", "/ml/modeltraining") for _ in range(8)]
    refused = [answer for answer in answers if answer[0] != 200]
    assert answers[0][0] == 200
    assert refused
    assert_error(refused[0], 429, "TooManyRequestsException", "requests_per_second")
    assert int(refused[0][1]["retry-after"]) >= 1


def test_more_active_jobs_than_allowed(start_server: StartServer, export: Path) -> None:
    server = start_server(environment={"DESPINA_MAX_ACTIVE_JOBS": "1"})
    body = processing(inputDataS3Location=f"file://{export}", id="one")
    assert server.request("POST", "/ml/dataprocessing", body)[0] == 200
    answer = server.request("POST", "/ml/dataprocessing", processing(inputDataS3Location=f"file://{export}", id="two"))
    assert_error(answer, 429, "TooManyRequestsException", "max_active_jobs")
    assert int(answer[1]["retry-after"]) >= 1
    server.wait_until_ended("dataprocessing", "one")
    assert server.request("POST", "/ml/dataprocessing", processing(inputDataS3Location=f"file://{export}", id="two"))[0] == 200


def test_an_unknown_id_in_the_path(server: Server) -> None:
    for kind in ("dataprocessing", "modeltraining"):
        for method in ("GET", "DELETE"):
            assert_error(server.request(method, f"/ml/{kind}/nobody"), 404, "MLResourceNotFoundException", NO_SUCH_ID)


@pytest.mark.parametrize("target", ["/", "/ml", "/ml/models", "/ml/modeltraining/x/y/z", "/gremlin", "/ml//modeltraining", "/%ff"])
def test_an_unknown_path(server: Server, target: str) -> None:
    assert_error(server.request("GET", target), 404, "BadRequestException")


@pytest.mark.parametrize(("method", "target", "allowed"), [
    ("PUT", "/ml/modeltraining", {"GET", "POST"}), ("DELETE", "/ml/modeltraining", {"GET", "POST"}),
    ("DELETE", "/ml/modeltraining/", {"GET", "POST"}), ("POST", "/ml/modeltraining/x", {"GET", "DELETE"}),
    ("PATCH", "/ml/endpoints/x", {"GET", "DELETE"}), ("POST", "/status", {"GET"}),
])
def test_a_wrong_method(server: Server, method: str, target: str, allowed: set[str]) -> None:
    answer = server.request(method, target)
    assert_error(answer, 405, "MethodNotAllowedException", method)
    assert {name.strip() for name in answer[1]["allow"].split(",")} == allowed


def test_our_own_bug_is_a_500_whose_request_id_the_log_carries(start_server: StartServer, export: Path) -> None:
    server = start_server()
    server.process(export)
    with closing(sqlite3.connect(server.data_dir / "despina.db")) as database:
        database.execute("UPDATE jobs SET body = '{}'")
        database.commit()
    answer = server.request("GET", "/ml/dataprocessing/dp")
    assert_error(answer, 500, "InternalFailureException")
    assert answer[2]["requestId"] in server.log()
