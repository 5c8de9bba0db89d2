"""Queues of 1,000, 3,000 and 10,000 data-processing jobs whose runs do nothing: how fast they drain, and what a job costs.

The jobs are recorded first; then one control plane (store, engine and reconciler, as in ``despina reconcile``) brings all to their
ends, as many runs at a time as there are cores, in a process of its own, whose processor time and memory are measured. The floor,
before and after each queue, starts the same two processes a job (a supervisor and a program, both Python) and keeps no record.

    python bench/scale.py [--jobs 1000 3000 10000]
"""

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from despina import app
from despina.core import plans
from despina.core.job import JobKind, Status
from despina.core.ports import ListQuery
from despina.core.requests import StartDataProcessing
from despina.settings import Settings
from despina.store import open_store

SIZES = (1_000, 3_000, 10_000)
FLOOR = 100
"""Jobs that the floor is measured with."""
LOOK_SECONDS = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    rows = []
    for size in options.jobs:
        with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
            rows.append(measure(Path(temporary), size))
        show(rows[-1])
    print(json.dumps({"bench": "scale", "rows": rows}))


def measure(data: Path, size: int) -> dict[str, Any]:
    """Fill a data directory with jobs and drain it, between two measurements of the floor."""
    before = floor(data)
    begun = time.monotonic()
    fill(data, size)
    filled = time.monotonic() - begun
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=drain, args=(data, theirs))
    process.start()
    row: dict[str, Any] = ours.recv()
    process.join()
    floor_rate = statistics.mean([before, floor(data)])
    rate = size / row["seconds"]
    return {"jobs": size, "recorded_a_second": size / filled, "done_a_second": rate, "floor_a_second": floor_rate,
            "ratio": rate / floor_rate, "cpu_ms_a_job": row["cpu"] * 1000 / size, "peak_mib": row["peak_mib"]}


def show(row: dict[str, Any]) -> None:
    print(f"{row['jobs']:6} jobs: recorded {row['recorded_a_second']:6.0f}/s   done {row['done_a_second']:5.1f}/s, "
          f"{row['ratio']:.2f} of the floor's {row['floor_a_second']:5.1f}/s   {row['cpu_ms_a_job']:5.1f} ms of the control "
          f"plane's processor time a job   peak {row['peak_mib']:.0f} MiB", flush=True)


def fill(data: Path, size: int) -> None:
    """Record the jobs."""
    store = open_store(data / "despina.db")
    request = StartDataProcessing(input_data_s3_location="file:///nothing", processed_data_s3_location="s3://bench/processed")
    for number in range(size):
        now = time.time_ns() // 1_000_000
        store.create(plans.new_job(request, job_id=f"job-{number}", now=now, source="file:///nothing", memory_mib=256),
                     invocation=None, max_active=size)
    store.close()


def drain(data: Path, parent: Connection) -> None:
    """Bring all jobs to their ends; tell how long it took, and what of this machine."""
    app.PROGRAMS = "nothing"
    begun, used = time.monotonic(), cpu()
    parts = app.Parts(Settings(data_dir=data))
    parts.start()
    active = ListQuery(kind=JobKind.DATA_PROCESSING, limit=1, statuses=(Status.IN_PROGRESS,))
    while parts.stores.jobs.list_ids(active).ids:
        threading.Event().wait(LOOK_SECONDS)
    seconds, used = time.monotonic() - begun, cpu() - used
    completed = parts.stores.jobs.list_ids(ListQuery(kind=JobKind.DATA_PROCESSING, limit=10**6, statuses=(Status.COMPLETED,))).ids
    assert len(completed) == len(list((data / "runs").glob("*-process-*"))), "no run was tried again"
    parts.close()
    parent.send({"seconds": seconds, "cpu": used, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


def cpu() -> float:
    """Seconds of processor time of this process alone."""
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def floor(folder: Path) -> float:
    """Jobs a second when nothing is kept: a Python that starts another, two of them at a time."""
    start = ("import os, sys, tempfile; os.chdir(tempfile.mkdtemp()); "
             "os.waitpid(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)")
    command = [sys.executable, "-I", "-S", "-c", start, sys.executable, "-m", "nothing"]
    begun = time.monotonic()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(lambda _: subprocess.run(command, check=True, env=os.environ | {"TMPDIR": str(folder)}), range(FLOOR)))
    return FLOOR / (time.monotonic() - begun)


if __name__ == "__main__":
    main()
