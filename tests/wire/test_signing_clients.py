"""Clients that sign are let in with good secrets and refused, with an error of their own kind and a text, with wrong ones."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving import Server
from tests.wire.guarded import Keys, grant, issued
from tests.wire.signing_clients import CLIENTS, JS, Action

ROLE = "arn:aws:iam::123456789012:role/a/Neptune"
LIST = Action("GET", "/ml/dataprocessing", {"neptuneIamRoleArn": ROLE, "maxItems": 5}, "ListMLDataProcessingJobs")
ODD = LIST._replace(members={"neptuneIamRoleArn": f"{ROLE}+ML=x,@y", "maxItems": 5})
GET = Action("GET", "/ml/dataprocessing/nobody", {}, "GetMLDataProcessingJob", "nobody")
CANCEL = Action("DELETE", "/ml/dataprocessing/nobody", {"clean": True}, "CancelMLDataProcessingJob", "nobody")


def start(job_id: str) -> Action:
    return Action("POST", "/ml/dataprocessing", {
        "id": job_id, "inputDataS3Location": "s3://test/exports/colours", "processedDataS3Location": "s3://test/processed é"},
        "StartMLDataProcessingJob")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, export: Path) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("signing") / "data", "--iam-auth").start()
    shutil.copytree(export, server.path("s3://test/exports/colours"))
    grant(server, "alice", "*")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def lasting(guarded: Server) -> Keys:
    return issued(guarded, "alice")


@pytest.fixture(scope="module")
def temporary(guarded: Server) -> Keys:
    return issued(guarded, "alice", "--seconds", "3600")


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    if request.param == "javascript" and not (JS / "node_modules").is_dir():
        if os.environ.get("CI"):
            pytest.fail("the JavaScript client is not installed: scripts/setup-js")
        pytest.skip("the JavaScript client is not installed: scripts/setup-js")
    name: str = request.param
    return name


@pytest.mark.parametrize("kind", ["lasting", "temporary"])
def test_a_good_secret_is_let_in(guarded: Server, client: str, kind: str, request: pytest.FixtureRequest) -> None:
    keys, call = request.getfixturevalue(kind), CLIENTS[client]
    job_id = f"{client}-{kind}"
    status, answer = call(guarded, keys, start(job_id))
    assert (status, answer["id"]) == (200, job_id), answer
    status, answer = call(guarded, keys, LIST)
    assert (status, answer["ids"][0]) == (200, job_id), answer
    if client != "awscurl":  # which signs a '=' of a value twice, and sends '+' as it is, which is a space
        status, answer = call(guarded, keys, ODD)
        assert status == 200, answer
    for action in (GET, CANCEL):
        status, answer = call(guarded, keys, action)
        assert (status, answer["code"]) == (404, "MLResourceNotFoundException"), answer


@pytest.mark.parametrize("action", [LIST, start("never"), GET, CANCEL], ids=lambda action: action.command)
def test_a_wrong_secret_is_refused(guarded: Server, client: str, lasting: Keys, action: Action) -> None:
    wrong = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    status, answer = CLIENTS[client](guarded, lasting | {"AWS_SECRET_ACCESS_KEY": wrong}, action)
    assert (status, answer["code"]) == (403, "AccessDeniedException"), answer
    assert "does not match the signature you provided" in answer["message"]
    assert wrong not in answer["message"]
    assert lasting["AWS_SECRET_ACCESS_KEY"] not in answer["message"]


def test_a_missing_or_wrong_token_is_refused(guarded: Server, client: str, temporary: Keys) -> None:
    without = {name: value for name, value in temporary.items() if name != "AWS_SESSION_TOKEN"}
    for keys in (without, without | {"AWS_SESSION_TOKEN": "wrong"}):
        status, answer = CLIENTS[client](guarded, keys, LIST)
        assert (status, answer["code"]) == (403, "AccessDeniedException"), answer
        assert "security token included in the request is invalid" in answer["message"]
