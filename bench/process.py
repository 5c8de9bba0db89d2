"""How fast an export becomes a graph: the data-processing program beside a program that only parses the same CSV files (the floor),
and beside the same job written the usual way with pandas (bench/process_pandas.py).

    python bench/process.py                                                        1 million edges, three rounds
    python bench/process.py --nodes 1000000 --edges 20000000 --folder /data/20m    what issue 3 asks for
    python bench/process.py --nodes 5000000 --edges 100000000 --folder /data/100m --rounds 1 --plain-slices --without pandas
    python bench/process.py --folder EXPORT                                        any export of CSV files; without pandas

Writes a seeded export of the exporter's form into a temporary folder (or FOLDER, where it is kept and found again), then runs the
programs alternately, each in a process of its own and without the outputs of earlier rounds. Time and peak memory are those of
whole processes, imports included. What ours and the pandas version wrote is compared in the end. The last line is JSON.

pandas is no dependency of Despina. Without it that part is left out; it is found by --pandas-path or PYTHONPATH:

    pip install --target PANDAS pandas==3.1.1
    python bench/process.py --pandas-path PANDAS
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

PLAIN = """
import sys
import polars as pl
size = int(sys.argv[1])
for name in sys.argv[2:]:
    if not size:
        pl.read_csv(name)
        continue
    with open(name, "rb") as file:
        header = file.readline()
        while rows := file.read(size):
            pl.read_csv(header + rows + file.readline())
"""
"""Reads the files it is given, whole or, when its first argument is not 0, so many bytes after another."""
SLICE = 256 * 2**20
PANDAS = "3.1.1"
"""The version of the published figures."""
SEED = 7
CHUNK = 1_000_000
"""Rows that are in memory at a time while an export is written."""
CONFIGURATION = "training-data-configuration.json"
SIZES = "generated.json"
"""The file of an export that was written here, with the numbers of its nodes and edges."""
PERSON = "nodes/person.consolidated.csv"
KNOWS = "edges/%28person%29-knows-%28person%29.consolidated.csv"
NODE_FEATURES: list[dict[str, Any]] = [
    {"feature": ["size", "size", "numerical"], "norm": "min-max", "imputer": "median"},
    {"feature": ["vector", "vector", "numerical"], "separator": ";"}, {"feature": ["city", "city", "category"]},
    {"feature": ["colour", "colour", "auto"]}, {"feature": ["likes", "likes", "category"], "separator": ";"},
    {"feature": ["since", "since", "datetime"], "datetime_parts": ["year", "month"]}]
EDGE_FEATURES: list[dict[str, Any]] = [
    {"feature": ["weight", "weight", "numerical"], "norm": "min-max", "imputer": "median"},
    {"feature": ["kind", "kind", "category"]}]
TITLES = {"process": "export to graph", "plain": "parsing only", "pandas": "with pandas"}
AIMS = {"rows_over_plain": "at least 0.5", "rows_over_pandas": "at least 5", "peak_over_arrays": "at most 2.5"}


Facts = dict[str, NDArray[Any]]
"""What two programs that do the same job have to agree on."""


class Program(NamedTuple):
    """What is measured."""

    command: list[str]
    python_path: Path | None = None
    """Where its libraries may be, beside the usual places."""


class Cost(NamedTuple):
    """Of one process."""

    seconds: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, help="default 100,000")
    parser.add_argument("--edges", type=int, help="default 1,000,000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the export is to be kept, or already is")
    parser.add_argument("--without", action="append", choices=["plain", "pandas"], default=[])
    parser.add_argument("--plain-slices", action="store_true",
                        help=f"parse {SLICE >> 20} MiB of a file at a time: for files that do not fit into memory as a whole")
    parser.add_argument("--pandas-path", type=Path, help="the folder that pandas was installed into")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        folder = Path(temporary)
        export = (options.folder or folder / "export").resolve()
        sizes = prepare(export, options.nodes, options.edges)
        files = sorted(str(path) for path in export.rglob("*.csv"))
        programs = {"process": Program([sys.executable, "-m", "despina.programs", "spec.json"])}
        if "plain" not in options.without:
            programs["plain"] = Program([sys.executable, "-c", PLAIN, str(SLICE if options.plain_slices else 0), *files])
        if "pandas" not in options.without and sizes and has_pandas(options.pandas_path):
            script = Path(__file__).with_name("process_pandas.py").resolve()
            programs["pandas"] = Program([sys.executable, str(script), str(export), "output"], options.pandas_path)
        result = measure(programs, export, folder, options.rounds)
        if sizes and sizes != {name: result[name] for name in sizes}:
            raise SystemExit(f"the export has {sizes}, but the graph {result['nodes']} nodes and {result['edges']} edges")
        show(result)
        if "pandas" in programs:
            apart(compare, folder)
    print(json.dumps(result))


def apart(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a process of its own: the peak memory of a child is counted from that of its parent on."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def prepare(export: Path, nodes: int | None, edges: int | None) -> dict[str, int] | None:
    """Write the export unless it is there; its numbers of nodes and edges, None if it was not written here."""
    if not (export / CONFIGURATION).exists():
        began = time.perf_counter()
        apart(write_export, export, nodes or 100_000, edges or 1_000_000)
        print(f"export of {mib(export, '*.csv'):,.0f} MiB written in {time.perf_counter() - began:.1f} s")
    if not (export / SIZES).exists():
        print("without pandas, whose version of the job knows the generated export only")
        return None
    sizes: dict[str, int] = json.loads((export / SIZES).read_text())
    if (nodes or sizes["nodes"], edges or sizes["edges"]) != (sizes["nodes"], sizes["edges"]):
        raise SystemExit(f"the export at {export} has {sizes['nodes']:,} nodes and {sizes['edges']:,} edges; name another folder")
    return sizes


def has_pandas(path: Path | None) -> bool:
    """Whether pandas can be imported; says what to do if not, or if it is another version."""
    places = [*sys.path, *([str(path)] if path else [])]
    versions = [found.version for found in importlib.metadata.Distribution.discover(name="pandas", path=places)]
    if not versions:
        print(f"without pandas, which is not installed: pip install --target PANDAS pandas=={PANDAS}, and --pandas-path "
              "PANDAS (a folder)")
    elif versions[0] != PANDAS:
        print(f"pandas is {versions[0]}; the published figures are of {PANDAS}")
    return bool(versions)


def write_export(folder: Path, nodes: int, edges: int) -> None:
    """Nodes with a number, a vector, three kinds of categories, a time and a label; edges with a number and a category."""
    random = np.random.default_rng(SEED)
    (folder / "nodes").mkdir(parents=True, exist_ok=True)
    (folder / "edges").mkdir(exist_ok=True)
    ids = numbered("person-", 0, nodes)
    write_csv(folder / PERSON, (some_nodes(random, ids[start:start + CHUNK]) for start in range(0, nodes, CHUNK)))
    write_csv(folder / KNOWS, (some_edges(random, ids, start, min(edges, start + CHUNK)) for start in range(0, edges, CHUNK)))
    (folder / SIZES).write_text(json.dumps({"nodes": nodes, "edges": edges}))
    (folder / CONFIGURATION).write_text(json.dumps({"version": "v2.0", "query_engine": "gremlin", "graph": {
        "nodes": [{"file_name": PERSON, "separator": ",", "node": ["~id", "person"], "features": NODE_FEATURES,
                   "labels": [{"label": ["group", "classification"], "split_rate": [0.8, 0.1, 0.1]}]}],
        "edges": [{"file_name": KNOWS, "separator": ",", "source": ["~from", "person"], "relation": ["", "knows"],
                   "dest": ["~to", "person"], "features": EDGE_FEATURES}]}}))


def write_csv(path: Path, chunks: Iterator[pl.DataFrame]) -> None:
    """As the exporter quotes."""
    with path.open("wb") as file:
        for i, chunk in enumerate(chunks):
            chunk.write_csv(file, include_header=i == 0, quote_style="non_numeric")


def some_nodes(random: np.random.Generator, ids: pl.Series) -> pl.DataFrame:
    count = len(ids)
    words = numbered("word", 0, 500)
    size = pl.Series(random.normal(10, 3, count).round(3)).set(pl.Series(random.random(count) < 0.05), None)
    vector = pl.DataFrame(random.random((count, 3)).round(4)).select(pl.concat_str(pl.all(), separator=";")).to_series()
    since = pl.Series(random.integers(0, 1_600_000_000, count) * 1000).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    likes = (words.gather(random.integers(0, 50, count)) for _ in range(2))
    return pl.select(pl.lit(ids).alias("~id"), pl.repeat("person", count).alias("~label"), size=size, vector=vector,
                     city=words.gather(random.zipf(1.3, count) % 500), colour=words.gather(random.integers(0, 20, count)),
                     likes=pl.concat_str(*likes, separator=";"), since=since, group=words.gather(random.integers(0, 5, count)))


def some_edges(random: np.random.Generator, ids: pl.Series, start: int, stop: int) -> pl.DataFrame:
    count = stop - start
    ends = (ids.gather(random.integers(0, len(ids), count)) for _ in range(2))
    return pl.DataFrame([
        numbered("e", start, stop).alias("~id"), constant("knows", count).alias("~label"), next(ends).alias("~from"),
        next(ends).alias("~to"), constant("person", count).alias("~fromLabels"), constant("person", count).alias("~toLabels"),
        pl.Series("weight", random.random(count)).round(5),
        numbered("kind", 0, 12).gather(random.integers(0, 12, count)).alias("kind")])


def constant(text: str, count: int) -> pl.Series:
    return pl.repeat(text, count, eager=True)


def numbered(name: str, start: int, stop: int) -> pl.Series:
    """The name with each of these numbers after it."""
    return pl.select(pl.concat_str(pl.lit(name), pl.int_range(start, stop))).to_series()


def measure(programs: dict[str, Program], export: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Alternate the programs; each works in the subfolder of its name, which is new each time."""
    spec = {"run_id": "bench", "work": {"type": "process", "input": export.as_uri(), "config_file_name": CONFIGURATION,
                                        "output": (folder / "process" / "output").as_uri()}}
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir()
            (folder / name / "spec.json").write_text(json.dumps(spec))
            costs[name].append(cost(program, folder / name))
    counts = json.loads((folder / "process" / "result.json").read_text())["result"]
    result: dict[str, Any] = {"bench": "process", **{name: counts[name] for name in ("nodes", "edges", "rows")}}
    for name in programs:
        seconds = median(c.seconds for c in costs[name])
        result[name] = {"seconds": seconds, "rows_per_second": counts["rows"] / seconds,
                        "peak_mib": median(c.peak_mib for c in costs[name]), "arrays_mib": mib(folder / name, "*.npy")}
        if name != "process":
            result[f"rows_over_{name}"] = median(theirs.seconds / ours.seconds
                                                 for ours, theirs in zip(costs["process"], costs[name], strict=True))
    result["peak_over_arrays"] = result["process"]["peak_mib"] / result["process"]["arrays_mib"]
    return result


def cost(program: Program, folder: Path) -> Cost:
    """Run a program to its end."""
    environment = dict(os.environ)
    if program.python_path:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(program.python_path)]))
    with (folder / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(program.command, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{(folder / 'log').read_text()[-2000:]}\n{folder.name} ended with status {process.returncode}")
    return Cost(seconds, usage.ru_maxrss / 1024)


def mib(folder: Path, pattern: str) -> float:
    """The size of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob(pattern)) / 2**20


def compare(folder: Path) -> None:
    """Whether ours and pandas' arrays tell of the same graph. Both number the nodes in the order of the file."""
    ours, theirs = facts_of_ours(folder / "process" / "output"), facts_of_pandas(folder / "pandas" / "output")
    different = [name for name in theirs if ours[name].shape != theirs[name].shape
                 or not np.allclose(ours[name], theirs[name], rtol=0 if theirs[name].dtype.kind in "iu" else 1e-6, atol=0)]
    for name in different:
        print(f"{name} differs: ours {ours[name][:10]}, pandas {theirs[name][:10]}")
    if different:
        raise SystemExit(1)
    print(f"ours and pandas agree on {', '.join(theirs)}")


def facts_of_ours(output: Path) -> Facts:
    from despina.graph.graph import EdgeType, Features, Graph

    def sums(features: Features) -> Facts:
        parts = [features.dense.sum(axis=0, dtype=np.float64)]
        if features.hot:
            parts.append(np.bincount(features.hot.indices, minlength=features.hot.width))
        columns = np.concatenate(parts)
        return {name: distinct(columns[start:stop]) for name, (start, stop) in features.columns.items()}

    manifest, = output.rglob("graph.json")
    graph = Graph.load(manifest.parent)
    knows, part = EdgeType("person", "knows", "person"), graph.target.nodes
    to, back = graph.edges[knows], graph.edges[knows.reverse]
    return facts("".join(graph.node_ids["person"]), [part.train, part.valid, part.test],
                 (to.indptr, to.indices), (back.indptr, back.indices)
                 ) | sums(graph.features["person"]) | sums(graph.edge_features[knows])


def facts_of_pandas(output: Path) -> Facts:
    def array(name: str) -> NDArray[Any]:
        return np.asarray(np.load(output / f"{name}.npy", mmap_mode="r"))

    numbers, categories = ("person-size", "person-vector", "knows-weight"), ("city", "colour", "likes", "since")
    sums = {name.split("-")[1]: distinct(array(name).sum(axis=0, dtype=np.float64)) for name in numbers}
    ones = {name.split("-")[1]: distinct(np.bincount(array(f"{name}-indices")))
            for name in (*(f"person-{category}" for category in categories), "knows-kind")}
    return facts("".join(array("person-ids")), [array(f"person-{part}") for part in ("train", "valid", "test")],
                 (array("knows-indptr"), array("knows-indices")),
                 (array("rev-knows-indptr"), array("rev-knows-indices"))) | sums | ones


def facts(ids: str, parts: list[NDArray[np.bool_]], *directions: tuple[NDArray[np.int64], NDArray[np.int32]]) -> Facts:
    """Of the graph itself, given as ``indptr`` and ``indices`` of the edges there and back.

    The ends of the edges count by the sum of their products, which is the same in any order of the edges. The parts of a random
    split are not the same, but as large to a thousandth of the nodes.
    """
    degrees = [np.diff(indptr) for indptr, _ in directions]
    ends = [(np.repeat(np.arange(len(degree)), degree) * indices).sum()
            for degree, (_, indices) in zip(degrees, directions, strict=True)]
    sizes = np.array([part.sum() for part in parts])
    return {"nodes": np.frombuffer(ids.encode(), dtype=np.uint8), "edges": np.array([degree.sum() for degree in degrees]),
            "in-degrees": degrees[0], "out-degrees": degrees[1], "ends": np.array(ends),
            "parts": (sizes / len(degrees[0])).round(3), "labelled": np.array([sizes.sum()])}


def distinct(columns: NDArray[Any]) -> NDArray[Any]:
    """The sums of columns that are not empty, in rising order."""
    return np.sort(columns[columns != 0])


def show(result: dict[str, Any]) -> None:
    print(f"{result['nodes']:,} nodes, {result['edges']:,} edges, {result['rows']:,} rows")
    for name, title in TITLES.items():
        if name in result:
            figures = result[name]
            arrays = f", arrays {figures['arrays_mib']:6,.0f} MiB" if figures["arrays_mib"] else ""
            print(f"{title:16} {figures['seconds']:7.2f} s {figures['rows_per_second']:11,.0f} rows/s, peak "
                  f"{figures['peak_mib']:6,.0f} MiB{arrays}")
    for name, aim in AIMS.items():
        if name in result:
            print(f"{name.replace('_', ' '):16} {result[name]:7.2f}   aim {aim}")


if __name__ == "__main__":
    main()
