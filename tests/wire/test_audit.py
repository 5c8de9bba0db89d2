"""Who did what: the audit log of a real server, ``despina audit``, and what a job tells of its principals."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from tests.serving import PATIENCE_SECONDS, Server
from tests.wire.guarded import Keys, client, grant, issued

ALICE, BOB = (f"arn:aws:iam::123456789012:user/{name}" for name in ("alice", "bob"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("audited") / "data", "--iam-auth",
                    environment={"DESPINA_MAX_ACTIVE_JOBS_PER_PRINCIPAL": "1"}).start()
    server.path("s3://test/slow").mkdir(parents=True)
    (server.path("s3://test/slow") / "training-data-configuration.json").write_text("{}", encoding="utf-8")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def keys(guarded: Server) -> dict[str, Keys]:
    grant(guarded, "alice", "*")
    grant(guarded, "bob", "Get*", "List*", "Cancel*")
    return {name: issued(guarded, name) for name in ("alice", "bob")}


def audit(server: Server, *arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "despina", "audit", "--data-dir", str(server.data_dir), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_call_and_every_refusal_is_there_and_no_secret(guarded: Server, keys: dict[str, Keys]) -> None:
    alice, bob = keys["alice"], keys["bob"]
    answer = client(guarded, alice).list_ml_model_training_jobs()
    with pytest.raises(ClientError):
        client(guarded, alice).get_ml_model_training_job(id="nobody")
    with pytest.raises(ClientError):
        client(guarded, bob).start_ml_model_training_job(id="tr", dataProcessingJobId="dp", trainModelS3Location="s3://test/models")
    wrong = bob | {"AWS_SECRET_ACCESS_KEY": "wrong" * 8}
    with pytest.raises(ClientError):
        client(guarded, wrong).cancel_ml_model_training_job(id="nobody")
    guarded.request("GET", "/ml/endpoints", headers={"User-Agent": "curl"})
    guarded.request("GET", "/healthz")
    entries = audit(guarded)
    told = [(entry["eventName"], entry.get("principal"), entry.get("accessKeyId"), entry.get("resourceId"), entry["status"],
             entry.get("errorCode")) for entry in entries]
    assert told == [
        ("ListMLModelTrainingJobs", ALICE, alice["AWS_ACCESS_KEY_ID"], None, 200, None),
        ("GetMLModelTrainingJob", ALICE, alice["AWS_ACCESS_KEY_ID"], "nobody", 404, "MLResourceNotFoundException"),
        ("StartMLModelTrainingJob", BOB, bob["AWS_ACCESS_KEY_ID"], None, 403, "AccessDeniedException"),
        ("CancelMLModelTrainingJob", None, bob["AWS_ACCESS_KEY_ID"], "nobody", 403, "AccessDeniedException"),
        ("ListMLEndpoints", None, None, None, 403, "AccessDeniedException")]
    first, *_, last = entries
    assert first["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert first["action"] == "neptune-db:ListMLModelTrainingJobs"
    assert first["sourceIpAddress"] == "127.0.0.1"
    assert "Boto3" in first["userAgent"]
    assert last["userAgent"] == "curl"
    assert "is not authorized to perform: neptune-db:StartMLModelTrainingJob" in entries[2]["errorMessage"]
    everything = json.dumps(entries) + guarded.log()
    for secret in (alice["AWS_SECRET_ACCESS_KEY"], bob["AWS_SECRET_ACCESS_KEY"], "wrong" * 8):
        assert secret not in everything
    assert audit(guarded, "--refused") == entries[2:]
    assert audit(guarded, "--principal", "user/bob") == [entries[2]]
    assert audit(guarded, "--operation", "GetMLModelTrainingJob") == audit(guarded, "--resource-id", "nobody", "--last", "2")[:1]
    assert audit(guarded, "--since", entries[3]["eventTime"]) == entries[3:]
    assert audit(guarded, "--since", "2200-01-01") == []


def test_a_secret_in_the_wrong_place_is_not_kept(guarded: Server) -> None:
    misplaced = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    scope = f"{misplaced}/20261125/us-east-1/neptune-db/aws4_request"
    for header in (misplaced, f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"):
        guarded.request("GET", "/ml/modeltransform", headers={"Authorization": header, "X-Amz-Date": "20261125T000000Z"})
    entries = audit(guarded, "--operation", "ListMLModelTransformJobs")
    assert len(entries) == 2
    assert all("accessKeyId" not in entry for entry in entries)


def test_a_job_tells_who_started_and_who_cancelled_it_and_its_starter_may_have_so_many(
        guarded: Server, keys: dict[str, Keys]) -> None:
    alice, bob = client(guarded, keys["alice"]), client(guarded, keys["bob"])
    members = {"inputDataS3Location": "s3://test/slow", "processedDataS3Location": "s3://test/processed"}
    alice.start_ml_data_processing_job(id="hers", **members)
    with pytest.raises(ClientError, match=r"1 jobs that .*user/alice started .*max_active_jobs_per_principal") as caught:
        alice.start_ml_data_processing_job(id="second", **members)
    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
    bob.cancel_ml_data_processing_job(id="hers")
    details = get_details(guarded, keys["bob"], "hers")
    assert (details["startedBy"], details["cancelledBy"]) == (ALICE, BOB)
    starts = audit(guarded, "--operation", "StartMLDataProcessingJob")
    assert [(entry["resourceId"], entry["status"]) for entry in starts] == [("hers", 200), ("second", 429)]


def test_what_one_principal_calls_its_calls_is_no_business_of_another(guarded: Server, keys: dict[str, Keys]) -> None:
    grant(guarded, "carol", "*")
    grant(guarded, "dave", "*")
    started = []
    for name in ("carol", "dave", "carol"):
        caller = client(guarded, keys.get(name) or keys.setdefault(name, issued(guarded, name)))
        # The same id of the call from both, as an attacker would send it that has seen the other's.
        caller.meta.events.register("before-send.*", set_invocation)
        started.append(caller.start_ml_data_processing_job(
            inputDataS3Location="s3://test/slow", processedDataS3Location="s3://test/processed")["id"])
    assert started[0] == started[2]
    assert started[0] != started[1]


def set_invocation(request: Any, **_: Any) -> None:
    del request.headers["amz-sdk-invocation-id"]
    request.headers["amz-sdk-invocation-id"] = "c0ffee"


def get_details(server: Server, keys: Keys, job_id: str) -> dict[str, Any]:
    request = AWSRequest("GET", f"{server.url}/ml/dataprocessing/{job_id}", params={"details": "true"})
    SigV4Auth(Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]), "neptune-db", "us-east-1").add_auth(request)
    prepared = request.prepare()
    status, _, job = server.request("GET", prepared.url.removeprefix(server.url), headers=dict(prepared.headers))
    assert status == 200, job
    details: dict[str, Any] = job["details"]
    return details
