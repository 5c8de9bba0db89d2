"""Small exports that tests write themselves."""

import csv
import json
import random
from pathlib import Path
from typing import Any


def write_export(folder: Path, *, nodes: int = 60, edges: int = 240, seed: int = 0) -> Path:
    """An export of one node type whose label ``colour`` is that of most of its neighbours and follows its feature ``size``."""
    generator = random.Random(seed)
    (folder / "nodes").mkdir(parents=True)
    (folder / "edges").mkdir()
    colours = [generator.choice(["red", "blue"]) for _ in range(nodes)]
    by_colour = {colour: [i for i in range(nodes) if colours[i] == colour] for colour in ("red", "blue")}
    with (folder / "nodes" / "item.consolidated.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["~id", "~label", "size", "colour"])
        for i, colour in enumerate(colours):
            writer.writerow([f"item-{i}", "item", round(generator.gauss(1.0 if colour == "red" else -1.0, 1.0), 3), colour])
    with (folder / "edges" / "link.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["~id", "~label", "~from", "~to"])
        for i in range(edges):
            source = generator.randrange(nodes)
            near = by_colour[colours[source]] if generator.random() < 0.8 else range(nodes)
            writer.writerow([f"link-{i}", "link", f"item-{source}", f"item-{generator.choice(near)}"])
    (folder / "training-data-configuration.json").write_text(json.dumps(configuration()), encoding="utf-8")
    return folder


def configuration() -> dict[str, Any]:
    """The configuration of ``write_export``."""
    node = {"file_name": "nodes/item.consolidated.csv", "separator": ",", "node": ["~id", "item"],
            "features": [{"feature": ["size", "size", "numerical"], "norm": "min-max", "imputer": "median"}],
            "labels": [{"label": ["colour", "classification"], "split_rate": [0.6, 0.2, 0.2]}]}
    edge = {"file_name": "edges/link.csv", "separator": ",",
            "source": ["~from", "item"], "relation": ["", "link"], "dest": ["~to", "item"]}
    return {"version": "v2.0", "query_engine": "gremlin", "graph": {"nodes": [node], "edges": [edge]}, "warnings": []}


def set_epochs(processed: Path, epochs: int) -> None:
    """Fix the number of epochs in a processed graph's hyperparameter file, and switch early stopping off."""
    path = processed / "model-hpo-configuration.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    model = document["models"][0]
    for tier in ("1-tier-param", "2-tier-param", "3-tier-param", "fixed-param"):
        model[tier] = [entry for entry in model[tier] if entry["param"] not in {"num-epochs", "enable-early-stop"}]
    model["fixed-param"] += [{"param": "num-epochs", "type": "int", "default": epochs},
                             {"param": "enable-early-stop", "type": "bool", "default": False}]
    path.write_text(json.dumps(document), encoding="utf-8")
