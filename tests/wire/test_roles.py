"""Roles, through boto3 against a real server: the parameter group, and policies that bound what jobs read, write and delete."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.serving import Server

BOUNDED, FREE, OTHER = (f"arn:aws:iam::123456789012:role/{name}" for name in ("Bounded", "Free", "Other"))
POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::test"},
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::test/exports/*", "arn:aws:s3:::test/processed/*"]},
    {"Effect": "Allow", "Action": "s3:PutObject", "Resource": ["arn:aws:s3:::test/processed/*", "arn:aws:s3:::test/kept/*"]},
    {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::test/processed/*"}]}
CONFIG = f"""
[cluster]
roles = ["{BOUNDED}", "{FREE}"]
[[principals]]
name = "Bounded"
arn = "{BOUNDED}"
policies = ['''{json.dumps(POLICY)}''']
"""


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory, export: Path) -> Iterator[Server]:
    """A server with two roles, of which one has policies, and an export in S3."""
    folder = tmp_path_factory.mktemp("roles")
    (folder / "despina.toml").write_text(CONFIG, encoding="utf-8")
    server = Server(folder / "data", "--config", str(folder / "despina.toml")).start()
    for place in ("exports", "hidden"):
        shutil.copytree(export, server.path(f"s3://test/{place}/colours"))
    yield server
    server.stop()


def refused(call: Callable[..., Any], **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def start(server: Server, job_id: str, role: str, source: str = "exports", target: str = "processed") -> Any:
    return server.boto3().start_ml_data_processing_job(
        id=job_id, inputDataS3Location=f"s3://test/{source}/colours", processedDataS3Location=f"s3://test/{target}",
        neptuneIamRoleArn=role)


def test_every_operation_wants_a_role_of_the_group(grouped: Server) -> None:
    client = grouped.boto3()
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (client.start_ml_data_processing_job, {"inputDataS3Location": "s3://test/in", "processedDataS3Location": "s3://test/out"}),
        (client.start_ml_model_training_job, {"dataProcessingJobId": "nobody", "trainModelS3Location": "s3://test/out"})]
    for kind in ("data_processing", "model_training"):
        calls += [(getattr(client, f"list_ml_{kind}_jobs"), {}), (getattr(client, f"get_ml_{kind}_job"), {"id": "nobody"}),
                  (getattr(client, f"cancel_ml_{kind}_job"), {"id": "nobody"})]
    for call, members in calls:
        assert refused(call, **members) == (
            "MissingParameterException",
            "Required credentials are missing. Please add IAM role to the cluster or pass as a parameter to this request.")
        code, message = refused(call, **members, neptuneIamRoleArn=OTHER)
        assert code == "PreconditionsFailedException"
        assert f"The role '{OTHER}' of 'neptuneIamRoleArn' is not in the cluster's parameter group" in message
    assert "ids" in client.list_ml_model_training_jobs(neptuneIamRoleArn=FREE)
    code, message = refused(calls[0][0], **calls[0][1], neptuneIamRoleArn=FREE, sagemakerIamRoleArn=OTHER)
    assert (code, "sagemakerIamRoleArn" in message) == ("PreconditionsFailedException", True)
    assert client.get_engine_status()["status"] == "healthy"


def test_a_form_that_is_wrong_comes_before_the_group(grouped: Server) -> None:
    assert refused(grouped.boto3().list_ml_model_training_jobs, neptuneIamRoleArn="x")[0] == "InvalidArgumentException"


def test_policies_bound_what_jobs_read_and_write(grouped: Server) -> None:
    code, message = refused(start, server=grouped, job_id="hidden", role=BOUNDED, source="hidden")
    assert code == "AccessDeniedException"
    assert f"The role {BOUNDED} is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::test/hidden/" in message
    code, message = refused(start, server=grouped, job_id="elsewhere", role=BOUNDED, target="elsewhere")
    assert (code, "s3:PutObject on resource: arn:aws:s3:::test/elsewhere/" in message) == ("AccessDeniedException", True)
    code, _ = refused(grouped.boto3().start_ml_data_processing_job, inputDataS3Location="file:///etc",
                      processedDataS3Location="s3://test/processed", neptuneIamRoleArn=BOUNDED)
    assert code == "AccessDeniedException"
    assert grouped.boto3().list_ml_data_processing_jobs(neptuneIamRoleArn=FREE, maxItems=10)["ids"] == [], "nothing was recorded"


def test_clean_deletes_only_where_the_role_may(grouped: Server) -> None:
    client = grouped.boto3()
    for job_id, target in (("swept", "processed"), ("kept", "kept")):
        start(grouped, job_id, BOUNDED, target=target)
    code, message = refused(client.cancel_ml_data_processing_job, id="kept", clean=True, neptuneIamRoleArn=BOUNDED)
    assert (code, "s3:DeleteObject on resource: arn:aws:s3:::test/kept/" in message) == ("AccessDeniedException", True)
    status = client.get_ml_data_processing_job(id="kept", neptuneIamRoleArn=FREE)["status"]
    assert status in {"InProgress", "Completed"}, "a cancel that was refused has changed nothing"
    code, message = refused(client.cancel_ml_data_processing_job, id="nobody", clean=True, neptuneIamRoleArn=BOUNDED)
    assert code == "MLResourceNotFoundException"
