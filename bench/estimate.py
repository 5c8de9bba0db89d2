"""How far the estimate before the work is from the work: time, memory and disk of data processing, as expected and as they were.

    python bench/estimate.py [--rounds 3] [EXPORT ...]

Processes generated exports, which show the constants at the top of src/despina/graph/estimate.py: nearly nothing at
all, half a million nodes with five million edges, a million triples of RDF, and sentences for text_sbert; and any exports that are
named. Each run is a process of its own, as an engine starts it. Medians are printed, and in the last line JSON.
"""

import argparse
import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from despina.graph.estimate import BASE_BYTES, SENTENCE_MODEL_BYTES, SENTENCE_MODEL_SECONDS, START_SECONDS

generated: Any = importlib.import_module("process")
"""bench/process.py, which writes exports and runs programs."""
TRIPLES = 1_000_000
SENTENCES = 3_000
WORDS = 12
"""Of each sentence."""
MIB = 2**20


class Measured(NamedTuple):
    """One run: what was expected of it and what it took."""

    rows: int
    seconds: float
    peak: float
    written: float
    expected: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", nargs="*", type=Path, help="more exports to look at")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cases: dict[str, Path] = {}
        for name, write in WRITERS.items():
            (folder / name).mkdir()
            generated.apart(write, folder / name)  # the peak of a process begins with that of the one that starts it
            cases[name] = folder / name
        cases |= {path.name: path.resolve() for path in options.exports}
        results = {name: [run(export, folder) for _ in range(options.rounds)] for name, export in cases.items()}
    middle = {name: sorted(runs, key=lambda one: one.seconds)[len(runs) // 2] for name, runs in results.items()}
    print(f"{'export':24} {'rows':>10}  {'seconds':>8} {'expected':>9}  {'peak MiB':>9} {'expected':>9}  {'disk MiB':>9} "
          f"{'expected':>9}")
    for name, one in middle.items():
        print(f"{name:24} {one.rows:10,}  {one.seconds:8.2f} {one.expected['processingMinutes'] * 60:9.2f}  "
              f"{one.peak:9.0f} {one.expected['peakMemoryBytes'] / MIB:9.0f}  {one.written:9.1f} "
              f"{one.expected['diskBytes'] / MIB:9.1f}")
    constants = derived(results)
    for name, value in constants.items():
        print(f"{name:24} {value:14,.1f}")
    print(json.dumps({"bench": "estimate", "constants": constants, "runs": {name: one._asdict() for name, one in middle.items()}}))


def derived(results: dict[str, list[Measured]]) -> dict[str, float]:
    """The constants that the runs show."""
    def of(name: str, value: Callable[[Measured], float]) -> float:
        return median(value(one) for one in results[name])

    start, base = of("nothing", lambda one: one.seconds), of("nothing", lambda one: one.peak)
    arrays = of("graph", lambda one: one.expected["arrayBytes"] / MIB)
    return {
        "START_SECONDS": start,
        "BASE_MIB": base,
        "ROWS_PER_SECOND": of("graph", lambda one: one.rows / (one.seconds - start)),
        "PEAK_OVER_ARRAYS": (of("graph", lambda one: one.peak) - base) / arrays,
        "DISK_OVER_ARRAYS": of("graph", lambda one: one.written) / arrays,
        "TRIPLES_PER_SECOND": of("triples", lambda one: TRIPLES / (one.seconds - start)),
        "BYTES_PER_TRIPLE": of("triples", lambda one: (one.peak - base) * MIB / TRIPLES),
        "SENTENCES_PER_SECOND": of("sentences", lambda one: SENTENCES / (one.seconds - start - SENTENCE_MODEL_SECONDS)),
        "SENTENCE_MODEL_MIB": of("sentences", lambda one: one.peak - base),
        "expected START_SECONDS": START_SECONDS, "expected BASE_MIB": BASE_BYTES / MIB,
        "expected SENTENCE_MODEL_MIB": SENTENCE_MODEL_BYTES / MIB,
    }


def run(export: Path, folder: Path) -> Measured:
    """Process an export."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        at = Path(place)
        spec = {"run_id": "bench", "work": {"type": "process", "input": export.as_uri(), "output": (at / "output").as_uri(),
                                            "config_file_name": generated.CONFIGURATION}}
        (at / "spec.json").write_text(json.dumps(spec))
        program = generated.Program([sys.executable, "-m", "despina.programs", "spec.json"])
        taken = generated.cost(program, at)
        result = json.loads((at / "result.json").read_text())["result"]
        return Measured(result["rows"], taken.seconds, taken.peak_mib, generated.mib(at / "output", "*"), result["estimate"])


def write_triples(folder: Path) -> None:
    """People of some teams who know each other, and how old they are."""
    random = np.random.default_rng(generated.SEED)
    people = TRIPLES // 8
    kind = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://example.org/Person>"
    with (folder / "statements.nt").open("w") as file:
        for person in range(people):
            name = f"<http://example.org/person/{person}>"
            file.write(f'{name} {kind} .\n{name} <http://example.org/age> "{random.integers(18, 80)}" .\n'
                       f'{name} <http://example.org/team> "team{random.integers(0, 9)}" .\n')
            for other in random.integers(0, people, 5):
                file.write(f"{name} <http://example.org/knows> <http://example.org/person/{other}> .\n")
    label = {"task_type": "classification", "targets": [{"node": "http://example.org/Person", "predicate": "http://example.org/team"}]}
    configuration = {"query_engine": "sparql", "graph": {"rdfs": [{"file_name": "statements.nt", "label": label}]}}
    (folder / generated.CONFIGURATION).write_text(json.dumps(configuration))


def write_sentences(folder: Path) -> None:
    """Nodes with a sentence each, no two alike."""
    random = np.random.default_rng(generated.SEED)
    words = [f"{first}{second}" for first in ("river", "stone", "cloud", "green") for second in ("bank", "light", "fall", "ware")]
    with (folder / "n.csv").open("w") as file:
        file.write("~id,text,group\n")
        for node in range(SENTENCES):
            file.write(f"{node},{' '.join(words[i] for i in random.integers(0, len(words), WORDS))} {node},g{node % 5}\n")
    (folder / "e.csv").write_text("~from,~to\n0,1\n")
    configuration = {"version": "v2.0", "graph": {
        "nodes": [{"file_name": "n.csv", "node": ["~id", "node"], "features": [{"feature": ["text", "text", "text_sbert"]}],
                   "labels": [{"label": ["group", "classification"]}]}],
        "edges": [{"file_name": "e.csv", "source": ["~from", "node"], "relation": ["", "near"], "dest": ["~to", "node"]}]}}
    (folder / generated.CONFIGURATION).write_text(json.dumps(configuration))


def write_nothing(folder: Path) -> None:
    generated.write_export(folder, 100, 100)


def write_graph(folder: Path) -> None:
    generated.write_export(folder, 500_000, 5_000_000)


WRITERS: dict[str, Callable[[Path], None]] = {
    "nothing": write_nothing, "graph": write_graph, "triples": write_triples, "sentences": write_sentences}


if __name__ == "__main__":
    main()
