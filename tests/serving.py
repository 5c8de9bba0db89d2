"""A real server in a process of its own, and what tests ask of it."""

import http.client
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from tests.waiting import PATIENCE_SECONDS, wait_for

__all__ = ["PATIENCE_SECONDS", "Server", "wait_for"]


class Server:
    """``despina serve`` on a free port of loopback. It may be killed and started again on its data directory."""

    def __init__(self, data_dir: Path, *flags: str, environment: dict[str, str] | None = None,
                 program: tuple[str, ...] = (sys.executable, "-m", "despina")) -> None:
        self.data_dir = data_dir
        self._program = program
        self.url = ""
        self._flags = flags
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> "Server":
        """Start it and wait until it is ready."""
        self.data_dir.mkdir(exist_ok=True)
        with (self.data_dir / "server.log").open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [*self._program, "serve", "--port", "0", "--data-dir", str(self.data_dir), *self._flags],
                stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment)
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(timeout=PATIENCE_SECONDS), "the server said nothing"
        line = self._process.stdout.readline()
        assert line.startswith("Despina serves at http"), f"{line!r}; its log: {self.log()[-3000:]}"
        self.url = line.split()[-1]
        return self

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL, -signal.SIGKILL)

    def stop(self) -> None:
        """End it with SIGTERM, which must be a clean exit."""
        if self._process is not None:
            self._end(signal.SIGTERM, 0)

    def _end(self, number: signal.Signals, status: int) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(number)
        assert self._process.wait(timeout=PATIENCE_SECONDS) == status
        self._process.stdout.close()
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return (self.data_dir / "server.log").read_text(encoding="utf-8")

    def boto3(self, **config: Any) -> Any:
        """A client that does not sign."""
        return boto3.client("neptunedata", endpoint_url=self.url, region_name="us-east-1",
                            config=Config(signature_version=UNSIGNED, **config))

    def request(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None,
                ) -> tuple[int, dict[str, str], Any]:
        """A plain request: the status, the headers in lower case, and the decoded JSON body."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_SECONDS)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, json.loads(response.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A connection to it."""
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE_SECONDS)

    def path(self, location: str) -> Path:
        """Where the folder that stands in for S3 keeps a location."""
        parts = urlsplit(location)
        return self.data_dir / "s3" / parts.netloc / parts.path.lstrip("/")

    def details(self, kind: str, job_id: str) -> dict[str, Any]:
        """The job with its runs."""
        status, _, job = self.request("GET", f"/ml/{kind}/{job_id}?details=true")
        assert status == 200, job
        assert isinstance(job, dict)
        return job

    def wait_until_ended(self, kind: str, job_id: str) -> dict[str, Any]:
        """The job once it has ended."""
        def ended() -> dict[str, Any] | None:
            job = self.details(kind, job_id)
            return None if job["status"] in {"InProgress", "Stopping"} else job
        return wait_for(f"the end of {job_id}", ended)

    def wait_for_run(self, kind: str, job_id: str, run_kind: str, *, step: int = 0) -> dict[str, Any]:
        """A run of this kind that is running, and has reported at least this progress."""
        def running() -> dict[str, Any] | None:
            job = self.details(kind, job_id)
            assert job["status"] == "InProgress", job
            return next((run for run in job["details"]["runs"] if run["kind"] == run_kind and run["state"] == "running"
                         and (run.get("progress") or {"step": -1})["step"] >= step), None)
        return wait_for(f"a {run_kind} run of {job_id}", running)

    def process(self, export: Path, job_id: str = "dp") -> dict[str, Any]:
        """Process an export to the end."""
        self.boto3().start_ml_data_processing_job(
            id=job_id, inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
        job = self.wait_until_ended("dataprocessing", job_id)
        assert job["status"] == "Completed", job
        return job

    def processes(self) -> list[int]:
        """All living processes that belong to runs of this data directory, supervisors included."""
        wanted = f"DESPINA_S3_FOLDER={self.data_dir / 's3'}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def completions(self) -> list[str]:
        """The kinds and numbers of the runs that ran to completion, each as often as it did, without the attempt's number."""
        done = []
        for folder in (self.data_dir / "runs").iterdir():
            result = folder / "result.json"
            if result.is_file() and "result" in json.loads(result.read_text(encoding="utf-8")):
                done.append(folder.name.rsplit("-", 1)[0])
        return sorted(done)
