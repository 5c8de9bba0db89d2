"""``despina demo``: the whole round on a real graph, through boto3 alone against a server of its own on a free port."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from despina.artifacts import ENDPOINTS
from despina.cli import tables
from despina.core.errors import DespinaError

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 600
BUCKET = "s3://despina-demo"


def run(*, export: Path | None, data_dir: Path | None) -> int:
    """Run the demo; the exit status is 0 if everything that it shows is true."""
    folder = (export or Path(__file__).parents[3] / "examples" / "air-routes").absolute()
    if not (folder / "training-data-configuration.json").is_file():
        raise DespinaError(f"There is no export at {folder}: run the demo from a checkout of Despina, or give one with --export.")
    with tempfile.TemporaryDirectory(prefix="despina-demo-") as temporary, _server(data_dir or Path(temporary)) as (process, url):
        print(f"A server runs at {url} (process {process.pid}). The graph: {folder.name}.", flush=True)
        _Demo(_client(url), s3=(data_dir or Path(temporary)) / "s3", export=folder).run()
    return 0


class _Demo:
    """The round: process, train, list, cancel with clean, and the table of what came out."""

    def __init__(self, client: Any, *, s3: Path, export: Path) -> None:
        self._client = client
        self._s3 = s3
        self._export = export
        self._rows: list[tuple[str, object]] = []

    def run(self) -> None:
        began = time.monotonic()
        self._timed("data processing", self._process)
        trained = self._timed("training, two trials", self._train)
        self._cancel_with_clean()
        print(f"\nlist-ml-model-training-jobs: {self._client.list_ml_model_training_jobs()['ids']}")
        output = self._path(trained["processingJob"]["outputLocation"])
        accuracy = json.loads((output / "test_metrics_info.json").read_text(encoding="utf-8"))["acc"]
        self._rows += [("test accuracy", accuracy), ("majority class on the test part", majority_accuracy(self._export)),
                       ("whole demo", tables.duration((time.monotonic() - began) * 1000))]
        print("\n" + tables.table(["WHAT", "RESULT"], self._rows))

    def _timed(self, what: str, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        began = time.monotonic()
        job = action()
        if job["status"] != "Completed":
            raise DespinaError(f"The job '{job['id']}' ended as {job['status']}: {job['processingJob'].get('failureReason')}")
        self._rows.append((what, tables.duration((time.monotonic() - began) * 1000)))
        print(f"{what}: {job['status']}, its files are at {job['processingJob']['outputLocation']}", flush=True)
        return job

    def _process(self) -> dict[str, Any]:
        self._client.start_ml_data_processing_job(
            id="air-routes", inputDataS3Location=f"file://{self._export}", processedDataS3Location=f"{BUCKET}/processed")
        return _wait(lambda: self._client.get_ml_data_processing_job(id="air-routes"))

    def _train(self) -> dict[str, Any]:
        self._start_training("air-routes-1")
        return _wait(lambda: self._client.get_ml_model_training_job(id="air-routes-1"))

    def _start_training(self, job_id: str) -> None:
        self._client.start_ml_model_training_job(
            id=job_id, dataProcessingJobId="air-routes", trainModelS3Location=f"{BUCKET}/models", maxHPONumberOfTrainingJobs=2)

    def _cancel_with_clean(self) -> None:
        """Start a second training, wait until it trains, cancel it, and look that nothing is left of it."""
        job_id = "air-routes-2"
        self._start_training(job_id)
        began = time.monotonic()
        while not (programs := _programs(job_id, "trial")):
            _patience(began)
        prefix = self._path(self._client.get_ml_model_training_job(id=job_id)["processingJob"]["outputLocation"]).parent
        began = time.monotonic()
        answer = self._client.cancel_ml_model_training_job(id=job_id, clean=True)
        print(f"\n{job_id} trains in the processes {programs}; cancelled with clean: {answer['status']}", flush=True)
        job = _wait(lambda: self._client.get_ml_model_training_job(id=job_id))
        self._rows.append(("cancel with clean", tables.duration((time.monotonic() - began) * 1000)))
        left, files = _programs(job_id), list(prefix.rglob("*"))
        print(f"{job_id} is {job['status']}; processes left: {left or 'none'}; files left: {files or 'none'}", flush=True)
        if job["status"] != "Stopped" or left or files:
            raise DespinaError(f"The cancelled job '{job_id}' is not gone.")

    def _path(self, location: str) -> Path:
        """Where the folder that stands in for S3 keeps a location."""
        parts = urlsplit(location)
        return self._s3 / parts.netloc / parts.path.lstrip("/")


def majority_accuracy(export: Path) -> float:
    """The accuracy on the test part of always answering the commonest class of the training part."""
    config = json.loads((export / "training-data-configuration.json").read_text(encoding="utf-8"))
    node = next(node for node in config["graph"]["nodes"] if node.get("labels"))
    label, identifier = node["labels"][0], node["node"][0]
    with (export / node["file_name"]).open(encoding="utf-8", newline="") as file:
        classes = {row[identifier]: row[label["label"][0]] for row in csv.DictReader(file)}

    def part(name: str) -> list[str]:
        with (export / label["custom_split_filenames"][name]).open(encoding="utf-8", newline="") as file:
            return [classes[row[identifier]] for row in csv.DictReader(file)]

    commonest = Counter(part("train")).most_common(1)[0][0]
    test = part("test")
    return test.count(commonest) / len(test)


def _client(url: str) -> Any:
    try:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
    except ModuleNotFoundError:
        raise DespinaError("The demo calls the API through boto3, which is not installed here: pip install boto3.") from None
    # The server checks no signatures, so it needs none; with credentials at hand boto3 would sign, which is fine as well.
    return boto3.client("neptunedata", endpoint_url=url, region_name="us-east-1", config=Config(signature_version=UNSIGNED))


@contextmanager
def _server(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own; its log goes to ``server.log`` in the data directory."""
    data_dir.mkdir(parents=True, exist_ok=True)
    # It looks at its files in the folder that stands in for S3, also where there is an S3 server.
    environment = {name: value for name, value in os.environ.items() if name not in ENDPOINTS}
    with (data_dir / "server.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", str(data_dir)],
                                   stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line = process.stdout.readline()
        if "http://" not in line:
            raise DespinaError(f"The server did not start: {(data_dir / 'server.log').read_text(encoding='utf-8')[-2000:]}")
        yield process, line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait(get: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    began = time.monotonic()
    while (job := get())["status"] in {"InProgress", "Stopping"}:
        _patience(began)
    return job


def _patience(began: float) -> None:
    if time.monotonic() - began > PATIENCE_SECONDS:
        raise DespinaError(f"Nothing happened for {PATIENCE_SECONDS} s.")
    time.sleep(POLL_SECONDS)


def _programs(job_id: str, kind: str = "") -> list[int]:
    """The processes of a training job's runs, or of those of one kind: each carries its run's id in its environment."""
    wanted = re.compile(rf"(^|\0)DESPINA_RUN_ID=modeltraining-{job_id}-[0-9a-f]+-{kind}".encode())
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if wanted.search(Path(entry.path, "environ").read_bytes()):
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended, or is not ours
    return sorted(found)
