"""Every page of the console with 100,000 training jobs in SQLite, beside a bare ASGI application that sends the same bytes.

The jobs are those of bench/list.py. For each page: the median and the 95th percentile of single requests on one connection, and the
median when another process commits to the store before every request, so that nothing read before is of use. Ours and the floor
take turns. A page of the table that is not measured here is an error.

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
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from list import Floor, exchange, fill, serve, url_address  # type: ignore[import-not-found]

from despina.api.console.table import PAGES, Table

JOBS = 100_000
JOB = "job-00050000"
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
    "sign-in": "/console/sign-in",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=60, help="in a round, of each page")
    options = parser.parse_args()
    check_complete()
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        data = Path(temporary) / "data"
        fill(data, JOBS)
        server, url = serve(data)
        try:
            rows = [measure(data, url, name, rounds=options.rounds, requests=options.requests) for name in TARGETS]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    slowest = max(rows, key=lambda row: row["p50_after_write_ms"])
    print(f"\nthe slowest page after a write: {slowest['page']}, {slowest['p50_after_write_ms']:.1f} ms")
    print(json.dumps({"bench": "console", "jobs": JOBS, "rows": rows}))


def check_complete() -> None:
    """Raise if a page that can be got is not among the targets."""
    table = Table(PAGES)
    measured = {methods["GET"] for target in TARGETS.values() if (methods := table.find(target.partition("?")[0])[0])}
    missing = [page.path for page in PAGES if page.method == "GET" and page not in measured]
    if missing:
        raise SystemExit(f"TARGETS has none of {', '.join(missing)}.")


def measure(data: Path, url: str, name: str, *, rounds: int, requests: int) -> dict[str, Any]:
    address, target = url_address(url), TARGETS[name]
    # A browser sends the cookie that it was given; a page that sets one anew is not what is measured.
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
    with socket.create_connection(address) as connection:
        first = exchange(connection, f"{head}\r\n".encode())
        request = f"{head}Cookie: {cookie(first)}\r\n\r\n".encode()
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
