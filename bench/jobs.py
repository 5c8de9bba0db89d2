"""Whole jobs as a client sees them: from POST to Completed, data processing and then training with the API's defaults (two trials).

    python bench/jobs.py --data EXPORTS [NAME …] [--rounds 1]

EXPORTS is a folder with the exports that shared/data/make_exports.py writes. Without names: the two on MovieLens-100k whose times
on the managed service are published, about 20 minutes for the classes of nodes and 2 to 3 hours for links. Jobs are run by a real
server on loopback; the floor beside them, in the same round, is a bare interpreter that imports torch as often as a training job
does (three programs: two trials, one transform).
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

MOVIELENS = ("movielens-100k-genre", "movielens-100k-link")
PROGRAMS = 3
"""Of a training job, that import torch."""
PAUSE_SECONDS = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=MOVIELENS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    measured: dict[str, dict[str, list[float]]] = {name: {} for name in options.names}
    metrics: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        command = [sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", temporary]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            assert server.stdout is not None
            client = boto3.client("neptunedata", endpoint_url=server.stdout.readline().split()[-1], region_name="us-east-1",
                                  config=Config(signature_version=UNSIGNED))
            try:
                for number in range(options.rounds):
                    for name in options.names:
                        seconds, metrics[name] = jobs(client, options.data.resolve() / name, f"{name[-20:]}-{number}",
                                                      Path(temporary))
                        for what, value in {**seconds, "floor": floor()}.items():
                            measured[name].setdefault(what, []).append(value)
            finally:
                server.send_signal(signal.SIGTERM)
    rows = {name: {what: statistics.median(values) for what, values in of_name.items()} for name, of_name in measured.items()}
    for name, row in rows.items():
        found = ", ".join(f"{metric} {value:.3f}" for metric, value in metrics[name].items())
        print(f"{name:24} processing {row['processing']:6.1f} s   training {row['training']:6.1f} s   "
              f"together {row['together']:6.1f} s   floor {row['floor']:5.1f} s   {found}")
    print(json.dumps({"bench": "jobs", "rows": rows, "rounds": measured, "metrics": metrics}))


def jobs(client: Any, export: Path, name: str, data_dir: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds from POST to Completed of both jobs, and the best model's metrics on the test part."""
    begun = time.monotonic()
    client.start_ml_data_processing_job(id=name, inputDataS3Location=export.as_uri(), processedDataS3Location="s3://bench/processed")
    wait(client.get_ml_data_processing_job, name)
    processed = time.monotonic()
    client.start_ml_model_training_job(id=name, dataProcessingJobId=name, trainModelS3Location="s3://bench/models")
    job = wait(client.get_ml_model_training_job, name)
    trained = time.monotonic()
    output = data_dir / "s3" / job["processingJob"]["outputLocation"].removeprefix("s3://")
    metrics = json.loads((output / "test_metrics_info.json").read_bytes())
    return ({"processing": processed - begun, "training": trained - processed, "together": trained - begun},
            {metric: value for metric, value in metrics.items() if isinstance(value, float)})


def wait(get: Any, name: str, *, pause: float = PAUSE_SECONDS) -> dict[str, Any]:
    """The job, once it is Completed; asked for every ``pause`` seconds."""
    while True:
        job: dict[str, Any] = get(id=name)
        if job["status"] == "Completed":
            return job
        if job["status"] != "InProgress":
            sys.exit(f"{name}: {job}")
        time.sleep(pause)


def floor() -> float:
    """Seconds of the programs' imports of torch, one after another."""
    begun = time.monotonic()
    for _ in range(PROGRAMS):
        subprocess.run([sys.executable, "-c", "import torch"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
