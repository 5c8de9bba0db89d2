"""The whole work on the real graph: process, strategy, train and transform, each as the process that an engine starts."""

import csv
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "air-routes"
TIME_LIMIT = 120
"""Seconds for one program, on a machine that has much else to do."""

pytestmark = pytest.mark.slow


def run(folder: Path, work: dict[str, Any]) -> dict[str, Any]:
    """Do one run's work in a folder of its own; the result that the program left."""
    place = folder / work["type"]
    place.mkdir()
    (place / "spec.json").write_text(json.dumps({"run_id": "run-1", "work": work}), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "despina.programs", "spec.json"], cwd=place, capture_output=True, text=True,
                          timeout=TIME_LIMIT, check=False,
                          env=os.environ | {"DESPINA_S3_FOLDER": str(folder / "s3"), "OMP_NUM_THREADS": "1"})
    outcome = json.loads((place / "result.json").read_bytes())
    assert done.returncode == 0, f"{outcome}\n{done.stderr}"
    result: dict[str, Any] = outcome["result"]
    return result


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bucket when all four programs have run; the results are in ``results.json``."""
    folder = tmp_path_factory.mktemp("programs")
    shutil.copytree(EXAMPLE, folder / "s3" / "bucket" / "export")
    processed = run(folder, {"type": "process", "input": "s3://bucket/export", "output": "s3://bucket/processed",
                             "config_file_name": "training-data-configuration.json"})
    strategy = run(folder, {"type": "strategy", "processed": "s3://bucket/processed", "trials": 2})
    defaults = {tunable["name"]: tunable["default"] for tunable in strategy["tunable"]}
    trained = run(folder, {"type": "train", "processed": "s3://bucket/processed", "output": "s3://bucket/model",
                           "parameters": strategy["fixed"] | defaults})
    transformed = run(folder, {"type": "transform", "processed": "s3://bucket/processed", "model": "s3://bucket/model",
                               "output": "s3://bucket/output"})
    results = {"process": processed, "train": trained, "transform": transformed}
    (folder / "s3" / "bucket" / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return folder / "s3" / "bucket"


def rows(name: str) -> list[dict[str, str]]:
    with (EXAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_test_airports_are_placed_on_their_continents(bucket: Path) -> None:
    mapping = pickle.loads((bucket / "output" / "mapping.info").read_bytes())
    with np.load(bucket / "output" / "predictions" / "result.npz", allow_pickle=False) as file:
        best = file["infer_scores"].argmax(axis=1)
    continents = {row["~id"]: row["continent"] for row in rows("nodes/airport.consolidated.csv")}
    right = [mapping["label_map"]["airport"][int(best[mapping["node2id"]["airport"][row["~id"]]])] == continents[row["~id"]]
             for row in rows("test.csv")]
    accuracy = sum(right) / len(right)
    assert len(right) == 701
    assert accuracy >= 0.90, "the neighbours' vote alone gets 0.86"
    assert json.loads((bucket / "output" / "test_metrics_info.json").read_bytes())["acc"] == pytest.approx(accuracy)


def test_the_results_agree_with_each_other_and_with_the_export(bucket: Path) -> None:
    results = json.loads((bucket / "results.json").read_bytes())
    parts = {part: len(rows(f"{part}.csv")) for part in ("train", "valid", "test")}
    counts = {"nodes": 3504, "edges": 50637, "rows": 3504 + 50637} | parts
    assert {name: results["process"][name] for name in counts} == counts
    assert results["transform"]["predicted"] == 3504
    assert results["transform"]["valid"] == pytest.approx(results["train"]["objective"])
    assert np.load(bucket / "output" / "embeddings" / "entity.npy", allow_pickle=False).shape[0] == 3504
