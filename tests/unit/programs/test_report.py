"""``processing-report.json``: what is in it of exports that are used, and of those that cannot be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.graph.people import CONFIGURATION, EDGES, FILES, NODES, write

from despina.artifacts import open_artifacts
from despina.core.job import ProcessWork
from despina.graph.faults import InputFault
from despina.graph.features.word_vectors import SETTING
from despina.graph.matrix import DROPPED, NOTHING_VARIES
from despina.programs import process
from despina.programs.context import Context
from despina.programs.report import FILE

Json = dict[str, Any]
SPLIT = {"train": "train.csv", "valid": "valid.csv", "test": "test.csv"}
CLASSES = {"graph.nodes.0.labels.0": {"label": ["group", "classification"], "custom_split_filenames": SPLIT}}
KNOWS = ["person", "knows", "person"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands in for the bucket."""
    monkeypatch.setenv("DESPINA_S3_FOLDER", str(tmp_path / "s3"))
    monkeypatch.delenv(SETTING, raising=False)
    return tmp_path / "s3" / "bucket"


@pytest.fixture
def run(store: Path, tmp_path: Path) -> Callable[..., Json]:
    """Processes the export of the people with changes. Gives the result, and the report beside it as ``report``."""
    def run(changes: Json | None = None, files: dict[str, str] | None = None, *, output: str = "out",
            previous: str | None = None) -> Json:
        write(store / "export", changes, files)
        (tmp_path / "run").mkdir(exist_ok=True)
        work = ProcessWork(input="s3://bucket/export", output=f"s3://bucket/{output}", config_file_name=CONFIGURATION,
                           previous=None if previous is None else f"s3://bucket/{previous}")
        result = process.run(work, Context(folder=tmp_path / "run", store=open_artifacts()))
        assert list((tmp_path / "run").iterdir()) == []
        return result | {"report": json.loads((store / output / FILE).read_bytes())}

    return run


def features(report: Json, kind: str = "nodes") -> dict[str, Json]:
    """The features of the first type, by name."""
    return {feature.pop("name"): feature for feature in report[kind][0]["features"]}


def test_the_report_of_an_export(run: Callable[..., Json]) -> None:
    result = run(CLASSES)
    report = result["report"]
    assert report.pop("estimate") == json.loads(json.dumps(result["estimate"]))
    assert set(report.pop("seconds")) == {"read", "write"}
    assert report.pop("peak_memory_bytes") > 10_000_000
    assert report == {
        "status": "Completed", "task": "node_class", "property": "group", "dropped_rows": 0, "added_nodes": 6, "warnings": [],
        "nodes": [{"type": "person", "count": 6, "rows": 6, "removed": 0, "sparse": False, "features": [
            {"name": "age", "type": "numerical", "width": 1, "missing": 1},
            {"name": "town", "type": "category", "width": 3, "missing": 1}]}],
        "edges": [{"type": KNOWS, "count": 4, "rows": 4, "removed": 0, "sparse": False, "features": [
            {"name": "weight", "type": "numerical", "width": 1}]}],
        "labels": [{"type": "person", "parts": {"train": 2, "valid": 1, "test": 1, "unlabelled": 1}, "classes": {
            "train": {"x": 1, "y": 1}, "valid": {"x": 1, "y": 0}, "test": {"x": 0, "y": 1}}}]}


def test_rows_without_content_are_counted(run: Callable[..., Json]) -> None:
    nodes = FILES[NODES].replace('"b","person"', ',,,,,\n"","","","","",""\n\n"b","person"') + "\n\n,,,,,"
    edges = FILES[EDGES].replace('"3","knows"', ',,,,,,\n\n"3","knows"')
    report = run(files={NODES: nodes, EDGES: edges})["report"]
    assert report["dropped_rows"] == 3 + 3 + 2
    assert [(entry["count"], entry["rows"]) for kind in ("nodes", "edges") for entry in report[kind]] == [(6, 6), (4, 4)]


AUTO = "~id,when,size,few,text,same,own,none,tags,vector\n" + "".join(
    f"n{i},200{i % 3}-01-01,{i}.5,{i % 3},two or three words {i % 7},same,id{i},,a;b{i % 12},{i};{i * i}\n" for i in range(40))


def test_it_says_what_auto_features_were_taken_for(run: Callable[..., Json]) -> None:
    names = AUTO.split("\n", 1)[0].split(",")[1:]
    listed = [{"feature": [name, name, "auto"], **({"separator": ";"} if name in ("tags", "vector") else {})} for name in names]
    listed += [{"feature": ["own", "kept", "none"]}, {"feature": ["when", "once", "datetime"], "datetime_parts": ["hour"]}]
    things = {"file_name": "things.csv", "node": ["~id", "thing"], "features": listed}
    report = run({"graph.nodes.1": things}, {"things.csv": AUTO})["report"]
    assert [(entry["type"], entry["sparse"]) for entry in report["nodes"]] == [("person", False), ("thing", True)]
    found = {feature.pop("name"): feature for feature in report["nodes"][1]["features"]}
    assert found == {
        "when": {"type": "auto", "inferred": "datetime", "width": 3 + 7},
        "size": {"type": "auto", "inferred": "numerical", "width": 1},
        "few": {"type": "auto", "inferred": "category", "width": 3},
        "text": {"type": "auto", "inferred": "text_tfidf", "width": 11},
        "same": {"type": "auto", "inferred": "category", "width": 1}, "own": {"type": "auto", "width": 0, "dropped": DROPPED},
        "none": {"type": "auto", "width": 0, "dropped": DROPPED, "missing": 40},
        "tags": {"type": "auto", "inferred": "category", "width": 13},
        "vector": {"type": "auto", "inferred": "numerical", "width": 2}, "kept": {"type": "none", "width": 0},
        "once": {"type": "datetime", "width": 0, "dropped": NOTHING_VARIES}}


def test_features_of_several_files_are_those_of_their_type(run: Callable[..., Json]) -> None:
    more = {"file_name": "more.csv", "node": ["~id", "person"], "features": [{"feature": ["height", "height", "numerical"],
                                                                             "imputer": "mean"}]}
    report = run({"graph.nodes.1": more}, {"more.csv": "~id,height\ng,1.8\nh,1.6\n,\n"})["report"]
    entry, = report["nodes"]
    assert (entry["count"], entry["rows"], report["dropped_rows"], report["added_nodes"]) == (8, 8, 1, 8)
    assert {name: feature["width"] for name, feature in features(report).items()} == {"age": 1, "town": 3, "height": 1}


def test_relations_from_a_column_are_types_of_their_own(run: Callable[..., Json]) -> None:
    edges = FILES[EDGES].replace('"2","knows"', '"2","likes"')
    report = run({"graph.edges.0.relation": ["~label", ""]}, {EDGES: edges})["report"]
    assert [(entry["type"], entry["count"], entry["rows"], entry["features"]) for entry in report["edges"]] == [
        (["person", name, "person"], count, count, [{"name": "weight", "type": "numerical", "width": 1}])
        for name, count in (("knows", 3), ("likes", 1))]


def test_nodes_that_edges_name_have_no_rows(run: Callable[..., Json]) -> None:
    report = run({"graph.edges.0.dest": ["~to", "friend"]})["report"]
    assert [(entry["type"], entry["count"], entry["rows"]) for entry in report["nodes"]] == [("person", 6, 6), ("friend", 3, 0)]
    assert report["nodes"][1]["features"] == []
    assert report["added_nodes"] == 9


def test_what_has_several_labels_counts_in_each_of_its_classes(run: Callable[..., Json]) -> None:
    label = {"label": ["group", "classification"], "separator": ";", "custom_split_filenames": SPLIT}
    report = run({"graph.nodes.0.labels.0": label}, {NODES: FILES[NODES].replace('"x"', '"x;z"')})["report"]
    assert report["labels"] == [{"type": "person", "parts": {"train": 2, "valid": 1, "test": 1, "unlabelled": 1}, "classes": {
        "train": {"x": 1, "y": 1, "z": 1}, "valid": {"x": 1, "y": 0, "z": 1}, "test": {"x": 0, "y": 1, "z": 0}}}]


def test_numbers_to_be_predicted_have_a_range_in_each_part(run: Callable[..., Json]) -> None:
    label = {"label": ["age", "regression"], "custom_split_filenames": SPLIT}
    report = run({"graph.nodes.0.labels.0": label, "graph.nodes.0.features": []},
                 {"train.csv": "~id\na\nb\nf\n", "valid.csv": "~id\nd\ne\n", "test.csv": "~id\n"})["report"]
    assert (report["task"], report["property"]) == ("node_regression", "age")
    # The ages are 30, 40, 60 and none, 20 and 50; the test part has nobody.
    assert report["labels"] == [{"type": "person", "parts": {"train": 3, "valid": 2, "test": 0, "unlabelled": 1}, "values": {
        "train": {"min": 30.0, "mean": pytest.approx(130 / 3, rel=1e-6), "max": 60.0},
        "valid": {"min": 20.0, "mean": 35.0, "max": 50.0}}}]


ON_EDGES: Json = {"graph.nodes.0.labels": [], "graph.edges.0.features": []}


def test_labels_of_edges(run: Callable[..., Json]) -> None:
    label = {"label": ["weight", "regression"], "split_rate": [1, 0, 0]}
    report = run({**ON_EDGES, "graph.edges.0.labels": [label]})["report"]
    assert (report["task"], report["property"]) == ("edge_regression", "weight")
    assert report["labels"] == [{"type": KNOWS, "parts": {"train": 4, "valid": 0, "test": 0, "unlabelled": 0},
                                 "values": {"train": {"min": 1.5, "mean": 3.0, "max": 4.5}}}]
    edges = FILES[EDGES].replace("1.5", "weak").replace("2.5", "").replace("3.5", "strong").replace("4.5", "strong")
    label = {"label": ["weight", "classification"], "split_rate": [1, 0, 0]}
    report = run({**ON_EDGES, "graph.edges.0.labels": [label]}, {EDGES: edges})["report"]
    assert report["task"] == "edge_class"
    nothing = {"strong": 0, "weak": 0}
    assert report["labels"] == [{"type": KNOWS, "parts": {"train": 3, "valid": 0, "test": 0, "unlabelled": 1},
                                 "classes": {"train": {"strong": 2, "weak": 1}, "valid": nothing, "test": nothing}}]


def test_links_have_parts_but_no_labels(run: Callable[..., Json]) -> None:
    label = {"label": ["", "link_prediction"], "split_rate": [0.5, 0.25, 0.25]}
    report = run({"graph.nodes.0.labels": [], "graph.edges.0.labels": [label]})["report"]
    assert (report["task"], report["property"]) == ("link_predict", "")
    assert report["labels"] == [{"type": KNOWS, "parts": {"train": 2, "valid": 1, "test": 1}}]


def test_warnings_are_those_of_the_exporter_and_of_leaks(run: Callable[..., Json]) -> None:
    nodes = FILES[NODES].replace("since,group", "since,group,rank").replace('"x"', '"x",1').replace('"y"', '"y",2').replace(
        "Z,\n", "Z,,1\n")
    changes = {"graph.nodes.0.features.2": {"feature": ["rank", "rank", "auto"]}, "warnings": ["3 nodes were left out"]}
    result = run(changes, {NODES: nodes})
    assert result["report"]["warnings"] == list(result["warnings"])
    exporters, leak = result["warnings"]
    assert exporters == "3 nodes were left out"
    assert leak.startswith("the feature 'rank' (column 'rank') determines the label 'group' of all labelled rows of person")


def test_nodes_that_came_and_went_are_counted(run: Callable[..., Json]) -> None:
    assert run(CLASSES, output="first")["report"]["nodes"][0]["removed"] == 0
    nodes = FILES[NODES].replace('"f","person",60,', '"g","person",60,') + '"h","person",1,,,\n'
    edges = FILES[EDGES].replace('"f","e"', '"g","e"')
    result = run(CLASSES, {NODES: nodes, EDGES: edges}, previous="first")
    entry, = result["report"]["nodes"]
    assert (entry["count"], entry["removed"], entry["rows"], result["report"]["added_nodes"]) == (7, 1, 7, 2)
    assert (result["nodes"], result["removed"], result["added"]) == (7, 1, 2)
    assert [feature["width"] for feature in entry["features"]] == [1, 3], "encoded as before"


def test_an_earlier_report_is_replaced(run: Callable[..., Json], store: Path) -> None:
    assert run()["report"]["status"] == "Completed"
    with pytest.raises(InputFault):
        run(files={EDGES: FILES[EDGES].replace('"b","a"', '"b","z"')})
    assert json.loads((store / "out" / FILE).read_bytes())["status"] == "Failed"


# Exports that cannot be used


@pytest.fixture
def fail(run: Callable[..., Json], store: Path) -> Callable[..., list[Json]]:
    """Processes an export that cannot be used. Gives the findings, and asserts that nothing else is left."""
    def fail(changes: Json | None = None, files: dict[str, str] | None = None) -> list[Json]:
        with pytest.raises(InputFault) as caught:
            run(changes, files)
        assert [path.name for path in (store / "out").iterdir()] == [FILE], "a report is all that is written"
        report = json.loads((store / "out" / FILE).read_bytes())
        assert set(report) == {"status", "findings"}
        assert report["status"] == "Failed"
        found: list[Json] = report["findings"]
        first, more = found[0], len(found) - 1
        also = f" ({more} more finding{'s' * (more > 1)} in {FILE})" if more else ""
        assert caught.value.reason == f"{first['name']}: {first['text']}{also}"
        return found

    return fail


def places(findings: list[Json]) -> set[tuple[str, str | None, int | None, str | None, str | None]]:
    keys = [(finding["name"], finding.get("file"), finding.get("line"), finding.get("column"), finding.get("value"))
            for finding in findings]
    assert len(set(keys)) == len(keys), "nothing is told twice"
    return set(keys)


def test_what_is_wrong_in_several_files_is_told_in_one_report(fail: Callable[..., list[Json]]) -> None:
    nodes = FILES[NODES].replace("30", "thirty").replace("50", "1e999")
    edges = FILES[EDGES].replace('"a","b"', '"a","z"').replace("3.5", "heavy").replace('"f","e"', '"f","y"')
    found = fail(files={NODES: nodes, EDGES: edges})
    assert places(found) == {
        ("InvalidNumber", NODES, 2, "age", "thirty"), ("InvalidNumber", NODES, 6, "age", "1e999"),
        ("InvalidNumber", EDGES, 4, "weight", "heavy"), ("DanglingEdge", EDGES, 2, "~to", "z"),
        ("DanglingEdge", EDGES, 5, "~to", "y")}
    texts = {(finding["line"], finding["column"]): finding["text"] for finding in found}
    assert texts[2, "age"] == f"{NODES}, line 2, column 'age': 'thirty' is not a finite number"
    assert texts[2, "~to"] == f"{EDGES}, line 2, column '~to': 'z' is the id of no node of type 'person' in {NODES}"


def test_an_edge_without_an_end_is_told(fail: Callable[..., list[Json]]) -> None:
    finding, = fail(files={EDGES: FILES[EDGES].replace('"f","e"', ',"e"')})
    assert finding == {"name": "DanglingEdge", "file": EDGES, "line": 5, "column": "~from", "text": (
        f"{EDGES}, line 5, column '~from': the cell is empty; it must be the id of a node of type 'person'")}


def test_20_findings_are_listed_at_most(fail: Callable[..., list[Json]]) -> None:
    header = FILES[EDGES].split("\n", 1)[0]
    edges = header + "\n" + "".join(f"{i},knows,a,unknown {i},person,person,1\n" for i in range(50))
    found = fail(files={EDGES: edges})
    assert [(finding["line"], finding["value"]) for finding in found] == [(i + 2, f"unknown {i}") for i in range(20)]
    found = fail(files={EDGES: edges, NODES: FILES[NODES].replace("40", "forty")})
    assert len(found) == 20
    assert places(found) >= {("InvalidNumber", NODES, 3, "age", "forty"), ("DanglingEdge", EDGES, 2, "~to", "unknown 0")}


def test_whole_files_that_are_wrong_are_told_together(fail: Callable[..., list[Json]]) -> None:
    second = {"file_name": "gone.csv", "source": ["~from", "person"], "relation": ["", "likes"], "dest": ["~to", "person"]}
    third = {"file_name": "ragged.csv", "source": ["~from", "person"], "relation": ["", "hates"], "dest": ["~to", "person"]}
    found = fail({"graph.edges.1": second, "graph.edges.2": third}, {
        "ragged.csv": "~from,~to\na,b\nc\n", NODES: FILES[NODES].replace("age", "years")})
    assert {(finding["name"], finding["file"], finding.get("line"), finding.get("column")) for finding in found} == {
        ("MissingColumn", NODES, None, "age"), ("MissingFile", "gone.csv", None, None), ("MalformedFile", "ragged.csv", 3, None)}


def test_an_id_that_is_there_twice_is_told_with_bad_numbers(fail: Callable[..., list[Json]]) -> None:
    nodes = FILES[NODES].replace('"d","person",20', '"a","person",old')
    found = fail(files={NODES: nodes})
    assert places(found) >= {("DuplicateId", NODES, 5, "~id", "a"), ("InvalidNumber", NODES, 5, "age", "old")}


def test_values_are_shortened(fail: Callable[..., list[Json]]) -> None:
    finding, = fail(files={NODES: FILES[NODES].replace("30", "9" * 500 + "x")})
    assert finding["value"] == "9" * 100
    assert len(finding["text"]) < 250


def test_a_fault_of_the_configuration_is_the_only_finding(fail: Callable[..., list[Json]]) -> None:
    finding, = fail({"graph.nodes.0.features.0.norm": "max"}, {NODES: FILES[NODES].replace("30", "thirty")})
    assert (finding["name"], finding["file"]) == ("InvalidConfiguration", CONFIGURATION)


def test_the_files_of_a_split_are_told_together(fail: Callable[..., list[Json]]) -> None:
    found = fail(CLASSES, {"train.csv": "~id\nnobody\n", "valid.csv": "id\nc\n", "test.csv": "~id\nd\nd\n"})
    assert found
    assert {finding["file"] for finding in found} <= {"train.csv", "valid.csv", "test.csv"}
