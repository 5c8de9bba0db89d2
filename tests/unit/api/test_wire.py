"""What the edge reads and what it refuses, seen through the application: code, status and text of each refusal."""

import json
import logging
from typing import Any

import pytest
from tests.unit.api.fakes import Client, training_job

from despina.core.requests import ListJobs

TRAINING = {"dataProcessingJobId": "dp-1", "trainModelS3Location": "s3://bucket/models"}
BAD, CONSTRAINT, PARAMETER = "BadRequestException", "ConstraintViolationException", "InvalidParameterException"


@pytest.mark.parametrize(("body", "text"), [
    (b"{", "The request body is not JSON: Expecting property name enclosed in double quotes at line 1, column 2."),
    (b" ", "The request body is not JSON: Expecting value at line 1, column 2."),
    (b"{} {}", "The request body is not JSON: Extra data at line 1, column 4."),
    (b'{"a": NaN}', "The request body is not JSON: NaN is not a number of JSON."),
    (b'{"a": -Infinity}', "The request body is not JSON: -Infinity is not a number of JSON."),
    (b'{"id": "\xe9"}', "The request body is not UTF-8: 0xe9 at byte 8."),
    ("{}".encode("utf-16"), "The request body is not UTF-8: 0xff at byte 0."),
    (b'{"id": "\\ud800"}', "The request body has a lone surrogate (\\ud800) in a string."),
    (b'{"\\udfff": 1}', "The request body has a lone surrogate (\\udfff) in a string."),
    (b'{"id": "a", "id": "a"}', "The member 'id' stands more than once in an object of the request body."),
    (b'{"x": {"\\ud800": 1, "\\ud800": 2}}', "The member '\\ud800' stands more than once in an object of the request body."),
    (b"[]", "The request body must be a JSON object, not a list."),
    (b'"text"', "The request body must be a JSON object, not a string."),
    (b"null", "The request body must be a JSON object, not null."),
    (b'{"x": ' + b"[" * 32 + b"]" * 32 + b"}", "The request body is nested deeper than 32 levels."),
    (b'{"x": ' + b"[" * 100_000, "The request body is nested deeper than 32 levels."),
    (b'{"x": ' + b"9" * 5000 + b"}", "The request body has a number of 5000 digits (9999999999…): 100 are the most."),
])
def test_a_body_that_is_no_strict_json_object(body: bytes, text: str) -> None:
    client = Client()
    assert client.call("POST", "/ml/modeltraining", body).error == (400, BAD, text)
    assert client.jobs.requests == []


@pytest.mark.parametrize(("member", "value", "code", "text"), [
    ("id", 7, BAD, "The member 'id' must be a string, not a whole number (7)."),
    ("id", [], BAD, "The member 'id' must be a string, not a list."),
    ("id", {}, BAD, "The member 'id' must be a string, not an object."),
    ("maxHPONumberOfTrainingJobs", 1.0, BAD,
     "The member 'maxHPONumberOfTrainingJobs' must be a whole number, not a number with a fraction or exponent (1.0)."),
    ("maxHPONumberOfTrainingJobs", "1", BAD, "The member 'maxHPONumberOfTrainingJobs' must be a whole number, not a string (1)."),
    ("maxHPONumberOfTrainingJobs", True, BAD,
     "The member 'maxHPONumberOfTrainingJobs' must be a whole number, not a boolean (True)."),
    ("maxHPONumberOfTrainingJobs", 0, CONSTRAINT,
     "The value 0 of 'maxHPONumberOfTrainingJobs' is out of range: it must be 1 or more."),
    ("maxHPONumberOfTrainingJobs", 2**63, CONSTRAINT,
     f"The value {2**63} of 'maxHPONumberOfTrainingJobs' is out of range: it must fit into 64 bits."),
    ("trainingTimeOutInSeconds", 10**80, CONSTRAINT,
     f"The value {10**80} of 'trainingTimeOutInSeconds' is out of range: it must be between 1 and 2419200."),
    ("enableManagedSpotTraining", 1, BAD, "The member 'enableManagedSpotTraining' must be a boolean, not a whole number (1)."),
    ("enableManagedSpotTraining", "yes", BAD, "The member 'enableManagedSpotTraining' must be a boolean, not a string (yes)."),
    ("subnets", "subnet-1", BAD, "The member 'subnets' must be a list of strings, not a string (subnet-1)."),
    ("subnets", ["subnet-1", None], BAD, "The member 'subnets[1]' must be a string, not null."),
    ("customModelTrainingParameters", [], BAD, "The member 'customModelTrainingParameters' must be an object, not a list."),
    ("customModelTrainingParameters", {"sourceS3DirectoryPath": 1}, BAD,
     "The member 'customModelTrainingParameters.sourceS3DirectoryPath' must be a string, not a whole number (1)."),
    ("customModelTrainingParameters", {}, "MissingParameterException",
     "The required member 'customModelTrainingParameters.sourceS3DirectoryPath' is missing or empty."),
    ("dataProcessingJobId", "", "MissingParameterException", "The required member 'dataProcessingJobId' is missing or empty."),
    ("dataProcessingJobId", None, "MissingParameterException", "The required member 'dataProcessingJobId' is missing or empty."),
    ("id", "a_b", PARAMETER, "Invalid ID provided. Must contain only letters, digits, or hyphens."),
    ("trainingInstanceType", "p3", PARAMETER,
     "Invalid ML instance type. ('p3' of 'trainingInstanceType' is not of the form ml.family.size)"),
])
def test_a_member_that_cannot_be_taken(member: str, value: Any, code: str, text: str) -> None:
    client = Client()
    assert client.call("POST", "/ml/modeltraining", {**TRAINING, member: value}).error == (400, code, text)
    assert client.jobs.requests == []


def test_an_empty_body_is_an_empty_object() -> None:
    assert Client().call("POST", "/ml/modeltraining").error == (
        400, "MissingParameterException", "The required member 'dataProcessingJobId' is missing or empty.")


def test_unknown_members_are_ignored_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    with caplog.at_level(logging.WARNING, logger="despina.api"):
        for job_id in ("tr-1", "tr-2"):
            body = {"id": job_id, **TRAINING, "wait_interval": 10, "customModelTrainingParameters": {
                "sourceS3DirectoryPath": "s3://bucket/code", "x\n": [1]}}
            assert client.call("POST", "/ml/modeltraining", body).status == 200
        client.get("/ml/modeltraining?maxitems=3&X%0A=1")
    assert sorted(record.getMessage() for record in caplog.records) == [
        "ListMLModelTrainingJobs: the unknown member 'X\\n' is ignored",
        "ListMLModelTrainingJobs: the unknown member 'maxitems' is ignored",
        "StartMLModelTrainingJob: the unknown member 'customModelTrainingParameters.x\\n' is ignored",
        "StartMLModelTrainingJob: the unknown member 'wait_interval' is ignored",
    ]


def test_unknown_members_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="despina.api"):
        Client().call("POST", "/ml/modeltraining", {**TRAINING, **{f"{number}" + "x" * 1000: 1 for number in range(500)}})
    assert len(caplog.records) == 100
    assert max(len(record.getMessage()) for record in caplog.records) < 200


@pytest.mark.parametrize(("query", "expected"), [
    ("", ListJobs()),
    ("maxItems=3&neptuneIamRoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FNeptuneML",
     ListJobs(max_items=3, neptune_iam_role_arn="arn:aws:iam::123456789012:role/NeptuneML")),
    ("maxItems=&status=&details=&createdAfter=", ListJobs()),
    ("max%49tems=00003&&", ListJobs(max_items=3)),
    ("nameContains=a+b%2Bc%C3%A9", ListJobs(name_contains="a b+cé")),
    ("createdAfter=0&createdBefore=1700000000000&details=True",
     ListJobs(created_after=0, created_before=1_700_000_000_000, details=True)),
    ("status=Completed&nextToken=a%3Db", ListJobs(status="Completed", next_token="a=b")),
    ("unknown=1&unknown=2", ListJobs()),
])
def test_queries(query: str, expected: ListJobs) -> None:
    client = Client()
    assert client.get(f"/ml/modeltraining?{query}").status == 200
    assert client.jobs.requests == [expected]


@pytest.mark.parametrize(("query", "code", "text"), [
    ("maxItems=ten", PARAMETER, "The value 'ten' of 'maxItems' cannot be read: it must be a whole number."),
    ("maxItems=1.0", PARAMETER, "The value '1.0' of 'maxItems' cannot be read: it must be a whole number."),
    ("maxItems=1_0", PARAMETER, "The value '1_0' of 'maxItems' cannot be read: it must be a whole number."),
    ("maxItems=+5", PARAMETER, "The value ' 5' of 'maxItems' cannot be read: it must be a whole number."),
    ("maxItems=%D9%A3", PARAMETER, "The value '٣' of 'maxItems' cannot be read: it must be a whole number."),
    ("maxItems=5%0A", PARAMETER, "The value '5\n' of 'maxItems' cannot be read: it must be a whole number."),
    ("maxItems=%FF", PARAMETER, "The value of 'maxItems' cannot be read: it is not UTF-8."),
    ("maxItems=1&maxItems=", PARAMETER, "The parameter 'maxItems' stands more than once in the query."),
    ("details=maybe", PARAMETER, "The value 'maybe' of 'details' cannot be read: it must be true or false."),
    ("maxItems=0", CONSTRAINT, "The value 0 of 'maxItems' is out of range: it must be between 1 and 1024."),
    ("maxItems=1025", CONSTRAINT, "The value 1025 of 'maxItems' is out of range: it must be between 1 and 1024."),
    ("maxItems=-1", CONSTRAINT, "The value -1 of 'maxItems' is out of range: it must be between 1 and 1024."),
    ("createdAfter=9223372036854775808", CONSTRAINT,
     "The value 9223372036854775808 of 'createdAfter' is out of range: it must fit into 64 bits."),
    ("createdAfter=" + "9" * 5000, CONSTRAINT,
     "The value 99999999999999999999… (5000 digits) of 'createdAfter' is out of range: it must fit into 64 bits."),
    ("createdAfter=2024-01-01T00:00:00Z", PARAMETER,
     "The value '2024-01-01T00:00:00Z' of 'createdAfter' cannot be read: it must be a whole number."),
    ("status=Done", "InvalidArgumentException",
     "The value 'Done' of 'status' is not known: it must be one of InProgress, Stopping, Stopped, Completed, Failed."),
])
def test_queries_that_cannot_be_taken(query: str, code: str, text: str) -> None:
    client = Client()
    assert client.get(f"/ml/modeltraining?{query}").error == (400, code, text)
    assert client.jobs.requests == []


@pytest.mark.parametrize("raw_id", ["a%2Fb", "tr%201", "%C3%A9", "%FF", "..", "a_b", "%", "%zz", "{id}"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_ids_in_the_path_that_break_the_rule(method: str, raw_id: str) -> None:
    assert Client().call(method, f"/ml/modeltraining/{raw_id}").error == (
        400, PARAMETER, "Invalid ID provided. Must contain only letters, digits, or hyphens.")


def test_an_id_in_the_path_that_is_too_long() -> None:
    assert Client().get("/ml/modeltraining/" + "a" * 49).error == (
        400, PARAMETER, "Invalid ID provided. ID can be 1-48 alphanumeric characters.")


def test_an_id_in_the_path_is_decoded() -> None:
    client = Client()
    client.jobs.add(training_job("tr-1"))
    assert client.get("/ml/modeltraining/%74r%2D1").json["id"] == "tr-1"


def test_a_long_value_does_not_come_back_whole() -> None:
    body = json.dumps({**TRAINING, "trainingInstanceType": "x" * 100_000}).encode()
    _, code, text = Client().call("POST", "/ml/modeltraining", body).error
    assert code == PARAMETER
    assert len(text) == 2048
