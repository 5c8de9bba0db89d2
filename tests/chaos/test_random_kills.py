"""Three API processes and two reconcilers on one PostgreSQL database and one S3 server live through thirty kills under load, and
nothing is lost.

The kills and the clients' calls come from a seed, which a failure tells (DESPINA_CHAOS_SEED repeats it); how they fall together is
the machine's. A kill waits for the clients to have got some calls further, so the load goes on through all of it.
"""

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from tests.chaos.cast import Cast, Client, Wishes
from tests.postgres import Cluster, postgresql_cluster
from tests.seaweed import Seaweed
from tests.serving import Server, wait_for

from despina.core.job import JobKind
from despina.store import open_store

CLIENTS = 3
KILLS = ("api",) * 9 + ("reconciler",) * 7 + ("run",) * 7 + ("database",) * 3 + ("s3",) * 4
JOBS = "/ml/dataprocessing?maxItems=1000"


@pytest.fixture
def durable_cluster() -> Iterator[Cluster]:
    with postgresql_cluster(durable=True) as cluster:
        yield cluster


@pytest.mark.slow
def test_nothing_is_lost(tmp_path: Path, export: Path, durable_cluster: Cluster, seaweed: Seaweed) -> None:
    seed = int(os.environ.get("DESPINA_CHAOS_SEED", time.time_ns() % 10**6))
    print(f"DESPINA_CHAOS_SEED={seed}")
    generator = random.Random(seed)
    kills, data_dir, over = generator.sample(KILLS, len(KILLS)), tmp_path / "data", threading.Event()
    data_dir.mkdir()
    bucket = Bucket(seaweed)
    bucket.upload(export)
    with ExitStack() as stack:
        url = stack.enter_context(durable_cluster.database())
        cast = Cast(data_dir, durable_cluster, url, seaweed, generator)
        stack.callback(cast.stop)
        cast.start()
        clients = [Client(f"c{number}", cast.servers, bucket.name, random.Random(seed + number)) for number in range(CLIENTS)]
        Client("", cast.servers, bucket.name, generator).start("dp")
        assert cast.servers[0].wait_until_ended("dataprocessing", "dp")["status"] == "Completed"
        train(cast.servers[1], bucket.name)
        threads = [threading.Thread(target=client.work, args=(over,)) for client in clients]
        for thread in threads:
            thread.start()
        try:
            for kill in kills:
                reached = sum(client.calls for client in clients) + generator.randrange(1, 30)
                wait_for("calls", partial(has_reached, clients, reached))
                cast.kill(kill)
        finally:
            over.set()
            for thread in threads:
                thread.join()
            cast.wait_for_s3()
        check(cast.servers, {job_id: wishes for client in clients for job_id, wishes in client.jobs.items()}, bucket, url)


class Bucket:
    """A bucket of the test's own."""

    def __init__(self, seaweed: Seaweed) -> None:
        self.name, self._client = seaweed.new_bucket(), seaweed.client()

    def upload(self, export: Path) -> None:
        """Put the export there, and a file that looks as if it belonged to a job."""
        for path in export.rglob("*"):
            if path.is_file():
                self._client.upload_file(str(path), self.name, f"export/{path.relative_to(export)}")
        self._client.put_object(Bucket=self.name, Key="processed/neighbour", Body=b"")

    def below(self, location: str = "") -> set[str]:
        """The keys below a location, or all, relative to it."""
        prefix = location.removeprefix(f"s3://{self.name}/") + "/" if location else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return {entry["Key"].removeprefix(prefix) for page in pages for entry in page.get("Contents", [])}


def has_reached(clients: list[Client], calls: int) -> bool:
    return sum(client.calls for client in clients) >= calls


def answers(server: Server) -> bool:
    return server.request("GET", JOBS)[0] == 200


def train(server: Server, bucket: str) -> None:
    body = {"id": "tr", "dataProcessingJobId": "dp", "trainModelS3Location": f"s3://{bucket}/models",
            "maxHPONumberOfTrainingJobs": 1}
    assert server.request("POST", "/ml/modeltraining", json.dumps(body).encode())[0] == 200


def check(servers: list[Server], jobs: dict[str, Wishes], bucket: Bucket, url: str) -> None:
    """Every job that was acknowledged is in its one right end; nothing was done twice; nobody and nothing is left over."""
    for server in servers:  # the database may have been killed a moment ago: then a connection of before is found out, once
        wait_for("an answer", partial(answers, server))
    listed = servers[0].request("GET", JOBS)[2]["ids"]
    possible = {job_id for job_id, wishes in jobs.items() if wishes.started is not False}
    assert {job_id for job_id, wishes in jobs.items() if wishes.started} | {"dp"} <= set(listed) <= possible | {"dp"}
    whole = bucket.below(prefix_of(servers[0], "dataprocessing", "dp"))
    assert "preloading-output/info.pkl" in whole
    kept = {"processed/neighbour"}
    store = open_store(url)
    try:
        for job_id in listed:
            job = servers[1].wait_until_ended("dataprocessing", job_id)
            wishes = jobs.get(job_id, Wishes(started=True))
            right = {"Stopped"} if wishes.cancelled else {"Completed"} if wishes.cancelled is False else {"Stopped", "Completed"}
            assert job["status"] in right, (job, wishes)
            prefix = job["details"]["prefix"]
            if job["status"] == "Completed":
                assert bucket.below(prefix) == whole, job
            elif wishes.cleaned:
                wait_for(f"the sweep of {job_id}", lambda: (found := store.get(JobKind.DATA_PROCESSING, job_id)) and found.swept)  # noqa: B023
                assert not bucket.below(prefix), job
            kept |= {f"{prefix}/{key}".removeprefix(f"s3://{bucket.name}/") for key in bucket.below(prefix)}
    finally:
        store.close()
    assert servers[2].wait_until_ended("modeltraining", "tr")["status"] == "Completed"
    assert "autotrainer-output/training-report.json" in bucket.below(prefix_of(servers[0], "modeltraining", "tr"))
    assert {key for key in bucket.below() if key.startswith("processed/")} == kept, "nothing appears when a job has ended"
    for server in servers:
        assert server.request("GET", JOBS)[2]["ids"] == listed
    done = servers[0].completions()
    assert len(done) == len(set(done)), done
    wait_for("the end of all processes", lambda: not servers[0].processes())


def prefix_of(server: Server, kind: str, job_id: str) -> str:
    return str(server.details(kind, job_id)["details"]["prefix"])
