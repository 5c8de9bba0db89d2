"""How fast an export becomes a graph: the data-processing program beside a program that only parses the same CSV files.

    python bench/process.py [--nodes 100000] [--edges 1000000] [--rounds 3] [--folder FOLDER]

Writes a seeded export of the exporter's form into a temporary folder (or FOLDER, where it is kept and found again), then runs both
programs alternately, each in a process of its own. Wall time and peak memory are those of whole processes, imports included. The
last line is JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import polars as pl

PLAIN = """
import sys
import polars as pl
for name in sys.argv[1:]:
    pl.read_csv(name)
"""
SEED = 7


class Cost(NamedTuple):
    """Of one process."""

    seconds: float
    peak_mib: float


def write_export(folder: Path, nodes: int, edges: int) -> None:
    """Nodes with a number, a vector, three categories, a time and a label; edges with a number and the exporter's columns."""
    random = np.random.default_rng(SEED)
    (folder / "nodes").mkdir(parents=True)
    (folder / "edges").mkdir()
    ids = pl.Series([f"person-{i}" for i in range(nodes)])
    words = pl.Series([f"word{i}" for i in range(500)])
    days = pl.Series(random.integers(0, 1_600_000_000, nodes)).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    size = random.normal(10, 3, nodes).round(3).astype("U").astype(object)
    size[random.random(nodes) < 0.05] = None
    vectors = random.random((nodes, 3)).round(4).astype("U")
    pl.DataFrame({
        "~id": ids, "~label": ["person"] * nodes, "size": size.tolist(), "vector": [";".join(row) for row in vectors],
        "city": words.gather(random.zipf(1.3, nodes) % 500), "colour": words.gather(random.integers(0, 20, nodes)),
        "likes": words.gather(random.integers(0, 50, nodes)) + ";" + words.gather(random.integers(0, 50, nodes)),
        "since": days, "group": words.gather(random.integers(0, 5, nodes)),
    }).write_csv(folder / "nodes" / "person.consolidated.csv", quote_style="non_numeric")
    pl.DataFrame({
        "~id": [f"e{i}" for i in range(edges)], "~label": ["knows"] * edges, "~from": ids.gather(random.integers(0, nodes, edges)),
        "~to": ids.gather(random.integers(0, nodes, edges)), "~fromLabels": ["person"] * edges, "~toLabels": ["person"] * edges,
        "weight": random.random(edges).round(5),
    }).write_csv(folder / "edges" / "%28person%29-knows-%28person%29.consolidated.csv", quote_style="non_numeric")
    features = [{"feature": ["size", "size", "numerical"], "norm": "min-max", "imputer": "median"},
                {"feature": ["vector", "vector", "numerical"], "separator": ";"}, {"feature": ["city", "city", "category"]},
                {"feature": ["colour", "colour", "auto"]}, {"feature": ["likes", "likes", "category"], "separator": ";"},
                {"feature": ["since", "since", "datetime"], "datetime_parts": ["year", "month"]}]
    (folder / "training-data-configuration.json").write_text(json.dumps({"version": "v2.0", "query_engine": "gremlin", "graph": {
        "nodes": [{"file_name": "nodes/person.consolidated.csv", "separator": ",", "node": ["~id", "person"], "features": features,
                   "labels": [{"label": ["group", "classification"], "split_rate": [0.8, 0.1, 0.1]}]}],
        "edges": [{"file_name": "edges/%28person%29-knows-%28person%29.consolidated.csv", "separator": ",",
                   "source": ["~from", "person"], "relation": ["", "knows"], "dest": ["~to", "person"],
                   "features": [{"feature": ["weight", "weight", "numerical"], "norm": "min-max"}]}]}}))


def cost(command: list[str], folder: Path) -> Cost:
    """Run a command to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return Cost(seconds, usage.ru_maxrss / 1024)


def measure(export: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Alternate the two programs and compare their medians."""
    (folder / "spec.json").write_text(json.dumps({"run_id": "bench", "work": {
        "type": "process", "input": export.as_uri(), "output": (folder / "output").as_uri(),
        "config_file_name": "training-data-configuration.json"}}))
    files = sorted(map(str, export.glob("*/*.csv")))
    ours: list[Cost] = []
    plain: list[Cost] = []
    for _ in range(rounds):
        ours.append(cost([sys.executable, "-m", "despina.programs", "spec.json"], folder))
        plain.append(cost([sys.executable, "-c", PLAIN, *files], folder))
    rows = json.loads((folder / "result.json").read_text())["result"]["rows"]
    figures = {name: {"seconds": median(c.seconds for c in costs), "rows_per_second": rows / median(c.seconds for c in costs),
                      "peak_mib": median(c.peak_mib for c in costs)} for name, costs in (("process", ours), ("plain", plain))}
    return {"rows": rows, **figures, "seconds_ratio": figures["process"]["seconds"] / figures["plain"]["seconds"],
            "peak_ratio": figures["process"]["peak_mib"] / figures["plain"]["peak_mib"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        export = (options.folder or Path(temporary) / "export").resolve()
        if not (export / "training-data-configuration.json").exists():
            write_export(export, options.nodes, options.edges)
        result = measure(export, Path(temporary), options.rounds)
    for name, what in (("process", "export to graph"), ("plain", "parsing only")):
        figures = result[name]
        print(f"{what:16} {figures['seconds']:6.2f} s {figures['rows_per_second']:12,.0f} rows/s {figures['peak_mib']:6.0f} MiB")
    print(f"{'ratio':16} {result['seconds_ratio']:6.2f}   {'':12}        {result['peak_ratio']:6.2f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
