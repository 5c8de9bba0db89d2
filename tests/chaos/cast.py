"""Who is on the stage of the random kills: clients, API processes, reconcilers, a database and an S3 server; and who kills them."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
from tests.postgres import Cluster
from tests.seaweed import Seaweed
from tests.serving import PATIENCE_SECONDS, Server

APIS, RECONCILERS = 3, 2
JOBS_OF_ONE = 9
"""Jobs that each client starts, cancelled ones included."""
ATTEMPTS = 4
"""Times that a client repeats a call that nobody answers, each at another process."""
OUTAGE_SECONDS = 3.0
"""How long the S3 server is away at most, before it is started again, which takes as long once more."""


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
    bucket: str
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
                self.cancel(self.random.choice(mine), clean=self.random.random() < 0.6)
            elif what < 0.7 and mine:
                self.call("GET", f"/{self.random.choice(mine)}", expected={200, 404})
            else:
                self.call("GET", "?maxItems=100", expected={200})

    def start(self, job_id: str) -> None:
        body = {"id": job_id, "inputDataS3Location": f"s3://{self.bucket}/export",
                "processedDataS3Location": f"s3://{self.bucket}/processed"}
        self.jobs[job_id] = Wishes(started=None)
        self.jobs[job_id].started = self.call("POST", "", body, expected={200})

    def cancel(self, job_id: str, *, clean: bool) -> None:
        wishes = self.jobs[job_id]
        answered = self.call("DELETE", f"/{job_id}?clean={str(clean).upper()}", expected={200, 400, 404})
        wishes.cancelled = wishes.cancelled or answered
        wishes.cleaned = wishes.cleaned or (answered if clean else False)

    def call(self, method: str, target: str, body: Any = None, *, expected: set[int]) -> bool | None:
        """Whether the call was done (True), refused (False) or, as far as is known, either (None)."""
        self.calls += 1
        headers = {"amz-sdk-invocation-id": f"{self.name}-{self.calls}"}
        unanswered = 0
        while unanswered < ATTEMPTS:
            with contextlib.suppress(OSError, ValueError, HTTPException):  # refused, cut off, half an answer
                status, _, answer = self.random.choice(self.servers).request(
                    method, f"/ml/dataprocessing{target}", json.dumps(body).encode() if body else None, headers)
                if status < 500:
                    assert status in expected, (method, target, status, answer)
                    return True if status == 200 else None if unanswered else False
            unanswered += 1
        return None


class Cast:
    """Everybody who may be killed."""

    def __init__(self, data_dir: Path, cluster: Cluster, url: str, seaweed: Seaweed, generator: random.Random) -> None:
        environment = {"DESPINA_DATABASE_URL": url, "DESPINA_MAX_ACTIVE_JOBS": "1000", "DESPINA_REQUESTS_PER_SECOND": "100000",
                       **seaweed.environment()}
        self.servers = [Server(data_dir, "--api-only", environment=environment) for _ in range(APIS)]
        self._reconcilers = [Reconciling(data_dir, environment) for _ in range(RECONCILERS)]
        self._cluster, self._seaweed, self._random = cluster, seaweed, generator
        self._pool = ThreadPoolExecutor(1)
        self._outage: Future[object] | None = None
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
        self._pool.shutdown()

    def kill(self, kind: str) -> None:
        """Kill one of a kind, and start it again unless it is a run; the S3 server after a while, in which others die."""
        if kind == "run":
            self._kill_a_run()
        elif kind == "s3":
            self.wait_for_s3()
            self._seaweed.kill()
            self._outage = self._pool.submit(self._end_outage, self._random.uniform(0, OUTAGE_SECONDS))
        elif kind == "database":
            self._cluster.kill_all()
            self._cluster.start()
        else:
            victims: list[Server | Reconciling] = [*self.servers] if kind == "api" else [*self._reconcilers]
            victim = self._random.choice(victims)
            victim.kill()
            victim.start()

    def wait_for_s3(self) -> None:
        """Return when the S3 server is there."""
        if self._outage is not None:
            self._outage.result(PATIENCE_SECONDS)

    def _end_outage(self, seconds: float) -> None:
        threading.Event().wait(seconds)
        self._seaweed.start()

    def _kill_a_run(self) -> None:
        """Kill a program or its supervisor; of each job only one, as three lost attempts are the end of a run."""
        for pid in self._random.sample(found := sorted(self.servers[0].processes()), len(found)):
            with contextlib.suppress(psutil.NoSuchProcess):
                job = psutil.Process(pid).environ()["DESPINA_RUN_ID"].rsplit("-", 3)[0]
                if job not in self._hit:
                    self._hit.add(job)
                    os.kill(pid, signal.SIGKILL)
                    return
