"""All public data sets through the data-processing program, beside the counts that their README gives.

    python make_exports.py --data raw --out EXPORTS public             (in the folder of the data sets)
    python bench/exports.py --data EXPORTS [NAME ...]

Each export is processed in a process of its own, as an engine runs it. A count that is not the README's is shown with that one, and
the exit status is 1 then. The last line is JSON.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

CONFIGURATION = "training-data-configuration.json"


class Counts(NamedTuple):
    """What the README says of a data set, or the program."""

    task: str
    nodes: int
    edges: int
    train: int
    valid: int
    test: int


EXPECTED = {
    "cora": Counts("node_class", 2_708, 5_278, 140, 500, 1_000),
    "pubmed": Counts("node_class", 19_717, 44_327, 60, 500, 1_000),
    "aifb": Counts("node_class", 8_285, 29_219, 126, 14, 36),  # terms and triples; what they become: as_property_graph
    "movielens-100k-genre": Counts("node_class", 102_625, 300_000, 1_009, 337, 336),
    "movielens-100k-age": Counts("node_regression", 102_644, 302_893, 566, 188, 189),
    "movielens-100k-scale": Counts("edge_class", 2_644, 102_893, 76_000, 4_000, 20_000),
    "movielens-100k-score": Counts("edge_regression", 2_644, 102_893, 76_000, 4_000, 20_000),
    "movielens-100k-link": Counts("link_predict", 2_644, 102_893, 86_570, 4_000, 9_430),
    "us-county-income-2012": Counts("node_regression", 3_234, 9_483, 1_885, 629, 628),
    "us-county-education-2012": Counts("node_regression", 3_234, 9_483, 1_932, 644, 644),
    "bitcoin-alpha-rating": Counts("edge_regression", 3_783, 24_186, 17_413, 1_935, 4_838),
    "bitcoin-alpha-sign": Counts("edge_class", 3_783, 24_186, 17_413, 1_935, 4_838),
    "umls": Counts("link_predict", 135, 6_529, 5_216, 652, 661),
    "codex-s": Counts("link_predict", 2_034, 36_543, 32_888, 1_827, 1_828),
    "fb15k-237": Counts("link_predict", 14_541, 310_116, 272_115, 17_535, 20_466),
    "grail-fb237-v1": Counts("link_predict", 1_594, 5_226, 4_245, 489, 492),
    "grail-fb237-v1-ind": Counts("link_predict", 1_093, 2_404, 1_993, 206, 205),
    "air-routes-continent": Counts("node_class", 3_504, 50_637, 2_102, 701, 701),
    "air-routes-dist": Counts("edge_regression", 3_748, 57_645, 40_522, 5_050, 5_065),
    "air-routes-route": Counts("link_predict", 3_748, 57_645, 40_508, 5_072, 5_057),
    "air-routes-elev": Counts("node_regression", 3_748, 57_645, 2_102, 701, 701),
}
STATEMENTS = "statements/statements.nt"
TRIPLE = re.compile(r'(<[^>]*>|_:\S+) (<[^>]*>) (<[^>]*>|_:\S+|".*) \.')
RDF_TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with a subfolder for each export")
    parser.add_argument("names", nargs="*", help="only these exports")
    options = parser.parse_args()
    found = {path.parent.name: path.parent.resolve() for path in options.data.glob(f"*/{CONFIGURATION}")}
    names = options.names or [*EXPECTED, *sorted(found.keys() - EXPECTED.keys())]
    if missing := [name for name in names if name not in found]:
        raise SystemExit(f"not in {options.data}: {', '.join(missing)}")
    print(f"{'name':25} {'task':15} {'nodes':>9} {'edges':>9} {'train':>9} {'valid':>9} {'test':>9} {'seconds':>8}  README")
    rows = [row(name, found[name]) for name in names]
    different = [row["name"] for row in rows if not row["equal"]]
    print(f"{len(rows) - len(different)} of {len(rows)} have the README's counts"
          + (f"; not {', '.join(different)}" if different else ""))
    print(json.dumps({"bench": "exports", "rows": rows}))
    raise SystemExit(1 if different else 0)


def row(name: str, export: Path) -> dict[str, Any]:
    """Process an export and print its line."""
    expected = EXPECTED.get(name)
    if expected and (export / STATEMENTS).exists():
        expected = as_property_graph(export, expected)
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        counts, seconds = process(export, Path(temporary))
    if isinstance(counts, str):
        print(f"{name:25} failed: {counts}", flush=True)
        return {"name": name, "failure_reason": counts, "seconds": seconds, "equal": False}
    if expected is None:
        note = "not there"
    else:
        note = ", ".join(f"{what} {theirs}" for what, ours, theirs in zip(Counts._fields, counts, expected, strict=True)
                         if ours != theirs) or "equal"
    print(f"{name:25} {counts.task:15}", *(f"{count:9,}" for count in counts[1:]), f"{seconds:8.2f}  {note}", flush=True)
    return {"name": name, **counts._asdict(), "seconds": seconds, "equal": counts == expected}


def process(export: Path, folder: Path) -> tuple[Counts | str, float]:
    """What the program counts, or why it failed, and the seconds that it takes."""
    from despina.graph.graph import Graph

    (folder / "spec.json").write_text(json.dumps({"run_id": "bench", "work": {
        "type": "process", "input": export.as_uri(), "output": (folder / "output").as_uri(), "config_file_name": CONFIGURATION}}))
    began = time.perf_counter()
    command = [sys.executable, "-m", "despina.programs", "spec.json"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if not (folder / "result.json").exists():
        return f"status {done.returncode}: {done.stderr[-500:]}", seconds
    outcome = json.loads((folder / "result.json").read_text())
    if "failure_reason" in outcome:
        return str(outcome["failure_reason"]), seconds
    manifest, = (folder / "output").rglob("graph.json")
    result = outcome["result"]
    return Counts(str(Graph.load(manifest.parent).target.task), *(result[what] for what in Counts._fields[1:])), seconds


def as_property_graph(export: Path, expected: Counts) -> Counts:
    """The nodes and edges that RDF becomes, counted here anew, if the file has as many terms and triples as the README says.

    The README's nodes are all distinct terms except the labels, and its edges all triples. Of these, triples with a literal are
    features, those of the target's predicate labels, and those of ``rdf:type`` give nodes their types; the others are edges. So
    nodes are the IRIs and blank nodes that have a statement or are an edge's end: neither literals nor mere classes.
    """
    configuration = json.loads((export / CONFIGURATION).read_text())
    label = f"<{configuration['graph']['rdfs'][0]['label']['targets'][0]['predicate']}>"
    terms, nodes = set(), set()
    triples = edges = 0
    with (export / STATEMENTS).open(encoding="utf-8") as file:
        for line in file:
            match = TRIPLE.match(line)
            if match is None:
                raise SystemExit(f"{export / STATEMENTS}: not a triple: {line}")
            subject, predicate, value = match.groups()
            triples += 1
            terms |= {subject} if predicate == label else {subject, value}
            nodes.add(subject)
            if predicate not in {label, RDF_TYPE} and not value.startswith('"'):
                edges += 1
                nodes.add(value)
    if (len(terms), triples) != (expected.nodes, expected.edges):
        return expected
    return expected._replace(nodes=len(nodes), edges=edges)


if __name__ == "__main__":
    main()
