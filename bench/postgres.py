"""PostgreSQL: ListMLModelTrainingJobs of a million jobs over HTTP, and claims of eight reconcilers that contend.

Lists of 10 ids, beside the bare application that sends the same bytes (``bench/list.py``), over eight connections, with and without
another client that commits a hundred times a second, since a list is from memory while nobody does; and the median time of a single
request, also right after a commit. Claims: eight processes claim, write and release jobs of one queue, each of the three durable,
beside eight connections that each update one row of their own and commit. Both take turns within each round. The server is started
for the purpose, with fsync.

    python bench/postgres.py [--jobs 1000000] [--rounds 5] [--seconds 2.0]
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.list import Floor, exchange, list_request, median_time, serve, throughput, url_address
from tests.postgres import Cluster, postgresql_cluster

from despina.core import plans
from despina.core.requests import StartModelTraining
from despina.store import open_store

COMMITS_PER_SECOND = 100
RECONCILERS = 8
COMMIT = "UPDATE jobs SET lease_token = lease_token + 1 WHERE id = 'job-00000000'"
QUEUE = 1_000
"""Jobs that are due."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    options = parser.parse_args()
    with postgresql_cluster(durable=True) as cluster:
        listed = lists(cluster, options.jobs, options.rounds, options.seconds)
        for name, when in (("", ""), ("busy_", f", {COMMITS_PER_SECOND} commits a second")):
            print(f"{listed['jobs']:,} jobs, 10 ids{when}: {listed[f'{name}rps']:,.0f}/s, "
                  f"floor {listed[f'{name}floor_rps']:,.0f}/s, ratio {listed[f'{name}ratio']:.2f}")
        print(f"one request: p50 {listed['p50_ms']:.3f} ms, floor {listed['floor_p50_ms']:.3f} ms; after a write "
              f"{listed['p50_after_write_ms']:.3f} ms, floor {listed['floor_p50_after_write_ms']:.3f} ms")
        claimed = claims(cluster, options.rounds, options.seconds)
        print(f"{RECONCILERS} reconcilers: {claimed['claims']:,.0f} claims/s with write and release, floor "
              f"{claimed['floor_commits']:,.0f} commits/s, commits over commits {claimed['ratio']:.2f}")
    print(json.dumps({"bench": "postgres", "list": listed, "claims": claimed}))


def fill(url: str, size: int, due: int) -> None:
    """``size`` training jobs, of which the newest ``due`` are due and the others have ended; one is made by the store."""
    request = StartModelTraining(data_processing_job_id="dp", train_model_s3_location="s3://bucket/models")
    job = plans.new_job(request, job_id="job-00000000", now=1_700_000_000_000, source="s3://bucket/dp", memory_mib=256)
    with closing(open_store(url)) as store:
        store.create(job, invocation=None, max_active=1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("""
            INSERT INTO jobs (kind, id, created_at, prefix, status, stop_requested, clean, swept, due_at, body)
            SELECT kind, 'job-' || lpad(n::text, 8, '0'), created_at + n * 1000, prefix || n,
                   CASE WHEN n > %(size)s - %(due)s - 1 THEN 'InProgress' ELSE 'Completed' END, FALSE, FALSE, FALSE,
                   CASE WHEN n > %(size)s - %(due)s - 1 THEN created_at END,
                   decode(replace(encode(body, 'escape'), 'job-00000000', 'job-' || lpad(n::text, 8, '0')), 'escape')
            FROM jobs, generate_series(1, %(size)s - 1) AS n""", {"size": size, "due": due})
        connection.execute("UPDATE jobs SET status = 'Completed', due_at = NULL WHERE id = 'job-00000000'")
        connection.execute("VACUUM ANALYZE jobs")
        connection.execute("CHECKPOINT")


def lists(cluster: Cluster, size: int, rounds: int, seconds: float) -> dict[str, Any]:
    samples: dict[str, list[float]] = defaultdict(list)
    with cluster.database() as database, tempfile.TemporaryDirectory(prefix="despina-bench-") as data:
        fill(database, size, due=0)
        os.environ["DESPINA_DATABASE_URL"] = database
        server, url = serve(Path(data))
        try:
            address, request = url_address(url), list_request(10)
            with socket.create_connection(address) as connection:
                answer = exchange(connection, request)
            assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["ids"]) == 10
            with Floor(answer) as floor:
                for _ in range(rounds):
                    for prefix, target in (("", address), ("floor_", floor.address)):
                        samples[f"{prefix}rps"].append(asyncio.run(throughput(target, [request], len(answer), seconds)))
                        with committing(database):
                            samples[f"busy_{prefix}rps"].append(asyncio.run(throughput(target, [request], len(answer), seconds)))
                        samples[f"{prefix}p50_ms"].append(1000 * median_time(target, request, len(answer)))
                        samples[f"{prefix}p50_after_write_ms"].append(1000 * after_write(database, target, request, len(answer)))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    for name in ("", "busy_"):
        pairs = zip(samples[f"{name}rps"], samples[f"{name}floor_rps"], strict=True)
        samples[f"{name}ratio"] = [ours / bare for ours, bare in pairs]
    return {"jobs": size} | {name: statistics.median(values) for name, values in samples.items()}


@contextmanager
def committing(url: str) -> Iterator[None]:
    """Another client commits meanwhile."""
    process = multiprocessing.Process(target=_commit, args=(url,), daemon=True)
    process.start()
    yield
    process.terminate()
    process.join()


def _commit(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            connection.execute(COMMIT)
            time.sleep(1 / COMMITS_PER_SECOND)


def after_write(url: str, address: tuple[str, int], request: bytes, size: int) -> float:
    """The median seconds of a request before which another client commits, so that nothing read before is of use."""
    with psycopg.connect(url, autocommit=True) as connection:
        return median_time(address, request, size, before=lambda: connection.execute(COMMIT))


def claims(cluster: Cluster, rounds: int, seconds: float) -> dict[str, Any]:
    ours, floor = [], []
    with cluster.database() as database:
        fill(database, QUEUE + 1, due=QUEUE)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE TABLE bare (id integer PRIMARY KEY, n integer)")
            connection.execute("INSERT INTO bare SELECT n, 0 FROM generate_series(0, %s) AS n", (RECONCILERS,))
        for _ in range(rounds):
            ours.append(contending(reconcile, database, seconds))
            floor.append(contending(update, database, seconds))
    ratio = statistics.median(3 * claimed / commits for claimed, commits in zip(ours, floor, strict=True))
    return {"reconcilers": RECONCILERS, "claims": statistics.median(ours), "floor_commits": statistics.median(floor),
            "ratio": ratio}


Worker = Callable[[str, int], Callable[[], None]]


def reconcile(url: str, number: int) -> Callable[[], None]:  # noqa: ARG001 - all of them have one queue
    """A pass of a reconciler without what it does in between."""
    store = open_store(url)

    def step() -> None:
        now = time.time_ns() // 1_000_000
        claim = store.claim(now=now, until=now + 5_000)
        assert claim is not None
        store.write(claim.lease, replace(claim.job, notes=(str(now),)))
        store.release(claim.lease, due_at=now)

    return step


def update(url: str, number: int) -> Callable[[], None]:
    """One row, one commit."""
    connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)

    def step() -> None:
        connection.execute("UPDATE bare SET n = n + 1 WHERE id = %s", (number,))

    return step


def contending(worker: Worker, url: str, seconds: float) -> float:
    """Steps a second of all processes together."""
    barrier = multiprocessing.Barrier(RECONCILERS)
    counts = multiprocessing.Array("q", RECONCILERS)
    processes = [multiprocessing.Process(target=_work, args=(partial(worker, url, number), number, seconds, barrier, counts))
                 for number in range(RECONCILERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return float(sum(counts[:])) / seconds


def _work(step_of: Callable[[], Callable[[], None]], number: int, seconds: float, barrier: Barrier, counts: Any) -> None:
    step, done = step_of(), 0
    barrier.wait(60)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        step()
        done += 1
    counts[number] = done


if __name__ == "__main__":
    main()
