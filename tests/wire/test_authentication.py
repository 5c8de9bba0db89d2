"""A server that demands signatures: who is let in, who is not, and what each may do."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from tests.serving import PATIENCE_SECONDS, Server
from tests.wire.guarded import RESOURCE, Keys, client, despina_keys, grant, issued

from despina.api.operations import LOG_OPERATIONS, OPERATIONS, Operation


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("guarded") / "data", "--iam-auth").start()
    yield server
    server.stop()


def refused(server: Server, keys: Keys, **changes: Any) -> str:
    """The message that a list call is refused with."""
    with pytest.raises(ClientError) as raised:
        client(server, keys, **changes).list_ml_model_training_jobs()
    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    message: str = raised.value.response["Error"]["Message"]
    assert keys["AWS_SECRET_ACCESS_KEY"] not in message
    return message


def test_boto3_works_as_without_signatures(guarded: Server, alice: Keys, export: Path) -> None:
    signed = client(guarded, alice)
    shutil.copytree(export, guarded.path("s3://test/exports/colours"))
    places = {"inputDataS3Location": "s3://test/exports/colours", "processedDataS3Location": "s3://test/processed"}
    signed.start_ml_data_processing_job(id="dp", **places)
    assert "dp" in signed.list_ml_data_processing_jobs(maxItems=5)["ids"]
    assert signed.get_ml_data_processing_job(id="dp")["id"] == "dp"
    with pytest.raises(signed.exceptions.MLResourceNotFoundException):
        signed.get_ml_model_training_job(id="nobody")


def test_files_of_the_server_may_not_be_named(guarded: Server, alice: Keys, export: Path) -> None:
    signed = client(guarded, alice)
    for places in ({"inputDataS3Location": export.as_uri(), "processedDataS3Location": "s3://test/processed"},
                   {"inputDataS3Location": "s3://test/exports/colours", "processedDataS3Location": "file:///tmp/out"}):
        with pytest.raises(ClientError, match="a file of the server's machine") as caught:
            signed.start_ml_data_processing_job(**places)
        assert caught.value.response["Error"]["Code"] == "BadRequestException"


def test_who_is_not_known_or_does_not_sign_is_refused(guarded: Server, alice: Keys) -> None:
    assert "does not match the signature you provided" in refused(guarded, alice | {"AWS_SECRET_ACCESS_KEY": "x" * 40})
    assert "The security token included in the request is invalid" in refused(guarded, alice | {"AWS_ACCESS_KEY_ID": "AKIANOBODY"})
    assert "not 'eu-west-1'" in refused(guarded, alice, region="eu-west-1")
    assert "invalid" in refused(guarded, alice | {"AWS_SESSION_TOKEN": "token"})
    status, headers, answer = guarded.request("GET", "/ml/modeltraining")
    assert (status, answer["code"], headers["x-amzn-errortype"]) == (403, "AccessDeniedException", "AccessDeniedException")
    assert "Missing Authentication Token" in answer["message"]


def test_health_is_told_to_everybody(guarded: Server) -> None:
    for path in ("/healthz", "/readyz"):
        assert guarded.request("GET", path)[0] == 200
    assert guarded.request("GET", "/status")[0] == 403, "as in Neptune, which has an action for it"
    assert guarded.request("GET", "/metrics")[0] == 403, "they tell ids of jobs and endpoints"


def test_keys_are_disabled_enabled_rotated_and_deleted_without_a_restart(guarded: Server) -> None:
    grant(guarded, "carol", "ListMLModelTrainingJobs")
    keys = issued(guarded, "carol")
    client(guarded, keys).list_ml_model_training_jobs()
    despina_keys(guarded, "disable", keys["AWS_ACCESS_KEY_ID"])
    assert "is disabled" in refused(guarded, keys)
    despina_keys(guarded, "enable", keys["AWS_ACCESS_KEY_ID"])
    client(guarded, keys).list_ml_model_training_jobs()
    second = despina_keys(guarded, "rotate", keys["AWS_ACCESS_KEY_ID"])
    client(guarded, second).list_ml_model_training_jobs()
    assert "is disabled" in refused(guarded, keys)
    listed = despina_keys(guarded, "list")
    assert {key["id"]: key["disabled"] for key in listed["keys"] if key["principal"] == "carol"} == {
        keys["AWS_ACCESS_KEY_ID"]: True, second["AWS_ACCESS_KEY_ID"]: False}
    assert second["AWS_SECRET_ACCESS_KEY"] not in json.dumps(listed)
    grant(guarded, "carol", "ListMLDataProcessingJobs")
    assert "is not authorized to perform: neptune-db:ListMLModelTrainingJobs" in refused(guarded, second)
    despina_keys(guarded, "delete", second["AWS_ACCESS_KEY_ID"])
    assert "is invalid" in refused(guarded, second)


def test_temporary_credentials_hold_with_their_token_until_they_expire(guarded: Server) -> None:
    grant(guarded, "dave", "List*")
    keys = issued(guarded, "dave", "--seconds", "3600")
    client(guarded, keys).list_ml_model_training_jobs()
    assert "invalid" in refused(guarded, {name: value for name, value in keys.items() if name != "AWS_SESSION_TOKEN"})
    assert "invalid" in refused(guarded, keys | {"AWS_SESSION_TOKEN": "another"})
    assert "is expired" in refused(guarded, issued(guarded, "dave", "--seconds", "-1"))


def test_secrets_are_not_readable_in_the_data_directory(guarded: Server, alice: Keys) -> None:
    secret = alice["AWS_SECRET_ACCESS_KEY"].encode()
    for path in guarded.data_dir.rglob("*"):
        assert not (path.is_file() and secret in path.read_bytes()), path
    assert (guarded.data_dir / "secrets.key").stat().st_mode & 0o077 == 0


def signed(server: Server, keys: Keys, operation: Operation, *, in_query: bool = False) -> tuple[int, Any]:
    """A signed request for an operation, with an empty body: who may do it is told what is wrong with it."""
    url = server.url + operation.path.replace("{id}", "nobody")
    body = b"{}" if operation.method == "POST" else b""
    request = AWSRequest(method=operation.method, url=url, data=body)
    credentials = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
    (SigV4QueryAuth if in_query else SigV4Auth)(credentials, "neptune-db", "us-east-1").add_auth(request)
    prepared = request.prepare()
    target = prepared.url.removeprefix(server.url)
    status, _, answer = server.request(operation.method, target, body or None, {
        name: value for name, value in prepared.headers.items() if name != "Content-Length"})
    return status, answer


@pytest.mark.parametrize("operation", [*OPERATIONS, *LOG_OPERATIONS], ids=lambda operation: operation.name)
def test_an_operation_is_allowed_by_exactly_its_action(guarded: Server, operation: Operation) -> None:
    assert operation.action is not None
    others = sorted({other.action for other in OPERATIONS if other.action} - {operation.action})
    for name, actions, allowed in (("only", [operation.action], True), ("all-others", others, False)):
        principal = f"{name}-{operation.name}"[:60]
        grant(guarded, principal, *actions)
        status, answer = signed(guarded, issued(guarded, principal), operation)
        assert (status != 403) is allowed, answer
        assert status < 500


def test_a_presigned_url_is_as_good_as_a_header(guarded: Server, alice: Keys) -> None:
    listing = next(operation for operation in OPERATIONS if operation.name == "ListMLEndpoints")
    status, answer = signed(guarded, alice, listing, in_query=True)
    assert (status, answer) == (200, {"ids": []})


def test_another_resource_and_a_denial_do_not_let_in(guarded: Server) -> None:
    grant(guarded, "erin", "*", resource=RESOURCE.replace("cluster-A", "cluster-B"))
    assert "no identity-based policy allows" in refused(guarded, issued(guarded, "erin"))
    grant(guarded, "frank", "*", effect="Deny")
    assert "explicit deny" in refused(guarded, issued(guarded, "frank"))


def test_a_policy_that_is_not_understood_is_not_stored(guarded: Server, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text('{"Version": "2012-10-17", "Statement": [{"Effect": "Alow"}]}', encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "despina", "keys", "grant", "grace", "--policy", str(tmp_path / "policy.json"),
                           "--data-dir", str(guarded.data_dir)],
                          capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 1
    assert "Statement[0]" in done.stderr
    assert "grace" not in json.dumps(despina_keys(guarded, "list"))
