"""ListMLModelTrainingJobs over HTTP, beside a bare ASGI application on the same server software that sends the same bytes.

For 1,000, 100,000 and 1,000,000 stored jobs and 10 and 1024 ids: requests a second over eight connections with requests sent ahead
(so that the client is not what limits), and the median time of a single request on a single connection. Ours and the floor take
turns within each round. Lists of a store that nobody has written to are answered from memory; the median after a write is
measured as well.

    python bench/list.py [--rounds 5] [--seconds 1.0]
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Self

from despina.app import http_server
from despina.core import plans
from despina.core.requests import StartModelTraining
from despina.store import open_store

SIZES = (1_000, 100_000, 1_000_000)
ITEMS = (10, 1024)
CONNECTIONS = 8
AHEAD = 8
"""Requests in flight on each connection."""
SINGLES = 300
"""Requests of which the median time is taken."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        for size in SIZES:
            data = Path(temporary) / str(size)
            fill(data, size)
            server, url = serve(data)
            try:
                for items in ITEMS:
                    rows.append(measure(url, size, items, options.rounds, options.seconds) | after_write(data, url, items))
                    show(rows[-1])
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(timeout=60)
    print()
    for items in ITEMS:
        for name in ("p50_ms", "p50_after_write_ms"):
            times = [row[name] for row in rows if row["items"] == items]
            print(f"{name} at {items} ids, {SIZES[-1]:,} jobs over {SIZES[0]:,} jobs: {times[-1] / times[0]:.2f}")
    print(json.dumps({"bench": "list", "rows": rows}))


def show(row: dict[str, Any]) -> None:
    print(f"{row['jobs']:>9,} jobs {row['items']:>5} ids: {row['rps']:8,.0f}/s, floor {row['floor_rps']:8,.0f}/s, ratio "
          f"{row['ratio']:.2f}; p50 {row['p50_ms']:.3f} ms, floor {row['floor_p50_ms']:.3f} ms, "
          f"after a write {row['p50_after_write_ms']:.3f} ms")


def fill(data: Path, size: int) -> None:
    """A store with ``size`` ended training jobs, one of them made through the store, the others copied from it."""
    data.mkdir()
    request = StartModelTraining(data_processing_job_id="dp", train_model_s3_location="s3://bucket/models")
    job = plans.new_job(request, job_id="job-00000000", now=1_700_000_000_000, source="s3://bucket/dp", memory_mib=256)
    store = open_store(data / "despina.db")
    store.create(job, invocation=None, max_active=1)
    store.close()
    with closing(sqlite3.connect(data / "despina.db")) as database:
        database.execute("UPDATE jobs SET status = 'Completed', due_at = NULL")
        database.execute("""
            WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < ?)
            INSERT INTO jobs (kind, id, created_at, prefix, status, stop_requested, clean, swept, body)
            SELECT kind, printf('job-%08d', n), created_at + n * 1000, prefix || n, status, 0, 0, 0,
                   replace(body, 'job-00000000', printf('job-%08d', n))
            FROM jobs, number""", (size,))
        database.commit()
        database.execute("PRAGMA optimize")


def serve(data: Path, *flags: str) -> tuple[subprocess.Popen[str], str]:
    # The limits would hold the measurement back: they are raised, not removed.
    environment = {**os.environ, "DESPINA_REQUESTS_PER_SECOND": "10000000", "DESPINA_MAX_IN_FLIGHT": "1000"}
    process = subprocess.Popen([sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", str(data), *flags],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert process.stdout is not None
    return process, process.stdout.readline().split()[-1]


def measure(url: str, size: int, items: int, rounds: int, seconds: float) -> dict[str, Any]:
    address, request = url_address(url), list_request(items)
    with socket.create_connection(address) as connection:
        answer = exchange(connection, request)
    expected = min(items, size)
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["ids"]) == expected
    samples: dict[str, list[float]] = {"rps": [], "floor_rps": [], "p50": [], "floor_p50": []}
    with Floor(answer) as floor:
        for _ in range(rounds):
            for prefix, target in (("", address), ("floor_", floor.address)):
                samples[f"{prefix}rps"].append(asyncio.run(throughput(target, [request], len(answer), seconds)))
                samples[f"{prefix}p50"].append(median_time(target, request, len(answer)))
    ratio = statistics.median(ours / bare for ours, bare in zip(samples["rps"], samples["floor_rps"], strict=True))
    medians = {name: statistics.median(values) for name, values in samples.items()}
    return {"jobs": size, "items": items, "rps": medians["rps"], "floor_rps": medians["floor_rps"], "ratio": ratio,
            "p50_ms": medians["p50"] * 1000, "floor_p50_ms": medians["floor_p50"] * 1000}


def url_address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def list_request(items: int) -> bytes:
    return f"GET /ml/modeltraining?maxItems={items} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()


class Floor:
    """The bare application, served in a process of its own by the same software with the same settings."""

    def __init__(self, answer: bytes) -> None:
        self._listener = http_server.listen("127.0.0.1", 0)
        self.address: tuple[str, int] = self._listener.getsockname()
        self._ready = multiprocessing.Event()
        self._process = multiprocessing.Process(target=self._serve, args=(answer,))

    def _serve(self, answer: bytes) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[1:] if not line.lower().startswith(b"date")]

        async def bare(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        http_server.run_http(bare, self._listener, ready=self._ready.set)

    def __enter__(self) -> Self:
        self._process.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join(30)
        self._listener.close()


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """One request; its whole answer."""
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(262_144)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(262_144)
    return head + b"\r\n\r\n" + body


def after_write(data: Path, url: str, items: int) -> dict[str, float]:
    """The median time when another process commits to the store before every request, so that nothing read before is of use."""
    address = url_address(url)
    with closing(sqlite3.connect(data / "despina.db", isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")

        def commit() -> None:
            database.execute("UPDATE jobs SET lease_token = lease_token + 1 WHERE seq = 1")

        with socket.create_connection(address) as connection:
            size = len(exchange(connection, list_request(items)))
        return {"p50_after_write_ms": median_time(address, list_request(items), size, before=commit) * 1000}


def median_time(address: tuple[str, int], request: bytes, size: int, *, before: Callable[[], object] = lambda: None) -> float:
    """The median seconds of one request after the other on one connection. Every answer has ``size`` bytes."""
    times = []
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(SINGLES):
            before()
            began = time.perf_counter()
            connection.sendall(request)
            missing = size
            while missing > 0:
                missing -= len(connection.recv(262_144))
            times.append(time.perf_counter() - began)
    return statistics.median(times)


async def throughput(address: tuple[str, int], requests: Sequence[bytes], size: int, seconds: float, *,
                     ahead: int = AHEAD) -> float:
    """Answers a second over all connections, each with ``ahead`` requests in flight, which are taken in turn."""
    turn = cycle(requests)
    end = time.perf_counter() + seconds

    async def one() -> int:
        reader, writer = await asyncio.open_connection(*address, limit=4 * size * ahead + 65_536)
        answers = 0
        while time.perf_counter() < end:
            writer.write(b"".join(islice(turn, ahead)))
            await reader.readexactly(size * ahead)
            answers += ahead
        writer.close()
        return answers

    began = time.perf_counter()
    counts = await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return sum(counts) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
