"""CSV files without a configuration become an export with one, which only lacks the label."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from despina.core.errors import WorkFailed
from despina.graph.bulk_load import CONFIGURATION, Candidate, advice, derive, find_bulk_load
from despina.graph.export import Export, read_export
from despina.graph.graph import EdgeType
from despina.graph.schema import read_configuration

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


def derived(folder: Path, files: dict[str, str | bytes]) -> tuple[dict[str, Any], list[Candidate]]:
    """The graph of the configuration that is derived, and the candidates."""
    for name, content in files.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    candidates = derive(*find_bulk_load(folder / "in"), folder / "out")
    document = json.loads((folder / "out" / CONFIGURATION).read_bytes())
    assert (document["version"], document["query_engine"]) == ("v2.0", "gremlin")
    graph: dict[str, Any] = document["graph"]
    return graph, candidates


def read(folder: Path, files: dict[str, str | bytes], label: str = "country") -> Export:
    """The graph, once the user has named the label of the first entry."""
    graph, _ = derived(folder, files)
    entry = graph["nodes"][0]
    entry["features"] = [feature for feature in entry["features"] if feature["feature"][0] != label]
    entry["labels"] = [{"label": [label, "classification"]}]
    configuration = read_configuration(CONFIGURATION, json.dumps({"graph": graph}).encode())
    return read_export(folder / "out", configuration, lambda done, of: None)


def test_rows_are_sorted_by_type(tmp_path: Path) -> None:
    export = read(tmp_path, FILES)
    assert export.graph.node_ids == {"airport": ["a", "b", "c", "d"], "country;place": ["e", "f"], "vertex": ["g"]}
    forward = {kind: csr.indices.tolist() for kind, csr in export.graph.edges.items() if not kind.relation.startswith("rev-")}
    assert forward == {EdgeType("airport", "route", "airport"): [0, 1], EdgeType("airport", "in", "country;place"): [0, 3],
                       EdgeType("vertex", "edge", "country;place"): [0]}
    assert export.graph.target.labels.tolist() == [0, 0, 1, 1]
    assert export.rows == 12


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


def test_nodes_alone_and_long_labels(tmp_path: Path) -> None:
    graph, candidates = derived(tmp_path, {"nodes.csv": f"~id,~label\na,{'x' * 300}1\nb,{'x' * 300}2\n"})
    assert graph["edges"] == []
    assert candidates == []
    assert len({entry["file_name"] for entry in graph["nodes"]}) == 2
    assert all((tmp_path / "out" / entry["file_name"]).is_file() for entry in graph["nodes"])


def test_candidates_have_values_that_recur(tmp_path: Path) -> None:
    _, candidates = derived(tmp_path, FILES | {"nodes.csv": NODES.replace(",2,DE", ",1,DE").replace("DDD,,", "DDD,3,")})
    assert candidates.pop() == Candidate(node_type="airport", name="runways", several=False), "words go before numbers"
    assert [(candidate.node_type, candidate.name) for candidate in candidates] == [("airport", "country")]
    text = advice(candidates, "s3://b/out")
    assert 'such as, for \'airport\', "labels": [{"label":["country","classification"]}]' in text
    assert "properties whose values recur are airport.country" in text
    assert "none" in advice([], "s3://b/out")


def test_a_candidate_of_several_values_is_proposed_with_its_separator(tmp_path: Path) -> None:
    _, candidates = derived(tmp_path, {"nodes.csv": "~id,~label,tags:String[]\n" + "a,t,x;y\nb,t,x\nc,t,x;y\nd,t,x\n"})
    assert candidates[0].labels == '"labels": [{"label":["tags","classification"],"separator":";"}]'


@pytest.mark.parametrize(("files", "expected"), [
    ({"edges.csv": EDGES.replace("1,a,b", "1,a,z")},
     "edges.csv, line 2, column '~to': 'z' is the id of no node of type 'vertex' in nodes.csv"),
    ({"edges.csv": EDGES.replace("2,b,c", "2,,c")}, "edges.csv, line 3, column '~from': the cell is empty"),
    ({"more.csv": "~id,~label\na,other\n"}, ": 'a' is the id of another node of type 'vertex' already (more.csv, line 2)"),
    ({"more.csv": "~id,~label\n,other\n"}, "more.csv, line 2, column '~id': the cell is empty; every node must have an id"),
    ({"more.csv": "~id,~label,size:Int,size:Long\nz,other,1,1\n"},
     "more.csv, line 1: the property 'size' is there twice; names must be unique"),
    ({"more.csv": b"\xff\xfe~\x00"}, "more.csv"),
])
def test_what_is_wrong_is_said(tmp_path: Path, files: dict[str, str | bytes], expected: str) -> None:
    with pytest.raises(WorkFailed) as caught:
        derived(tmp_path, FILES | files)
    assert expected in str(caught.value)
