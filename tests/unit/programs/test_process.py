"""The data-processing program, run as an engine runs it: a process, a specification, a folder that stands in for S3."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.unit.graph.people import CONFIGURATION, EDGES, write

from despina.core.job import Progress
from despina.core.task import Task
from despina.graph.encodings import Encodings
from despina.graph.graph import Graph
from despina.learn.proposals import default_configuration

TIME_LIMIT = 60


class Run:
    """One run of the program in a folder of its own."""

    def __init__(self, folder: Path, work: dict[str, Any] | str) -> None:
        self.folder = folder / "run"
        self.folder.mkdir(exist_ok=True)
        spec = work if isinstance(work, str) else json.dumps({"run_id": "run-1", "work": work})
        (self.folder / "spec.json").write_text(spec, encoding="utf-8")
        self.process = subprocess.run(
            [sys.executable, "-m", "despina.programs", "spec.json"], cwd=self.folder, capture_output=True, timeout=TIME_LIMIT,
            env=os.environ | {"DESPINA_S3_FOLDER": str(folder / "s3")}, check=False)
        self.outcome: dict[str, Any] = json.loads((self.folder / "result.json").read_text(encoding="utf-8"))

    def result(self) -> dict[str, int]:
        """The counts of a run that ended well."""
        assert self.process.returncode == 0, self.process.stderr.decode()
        return {name: value for name, value in self.outcome["result"].items() if isinstance(value, int)}


def work(**changes: str) -> dict[str, str]:
    return {"type": "process", "input": "s3://bucket/export", "output": "s3://bucket/out",
            "config_file_name": CONFIGURATION} | changes


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    write(tmp_path / "s3" / "bucket" / "export", {"graph.nodes.0.features.2": {"feature": ["since", "when", "none"]}})
    return tmp_path / "s3" / "bucket"


class Restricted(pickle.Unpickler):
    """Allows what graph-notebook allows when it reads ``info.pkl``."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = (name in {"OrderedDict", "defaultdict"} if module == "collections"
                   else module.startswith("numpy") and name in {"ndarray", "dtype", "_reconstruct", "scalar", "array"})
        if not allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(module, name)


def test_an_export_becomes_a_processed_graph(tmp_path: Path, bucket: Path) -> None:
    run = Run(tmp_path, work())
    assert run.process.returncode == 0, run.process.stderr.decode()
    assert run.result() == {"nodes": 6, "edges": 4, "rows": 10, "train": 3, "valid": 1, "test": 1, "removed": 0, "added": 6}
    assert run.outcome["result"]["warnings"] == []
    assert sorted(path.name for path in run.folder.iterdir()) == ["result.json", "spec.json"], "nothing is left in the run's folder"
    graph = Graph.load(bucket / "out" / "graph")
    assert graph.node_ids == {"person": list("abcdef")}
    hyperparameters = json.loads((bucket / "out" / "model-hpo-configuration.json").read_text(encoding="utf-8"))
    assert hyperparameters == json.loads(json.dumps(default_configuration(graph, "heterogeneous")))
    encodings = msgspec.json.decode((bucket / "out" / "encoding.json").read_bytes(), type=Encodings)
    assert set(encodings.nodes["person"].features) == {"age", "town", "when"}
    recommendation = json.loads((bucket / "out" / "train_instance_recommendation.json").read_text(encoding="utf-8"))
    assert (recommendation["instance"], recommendation["cpu_instance"]) == ("ml.g4dn.xlarge", "ml.m5.large")
    assert recommendation["mem_size"] > 2**30
    assert recommendation["disk_size"] > 0


def test_progress_is_one_line_for_each_file(tmp_path: Path, bucket: Path) -> None:
    run = Run(tmp_path, work())
    lines = [msgspec.json.decode(line, type=Progress) for line in run.process.stdout.splitlines()]
    assert [(line.step, line.of, line.unit) for line in lines] == [(1, 2, "file"), (2, 2, "file")]
    assert b"nodes of type person: 6, 4 columns of features" in run.process.stderr


def test_info_is_what_graph_notebook_may_open(tmp_path: Path, bucket: Path) -> None:
    Run(tmp_path, work())
    content = (bucket / "out" / "info.pkl").read_bytes()
    assert content[:2] == b"\x80\x04", "protocol 4"
    with (bucket / "out" / "info.pkl").open("rb") as file:
        info = Restricted(file).load()
    assert info["node_id_map"] == {"person": {name: i for i, name in enumerate("abcdef")}}
    assert info["label_map"] == {"person": {0: "x", 1: "y"}}
    assert info["label_properties"] == {"person": "group"}
    assert info["is_multilabel"] is False
    assert info["node_feat_meta"]["person"]["age"] == {"type": "numerical", "columns": [0, 1]}
    assert info["node_feat_meta"]["person"]["when"]["type"] == "raw_feat"
    assert len(info["node_feat_meta"]["person"]["when"]["raw_feat"]) == 6
    assert info["edge_feat_meta"] == {("person", "knows", "person"): {"weight": {"type": "numerical", "columns": [0, 1]}}}
    assert np.array_equal(info["node_counts"], [6])


def test_a_fault_of_the_export_is_the_failure_reason(tmp_path: Path, bucket: Path) -> None:
    edges = bucket / "export" / EDGES
    edges.write_text(edges.read_text(encoding="utf-8").replace('"c","a"', '"c","z"'), encoding="utf-8")
    run = Run(tmp_path, work())
    assert run.process.returncode == 1
    text = f"{EDGES}, line 4, column '~to': 'z' is the id of no node of type 'person' in nodes/person.csv"
    assert run.outcome == {"failure_reason": f"DanglingEdge: {text}"}
    assert [path.name for path in (bucket / "out").iterdir()] == ["processing-report.json"]
    report = json.loads((bucket / "out" / "processing-report.json").read_text(encoding="utf-8"))
    assert report == {"status": "Failed", "findings": [
        {"name": "DanglingEdge", "text": text, "file": EDGES, "line": 4, "column": "~to", "value": "z"}]}


@pytest.mark.parametrize(("changes", "expected"), [
    ({"config_file_name": "other.json"},
     f"there is no file 'other.json' at s3://bucket/export; the JSON files there are: {CONFIGURATION}"),
    ({"input": "s3://bucket/nothing"}, "s3://bucket/nothing"),
    ({"input": "ftp://bucket/nothing"}, "'ftp://bucket/nothing' is not of the form s3://bucket/key or file:///path"),
    ({"model_type": "kge"}, "Contradiction: modelType 'kge' was asked for, and the task is node_class: knowledge-graph embeddings"),
])
def test_a_fault_of_the_work_is_the_failure_reason(tmp_path: Path, bucket: Path, changes: dict[str, str], expected: str) -> None:
    run = Run(tmp_path, work(**changes))
    assert run.process.returncode == 1
    assert expected in run.outcome["failure_reason"]
    assert "Traceback" not in run.process.stderr.decode()


def test_a_type_of_model_that_cannot_do_the_task_is_told_before_the_work(tmp_path: Path, bucket: Path) -> None:
    (bucket / "export" / EDGES).write_text("~from,~to,weight\na,b,heavy\n", encoding="utf-8")
    run = Run(tmp_path, work(model_type="kge"))
    assert run.outcome["failure_reason"].startswith("Contradiction: modelType 'kge' was asked for, and the task is node_class")
    assert run.outcome["failure_reason"].endswith("(1 more finding in processing-report.json)"), "a small one is read for more"


def test_files_without_a_configuration_get_one(tmp_path: Path, bucket: Path) -> None:
    shutil.rmtree(bucket / "export")
    (bucket / "export").mkdir()
    (bucket / "export" / "stats.json").write_text("{}", encoding="utf-8")
    (bucket / "export" / "n.csv").write_text("~id,~label,size:Int,colour\n" + "".join(
        f"{i},item,{i},{'red' if i % 2 else 'blue'}\n" for i in range(20)), encoding="utf-8")
    (bucket / "export" / "e.csv").write_text("~id,~from,~to,~label\n1,0,1,near\n2,1,2,near\n", encoding="utf-8")
    run = Run(tmp_path, work())
    assert run.result() == {"nodes": 20, "edges": 2, "rows": 22, "train": 2, "valid": 0, "test": 0, "removed": 0, "added": 20}
    assert Graph.load(bucket / "out" / "graph").target.task is Task.LINK_PREDICT
    reason, = run.outcome["result"]["warnings"]
    assert reason.startswith(f"there is no file '{CONFIGURATION}' at s3://bucket/export, and nothing says what is to be predicted")
    assert f"written to s3://bucket/out/export/{CONFIGURATION}" in reason
    assert reason.endswith("Then start data processing with the input s3://bucket/out/export")
    assert [path.name for path in run.folder.iterdir() if path.is_dir()] == [], "nothing is left in the run's folder"
    document = json.loads((bucket / "out" / "export" / CONFIGURATION).read_bytes())
    entry = document["graph"]["nodes"][0]
    assert '"labels": [{"label":["colour","classification"]}]' in reason
    entry["labels"] = [{"label": ["colour", "classification"]}]
    entry["features"] = [feature for feature in entry["features"] if feature["feature"][0] != "colour"]
    (bucket / "out" / "export" / CONFIGURATION).write_text(json.dumps(document), encoding="utf-8")
    again = Run(tmp_path, work(input="s3://bucket/out/export", output="s3://bucket/second"))
    assert again.result() == {"nodes": 20, "edges": 2, "rows": 22, "train": 18, "valid": 2, "test": 0, "removed": 0, "added": 20}


def test_files_without_a_configuration_and_without_edges_need_a_label(tmp_path: Path, bucket: Path) -> None:
    shutil.rmtree(bucket / "export")
    (bucket / "export").mkdir()
    nodes = "~id,~label,colour\n" + "".join(f"{i},item,c{i % 2}\n" for i in range(20))
    (bucket / "export" / "n.csv").write_text(nodes, encoding="utf-8")
    run = Run(tmp_path, work())
    assert run.outcome["failure_reason"].startswith(f"MissingLabels: there is no file '{CONFIGURATION}' at s3://bucket/export")
    assert (bucket / "out" / "export" / CONFIGURATION).is_file()
    assert not (bucket / "out" / "graph").exists()


def test_rdf_becomes_a_processed_graph(tmp_path: Path, bucket: Path) -> None:
    kind = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
    (bucket / "export" / "s.nt").write_text("".join(
        f'<http://e/{i}> {kind} <http://e/Item> .\n<http://e/{i}> <http://e/colour> "{"red" if i % 2 else "blue"}" .\n'
        f"<http://e/{i}> <http://e/next> <http://e/{(i + 1) % 20}> .\n" for i in range(20)), encoding="utf-8")
    label = {"task_type": "classification", "targets": [{"node": "http://e/Item", "split_rate": [0.8, 0.1, 0.1]}]}
    (bucket / "export" / CONFIGURATION).write_text(json.dumps(
        {"query_engine": "sparql", "graph": {"rdfs": [{"file_name": "s.nt", "label": label}]}}), encoding="utf-8")
    run = Run(tmp_path, work())
    assert run.result() == {"nodes": 20, "edges": 20, "rows": 40, "train": 16, "valid": 2, "test": 2, "removed": 0, "added": 20}
    assert b"20 nodes of 1 types, 20 edges, 0 literals, 20 labels" in run.process.stderr
    estimate = run.outcome["result"]["estimate"]
    assert (estimate["files"], estimate["inputBytes"]) == (1, (bucket / "export" / "s.nt").stat().st_size)
    assert sorted(path.name for path in run.folder.iterdir()) == ["result.json", "spec.json"], "nothing is left in the run's folder"


def test_our_own_faults_are_told_too(tmp_path: Path) -> None:
    run = Run(tmp_path, "{}")
    assert run.process.returncode == 1
    assert run.outcome["failure_reason"].startswith("InternalError: ValidationError: ")
    assert "Traceback" in run.process.stderr.decode()


def test_work_of_a_newer_version_is_not_done_as_if_it_were_older(tmp_path: Path, bucket: Path) -> None:
    run = Run(tmp_path, json.dumps({"run_id": "r", "nice": 3, "work": work(colour="red")}))
    assert run.outcome["failure_reason"].startswith("spec.json has nice, work.colour, which this version of Despina does not know")
    assert not (bucket / "out").exists()


def test_processing_imports_no_torch(tmp_path: Path, bucket: Path) -> None:
    script = "import sys; from despina.programs.__main__ import main; main(['spec.json']); sys.exit('torch' in sys.modules)"
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps({"run_id": "r", "work": work()}), encoding="utf-8")
    status = subprocess.run([sys.executable, "-c", script], cwd=folder, timeout=TIME_LIMIT, check=False, capture_output=True,
                            env=os.environ | {"DESPINA_S3_FOLDER": str(bucket.parent)}).returncode
    assert "result" in json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert status == 0
