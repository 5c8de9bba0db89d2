"""Incremental processing by the program: one job builds on the output of another."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.graph.continuing import CHANGED, NO_EDGES, SINCE, TWO_CHANGES, Json, features, knowing, people, removed
from tests.unit.graph.people import CONFIGURATION, FILES, NODES, write

from despina.artifacts import open_artifacts
from despina.core.errors import ArtifactError
from despina.core.job import ProcessWork
from despina.graph.continuation import ENCODINGS
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import Graph
from despina.programs import process
from despina.programs.context import Context
from despina.programs.processed import GRAPH
from despina.programs.report import FILE


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands in for the bucket."""
    monkeypatch.setenv("DESPINA_S3_FOLDER", str(tmp_path / "s3"))
    return tmp_path / "s3" / "bucket"


@pytest.fixture
def run(bucket: Path, tmp_path: Path) -> Callable[..., Json]:
    """Processes the folder ``of`` the bucket into another, of its own name if there is none. Gives the result."""
    def run(of: str, *, previous: str | None = None, output: str = "") -> Json:
        (tmp_path / "run").mkdir(exist_ok=True)
        work = ProcessWork(input=f"s3://bucket/{of}", output=f"s3://bucket/out-{output or of}", config_file_name=CONFIGURATION,
                           previous=None if previous is None else f"s3://bucket/out-{previous}")
        result = process.run(work, Context(folder=tmp_path / "run", store=open_artifacts()))
        assert list((tmp_path / "run").iterdir()) == []
        return result

    return run


def test_the_program_continues_an_earlier_output(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    first = run("one")
    assert (first["nodes"], first["removed"], first["added"]) == (6, 0, 6)
    write(bucket / "two", {}, CHANGED | knowing("g a 1", "a b 2"))
    second = run("two", previous="one")
    del second["estimate"]
    assert second == {"nodes": 5, "removed": 3, "added": 2, "edges": 2, "rows": 7, "train": 2, "valid": 1, "test": 1,
                      "warnings": ()}
    output = bucket / "out-two"
    info = pickle.loads((output / "info.pkl").read_bytes())
    assert info["node_id_map"] == {"person": {"a": 0, "b": 1, "c": 2, "g": 6, "h": 7}}
    assert info["label_map"] == {"person": {0: "x", 1: "y", 2: "a"}}
    assert info["node_counts"].tolist() == [8]
    graph = Graph.load(output / GRAPH)
    assert graph.index_by_id("person") == info["node_id_map"]["person"]
    assert removed(graph) == {"person": [3, 4, 5]}
    assert features(graph)[3:] == [[0] * 4] * 3 + [[1.5, 1, 0, 0], [0.5, 0, 0, 0]]
    encodings = [json.loads((bucket / name / ENCODINGS).read_bytes()) for name in ("out-one", "out-two")]
    assert encodings[1] == encodings[0] | {"classes": ["x", "y", "a"]}
    report = json.loads((output / FILE).read_bytes())
    assert report["added_nodes"] == 2
    assert [(entry["count"], entry["removed"], entry["rows"]) for entry in report["nodes"]] == [(5, 3, 5)]


def test_the_program_brings_back_what_was_gone(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    write(bucket / "two", {}, CHANGED | NO_EDGES)
    write(bucket / "three", {}, {NODES: FILES[NODES] + '"g","person",60,"Cork",,"y"\n'})
    run("one")
    run("two", previous="one")
    third = run("three", previous="two")
    assert (third["nodes"], third["removed"]) == (7, 1)
    assert pickle.loads((bucket / "out-three" / "info.pkl").read_bytes())["node_id_map"] == {
        "person": {name: index for index, name in enumerate("abcdefg")}}
    assert features(Graph.load(bucket / "out-three" / GRAPH))[:6] == features(Graph.load(bucket / "out-one" / GRAPH))


def test_an_export_without_a_configuration_takes_that_of_the_job_before(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one", {"graph.nodes.0.features.1": None})
    write(bucket / "two", {}, CHANGED | NO_EDGES)
    write(bucket / "three")
    for name in ("two", "three"):
        (bucket / name / CONFIGURATION).unlink()
    run("one")
    note = "there is no file 'training-data-configuration.json' at s3://bucket/{}; that of the earlier job was taken"
    for name, previous in (("two", "one"), ("three", "two")):
        assert run(name, previous=previous)["warnings"] == (note.format(name),)
        output = bucket / f"out-{name}"
        assert Graph.load(output / GRAPH).features["person"].columns == {"age": (0, 1)}
        assert (output / CONFIGURATION).read_bytes() == (bucket / "one" / CONFIGURATION).read_bytes()
        assert json.loads((output / FILE).read_bytes())["warnings"] == [note.format(name)]


def test_a_job_may_write_where_the_one_before_it_wrote(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    write(bucket / "two", {}, CHANGED | NO_EDGES)
    run("one")
    result = run("two", previous="one", output="one")
    assert (result["removed"], result["added"]) == (3, 2)
    assert Graph.load(bucket / "out-one" / GRAPH).index_by_id("person") == {"a": 0, "b": 1, "c": 2, "g": 6, "h": 7}


@pytest.mark.parametrize("file", [ENCODINGS, f"{GRAPH}/graph.json", f"{GRAPH}/node-0-ids.npy", CONFIGURATION])
def test_an_earlier_output_that_was_deleted_in_part(run: Callable[..., Json], bucket: Path, file: str) -> None:
    write(bucket / "one")
    run("one")
    (bucket / "out-one" / file).unlink()
    with pytest.raises(InputFault) as caught:
        run("one", previous="one", output="two")
    finding, = caught.value.findings
    assert finding.name is Fault.MISSING_FILE
    assert finding.text == (f"the output of the earlier job has no file {Path(file).name}; it may have been deleted, and this job "
                            "cannot build on it")
    assert [path.name for path in (bucket / "out-two").iterdir()] == [FILE]


def test_an_earlier_output_that_was_deleted(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    with pytest.raises(ArtifactError, match=r"^s3://bucket/out-zero does not exist"):
        run("one", previous="zero")
    assert not (bucket / "out-one").exists()


def test_an_earlier_output_in_a_form_that_is_not_known(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    run("one")
    (bucket / "out-one" / ENCODINGS).write_text('{"nodes": {}}', encoding="utf-8")
    with pytest.raises(InputFault) as caught:
        run("one", previous="one", output="two")
    assert caught.value.reason.startswith("SchemaChanged: the output of the earlier job is damaged, or of a form")


def test_what_may_not_change_is_the_reason_and_nothing_is_written(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    run("one")
    write(bucket / "two", TWO_CHANGES)
    with pytest.raises(InputFault) as caught:
        run("two", previous="one")
    assert caught.value.reason.startswith("SchemaChanged: the node type 'person' has the feature 'since', and in the data-process")
    assert caught.value.reason.endswith("(1 more finding in processing-report.json)")
    report = json.loads((bucket / "out-two" / FILE).read_bytes())
    assert [finding["name"] for finding in report["findings"]] == ["SchemaChanged"] * 2
    assert [path.name for path in (bucket / "out-two").iterdir()] == [FILE]


def test_one_class_is_enough_when_there_were_others_before(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    run("one")
    write(bucket / "two", {}, people("a - - x", "b - - x", "g - - x") | NO_EDGES)
    assert run("two", previous="one")["train"] == 2
    assert Graph.load(bucket / "out-two" / GRAPH).target.classes == ("x", "y")
    with pytest.raises(InputFault, match="all labels are 'x'; a classification needs at least two classes"):
        run("two", output="alone")


def test_what_was_gone_before_is_not_lost_again(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    write(bucket / "two", {}, CHANGED | NO_EDGES)
    write(bucket / "three", {}, people("a 80 Bonn x", "d 20 Cork y", "g 0 - x") | NO_EDGES)
    run("one")
    assert run("two", previous="one")["removed"] == 3, "d, e and f"
    third = run("three", previous="two")
    assert (third["nodes"], third["removed"], third["added"]) == (3, 3, 0), "b, c and h are lost, and d is back"
    assert removed(Graph.load(bucket / "out-three" / GRAPH)) == {"person": [1, 2, 4, 5, 7]}


def test_a_configuration_that_lacks_an_imputer_is_served_by_the_earlier_one(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    write(bucket / "two", {"graph.nodes.0.features.0.imputer": None})
    run("one")
    second = run("two", previous="one")
    assert (second["nodes"], second["warnings"]) == (6, ())
    assert second["estimate"]["nodeTypes"] == [{"name": "person", "count": 6, "width": 4}]


def test_a_feature_of_another_type_is_a_warning(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one", {"graph.nodes.0.features.0": {"feature": ["age", "age", "category"]}})
    write(bucket / "two")
    run("one")
    warning, = run("two", previous="one")["warnings"]
    assert warning == "the feature 'age' of node type 'person' is numerical here, and is encoded as category, as in the earlier job"
    graphs = [Graph.load(bucket / f"out-{name}" / GRAPH) for name in ("one", "two")]
    assert features(graphs[0]) == features(graphs[1])
    report = json.loads((bucket / "out-two" / FILE).read_bytes())
    assert report["warnings"] == [warning]
    assert report["nodes"][0]["features"][0]["type"] == "numerical", "as configured"


def test_a_changed_schema_is_told_before_anything_is_looked_at(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    run("one")
    write(bucket / "two", {"graph.nodes.0.features.2": SINCE}, {NODES: "~id\n"})
    with pytest.raises(InputFault) as caught:
        run("two", previous="one")
    assert caught.value.findings[0].name is Fault.SCHEMA_CHANGED


def bulk(folder: Path, nodes: str, edges: str) -> None:
    """Write files in the form of the bulk loader, without a configuration."""
    folder.mkdir(parents=True)
    (folder / "n.csv").write_text(f"~id,~label,size:Int,colour\n{nodes}")
    (folder / "e.csv").write_text(f"~id,~from,~to,~label\n{edges}")


def test_files_of_the_bulk_loader_are_sorted_again(run: Callable[..., Json], bucket: Path) -> None:
    bulk(bucket / "one", "a,item,1,red\nb,item,2,blue\nc,item,3,red\ns,shop,4,\n", "1,a,b,near\n2,b,a,near\n3,b,a,far\n")
    run("one")
    bulk(bucket / "two", "c,item,3,red\nd,item,9,blue\na,item,1,red\nx,town,5,\n", "1,a,d,near\n2,x,a,has\n")
    (bucket / "two" / "stats.json").write_text("{}")
    second = run("two", previous="one")
    assert {name: second[name] for name in ("nodes", "edges", "added", "removed")} == {
        "nodes": 3, "edges": 1, "added": 1, "removed": 2}
    sentence = ("there is no file '{}' at s3://bucket/{}; that of the earlier job was taken, and the CSV files were sorted by type "
                "for it")
    left_out = ", which leaves out edges/%28town%29-has-%28item%29.csv, nodes/town.csv"
    assert second["warnings"] == (sentence.format(CONFIGURATION, "two") + left_out,)
    graph = Graph.load(bucket / "out-two" / GRAPH)
    assert graph.node_ids == {"item": list("abcd"), "shop": ["s"]}
    assert removed(graph) == {"item": [1], "shop": [0]}
    assert set(graph.edges) == set(Graph.load(bucket / "out-one" / GRAPH).edges)
    assert not (bucket / "out-two" / "export").exists()
    bulk(bucket / "three", "s,shop,4,\na,item,1,red\nb,item,2,blue\n", "1,a,b,near\n")
    third = run("three", previous="two")
    assert (third["nodes"], third["removed"], third["added"]) == (3, 2, 0)
    assert third["warnings"] == (sentence.format(CONFIGURATION, "three"),)


def test_files_that_the_earlier_configuration_does_not_name_are_missing(run: Callable[..., Json], bucket: Path) -> None:
    write(bucket / "one")
    run("one")
    bulk(bucket / "two", "a,item,1,red\n", "1,a,a,near\n")
    with pytest.raises(InputFault) as caught:
        run("two", previous="one")
    assert [finding.name for finding in caught.value.findings] == [Fault.MISSING_FILE] * 2
