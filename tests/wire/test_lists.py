"""List calls: the documented ones, and the opt-in extras that plain clients never see."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.serving import Server

COUNT = 12
StartServer = Callable[..., Server]


@pytest.fixture(scope="module")
def jobs(server: Server, export: Path) -> list[str]:
    """Twelve data-processing jobs, newest first; all but the first are cancelled."""
    client = server.boto3()
    ids = [f"job-{number:02d}" for number in range(COUNT)]
    for job_id in ids:
        client.start_ml_data_processing_job(
            id=job_id, inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
        if job_id != ids[0]:
            client.cancel_ml_data_processing_job(id=job_id)
    for job_id in ids:
        server.wait_until_ended("dataprocessing", job_id)
    return ids[::-1]


@pytest.mark.parametrize(("query", "count"), [
    ("", 10), ("?maxItems=", 10), ("?maxItems=1", 1), ("?maxItems=11", 11), ("?maxItems=1024", COUNT),
    ("?maxItems=1&neptuneIamRoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FNeptuneML", 1), ("?unknown=1", 10),
])
def test_newest_first_and_at_most_max_items(server: Server, jobs: list[str], query: str, count: int) -> None:
    for path in ("/ml/dataprocessing", "/ml/dataprocessing/"):
        status, headers, body = server.request("GET", path + query)
        assert (status, body) == (200, {"ids": jobs[:count]})
        assert headers["x-amzn-requestid"]


def test_ids_of_another_kind_are_not_listed(server: Server, jobs: list[str]) -> None:
    assert jobs
    assert server.request("GET", "/ml/modeltraining")[2] == {"ids": []}


def test_status(server: Server, jobs: list[str]) -> None:
    assert server.request("GET", "/ml/dataprocessing?status=Completed")[2]["ids"] == jobs[-1:]
    assert server.request("GET", "/ml/dataprocessing?status=Stopped&maxItems=1024")[2]["ids"] == jobs[:-1]
    assert server.request("GET", "/ml/dataprocessing?status=InProgress")[2]["ids"] == []


def test_name_contains(server: Server, jobs: list[str]) -> None:
    assert server.request("GET", "/ml/dataprocessing?nameContains=B-1")[2]["ids"] == [job for job in jobs if "b-1" in job]
    assert server.request("GET", "/ml/dataprocessing?nameContains=%25")[2]["ids"] == [], "a wildcard of SQL is a plain character"


def test_created(server: Server, jobs: list[str]) -> None:
    middle = server.details("dataprocessing", jobs[5])["details"]["createdAt"]
    after = server.request("GET", f"/ml/dataprocessing?createdAfter={middle}")[2]["ids"]
    before = server.request("GET", f"/ml/dataprocessing?createdBefore={middle}")[2]["ids"]
    assert jobs[5] not in after + before
    assert set(after) <= set(jobs[:5])
    assert set(before) <= set(jobs[6:])


def test_next_token_walks_through_all_jobs_once(server: Server, jobs: list[str]) -> None:
    seen: list[str] = []
    target = "/ml/dataprocessing?maxItems=5&status=Stopped"
    body = server.request("GET", target)[2]
    seen += body["ids"]
    while "nextToken" in body:
        body = server.request("GET", f"{target}&nextToken={quote(body['nextToken'])}")[2]
        seen += body["ids"]
    assert seen == jobs[:-1]


def test_details_stand_beside_the_ids(server: Server, jobs: list[str]) -> None:
    body = server.request("GET", "/ml/dataprocessing?maxItems=2&details=true")[2]
    assert body["ids"] == jobs[:2]
    assert [row["id"] for row in body["jobs"]] == jobs[:2]
    assert [row["status"] for row in body["jobs"]] == ["Stopped", "Stopped"]
