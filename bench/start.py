"""How long it takes from POST to the first training step, and from DELETE to the last process's end.

Each round starts a training on the air-routes graph, waits for its first step, and cancels it. Beside it, in the same round,
stands the floor: a bare interpreter that does nothing but import what training imports (torch), which no start can
undercut, since every trial is a process of its own. Also measured: the server's own start, its idle memory, and the import of
``despina.app``.

    python bench/start.py [--rounds 5]
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

EXAMPLE = Path(__file__).parents[1] / "examples" / "air-routes"
PAUSE_SECONDS = 0.002


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    measured: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        measured.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        for _ in range(rounds):
            note("import_despina_app_s", timed("import despina.app"))
            note("import_nothing_s", timed("pass"))
            process, _, seconds = serve(Path(temporary) / "idle")
            note("serve_to_status_s", seconds)
            note("idle_rss_mb", rss_mb(process.pid))
            end(process)
        process, client, _ = serve(Path(temporary) / "data")
        try:
            prepare(client)
            for number in range(rounds):
                note("floor_import_torch_s", timed("import torch"))
                started, cancelled = start_and_cancel(client, Path(temporary) / "data", f"round-{number}")
                note("post_to_first_step_s", started)
                note("delete_to_last_process_dead_s", cancelled)
        finally:
            end(process)
    report(measured)


def report(measured: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in measured.items()}
    for name, median in medians.items():
        print(f"{name:32} median {median:8.3f}   ({min(measured[name]):.3f} to {max(measured[name]):.3f})")
    ratio = medians["post_to_first_step_s"] / medians["floor_import_torch_s"]
    print(f"{'start over floor':32} {ratio:.2f} times a bare import of torch")
    print(json.dumps({"bench": "start", "medians": medians, "start_over_floor": ratio, "rounds": measured}))


def timed(statement: str) -> float:
    """Seconds that a fresh interpreter takes for a statement."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - began


def serve(data_dir: Path) -> tuple[subprocess.Popen[str], Any, float]:
    """A server, a client of it, and the seconds from its start to its first answer of ``/status``."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", str(data_dir)],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    import urllib.request

    with urllib.request.urlopen(f"{url}/status", timeout=60) as answer:
        assert answer.status == 200
    seconds = time.perf_counter() - began
    return process, boto3.client("neptunedata", endpoint_url=url, region_name="us-east-1",
                                 config=Config(signature_version=UNSIGNED)), seconds


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)


def prepare(client: Any) -> None:
    client.start_ml_data_processing_job(id="dp", inputDataS3Location=f"file://{EXAMPLE}", processedDataS3Location="s3://bench/processed")
    while client.get_ml_data_processing_job(id="dp")["status"] == "InProgress":
        time.sleep(0.05)


def start_and_cancel(client: Any, data_dir: Path, job_id: str) -> tuple[float, float]:
    """Seconds from POST to the first training step, and from DELETE to the end of the job's last process."""
    began = time.time()
    client.start_ml_model_training_job(id=job_id, dataProcessingJobId="dp", trainModelS3Location="s3://bench/models")
    runs = data_dir / "runs"
    while not (first := first_step(runs, job_id)):
        time.sleep(PAUSE_SECONDS)
    pids = processes(job_id)
    assert pids
    cancelled = time.perf_counter()
    client.cancel_ml_model_training_job(id=job_id, clean=True)
    while processes(job_id):
        time.sleep(PAUSE_SECONDS)
    dead = time.perf_counter() - cancelled
    while client.get_ml_model_training_job(id=job_id)["status"] != "Stopped":
        time.sleep(PAUSE_SECONDS)
    return first - began, dead


def first_step(runs: Path, job_id: str) -> float | None:
    """The time (s) that the first trial to train wrote into its first line of progress."""
    times = []
    for path in runs.glob(f"modeltraining-{job_id}-*-trial*/progress.jsonl"):
        line = path.read_text(encoding="utf-8").partition("\n")[0]
        if line.endswith("}"):
            times.append(json.loads(line)["at"] / 1000)
    return min(times, default=None)


def processes(job_id: str) -> list[int]:
    wanted = f"DESPINA_RUN_ID=modeltraining-{job_id}-".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if wanted in Path(entry.path, "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def rss_mb(pid: int) -> float:
    """Resident memory in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
