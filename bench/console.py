"""Every page of the console with 100,000 training jobs in SQLite, beside a bare ASGI application that sends the same bytes.

The jobs are those of bench/list.py, and a training job that has ended with 50 trials of 100 epochs. For each page: the median and
the 95th percentile of single requests on one connection, and the median when another process commits to the store before every
request, so that nothing read before is of use. Ours and the floor take turns. A page of the table that is not measured here is an
error.

    python bench/console.py [--rounds 3] [--requests 60]
"""

import argparse
import json
import signal
import socket
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from audited import fill_audit_log, fill_endpoints, principal, sign_in  # type: ignore[import-not-found]
from list import Floor, exchange, fill, serve, url_address  # type: ignore[import-not-found]
from msgspec.structs import replace

from despina.api.console.table import PAGES, Table
from despina.core import plans
from despina.core.hyperparameters import Strategy, TrialResult
from despina.core.job import ParameterValue, Run, RunKind, RunSpec, RunState, Status, Step, StepName, TrainWork, Usage
from despina.core.requests import StartModelTraining
from despina.store import open_store

JOBS = 100_000
JOB = "job-00050000"
ENDPOINT = "endpoint-50"
TRIALS, EPOCHS = 50, 100
TARGETS = {
    "front": "/console",
    "list": "/console/modeltraining",
    "list, live part": "/console/modeltraining?fragment=live",
    "list, by status": "/console/modeltraining?status=Completed",
    "list, by a status that none has": "/console/modeltraining?status=Failed",
    "list, by a name that few have": "/console/modeltraining?name=99999",
    "list, by a name that none has": "/console/modeltraining?name=nothing",
    "list, by day": "/console/modeltraining?from=2023-11-15&until=2023-11-15",
    "list, in the middle": f"/console/modeltraining?after={JOB}",
    "list, none": "/console/dataprocessing",
    "list, none, of transforms": "/console/modeltransform",
    "question": f"/console/modeltraining/{JOB}/cancel?clean=true",
    "question, no such job": f"/console/dataprocessing/{JOB}/cancel",
    "question, no such transform": f"/console/modeltransform/{JOB}/cancel",
    "job": f"/console/modeltraining/{JOB}",
    "job of 50 trials": "/console/modeltraining/fifty",
    "job of 50 trials, live part": "/console/modeltraining/fifty?fragment=live&sort=objective&scale=log",
    "job, log": f"/console/modeltraining/{JOB}/log",
    "job, no such data": f"/console/dataprocessing/{JOB}",
    "job, no such log of data": f"/console/dataprocessing/{JOB}/log",
    "job, no such transform": f"/console/modeltransform/{JOB}",
    "job, no such log of transform": f"/console/modeltransform/{JOB}/log",
    "sign-in": "/console/sign-in",
    "endpoints": "/console/endpoints",
    "endpoint": f"/console/endpoints/{ENDPOINT}",
    "endpoint, live part": f"/console/endpoints/{ENDPOINT}?fragment=live",
    "endpoint, to be updated": f"/console/endpoints/{ENDPOINT}/update",
    "endpoint, to be deleted": f"/console/endpoints/{ENDPOINT}/delete",
    "endpoint, new": "/console/new-endpoint",
    "activity, without names": "/console/activity",
    "activity, without names, later": "/console/activity?before=1700050000000",
}
AUDITED = {
    "activity": "/console/activity",
    "activity, refused": "/console/activity?outcome=refused",
    "activity, of one who did little": "/console/activity?who=rare",
    "activity, of nobody": "/console/activity?who=nobody",
}
"""At a server with --iam-auth and an audit log of 17 files of 16 MiB."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=60, help="in a round, of each page")
    options = parser.parse_args()
    check_complete()
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        data = Path(temporary) / "data"
        fill(data, JOBS)
        fill_endpoints(data)
        add_fifty(data)
        server, url = serve(data)
        try:
            rows = [measure(data, url, name, target, rounds=options.rounds, requests=options.requests)
                    for name, target in TARGETS.items()]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
        fill_audit_log(data)
        keys = principal(data)
        server, url = serve(data, "--iam-auth")
        try:
            session = sign_in(url_address(url), keys)
            rows += [measure(data, url, name, target, rounds=options.rounds, requests=options.requests, session=session)
                     for name, target in AUDITED.items()]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    slowest = max(rows, key=lambda row: row["p50_after_write_ms"])
    print(f"\nthe slowest page after a write: {slowest['page']}, {slowest['p50_after_write_ms']:.1f} ms")
    print(json.dumps({"bench": "console", "jobs": JOBS, "rows": rows}))


def add_fifty(data: Path) -> None:
    """The job ``fifty``, with the reports of its trials where they would be."""
    request = StartModelTraining(id="fifty", data_processing_job_id="dp", train_model_s3_location="s3://bucket/models",
                                 max_hpo_number_of_training_jobs=TRIALS)
    job = plans.new_job(request, job_id="fifty", now=1_600_000_000_000, source="s3://bucket/dp", memory_mib=256)
    begun, first, trials = job.created_at, job.steps[0], []
    strategy = Strategy(metric="acc", maximize=True, tunable=(), fixed={}, memory_mib=1024)
    for number in range(TRIALS):
        output, run_id = f"{job.prefix}/trials/{number}", f"{job.kind}-fifty-{begun:x}-trial{number + 1:03d}-1"
        parameters: dict[str, ParameterValue] = {f"parameter-{i}": i for i in range(18)}
        parameters["lr"] = 0.001 * (number + 1)
        curve = [{"epoch": epoch, "loss": 2 / (epoch + number), "value": 1 - 1 / (epoch + 1 + number / 9), "seconds": epoch}
                 for epoch in range(1, EPOCHS + 1)]
        write_report(data, output, curve)
        trials.append(Run(
            id=run_id, kind=RunKind.TRIAL, number=number, name=f"fifty-{number}", state=RunState.SUCCEEDED, started_at=begun,
            finished_at=begun + 60_000, usage=Usage(cpu_seconds=60.0, peak_memory_bytes=2**28), spec=RunSpec(
                run_id=run_id, work=TrainWork(processed="s3://bucket/dp", output=output, parameters=parameters)),
            result=msgspec.to_builtins(TrialResult(objective=1 - 1 / (number + 2), epoch=EPOCHS))))
    write_report(data, plans.output_location(job), [])
    done = tuple(replace(first.runs[0], id=f"{kind}-{begun:x}", kind=kind, state=RunState.SUCCEEDED, started_at=begun,
                         result=msgspec.to_builtins(strategy)) for kind in (RunKind.STRATEGY, RunKind.TRANSFORM))
    tuning = Step(name=StepName.TUNING, resource_name="tuning", status=Status.COMPLETED, runs=tuple(trials))
    ended = replace(plans.with_step(job, tuning), status=Status.COMPLETED,
                    steps=(replace(first, status=Status.COMPLETED, runs=done), tuning))
    with closing(open_store(data / "despina.db")) as store:
        store.create(job, invocation=None, max_active=JOBS)
        claim = store.claim(now=2**62, until=2**62 + 1, key=(job.kind, job.id))
        assert claim is not None
        store.write(claim.lease, ended)
        store.release(claim.lease, due_at=None)


def write_report(data: Path, location: str, curve: Sequence[Mapping[str, float]]) -> None:
    """``training-report.json`` at a location."""
    folder = data / "s3" / location.removeprefix("s3://")
    folder.mkdir(parents=True)
    classes = {f"class-{i}": {"precision": 0.9, "recall": 0.9, "F1": 0.9, "support": 9} for i in range(20)}
    metrics = {"acc": 0.9, "F1": 0.9, "count": 700, "classes": classes}
    (folder / "training-report.json").write_text(json.dumps({
        "model": "rgcn", "metric": "acc", "metrics": {"valid": metrics, "test": metrics}, "curve": curve,
        "floor": {"name": "majority", "metrics": {"valid": metrics, "test": metrics}}}), encoding="utf-8")


def check_complete() -> None:
    """Raise if a page that can be got is not among the targets."""
    table = Table(PAGES)
    measured = {methods["GET"] for target in TARGETS.values() if (methods := table.find(target.partition("?")[0])[0])}
    missing = [page.path for page in PAGES if page.method == "GET" and page not in measured]
    if missing:
        raise SystemExit(f"TARGETS has none of {', '.join(missing)}.")


def measure(data: Path, url: str, name: str, target: str, *, rounds: int, requests: int, session: str = "") -> dict[str, Any]:
    address = url_address(url)
    # A browser sends the cookie that it was given; a page that sets one anew is not what is measured.
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
    with socket.create_connection(address) as connection:
        given = session or cookie(exchange(connection, f"{head}\r\n".encode()))
        request = f"{head}Cookie: {given}\r\n\r\n".encode()
        answer = exchange(connection, request)
    status = int(answer.split(b" ", 2)[1])
    assert status in {200, 303, 404}, answer[:300]
    ours: list[float] = []
    floor_times: list[float] = []
    written: list[float] = []
    with Floor(answer) as floor, closing(sqlite3.connect(data / "despina.db", isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")

        def commit() -> None:
            database.execute("UPDATE jobs SET lease_token = lease_token + 1 WHERE seq = 1")

        for _ in range(rounds):
            ours += times(address, request, requests)
            floor_times += times(floor.address, request, requests)
            written += times(address, request, requests, before=commit)
    row = {"page": name, "target": target, "status": status, "bytes": len(answer), "p50_ms": statistics.median(ours),
           "p95_ms": p95(ours), "p50_after_write_ms": statistics.median(written), "p95_after_write_ms": p95(written),
           "floor_p50_ms": statistics.median(floor_times)}
    print(f"{name:32} {status} {len(answer):>7,} bytes: p50 {row['p50_ms']:6.2f} ms, p95 {row['p95_ms']:6.2f} ms; after a write "
          f"{row['p50_after_write_ms']:6.2f} and {row['p95_after_write_ms']:6.2f} ms; floor {row['floor_p50_ms']:.2f} ms",
          flush=True)
    return row


def cookie(answer: bytes) -> str:
    """The cookie that an answer sets."""
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return next((line.split(": ", 1)[1].partition(";")[0] for line in lines if line.lower().startswith("set-cookie")), "none=none")


def times(address: tuple[str, int], request: bytes, count: int, *, before: Callable[[], None] = lambda: None) -> list[float]:
    """Milliseconds of so many requests, one after the other on one connection."""
    measured = []
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            before()
            began = time.perf_counter()
            exchange(connection, request)
            measured.append((time.perf_counter() - began) * 1000)
    return measured


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    main()
