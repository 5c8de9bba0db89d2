"""How good a trained model is with nodes that it has never seen: incremental inference beside training anew with them.

    python bench/incremental.py --data EXPORTS [NAME …] [--seeds 3]

EXPORTS is a folder with the exports that shared/data/make_exports.py writes. A tenth of the nodes (of those that are predicted: of
the test part) is hidden, with all edges; a model is trained on what is left. Then the whole export is processed, as one that builds
on the other, and the model is applied to it without training (a model transform). Beside it stands a model that was trained on the
whole. Of classes the accuracy on the hidden nodes is told. Of links half of the edges of hidden nodes is known and the other half
asked for: the filtered MRR of these.
"""

import argparse
import csv
import json
import random
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from quality import CONFIGURATION, Programs, best_trial, use_template  # type: ignore[import-not-found]

from despina.core.job import ProcessWork, TransformWork
from despina.programs import process, transform

NAMES = ("cora", "pubmed", "umls", "codex-s")
HIDDEN = 0.1
Rows = list[dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for name in options.names:
        found = [measure(options.data.resolve() / name, seed) for seed in range(options.seeds)]
        row = {"name": name, "metric": found[0]["metric"], **{key: statistics.mean(one[key] for one in found)
                                                             for key in ("unseen", "trained_with_them", "floor")}}
        rows.append(row)
        print(f"{name:10}{row['metric']:4} never seen {row['unseen']:.3f}, trained with them {row['trained_with_them']:.3f}, "
              f"without a graph {row['floor']:.3f}", flush=True)
    print(json.dumps({"bench": "incremental", "seeds": options.seeds, "rows": rows}))


def measure(export: Path, seed: int) -> dict[str, Any]:
    """The metric on hidden nodes: by a model that has never seen them, and by one that has."""
    configuration = json.loads((export / CONFIGURATION).read_text(encoding="utf-8"))
    labels = [label for entry in configuration["graph"]["nodes"] for label in entry.get("labels", [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Programs(folder)
        if labels:
            hidden, whole = hide_nodes(export, folder, labels[0], seed)
        else:
            hidden, whole = hide_entities(export, folder, configuration, seed)
        for part, source in (("before", folder / "export-before"), ("after", whole)):
            previous = {"previous": (folder / "before").as_uri()} if part == "after" else {}
            run(process.run, ProcessWork(input=source.as_uri(), output=(folder / part).as_uri(), config_file_name=CONFIGURATION,
                                         **previous))
            if not labels:
                use_template(folder / part, "complex")
        found = {}
        for learned_from, key in (("before", "unseen"), ("after", "trained_with_them")):
            model = best_trial(run, folder / learned_from, folder / f"models-{key}", seed=seed, trials=1)
            output = folder / f"output-{key}"
            run(transform.run, TransformWork(processed=(folder / "after").as_uri(), model=model, output=output.as_uri(),
                                             learned_from=(folder / learned_from).as_uri()))
            found[key] = of_nodes(whole, output, labels[0], hidden) if labels else of_links(output)
        report = json.loads((folder / "output-trained_with_them" / "training-report.json").read_bytes())
    metric = "acc" if labels else "mrr"
    return {"metric": metric, "floor": report["floor"]["metrics"]["test"][metric], **found}


def hide_nodes(export: Path, folder: Path, label: dict[str, Any], seed: int) -> tuple[set[str], Path]:
    """Hide a tenth of all nodes, taken from the test part."""
    chosen = random.Random(seed)
    test = [row["~id"] for row in read(export / label["custom_split_filenames"]["test"])]
    count = sum(len(read(path)) for path in (export / "nodes").glob("*.csv"))
    hidden = set(chosen.sample(test, min(len(test) // 2, int(count * HIDDEN))))
    without(export, folder / "export-before", hidden)
    return hidden, export


def hide_entities(export: Path, folder: Path, configuration: dict[str, Any], seed: int) -> tuple[set[str], Path]:
    """Hide a tenth of all entities. The whole export has half of their edges in its training part, the others in its test part."""
    chosen = random.Random(seed)
    names = sorted(row["~id"] for path in (export / "nodes").glob("*.csv") for row in read(path))
    hidden = set(chosen.sample(names, int(len(names) * HIDDEN)))
    without(export, folder / "export-before", hidden)
    whole = Path(shutil.copytree(export, folder / "export-after"))
    for entry in configuration["graph"]["edges"]:
        parts: dict[str, Rows] = {"train": [], "valid": [], "test": []}
        files = entry["labels"][0]["custom_split_filenames"]
        for part, name in files.items():
            for row in read(whole / name):
                new = len({row["~from"], row["~to"]} & hidden)
                if new == 1 and chosen.random() < 0.5:
                    parts["test"].append(row)
                else:
                    parts["valid" if part == "valid" and not new else "train"].append(row)
        for part, name in files.items():
            write(whole / name, parts[part], read(export / name, header=True))
    return hidden, whole


def without(export: Path, target: Path, hidden: set[str]) -> None:
    """A copy of an export in which these nodes and their edges have never been."""
    shutil.copytree(export, target)
    for path in target.rglob("*.csv"):
        kept = [row for row in read(path) if not hidden & {row.get(column, "") for column in ("~id", "~from", "~to")}]
        write(path, kept, read(path, header=True))


def read(path: Path, *, header: bool = False) -> Any:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return reader.fieldnames if header else list(reader)


def write(path: Path, rows: Rows, header: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)


def of_nodes(export: Path, output: Path, label: dict[str, Any], hidden: set[str]) -> float:
    """The accuracy on the hidden nodes."""
    name = label["label"][0]
    truth = {row["~id"]: row[name] for path in (export / "nodes").glob("*.csv") for row in read(path)}
    table = pl.read_parquet(output / "predictions" / "predictions.parquet").filter(pl.col("id").is_in(list(hidden)))
    right = [truth[row["id"]] == row["prediction"] for row in table.iter_rows(named=True)]
    return float(sum(right) / len(right))


def of_links(output: Path) -> float:
    metric: float = json.loads((output / "test_metrics_info.json").read_bytes())["mrr"]
    return metric


if __name__ == "__main__":
    main()
