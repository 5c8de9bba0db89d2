"""A graph larger than memory likes it, end to end: from CSV files to a trained R-GCN and its artefacts, through the API.

    python bench/large.py --edges 1000000
    python bench/large.py --folder /data/large                  what issue 7 asks for: 100 million edges, kept in FOLDER

Writes a seeded export of users, items and tags: a user of eight communities likes and knows mostly its own, as an item's tags are
mostly of its own. A tenth of the items have a label, their community. Items' own features are noise: who ignores the graph is right
for one item in eight, which is the floor. A server on loopback processes it, trains one epoch of a sampled R-GCN with the
configuration that it proposes itself, and writes the artefacts. Of each program the peak of its own memory (RssAnon) and of all,
with the pages of mapped files (VmHWM), is read from /proc. The last line is JSON.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import polars as pl
from botocore import UNSIGNED
from botocore.config import Config
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1]))

from bench.jobs import wait

COMMUNITIES = 8
LOYAL = 0.5
"""The share of a user's edges that lead into its own community whatever chance says."""
RELATIONS = {"likes": ("user", "item", 0.6), "knows": ("user", "user", 0.3), "has": ("item", "tag", 0.1)}
"""What leads from where to where, and its share of the edges."""
ROWS = 2_000_000
"""Written at a time."""
CONFIGURATION = "training-data-configuration.json"
PAUSE_SECONDS = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=100_000_000)
    parser.add_argument("--folder", type=Path, help="where export and data are kept; an export that is there is used again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        export = folder / f"export-{options.edges}"
        begun = time.monotonic()
        if not (export / CONFIGURATION).exists():
            write(export, options.edges)
        print(f"export: {mib(export):,.0f} MiB, written in {time.monotonic() - begun:.0f} s", flush=True)
        result = run(export, folder / "data")
    result["edges"] = options.edges
    for name, row in result["programs"].items():
        print(f"{name:10} {row['seconds']:8.1f} s   own memory at most {row['anon_mib']:8,.0f} MiB, "
              f"with mapped files {row['all_mib']:8,.0f} MiB")
    print(f"test accuracy {result['accuracy']:.4f}, without the graph {1 / COMMUNITIES:.4f}; processed graph "
          f"{result['processed_mib']:,.0f} MiB, artefacts {result['artefacts_mib']:,.0f} MiB; seconds: {result['report']}")
    print(json.dumps({"bench": "large", **result}))


def write(export: Path, edges: int) -> None:
    """An export with so many edges."""
    random = np.random.default_rng(7)
    counts = {"user": edges * 2 // 25, "item": edges // 50, "tag": max(COMMUNITIES, edges // 1000)}
    for folder in ("nodes", "edges"):
        (export / folder).mkdir(parents=True, exist_ok=True)
    for kind, count in counts.items():
        in_parts(export / "nodes" / f"{kind}.csv", count, partial(nodes, random, kind))
    for name, (source, destination, share) in RELATIONS.items():
        in_parts(export / "edges" / f"{name}.csv", round(edges * share),
                 partial(links, random, name, (source, counts[source]), (destination, counts[destination])))
    (export / CONFIGURATION).write_text(json.dumps(configuration()), encoding="utf-8")


def in_parts(path: Path, count: int, part: Callable[[int, int], pl.DataFrame]) -> None:
    """Write a CSV file part by part."""
    with path.open("wb") as file:
        for start in range(0, count, ROWS):
            part(start, min(ROWS, count - start)).write_csv(file, include_header=start == 0)


def nodes(random: np.random.Generator, kind: str, start: int, rows: int) -> pl.DataFrame:
    """Node ``i`` is of community ``i % COMMUNITIES``. Where users live tells theirs for every second one."""
    numbers = np.arange(start, start + rows)
    columns: dict[str, Any] = {"~id": named(kind[0], numbers), "~label": pl.Series([kind]).new_from_index(0, rows)}
    told = np.where(random.random(rows) < 0.5, numbers % COMMUNITIES, random.integers(0, COMMUNITIES, rows))
    if kind == "item":
        columns |= {"price": random.normal(size=rows).round(3), "age": random.normal(size=rows).round(3)}
        labelled = pl.Series(random.random(rows) < 0.1)
        columns["community"] = pl.select(pl.when(labelled).then(named("c", numbers % COMMUNITIES)).otherwise(None)).to_series()
    else:
        columns |= {"city": named("city", told), "age": random.normal(size=rows).round(3)}
    return pl.DataFrame(columns)


def links(random: np.random.Generator, name: str, source: tuple[str, int], destination: tuple[str, int],  # noqa: PLR0917
          start: int, rows: int) -> pl.DataFrame:
    """Sources (of so many) are drawn evenly, destinations so that a few are everybody's."""
    sources = random.integers(0, source[1], rows)
    destinations = (destination[1] * random.random(rows) ** 3).astype(np.int64)
    own = destinations - destinations % COMMUNITIES + sources % COMMUNITIES
    destinations = np.where((random.random(rows) < LOYAL) & (own < destination[1]), own, destinations)
    return pl.DataFrame({
        "~id": named(name[0], np.arange(start, start + rows)), "~label": pl.Series([name]).new_from_index(0, rows),
        "~from": named(source[0][0], sources), "~to": named(destination[0][0], destinations)})


def named(prefix: str, numbers: NDArray[np.int64]) -> pl.Series:
    return pl.select(pl.format("{}{}", pl.lit(prefix), pl.Series(numbers))).to_series()


def configuration() -> dict[str, Any]:
    """What the export's files are."""
    numbers = {"item": ("price", "age"), "user": ("age",), "tag": ("age",)}
    entries: list[dict[str, Any]] = []
    for kind, names in numbers.items():
        features = [{"feature": [name, name, "numerical"], "norm": "standard"} for name in names]
        if kind != "item":
            features.append({"feature": ["city", "city", "category"]})
        entry = {"file_name": f"nodes/{kind}.csv", "separator": ",", "node": ["~id", kind], "features": features}
        labels = [{"label": ["community", "classification"], "split_rate": [0.8, 0.1, 0.1]}]
        entries.append(entry | ({"labels": labels} if kind == "item" else {}))
    edges = [{"file_name": f"edges/{name}.csv", "separator": ",", "source": ["~from", source], "relation": ["", name],
              "dest": ["~to", destination]} for name, (source, destination, _) in RELATIONS.items()]
    return {"version": "v2.0", "query_engine": "gremlin", "graph": {"nodes": entries, "edges": edges}, "warnings": []}


def run(export: Path, data: Path) -> dict[str, Any]:
    """Process, train and write the artefacts, through a server."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "server.log").open("w") as log, subprocess.Popen(
            [sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", str(data)], stdout=subprocess.PIPE, stderr=log,
            text=True) as server:
        assert server.stdout is not None
        client = boto3.client("neptunedata", endpoint_url=server.stdout.readline().split()[-1], region_name="us-east-1",
                              config=Config(signature_version=UNSIGNED))
        watch = Watch(data)
        try:
            name = f"large-{time.time_ns()}"
            client.start_ml_data_processing_job(id=name, inputDataS3Location=export.as_uri(),
                                                processedDataS3Location="s3://large/processed")
            processed = path(data, wait(client.get_ml_data_processing_job, name)["processingJob"]["outputLocation"])
            set_epochs(processed / "model-hpo-configuration.json")
            client.start_ml_model_training_job(id=name, dataProcessingJobId=name, trainModelS3Location="s3://large/models",
                                               maxHPONumberOfTrainingJobs=1)
            output = path(data, wait(client.get_ml_model_training_job, name)["processingJob"]["outputLocation"])
        finally:
            watch.end()
            server.send_signal(signal.SIGTERM)
    measured = json.loads((output / "test_metrics_info.json").read_bytes())
    report = json.loads((output / "training-report.json").read_bytes()) if (output / "training-report.json").exists() else {}
    return {"programs": watch.programs, "accuracy": measured["acc"], "processed_mib": mib(processed), "artefacts_mib": mib(output),
            "report": report.get("seconds")}


class Watch:
    """Reads, a few times a second, how much memory each program has."""

    def __init__(self, data: Path) -> None:
        self.programs: dict[str, dict[str, float]] = {}
        self._data = data
        self._begun: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    try:
                        self._look(process)
                    except (OSError, ValueError):
                        continue  # it has ended

    def _look(self, process: Path) -> None:
        command = (process / "cmdline").read_bytes().split(b"\0")
        if b"despina.programs" not in command or b"-I" in command:
            return
        path = Path(command[command.index(b"despina.programs") + 1].decode())
        if not path.is_relative_to(self._data):
            return  # another server's
        spec = json.loads(path.read_bytes())
        status = dict(re.findall(r"^(RssAnon|VmHWM):\s+(\d+) kB$", (process / "status").read_text(), re.MULTILINE))
        row = self.programs.setdefault(spec["work"]["type"], {"seconds": 0, "anon_mib": 0, "all_mib": 0})
        begun = self._begun.setdefault(int(process.name), time.monotonic())
        row["seconds"] = round(time.monotonic() - begun, 1)
        row["anon_mib"] = max(row["anon_mib"], int(status["RssAnon"]) // 1024)
        row["all_mib"] = max(row["all_mib"], int(status["VmHWM"]) // 1024)


def set_epochs(path: Path) -> None:
    """One epoch instead of those that are proposed."""
    document = json.loads(path.read_bytes())
    for tier in ("1-tier-param", "2-tier-param", "3-tier-param", "fixed-param"):
        document["models"][0][tier] = [entry for entry in document["models"][0][tier] if entry["param"] != "num-epochs"]
    document["models"][0]["fixed-param"].append({"param": "num-epochs", "type": "int", "default": 1})
    path.write_text(json.dumps(document))


def path(data: Path, location: str) -> Path:
    return data / "s3" / location.removeprefix("s3://")


def mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


if __name__ == "__main__":
    main()
