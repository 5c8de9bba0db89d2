"""Paths, methods, errors, the server's own state: all that is not about jobs."""

import asyncio
import logging
import re
from typing import Any

import msgspec
import pytest
from tests.unit.api.fakes import STORE_BROKEN, Client, FakeEndpoints, FakeJobs, whole

from despina.api import errors as api_errors
from despina.api.asgi import Api
from despina.api.errors import MEANINGS, last_words
from despina.api.operations import INVOKE_ENDPOINT, LOG_OPERATIONS, OPERATIONS
from despina.api.scope import Message
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.core import errors as core_errors
from despina.core.errors import ArtifactError, BaseJobMissing, DespinaError, TooManyRequests
from despina.core.names import Cluster
from despina.core.roles import ParameterGroup

PROCESSING = {"inputDataS3Location": "s3://bucket/in", "processedDataS3Location": "s3://bucket/processed"}


@pytest.mark.parametrize("path", [
    "/", "", "*", "/ml", "/ml/", "/ml/other", "/ml/other/x", "//ml/modeltraining", "/ML/modeltraining", "/ml/modeltraining/a/",
    "/ml/modeltraining/a/b", "/ml/modeltraining/a/logs/", "/ml/model%74raining", "/endpoints/a", "/status/",
    "/ml%2Fmodeltraining", "/endpoints/a/b/invocations", "/endpoints//x",
])
def test_unknown_paths(path: str) -> None:
    assert Client().get(path).error == (404, "BadRequestException", f"There is no operation at the path '{path}'.")


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("PUT", "/ml/modeltraining", "POST, GET"), ("HEAD", "/ml/modeltraining", "POST, GET"),
    ("DELETE", "/ml/modeltraining/", "POST, GET"),
    ("POST", "/ml/modeltraining/a", "GET, DELETE"), ("HEAD", "/ml/endpoints/a", "GET, DELETE"), ("POST", "/status", "GET"),
    ("DELETE", "/ml/modeltraining/a/logs", "GET"), ("get", "/healthz", "GET"),
])
def test_wrong_methods(method: str, path: str, allowed: str) -> None:
    answer = Client().call(method, path)
    status, code, text = answer.error
    assert (status, code, answer.headers["allow"]) == (405, "MethodNotAllowedException", allowed)
    assert text == f"The method {method} is not allowed at this path: it must be {allowed.replace(', ', ' or ')}."


@pytest.mark.parametrize("operation", [*OPERATIONS, *LOG_OPERATIONS, INVOKE_ENDPOINT], ids=lambda operation: operation.name)
def test_ml_switched_off(operation: Any) -> None:
    answer = Client(ml_enabled=False).call(operation.method, operation.path.replace("{id}", "a"), b"{")
    assert answer.error == (400, "UnsupportedOperationException",
                            "Neptune ML is switched off on this server: the setting cluster.ml_enabled is false.")


def test_status_has_neptunes_form() -> None:
    answer = Client(parameter_group=ParameterGroup(default="arn:aws:iam::123456789012:role/NeptuneML")).get("/status").json
    assert (answer["status"], answer["role"]) == ("healthy", "writer")
    assert re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d UTC \d{4}", answer["startTime"])
    assert answer["features"]["NeptuneML"] == "enabled"
    assert answer["settings"]["neptune_ml_iam_role"] == "arn:aws:iam::123456789012:role/NeptuneML"
    off = Client(ml_enabled=False).get("/status")
    assert (off.status, off.json["features"]["NeptuneML"]) == (200, "disabled")


def test_health_and_readiness() -> None:
    client = Client()
    assert (client.get("/healthz").status, client.get("/readyz").json) == (200, {"status": "ready"})
    client.jobs.broken = STORE_BROKEN
    assert client.get("/healthz").status == 200
    assert client.get("/readyz").error[:2] == (503, "ServiceUnavailableException")


def test_request_ids_are_in_every_answer_and_differ() -> None:
    client = Client()
    answers = [client.get(path) for path in ("/healthz", "/ml/modeltraining", "/nowhere")]
    ids = {answer.headers["x-amzn-requestid"] for answer in answers}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", request_id) for request_id in ids)


def leaves(module: Any) -> set[type[DespinaError]]:
    """The errors of a module from which no error of the module is derived."""
    found = {value for value in vars(module).values() if isinstance(value, type) and issubclass(value, DespinaError)}
    return {kind for kind in found if not any(other is not kind and issubclass(other, kind) for other in found)}


def test_every_error_of_the_domain_has_a_meaning() -> None:
    raised_itself = {core_errors.ArtifactError}
    assert leaves(core_errors) | leaves(api_errors) | raised_itself == MEANINGS.keys()


@pytest.mark.parametrize("error", [STORE_BROKEN, ZeroDivisionError("secret"), core_errors.LeaseLost("secret")])
def test_a_failure_of_ours_is_told_to_the_log_not_to_the_client(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    answer = Client(FakeJobs(broken=error)).get("/ml/modeltraining")
    status, code, text = answer.error
    request_id = answer.headers["x-amzn-requestid"]
    assert (status, code) == (500, "InternalFailureException")
    assert text == f"An internal error occurred. The server's log says more under the request id {request_id}."
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert request_id in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize(("error", "status", "code"), [
    (ArtifactError("s3://bucket/in cannot be read"), 400, "BadRequestException"),
    (BaseJobMissing("Provided MLDataProcessing job doesn't exist."), 400, "BadRequestException"),
    (TooManyRequests("100 jobs are active", limit="max_active_jobs", retry_after=30), 429, "TooManyRequestsException"),
])
def test_errors_of_a_start(error: Exception, status: int, code: str) -> None:
    answer = Client(FakeJobs(broken=error)).call("POST", "/ml/dataprocessing", PROCESSING)
    assert answer.error == (status, code, str(error))
    assert answer.headers.get("retry-after") == ("30" if status == 429 else None)


def test_the_answer_to_what_is_no_http() -> None:
    head, _, body = last_words(
        core_errors.MalformedRequest("The request is not HTTP/1.1."), "id-1", [(b"date", b"today")]).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ") for line in lines)
    assert status == "HTTP/1.1 400 Bad Request"
    text = "The request is not HTTP/1.1."
    assert msgspec.json.decode(body) == {"requestId": "id-1", "code": "BadRequestException", "detailedMessage": text,
                                         "message": text}
    assert headers == {"content-type": "application/json", "content-length": str(len(body)), "x-amzn-requestid": "id-1",
                       "x-amzn-errortype": "BadRequestException", "connection": "close", "date": "today"}


def test_a_server_without_a_raw_path() -> None:
    async def call() -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("a GET has no body to read")

        scope = {"type": "http", "method": "GET", "scheme": "http", "path": "/ml/modeltraining/é", "query_string": b"",
                 "headers": []}
        await Client().api(scope, receive, send)
        return sent

    start, end = asyncio.run(call())
    assert (start["status"], msgspec.json.decode(end["body"])["code"]) == (400, "InvalidParameterException")


def test_lifespan_and_other_protocols() -> None:
    async def live() -> list[str]:
        coming, sent = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}], []

        async def receive() -> Message:
            return dict(coming.pop(0))

        async def send(message: Message) -> None:
            sent.append(str(message["type"]))

        api = Api(ControlPlane(FakeJobs(), FakeEndpoints()), settings=ApiSettings(), cluster=Cluster())
        await api({"type": "lifespan"}, receive, send)
        with pytest.raises(ValueError, match="not websocket"):
            await api({"type": "websocket"}, receive, send)
        return sent

    assert asyncio.run(live()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("header", [("origin", "https://other.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"),
                                    ("sec-fetch-site", "same-site"), ("origin", "http://localhost:9000")])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_web_page_of_another_site_starts_nothing_where_everybody_is_believed(method: str, header: tuple[str, str]) -> None:
    client = Client()
    path = "/ml/dataprocessing" if method == "POST" else "/ml/dataprocessing/dp-1"
    status, code, text = client.call(method, path, PROCESSING, [header, ("content-type", "text/plain")]).error
    assert (status, code) == (403, "AccessDeniedException")
    assert text == "This was sent by a web page of another site, so nothing was done."
    assert client.jobs.jobs == {}


def test_a_web_page_of_its_own_may_ask() -> None:
    own = [("origin", "http://localhost:8182"), ("sec-fetch-site", "same-origin")]
    assert Client().call("POST", "/ml/dataprocessing", PROCESSING, own).status == 200


def test_nor_does_one_whose_name_was_made_to_lead_here() -> None:
    client = Client(own_hosts=frozenset({"box.example"}))

    def start(host: str, name: str) -> int:
        sent = asyncio.run(client.send("POST", "/ml/dataprocessing", whole(msgspec.json.encode(PROCESSING | {"id": name})),
                                       [("origin", f"http://{host}")], host_header=host))
        return sent.status

    assert start("other.example", "a") == 403
    assert start("box.example", "b") == start("box.example:8182", "c") == start("192.0.2.7:8182", "d") == 200
