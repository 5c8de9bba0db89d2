"""A scrape of ``/metrics`` beside the number of jobs in the store.

For 1,000, 100,000 and 1,000,000 stored jobs that have ended, and 100 that have not: the median time of a scrape on one connection.
Every operation of the API was asked once before, so that there are as many histograms as there will be.

    python bench/scrape.py [--scrapes 50]
"""

import argparse
import http.client
import json
import signal
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from list import fill, serve, url_address  # type: ignore[import-not-found]

from despina.api.operations import LOG_OPERATIONS, OPERATIONS

SIZES = (1_000, 100_000, 1_000_000)
ACTIVE = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scrapes", type=int, default=50)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        for size in SIZES:
            data = Path(temporary) / str(size)
            fill(data, size)
            with closing(sqlite3.connect(data / "despina.db")) as database:
                # In progress, and due only in a year: nobody runs them.
                database.execute("UPDATE jobs SET status = 'InProgress', due_at = ? WHERE seq <= ?", (2 * 10**12, ACTIVE))
                database.commit()
            server, url = serve(data, "--api-only")
            try:
                rows.append({"jobs": size, **measure(url_address(url), options.scrapes)})
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(timeout=60)
            print(f"{size:>9,} jobs, {ACTIVE} in progress: {rows[-1]['p50_ms']:.1f} ms, {rows[-1]['lines']} lines")
    print(json.dumps({"bench": "scrape", "rows": rows}))


def measure(address: tuple[str, int], scrapes: int) -> dict[str, float]:
    connection = http.client.HTTPConnection(*address, timeout=60)

    def ask(method: str, path: str) -> bytes:
        connection.request(method, path)
        return connection.getresponse().read()

    for operation in (*OPERATIONS, *LOG_OPERATIONS):
        ask(operation.method, operation.path.replace("{id}", "nobody"))
    times = []
    for _ in range(scrapes):
        begun = time.perf_counter()
        text = ask("GET", "/metrics")
        times.append(time.perf_counter() - begun)
    connection.close()
    return {"p50_ms": statistics.median(times) * 1000, "lines": text.count(b"\n")}


if __name__ == "__main__":
    main()
