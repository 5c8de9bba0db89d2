"""A processed graph put on an S3 server and got from it: ours beside boto3's transfer and beside obstore alone, in turn.

Two graphs: a file of 64 MiB, and a thousand files of 1 KiB, on a SeaweedFS that the script starts on loopback and ends. Ours takes
the SHA-256 of every file, compares it again when it reads, and sets the folder up in the cache, which is emptied each time;
``again`` is a get that finds it there. obstore alone is told what to put and to get, 8 at a time.

    python bench/s3.py [--rounds 5]
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from boto3.s3.transfer import TransferConfig
from tests.seaweed import BUCKET, Seaweed

from despina.artifacts import open_artifacts
from despina.core.location import Location

PARALLEL = 8
CHUNK = 8 << 20
GRAPHS = {"one of 64 MiB": (1, 64 << 20), "1,000 of 1 KiB": (1000, 1024)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        server = Seaweed(Path(scratch) / "seaweed")
        try:
            os.environ.update(server.start().environment())
            for graph, (count, size) in GRAPHS.items():
                folder = Path(scratch) / graph
                folder.mkdir()
                for number in range(count):
                    (folder / f"{number:04}").write_bytes(random.Random(number).randbytes(size))
                _measure(graph, folder, server, Path(scratch), rounds)
        finally:
            server.close()


def _measure(graph: str, folder: Path, server: Seaweed, scratch: Path, rounds: int) -> None:
    from obstore.store import S3Store
    cache, into = scratch / "cache", scratch / "into"
    client, names = server.client(), sorted(path.name for path in folder.iterdir())
    transfer = TransferConfig(max_concurrency=PARALLEL, multipart_chunksize=CHUNK, multipart_threshold=CHUNK)
    bucket = S3Store(BUCKET, endpoint=server.endpoint, client_options={"allow_http": True})
    seconds: dict[str, list[float]] = {}
    for number in range(rounds):
        place = Location.parse(f"s3://{BUCKET}/{len(names)}/{number}")
        ours, boto3, obstore = (place / name for name in ("ours", "boto3", "obstore"))
        tasks: dict[str, Callable[[], object]] = {
            "put ours": partial(open_artifacts().put, folder, ours),
            "put boto3": partial(_each, names, lambda name, to: client.upload_file(
                str(folder / name), BUCKET, to, Config=transfer), boto3),
            "put obstore": partial(_each, names, lambda name, to: bucket.put(
                to, folder / name, chunk_size=CHUNK, max_concurrency=PARALLEL), obstore),
            "get ours": partial(open_artifacts(cache=cache).get, ours),
            "again": partial(open_artifacts(cache=cache).get, ours),
            "get boto3": partial(_each, names, lambda name, at: client.download_file(
                BUCKET, at, str(into / name), Config=transfer), boto3),
            "get obstore": partial(_each, names, lambda name, at: (into / name).write_bytes(bucket.get(at).bytes()), obstore),
        }
        for task, call in tasks.items():
            shutil.rmtree(into, ignore_errors=True)
            into.mkdir()
            begun = time.perf_counter()
            call()
            seconds.setdefault(task, []).append(time.perf_counter() - begun)
        shutil.rmtree(cache)
    median: dict[str, Any] = {task: statistics.median(values) for task, values in seconds.items()}
    told = {task: round(value * 1000, 1) for task, value in median.items()}
    ratios = {f"{verb} of {other}": round(median[f"{verb} ours"] / median[f"{verb} {other}"], 2)
              for verb in ("put", "get") for other in ("boto3", "obstore")}
    print(json.dumps({"graph": graph, "median_ms": told, "ours": ratios}))


def _each(names: list[str], call: Callable[[str, str], object], location: Location) -> None:
    """Give ``call`` each name and its key below the location, ``PARALLEL`` at a time."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda name: call(name, (location / name).key), names))


if __name__ == "__main__":
    main()
