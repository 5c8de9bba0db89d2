"""The main job on the real graph, as the README shows it; and its artefacts, read the way AWS's own tools read them."""

import csv
import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "air-routes"
AIRPORTS = 3_504


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a demo that has run."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run([sys.executable, "-m", "despina", "demo", "--data-dir", str(folder)], capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "output.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


@pytest.fixture(scope="module")
def trained(data_dir: Path) -> Path:
    """The output location of the training job."""
    return only(data_dir, "s3/despina-demo/models/*/autotrainer-output")


@pytest.fixture(scope="module")
def processed(data_dir: Path) -> Path:
    """The output location of the data-processing job."""
    return only(data_dir, "s3/despina-demo/processed/*/preloading-output")


class RestrictedUnpickler(pickle.Unpickler):
    """Refuses what graph-notebook's unpickler refuses: everything but builtins, two collections and NumPy's arrays."""

    _NUMPY = ("ndarray", "dtype", "_reconstruct", "scalar", "array")

    def find_class(self, module: str, name: str) -> Any:
        allowed = (module == "builtins" or (module == "collections" and name in {"OrderedDict", "defaultdict"})
                   or (module.partition(".")[0] == "numpy" and name in self._NUMPY))
        if not allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is refused")
        return super().find_class(module, name)


def unpickled(path: Path) -> Any:
    data = path.read_bytes()
    assert data[:2] == b"\x80\x04", "protocol 4"
    return RestrictedUnpickler(io.BytesIO(data)).load()


def test_the_unpickler_refuses_other_classes() -> None:
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        RestrictedUnpickler(io.BytesIO(pickle.dumps(Path(), protocol=4))).load()


def test_the_demo_says_what_it_did(data_dir: Path) -> None:
    output = (data_dir / "output.txt").read_text(encoding="utf-8")
    assert "processes left: none; files left: none" in output
    assert "list-ml-model-training-jobs: ['air-routes-2', 'air-routes-1']" in output
    rows = dict(line.rsplit("  ", 1) for line in output.splitlines() if "  " in line)
    results = {name.strip(): value.strip() for name, value in rows.items()}
    assert float(results["test accuracy"]) >= 0.90
    assert 0.25 < float(results["majority class on the test part"]) < 0.30


def test_metrics_are_in_the_files_that_the_tools_fetch(trained: Path) -> None:
    assert json.loads((trained / "test_metrics_info.json").read_text(encoding="utf-8"))["acc"] >= 0.90
    assert json.loads((trained / "eval_metrics_info.json").read_text(encoding="utf-8"))["acc"] >= 0.90
    recommendation = json.loads((trained / "infer_instance_recommendation.json").read_text(encoding="utf-8"))
    assert {"instance", "disk_size", "mem_size"} <= set(recommendation)


def test_embeddings_are_found_through_the_mapping(trained: Path) -> None:
    """As ``get_node_to_idx_mapping`` and ``get_embeddings`` do, and the toolkit through ``node2gid``."""
    mapping = unpickled(trained / "mapping.info")
    embeddings = np.load(trained / "embeddings" / "entity.npy")
    indices = mapping["node2id"]["airport"]
    assert len(indices) == AIRPORTS == embeddings.shape[0]
    assert sorted(indices.values()) == list(range(AIRPORTS))
    assert mapping["node2gid"]["airport"].tolist() == list(range(AIRPORTS))
    assert np.isfinite(embeddings).all()
    row = embeddings[mapping["node2gid"]["airport"][next(iter(indices.values()))]]
    assert row.ndim == 1


def test_predictions_agree_with_the_reported_accuracy(trained: Path) -> None:
    """As ``get_predictions`` with ``class_preds`` does: the class is the argmax of ``infer_scores``."""
    mapping = unpickled(trained / "mapping.info")
    scores = np.load(trained / "predictions" / "result.npz")["infer_scores"]
    assert scores.shape == (AIRPORTS, len(mapping["label_map"]["airport"]))
    assert np.allclose(scores.sum(axis=1), 1.0, atol=1e-4)
    classes = scores.argmax(axis=1)
    config = json.loads((EXAMPLE / "training-data-configuration.json").read_text(encoding="utf-8"))
    (node,) = config["graph"]["nodes"]
    label = node["labels"][0]
    with (EXAMPLE / node["file_name"]).open(encoding="utf-8", newline="") as file:
        truth = {row["~id"]: row[label["label"][0]] for row in csv.DictReader(file)}
    with (EXAMPLE / label["custom_split_filenames"]["test"]).open(encoding="utf-8", newline="") as file:
        test = [row["~id"] for row in csv.DictReader(file)]
    index, names = mapping["node2id"]["airport"], mapping["label_map"]["airport"]
    right = sum(names[int(classes[index[node_id]])] == truth[node_id] for node_id in test)
    reported = json.loads((trained / "test_metrics_info.json").read_text(encoding="utf-8"))["acc"]
    assert right / len(test) == pytest.approx(reported)


def test_the_mapping_names_the_target(trained: Path) -> None:
    mapping = unpickled(trained / "mapping.info")
    assert (mapping["target_ntype"], mapping["target_ntype_property"]) == ("airport", "continent")


def test_the_processed_graph_has_what_the_tools_read(processed: Path) -> None:
    info = unpickled(processed / "info.pkl")
    assert {"node_id_map", "label_map", "label_properties", "is_multilabel", "node_feat_meta", "edge_feat_meta"} <= set(info)
    assert len(info["node_id_map"]["airport"]) == AIRPORTS
    assert info["is_multilabel"] is False
    assert info["label_properties"] == {"airport": "continent"}
    (model,) = json.loads((processed / "model-hpo-configuration.json").read_text(encoding="utf-8"))["models"]
    assert (model["model"], model["task_type"]) == ("rgcn", "node_class")
    assert {"1-tier-param", "2-tier-param", "3-tier-param", "fixed-param", "eval_metric", "eval_frequency"} <= set(model)
    recommendation = json.loads((processed / "train_instance_recommendation.json").read_text(encoding="utf-8"))
    assert {"instance", "cpu_instance", "disk_size", "mem_size"} <= set(recommendation)


def test_the_model_is_safetensors_and_json(trained: Path) -> None:
    from safetensors.numpy import load_file

    weights = load_file(trained / "model.safetensors")
    assert weights
    assert all(np.isfinite(array).all() for array in weights.values())
    assert json.loads((trained / "model.json").read_text(encoding="utf-8"))
