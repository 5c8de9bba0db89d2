"""boto3, the AWS CLI and the JavaScript SDK drive a real server; they differ in how they spell requests and read errors."""

import http.client
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.serving import Server
from tests.wire.conftest import CommandLine, JavaScript

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def signed(server: Server) -> Any:
    """A client that signs, as nearly all do: without IAM authentication the signature is ignored."""
    return boto3.client("neptunedata", endpoint_url=server.url, region_name="us-east-1",
                        aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="example")


def test_boto3_goes_the_whole_way(trained: Server, export: Path) -> None:
    client = signed(trained)
    started = client.start_ml_data_processing_job(
        inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed/")
    assert UUID.fullmatch(started["id"])
    assert started["arn"].startswith("arn:aws:sagemaker:us-east-1:123456789012:processing-job/")
    assert isinstance(started["creationTimeInMillis"], int)
    assert trained.wait_until_ended("dataprocessing", started["id"])["status"] == "Completed"
    job = client.get_ml_data_processing_job(id=started["id"])
    assert job["processingJob"]["outputLocation"] == f"s3://test/processed/{job['processingJob']['name']}/preloading-output"
    assert job["processingJob"]["arn"] == started["arn"]
    assert client.list_ml_data_processing_jobs(maxItems=1)["ids"] == [started["id"]], "newest first"
    with pytest.raises(client.exceptions.InvalidParameterException, match="already completed or failed"):
        client.cancel_ml_data_processing_job(id=started["id"])


def test_a_completed_training_job_has_the_documented_form(trained: Server) -> None:
    job = signed(trained).get_ml_model_training_job(id="tr")
    name = r"tr[a-p]{2}"
    assert (job["id"], job["status"]) == ("tr", "Completed")
    assert set(job) == {"id", "status", "processingJob", "hpoJob", "mlModels", "ResponseMetadata"}
    assert set(job["processingJob"]) == {"name", "arn", "status", "outputLocation"}
    assert re.fullmatch(name + r"-autotrainer-\d{4}(-\d\d){4}-\d+", job["processingJob"]["name"])
    assert set(job["hpoJob"]) == {"name", "arn", "status"}
    assert re.fullmatch(name + r"-neptune-ml-\d{6}-\d{4}", job["hpoJob"]["name"])
    (model,) = job["mlModels"]
    assert re.fullmatch(re.escape(job["hpoJob"]["name"]) + r"-001-[0-9a-f]{8}-cpu", model["name"])
    assert model["arn"].endswith(f":model/{model['name']}")
    assert job["hpoJob"]["arn"].endswith(f":hyper-parameter-tuning-job/{job['hpoJob']['name']}")


def test_boto3_reads_the_engine_status(server: Server) -> None:
    assert signed(server).get_engine_status()["status"] == "healthy"


def test_boto3_maps_errors_to_its_classes_and_shows_their_text(server: Server) -> None:
    client = signed(server)
    with pytest.raises(client.exceptions.MLResourceNotFoundException) as caught:
        client.get_ml_model_training_job(id="nobody")
    response = caught.value.response
    text = "Invalid ID provided. Please check whether a resource with the given ID exists."
    assert response["Error"] == {"Code": "MLResourceNotFoundException", "Message": text}
    assert response["detailedMessage"] == text
    assert response["ResponseMetadata"]["RequestId"] == response["requestId"]


def test_the_command_line_goes_the_whole_way(trained: Server, command_line: CommandLine, export: Path) -> None:
    # The AWS CLI takes file:// for a file that it is to read the value from, so the input lies in the stand-in for S3.
    shutil.copytree(export, trained.path("s3://test/exports/colours"))
    status, out, err = command_line(
        "start-ml-data-processing-job", "--input-data-s3-location", "s3://test/exports/colours",
        "--processed-data-s3-location", "s3://test/processed", "--id", "from-the-cli")
    assert (status, err) == (0, "")
    assert json.loads(out)["id"] == "from-the-cli"
    assert trained.wait_until_ended("dataprocessing", "from-the-cli")["status"] == "Completed"
    assert "from-the-cli" in json.loads(command_line("list-ml-data-processing-jobs")[1])["ids"]
    assert json.loads(command_line("get-ml-model-training-job", "--id", "tr")[1])["hpoJob"]["status"] == "Completed"


def test_the_command_line_shows_the_text_of_an_error(trained: Server, command_line: CommandLine) -> None:
    status, _, err = command_line("cancel-ml-model-training-job", "--id", "tr", "--clean")
    assert status == 255
    assert ("An error occurred (InvalidParameterException) when calling the CancelMLModelTrainingJob operation: "
            "Failed to stop the job because it has already completed or failed.") in err


def test_javascript_goes_the_whole_way(trained: Server, javascript: JavaScript, export: Path) -> None:
    answer = javascript("StartMLDataProcessingJob", {
        "id": "from-javascript", "inputDataS3Location": f"file://{export}", "processedDataS3Location": "s3://test/processed"})
    assert answer["output"]["id"] == "from-javascript"
    assert isinstance(answer["output"]["creationTimeInMillis"], int)
    assert trained.wait_until_ended("dataprocessing", "from-javascript")["status"] == "Completed"
    assert javascript("ListMLModelTrainingJobs", {"maxItems": 10})["output"]["ids"] == ["tr"]
    started = javascript("StartMLModelTransformJob", {
        "id": "js", "dataProcessingJobId": "dp", "mlModelTrainingJobId": "tr", "modelTransformOutputS3Location": "s3://test/js"})
    assert started["output"]["id"] == "js"
    assert trained.wait_until_ended("modeltransform", "js")["status"] == "Completed"
    got = javascript("GetMLModelTransformJob", {"id": "js"})["output"]
    assert got["baseProcessingJob"]["status"] == "Completed"
    assert got["models"][0]["name"].endswith("-cpu")
    assert javascript("ListMLModelTransformJobs", {})["output"]["ids"] == ["js"]
    assert javascript("GetMLModelTrainingJob", {"id": "tr"})["output"]["status"] == "Completed"


def test_javascript_reads_errors(trained: Server, javascript: JavaScript) -> None:
    error = javascript("CancelMLModelTrainingJob", {"id": "tr", "clean": True})["error"]
    text = "Failed to stop the job because it has already completed or failed."
    assert (error["name"], error["code"], error["status"]) == ("InvalidParameterException", "InvalidParameterException", 400)
    assert error["message"] == error["detailedMessage"] == text
    assert UUID.fullmatch(error["requestId"])
    assert javascript("GetMLEndpoint", {"id": "ep"})["error"]["name"] == "MLResourceNotFoundException"


class _LosesAnswers:
    """A connection to the server that loses the first answers: the request arrives, the client hears nothing."""

    def __init__(self, url: str, losses: int) -> None:
        self._upstream = urlsplit(url)
        self._losses = losses
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, socket.create_connection((self._upstream.hostname, self._upstream.port)) as upstream:
                request = connection.recv(65_536)
                while b"\r\n\r\n" not in request or not request.rstrip().endswith(b"}"):
                    request += connection.recv(65_536)
                self.requests.append(request)
                upstream.sendall(request)
                answer = http.client.HTTPResponse(upstream)
                answer.begin()
                body = answer.read()
                if len(self.requests) > self._losses:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def lossy(trained: Server) -> Iterator[_LosesAnswers]:
    connection = _LosesAnswers(trained.url, losses=2)
    yield connection
    connection.close()


def test_a_start_whose_answer_was_lost_twice_makes_one_job(trained: Server, lossy: _LosesAnswers, export: Path) -> None:
    before = trained.boto3().list_ml_data_processing_jobs(maxItems=1024)["ids"]
    client = boto3.client("neptunedata", endpoint_url=lossy.url, region_name="us-east-1", aws_access_key_id="AKIDEXAMPLE",
                          aws_secret_access_key="example", config=Config(retries={"mode": "standard", "max_attempts": 3}))
    started = client.start_ml_data_processing_job(
        inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
    assert len(lossy.requests) == 3, "the server saw three requests"
    after = trained.boto3().list_ml_data_processing_jobs(maxItems=1024)["ids"]
    assert after == [started["id"], *before]


def test_one_invocation_is_one_job_with_one_answer_and_another_is_refused(trained: Server, export: Path) -> None:
    body = json.dumps({"id": "once", "inputDataS3Location": f"file://{export}", "processedDataS3Location": "s3://test/p"}).encode()
    invocation = {"amz-sdk-invocation-id": "5f1c0a52-7d1f-4c5c-9d0e-3c1f6a0f7a10"}
    first = trained.request("POST", "/ml/dataprocessing", body, invocation)
    again = trained.request("POST", "/ml/dataprocessing", body, {**invocation, "amz-sdk-request": "attempt=2"})
    assert (first[0], again[0]) == (200, 200)
    assert again[2] == first[2]
    other = trained.request("POST", "/ml/dataprocessing", body, {"amz-sdk-invocation-id": "00000000-7d1f-4c5c-9d0e-3c1f6a0f7a10"})
    assert (other[0], other[2]["code"]) == (400, "InvalidParameterException")
    assert other[2]["message"] == "Another resource with same ID already exists. Please use a new ID."
    plain = trained.request("POST", "/ml/dataprocessing", body)
    assert plain[2]["code"] == "InvalidParameterException"


def test_a_client_that_does_not_sign_is_served_as_well(trained: Server) -> None:
    assert trained.boto3().list_ml_model_training_jobs()["ids"] == ["tr"]


def test_boto3_sees_an_error_as_client_error_in_every_operation(server: Server) -> None:
    client = signed(server)
    for kind in ("data_processing_job", "model_training_job", "model_transform_job", "endpoint"):
        for verb in ("get", "delete" if kind == "endpoint" else "cancel"):
            with pytest.raises(ClientError, match="MLResourceNotFoundException"):
                getattr(client, f"{verb}_ml_{kind}")(id="x")
