"""CSV files without a configuration become an export with one, which has no label: links are predicted, if there are any."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from despina.core.task import Task
from despina.graph.bulk_load import CONFIGURATION, Candidate, Derived, advice, derive, find_bulk_load
from despina.graph.faults import Fault, InputFault
from despina.graph.schema import ExportConfiguration, read_configuration

NODES = """\
~id,~label,code:String,runways:Int,country:String(single),tags:String[],built:Date
a,airport,AAA,1,DE,x;y,2001-01-01
b,airport,BBB,2,DE,x,2002-01-01T00:00:00Z
c,airport,CCC,3,FR,"x\\;y",
d,airport,DDD,,FR,,
e,place;country,EEE,,,,
f,country::place,FFF,,,,
g,,,,,,
"""
EDGES = """\
~id,~from,~to,~label,dist:Double
1,a,b,route,10
2,b,c,route,20.5
3,a,e,in,
4,d,f,in,
5,g,e,,
"""
FILES: dict[str, str | bytes] = {"nodes.csv": NODES, "edges.csv": EDGES}


def derived(folder: Path, files: dict[str, str | bytes]) -> tuple[dict[str, Any], Derived]:
    """The graph of the configuration that is derived, and what is told beside it."""
    for name, content in files.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    made = derive(*find_bulk_load(folder / "in"), folder / "out")
    assert made.folder == folder / "out"
    document = json.loads((made.folder / CONFIGURATION).read_bytes())
    assert (document["version"], document["query_engine"]) == ("v2.0", "gremlin")
    graph: dict[str, Any] = document["graph"]
    return graph, made


def configured(made: Derived) -> ExportConfiguration:
    return read_configuration(CONFIGURATION, (made.folder / CONFIGURATION).read_bytes())


def rows(made: Derived, name: str) -> list[str]:
    return (made.folder / name).read_text(encoding="utf-8").splitlines()


def test_rows_are_sorted_by_type(tmp_path: Path) -> None:
    graph, made = derived(tmp_path, FILES)
    assert {entry["node"][1]: [row.split(",")[0] for row in rows(made, entry["file_name"])[1:]] for entry in graph["nodes"]} == {
        "airport": ["a", "b", "c", "d"], "country;place": ["e", "f"], "vertex": ["g"]}
    assert {(entry["source"][1], entry["relation"][1], entry["dest"][1]): rows(made, entry["file_name"]) for entry in
            graph["edges"]} == {
        ("airport", "route", "airport"): ["~label,~from,~to,dist", "route,a,b,10", "route,b,c,20.5"],
        ("airport", "in", "country;place"): ["~label,~from,~to", "in,a,e", "in,d,f"],
        ("vertex", "edge", "country;place"): ["~label,~from,~to", "edge,g,e"]}


def test_links_are_predicted(tmp_path: Path) -> None:
    _, made = derived(tmp_path, FILES)
    assert made.links
    configuration = configured(made)
    assert configuration.target.task is Task.LINK_PREDICT
    assert [edge.label for edge in configuration.edges] == [configuration.target] * 3


def test_what_is_derived_can_be_given_a_label(tmp_path: Path) -> None:
    graph, made = derived(tmp_path, FILES)
    airport = graph["nodes"][0]
    airport["features"] = [feature for feature in airport["features"] if feature["feature"][0] != "country"]
    airport |= json.loads(f"{{{made.candidates[0].labels}}}")
    configuration = read_configuration(CONFIGURATION, json.dumps({"graph": graph}).encode())
    assert (configuration.target.task, configuration.target.column) == (Task.NODE_CLASS, "country")
    assert configuration.nodes[0].label == configuration.target


def test_features_follow_the_declared_types(tmp_path: Path) -> None:
    graph, _ = derived(tmp_path, FILES)
    airport, place, vertex = graph["nodes"]
    assert airport == {"file_name": "nodes/airport.csv", "separator": ",", "node": ["~id", "airport"], "features": [
        {"feature": ["code", "code", "auto"]},
        {"feature": ["runways", "runways", "numerical"], "norm": "min-max", "imputer": "median"},
        {"feature": ["country", "country", "auto"]},
        {"feature": ["tags", "tags", "auto"], "separator": ";"},
        {"feature": ["built", "built", "datetime"], "datetime_parts": ["year", "month", "weekday", "hour"]}]}
    assert (place["node"], place["features"]) == (["~id", "country;place"], [{"feature": ["code", "code", "auto"]}])
    assert (vertex["file_name"], vertex["features"]) == ("nodes/vertex.csv", [])
    assert graph["edges"][0] == {
        "file_name": "edges/%28airport%29-route-%28airport%29.csv", "separator": ",", "source": ["~from", "airport"],
        "relation": ["", "route"], "dest": ["~to", "airport"],
        "features": [{"feature": ["dist", "dist", "numerical"], "norm": "min-max", "imputer": "median"}]}
    assert graph["edges"][1]["features"] == []


def test_several_files_are_one_graph(tmp_path: Path) -> None:
    parts: dict[str, str | bytes] = {
        "a/one.csv": "~id,~label,size:Int\na,item,1\n",
        "a/two.csv.gz": gzip.compress(b"size:Double,~id,~label,note\n2.5,b,item,n\n"),
        "links.csv": "~from,~to\na,b\n", "readme.csv": "some,other\n1,2\n", "notes.txt": "~id\n"}
    graph, _ = derived(tmp_path, parts)
    assert graph["nodes"] == [{"file_name": "nodes/item.csv", "separator": ",", "node": ["~id", "item"], "features": [
        {"feature": ["size", "size", "auto"]}, {"feature": ["note", "note", "auto"]}]}], "Int here and Double there: not said"
    assert (tmp_path / "out" / "nodes" / "item.csv").read_text(encoding="utf-8") == (
        "~id,~label,size,note\na,item,1,\nb,item,2.5,n\n")
    assert graph["edges"][0]["relation"] == ["", "edge"]


@pytest.mark.parametrize("mark", ["processing-report.json", "training-data-configuration.json", "training-job-configuration.json"])
def test_what_jobs_and_other_exports_left_below_the_folder_is_left_alone(tmp_path: Path, mark: str) -> None:
    files: dict[str, str | bytes] = {
        "nodes/n.csv": "~id\na\n", "edges/2024/e.csv": "~from,~to\na,a\n", "old/n.csv": "~id\nb\n", f"old/{mark}": "{}",
        "old/deeper/n.csv": "~id\nc\n", "deep/old/e.csv": "~from,~to\na,b\n", f"deep/old/{mark}": "{}",
        ".hidden/n.csv": "~id\nd\n", "nodes/.n.csv": "~id\ne\n", "nodes/folder.csv/readme.txt": "", "processing-report.json": "{}"}
    _, made = derived(tmp_path, files)
    assert rows(made, "nodes/vertex.csv") == ["~id,~label", "a,vertex"]
    assert [file.name for found in find_bulk_load(tmp_path / "in") for file in found] == ["nodes/n.csv", "edges/2024/e.csv"]


@pytest.mark.parametrize(("header", "name", "feature"), [
    ("size:Int(single)", "size", {"norm": "min-max", "imputer": "median"}), ("name:String(set)", "name", {}),
    ("tags:string[]", "tags", {"separator": ";"}), ("tags:String(set)[]", "tags", {"separator": ";"}),
    ("tags:String[](set)", "tags", {"separator": ";"}), ("sizes:DOUBLE[]", "sizes", {"separator": ";", "imputer": "median"}),
    (r"a\:b:String", "a:b", {}), (r"a\:int", "a:int", {}), ("note:text", "note:text", {}),
    ("at:DateTime", "at", {"datetime_parts": ["year", "month", "weekday", "hour"]}),
])
def test_headers(tmp_path: Path, header: str, name: str, feature: dict[str, Any]) -> None:
    graph, made = derived(tmp_path, {"nodes.csv": f"~id,{header}\na,1\n"})
    found, = graph["nodes"][0]["features"]
    assert found.pop("feature")[:2] == [name, name]
    assert found == feature
    assert rows(made, "nodes/vertex.csv") == [f"~id,~label,{name}", "a,vertex,1"]


def test_nodes_alone_and_long_labels(tmp_path: Path) -> None:
    graph, made = derived(tmp_path, {"nodes.csv": f"~id,~label\na,{'x' * 300}1\nb,{'x' * 300}2\n"})
    assert graph["edges"] == []
    assert (made.links, made.candidates) == (False, ())
    assert len({entry["file_name"] for entry in graph["nodes"]}) == 2
    assert all((made.folder / entry["file_name"]).is_file() for entry in graph["nodes"])
    with pytest.raises(InputFault) as caught:
        configured(made)
    assert caught.value.findings[0].name is Fault.MISSING_LABELS


def test_edge_files_without_rows_are_no_edges(tmp_path: Path) -> None:
    assert not derived(tmp_path, {"nodes.csv": "~id\na\n", "edges.csv": "~id,~from,~to\n"})[1].links


def test_edges_alone_name_their_nodes(tmp_path: Path) -> None:
    graph, made = derived(tmp_path, {"one.csv": "~from,~to,~label\na,b,knows\n", "two.csv.gz": gzip.compress(b"~from,~to\nb,c\n")})
    assert graph["nodes"] == []
    assert [(entry["source"], entry["relation"], entry["dest"]) for entry in graph["edges"]] == [
        (["~from", "vertex"], ["", "knows"], ["~to", "vertex"]), (["~from", "vertex"], ["", "edge"], ["~to", "vertex"])]
    assert configured(made).target.task is Task.LINK_PREDICT


@pytest.mark.parametrize(("label", "node_type"), [("", "vertex"), (";", "vertex"), ("b;a;b", "a;b"), ("b::a", "a;b"), ("a;", "a")])
def test_types_of_labels(tmp_path: Path, label: str, node_type: str) -> None:
    assert derived(tmp_path, {"nodes.csv": f"~id,~label\nx,{label}\n"})[0]["nodes"][0]["node"] == ["~id", node_type]


def proposed(made: Derived) -> list[tuple[str, str]]:
    return [(str(candidate), candidate.task) for candidate in made.candidates]


def test_candidates_have_values_that_recur_or_are_numbers(tmp_path: Path) -> None:
    nodes = NODES.replace(",2,DE", ",1,DE").replace("DDD,,", "DDD,3,")
    _, made = derived(tmp_path, FILES | {"nodes.csv": nodes})
    assert proposed(made) == [("airport.country", "classification"), ("airport.runways", "classification"),
                              ("airport.runways", "regression"), ("(airport)-route-(airport).dist", "regression")]
    assert made.candidates[0].labels == '"labels": [{"label":["country","classification"]}]'
    assert made.candidates[-1] == Candidate(entries="edges", type="(airport)-route-(airport)", name="dist", task="regression")
    assert made.candidates[-1].labels == '"labels": [{"label":["dist","regression"]}]'


def test_numbers_that_do_not_differ_and_times_are_no_candidates(tmp_path: Path) -> None:
    _, made = derived(tmp_path, {"nodes.csv": "~id,one:Int,at:Date,x:Double[]\n" + "".join(
        f"{i},1,200{i % 2}-01-01,{i};1\n" for i in range(4))})
    assert proposed(made) == []


def test_a_candidate_of_several_values_is_proposed_with_its_separator(tmp_path: Path) -> None:
    _, made = derived(tmp_path, {"nodes.csv": "~id,~label,tags:String[]\n" + "a,t,x;y\nb,t,x\nc,t,x;y\nd,t,x\n"})
    assert made.candidates[0].labels == '"labels": [{"label":["tags","classification"],"separator":";"}]'


def test_advice_beside_link_prediction(tmp_path: Path) -> None:
    _, made = derived(tmp_path, FILES)
    assert advice(made, "s3://b/out") == (
        "nothing says what is to be predicted, so that links are, of all types of edges. A configuration was derived from the CSV "
        "files, which were sorted by type, and written to s3://b/out/training-data-configuration.json. To predict a property "
        "instead, add 'labels' to the entry of the type that has the property, and take the property out of its 'features'; such "
        "as, for 'airport' in 'nodes', \"labels\": [{\"label\":[\"country\",\"classification\"]}]. Properties that could be labels "
        "are for classification airport.country and for regression airport.runways, (airport)-route-(airport).dist. Then start "
        "data processing with the input s3://b/out")


def test_advice_without_edges(tmp_path: Path) -> None:
    _, made = derived(tmp_path, {"nodes.csv": "~id\na\n"})
    assert advice(made, "s3://b/out") == (
        "nothing says what is to be predicted, and there are no edges, whose links could be. A configuration was derived from the "
        "CSV files, which were sorted by type, and written to s3://b/out/training-data-configuration.json. Add 'labels' to the "
        "entry of the type that has the property, and take the property out of its 'features'; such as, for 'TYPE' in 'nodes', "
        '"labels": [{"label":["PROPERTY","classification"]}]. Properties that could be labels are none that their values '
        "tell. Then start data processing with the input s3://b/out")


@pytest.mark.parametrize(("files", "expected", "name"), [
    ({"edges.csv": EDGES.replace("1,a,b", "1,a,z")},
     "edges.csv, line 2, column '~to': 'z' is the id of no node of type 'vertex' in nodes.csv", Fault.DANGLING_EDGE),
    ({"edges.csv": EDGES.replace("2,b,c", "2,,c")}, "edges.csv, line 3, column '~from': the cell is empty", Fault.DANGLING_EDGE),
    ({"more.csv": "~id,~label\na,other\n"},
     "nodes.csv, line 2, column '~id': 'a' is the id of another node of type 'vertex' already (more.csv, line 2)",
     Fault.DUPLICATE_ID),
    ({"more.csv.gz": gzip.compress(NODES.encode())},
     "nodes.csv, line 2, column '~id': 'a' is the id of another node of type 'vertex' already (more.csv.gz, line 2)",
     Fault.DUPLICATE_ID),
    ({"more.csv": "~id,~label\n,other\n"}, "more.csv, line 2, column '~id': the cell is empty; every node must have an id",
     Fault.MISSING_ID),
    ({"more.csv": "~id,~label,size:Int,size:Long\nz,other,1,1\n"},
     "more.csv, line 1: the property 'size' is there twice; names must be unique", Fault.AMBIGUOUS_COLUMN),
    ({"more.csv": b"\xff\xfe~\x00"}, "more.csv", Fault.MALFORMED_FILE),
])
def test_what_is_wrong_is_said(tmp_path: Path, files: dict[str, str | bytes], expected: str, name: Fault) -> None:
    with pytest.raises(InputFault) as caught:
        derived(tmp_path, FILES | files)
    assert expected in str(caught.value)
    assert caught.value.findings[0].name is name
    assert caught.value.findings[0].file
