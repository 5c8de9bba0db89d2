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
        key = f"{len(names)}/{number}"
        ours = Location.parse(f"s3://{BUCKET}/{key}/ours")
        tasks: dict[str, Callable[[], object]] = {
            "put ours": lambda ours=ours: open_artifacts().put(folder, ours),
            "put boto3": lambda key=key: _each(lambda name: client.upload_file(
                str(folder / name), BUCKET, f"{key}/boto3/{name}", Config=transfer), names),
            "put obstore": lambda key=key: _each(lambda name: bucket.put(
                f"{key}/obstore/{name}", folder / name, chunk_size=CHUNK, max_concurrency=PARALLEL), names),
            "get ours": lambda ours=ours: open_artifacts(cache=cache).get(ours),
            "again": lambda ours=ours: open_artifacts(cache=cache).get(ours),
            "get boto3": lambda key=key: _each(lambda name: client.download_file(
                BUCKET, f"{key}/boto3/{name}", str(into / name), Config=transfer), names),
            "get obstore": lambda key=key: _each(lambda name: (into / name).write_bytes(
                bucket.get(f"{key}/obstore/{name}").bytes()), names),
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


def _each(call: Callable[[str], object], names: list[str]) -> None:
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(call, names))


if __name__ == "__main__":
    main()
