"""Three API processes and two reconcilers on one PostgreSQL database live through thirty kills under load, and nothing is lost.

The kills and the clients' calls come from a seed, which a failure tells (DESPINA_CHAOS_SEED repeats it); how they fall together is
the machine's. A kill waits for the clients to have got some calls further, so the load goes on through all of it.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.postgres import Cluster, postgresql_cluster
from tests.serving import PATIENCE_SECONDS, Server, wait_for

APIS, RECONCILERS, CLIENTS = 3, 2, 3
KILLS = ("api",) * 10 + ("reconciler",) * 8 + ("run",) * 8 + ("database",) * 4
JOBS_OF_ONE = 12
"""Jobs that each client starts, cancelled ones included."""
ATTEMPTS = 4
"""Times that a client repeats a call that nobody answers, each at another process."""


class Reconciling:
    """``despina reconcile``. It may be killed and started again."""

    def __init__(self, data_dir: Path, environment: dict[str, str]) -> None:
        self._data_dir, self._environment = data_dir, environment
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with (self._data_dir / "server.log").open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen([sys.executable, "-m", "despina", "reconcile", "--data-dir", str(self._data_dir)],
                                             stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | self._environment)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "Despina reconciles\n"

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=PATIENCE_SECONDS)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@dataclass
class Wishes:
    """What a client asked of a job: True was answered, None was not, False was refused or not asked."""

    started: bool | None
    cancelled: bool | None = False
    cleaned: bool | None = False


@dataclass
class Client:
    """Starts, lists, reads, cancels and cleans jobs of its own at any of the API processes."""

    name: str
    servers: list[Server]
    export: Path
    random: random.Random
    calls: int = 0
    jobs: dict[str, Wishes] = field(default_factory=dict)

    def work(self, over: threading.Event) -> None:
        while not over.is_set():
            mine = [job_id for job_id, wishes in self.jobs.items() if not wishes.cleaned]
            what = self.random.random()
            if what < 0.4 and len(self.jobs) < JOBS_OF_ONE:
                self.start(f"{self.name}-{len(self.jobs)}")
            elif what < 0.5 and mine:
                self.cancel(self.random.choice(mine), clean=self.random.random() < 0.5)
            elif what < 0.7 and mine:
                self.call("GET", f"/{self.random.choice(mine)}", expected={200, 404})
            else:
                self.call("GET", "?maxItems=100", expected={200})

    def start(self, job_id: str) -> None:
        body = {"id": job_id, "inputDataS3Location": f"file://{self.export}", "processedDataS3Location": "s3://test/processed"}
        self.jobs[job_id] = Wishes(started=None)
        self.jobs[job_id].started = self.call("POST", "", body, expected={200})

    def cancel(self, job_id: str, *, clean: bool) -> None:
        wishes = self.jobs[job_id]
        answered = self.call("DELETE", f"/{job_id}?clean={str(clean).upper()}", expected={200, 400, 404})
        wishes.cancelled = wishes.cancelled or answered
        wishes.cleaned = wishes.cleaned or (answered if clean else False)

    def call(self, method: str, target: str, body: Any = None, *, expected: set[int]) -> bool | None:
        """Whether the call was done (True), refused (False) or not answered (None)."""
        self.calls += 1
        headers = {"amz-sdk-invocation-id": f"{self.name}-{self.calls}"}
        for _ in range(ATTEMPTS):
            with contextlib.suppress(OSError, ValueError, HTTPException):  # refused, cut off, half an answer
                status, _, answer = self.random.choice(self.servers).request(
                    method, f"/ml/dataprocessing{target}", json.dumps(body).encode() if body else None, headers)
                if status < 500:
                    assert status in expected, (method, target, status, answer)
                    return status == 200
        return None


class Cast:
    """Everybody who may be killed."""

    def __init__(self, data_dir: Path, cluster: Cluster, url: str, generator: random.Random) -> None:
        environment = {"DESPINA_DATABASE_URL": url, "DESPINA_MAX_ACTIVE_JOBS": "1000", "DESPINA_REQUESTS_PER_SECOND": "100000"}
        self.servers = [Server(data_dir, "--api-only", environment=environment) for _ in range(APIS)]
        self._reconcilers = [Reconciling(data_dir, environment) for _ in range(RECONCILERS)]
        self._cluster, self._random = cluster, generator
        self._hit: set[str] = set()

    def start(self) -> None:
        for server in self.servers:
            server.start()
        for reconciler in self._reconcilers:
            reconciler.start()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
        for reconciler in self._reconcilers:
            reconciler.stop()

    def kill(self, kind: str) -> None:
        """Kill one of a kind, and start it again unless it is a run."""
        if kind == "run":
            self._kill_a_run()
        elif kind == "database":
            postmaster = psutil.Process(self._cluster.pid)
            for process in (postmaster, *postmaster.children()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._cluster.kill()
            self._cluster.start()
        else:
            victims: list[Server | Reconciling] = [*self.servers] if kind == "api" else [*self._reconcilers]
            victim = self._random.choice(victims)
            victim.kill()
            victim.start()

    def _kill_a_run(self) -> None:
        """Kill a program or its supervisor; of each job only one, as three lost attempts are the end of a run."""
        for pid in self._random.sample(found := sorted(self.servers[0].processes()), len(found)):
            with contextlib.suppress(psutil.NoSuchProcess):
                job = psutil.Process(pid).environ()["DESPINA_RUN_ID"].rsplit("-", 3)[0]
                if job not in self._hit:
                    self._hit.add(job)
                    os.kill(pid, signal.SIGKILL)
                    return


@pytest.fixture
def durable_cluster() -> Iterator[Cluster]:
    with postgresql_cluster(durable=True) as cluster:
        yield cluster


@pytest.mark.slow
def test_nothing_is_lost(tmp_path: Path, export: Path, durable_cluster: Cluster) -> None:
    seed = int(os.environ.get("DESPINA_CHAOS_SEED", time.time_ns() % 10**6))
    print(f"DESPINA_CHAOS_SEED={seed}")
    generator = random.Random(seed)
    kills, data_dir, over = generator.sample(KILLS, len(KILLS)), tmp_path / "data", threading.Event()
    data_dir.mkdir()
    with ExitStack() as stack:
        cast = Cast(data_dir, durable_cluster, stack.enter_context(durable_cluster.database()), generator)
        stack.callback(cast.stop)
        cast.start()
        clients = [Client(f"c{number}", cast.servers, export, random.Random(seed + number)) for number in range(CLIENTS)]
        cast.servers[0].process(export)
        train(cast.servers[1])
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
        check(cast.servers, {job_id: wishes for client in clients for job_id, wishes in client.jobs.items()})


def has_reached(clients: list[Client], calls: int) -> bool:
    return sum(client.calls for client in clients) >= calls


def answers(server: Server) -> bool:
    return server.request("GET", "/ml/dataprocessing?maxItems=1000")[0] == 200


def has_gone(path: Path) -> bool:
    return not path.exists()


def train(server: Server) -> None:
    body = {"id": "tr", "dataProcessingJobId": "dp", "trainModelS3Location": "s3://test/models", "maxHPONumberOfTrainingJobs": 1}
    assert server.request("POST", "/ml/modeltraining", json.dumps(body).encode())[0] == 200


def check(servers: list[Server], jobs: dict[str, Wishes]) -> None:
    """Every job that was acknowledged is in its one right end; nothing was done twice; nobody and nothing is left over."""
    for server in servers:  # the database may have been killed a moment ago: then a connection of before is found out, once
        wait_for("an answer", partial(answers, server))
    listed = servers[0].request("GET", "/ml/dataprocessing?maxItems=1000")[2]["ids"]
    assert {job_id for job_id, wishes in jobs.items() if wishes.started} | {"dp"} <= set(listed) <= {*jobs, "dp"}
    for job_id in listed:
        job = servers[1].wait_until_ended("dataprocessing", job_id)
        wishes = jobs.get(job_id, Wishes(started=True))
        right = {"Stopped"} if wishes.cancelled else {"Completed"} if wishes.cancelled is False else {"Stopped", "Completed"}
        assert job["status"] in right, (job, wishes)
        prefix = servers[0].path(job["details"]["prefix"])
        if job["status"] == "Completed":
            assert (prefix / "preloading-output" / "info.pkl").is_file()
        elif wishes.cleaned:
            wait_for(f"the sweep of {job_id}", partial(has_gone, prefix))
    assert servers[2].wait_until_ended("modeltraining", "tr")["status"] == "Completed"
    for server in servers:
        assert server.request("GET", "/ml/dataprocessing?maxItems=1000")[2]["ids"] == listed
    done = servers[0].completions()
    assert len(done) == len(set(done)), done
    wait_for("the end of all processes", lambda: not servers[0].processes())
