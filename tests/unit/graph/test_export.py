"""An export becomes the graph it describes, and whatever is wrong with it is said with file, line, column and value."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.graph.people import CONFIGURATION, EDGES, FILES, NODES, read, write

from despina.core.errors import WorkFailed
from despina.graph.export import read_export
from despina.graph.graph import EdgeType
from despina.graph.schema import read_configuration

EXAMPLE = Path(__file__).parents[3] / "examples" / "air-routes"
KNOWS = EdgeType("person", "knows", "person")


def changed(name: str, old: str, new: str) -> dict[str, str]:
    assert old in FILES[name]
    return {name: FILES[name].replace(old, new)}


def test_the_graph_is_what_the_files_say(tmp_path: Path) -> None:
    export = read(write(tmp_path))
    graph = export.graph
    assert export.rows == 10
    assert graph.node_counts == {"person": 6}
    assert graph.node_ids == {"person": list("abcdef")}
    assert graph.feature_columns == {"person": {"age": (0, 1), "town": (1, 4)}}
    # Age scaled to 0..1 with the median 40 for the missing one; Bonn and Cork are equally common, then Delft.
    assert graph.features["person"].tolist() == [[0.25, 1, 0, 0], [0.5, 0, 1, 0], [0.5, 1, 0, 0], [0, 0, 0, 0], [0.75, 0, 1, 0],
                                                 [1, 0, 0, 1]]
    assert set(graph.edges) == {KNOWS, KNOWS.reverse}
    knows, reverse = graph.edges[KNOWS], graph.edges[KNOWS.reverse]
    assert (knows.indptr.tolist(), knows.indices.tolist(), knows.edge_ids.tolist()) == ([0, 2, 3, 3, 3, 4, 4], [1, 2, 0, 5],
                                                                                        [1, 2, 0, 3])
    assert (reverse.indptr.tolist(), reverse.indices.tolist()) == ([0, 1, 2, 3, 3, 3, 4], [1, 0, 0, 4])
    assert graph.edge_features[KNOWS].ravel().tolist() == [1.5, 2.5, 3.5, 4.5]
    assert graph.target.classes == ("x", "y")
    assert graph.target.labels.tolist() == [0, 1, 0, 1, 0, -1]


def test_graph_may_be_a_list_and_several_files_may_share_a_type(tmp_path: Path) -> None:
    header, *rows = FILES[NODES].splitlines(keepends=True)
    files = {NODES: header + "".join(rows[:3]), "nodes/more.csv": header + "".join(rows[3:])}
    parts = [{"nodes": [entry(NODES), entry("nodes/more.csv")]}, {"edges": edges(), "warnings": []}]
    graph = read(write(tmp_path, {"graph": parts}, files)).graph
    assert graph.node_ids == {"person": list("abcdef")}
    assert graph.target.labels.tolist() == [0, 1, 0, 1, 0, -1]


def entry(file_name: str) -> dict[str, Any]:
    return {"file_name": file_name, "node": ["~id", "person"], "labels": [{"label": ["group", "classification"]}]}


def edges() -> list[dict[str, Any]]:
    return [{"file_name": EDGES, "source": ["~from", "person"], "relation": ["", "knows"], "dest": ["~to", "person"]}]


def test_a_url_encoded_file_name_is_found_literally_or_decoded(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / EDGES).rename(folder / "edges" / "(person)-knows-(person).consolidated.csv")
    assert len(read(folder).graph.edges[KNOWS].indices) == 4


def test_type_suffixes_in_headers_are_tolerated(tmp_path: Path) -> None:
    files = changed(NODES, "age,town,since,group", "age:int,town:string[],since:date,group:string")
    graph = read(write(tmp_path, {"graph.nodes.0.labels.0.label.0": "group:string"}, files)).graph
    assert graph.feature_columns["person"] == {"age": (0, 1), "town": (1, 4)}
    assert graph.target.property == "group"


def test_a_relation_column_makes_a_type_of_each_value(tmp_path: Path) -> None:
    rows = FILES[EDGES].splitlines()
    how = ["how", "work", "school", "work", "work"]
    content = "".join(f"{row},{value}\n" for row, value in zip(rows, how, strict=True))
    graph = read(write(tmp_path, {"graph.edges.0.relation": ["how", "knows"]}, {EDGES: content})).graph
    work, school = EdgeType("person", "knows-work", "person"), EdgeType("person", "knows-school", "person")
    assert set(graph.edges) == {work, school, work.reverse, school.reverse}
    assert graph.edge_features[work].ravel().tolist() == [1.5, 3.5, 4.5]
    assert graph.edges[work].indices[graph.edges[work].edge_ids.argsort()].tolist() == [0, 2, 5]


def test_a_type_without_a_file_gets_its_nodes_from_the_edges(tmp_path: Path) -> None:
    graph = read(write(tmp_path, {"graph.edges.0.dest": ["~to", "club"]})).graph
    assert graph.node_counts == {"person": 6, "club": 3}
    assert graph.node_ids["club"] == ["b", "a", "e"]
    assert "club" not in graph.features


def test_rows_without_content_are_left_out(tmp_path: Path) -> None:
    assert read(write(tmp_path, {}, {NODES: FILES[NODES] + "\n\n"})).graph.node_counts == {"person": 6}


def test_raw_features_are_kept_as_they_are(tmp_path: Path) -> None:
    graph = read(write(tmp_path, {"graph.nodes.0.features": [{"feature": ["town", "home", "none"]}]})).graph
    assert graph.raw_features == {"person": {"home": ["Bonn", "Cork", "Bonn", "", "Cork", "Delft"]}}
    assert graph.features == {}


def test_reading_twice_gives_the_same_graph(tmp_path: Path) -> None:
    folder = write(tmp_path)
    first, second = read(folder).graph, read(folder).graph
    assert np.array_equal(first.target.train, second.target.train)
    assert np.array_equal(first.features["person"], second.features["person"])


SPLIT = {"graph.nodes.0.labels.0": {"label": ["group", "classification"], "custom_split_filenames": {
    "train": "train.csv", "validation": "valid.csv", "test": "test.csv"}}}
TWO_RELATIONS = {"graph.edges.1": {"file_name": EDGES, "source": ["~from", "person"], "relation": ["", "rev-knows"],
                                   "dest": ["~to", "person"]}}
BY_RELATION = {"graph.edges.0.relation": ["weight", "knows"], "graph.edges.0.features": []}
VECTOR = {"graph.nodes.0.features.0": {"feature": ["town", "v", "numerical"], "separator": ";"}}

BROKEN: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "no such file": ({"graph.nodes.0.file_name": "nodes/persons.csv"}, {},
                     "nodes/persons.csv: there is no such file in the export (did you mean 'nodes/person.csv'?)"),
    "file outside": ({"graph.nodes.0.file_name": "../secret.csv"}, {}, "../secret.csv: there is no such file in the export"),
    "no such column": ({"graph.nodes.0.features.0.feature.0": "aeg"}, {},
                       f"{NODES}, line 1: there is no column 'aeg' (did you mean 'age'?); the columns are ~id, ~label, age"),
    "column twice": ({}, changed(NODES, "town", "age"), f"{NODES}, line 1: the column 'age' is there 2 times"),
    "not a number": ({}, changed(NODES, ",40,", ",forty,"), f"{NODES}, line 3, column 'age': 'forty' is not a finite number"),
    "NaN": ({}, changed(NODES, ",40,", ",NaN,"), f"{NODES}, line 3, column 'age': 'NaN' is not a finite number"),
    "not a number after a cell of two lines": (
        {}, {NODES: FILES[NODES].replace('"Bonn",2', '"Bo\nnn",2').replace(",40,", ",forty,")},
        f"{NODES}, line 4, column 'age': 'forty'"),
    "not a number after a very long cell": (
        {}, {NODES: FILES[NODES].replace("Bonn", "B" * 200_000, 1).replace(",40,", ",forty,")},
        f"{NODES}, line 3, column 'age': 'forty'"),
    "missing number": ({"graph.nodes.0.features.0": {"feature": ["age", "age", "numerical"]}}, {},
                       f"{NODES}, line 4, column 'age': the cell is empty; give the feature an 'imputer'"),
    "missing edge number": ({}, changed(EDGES, "2.5", ""), f"{EDGES}, line 3, column 'weight': the cell is empty; give"),
    "not a time": ({"graph.nodes.0.features.0": {"feature": ["town", "t", "datetime"]}}, {},
                   f"{NODES}, line 2, column 'town': 'Bonn' is not a time; write it as in 1995-01-31T00:00:00Z"),
    "vector of another length": (
        VECTOR, {NODES: FILES[NODES].replace("Bonn", "1;2").replace("Cork", "1;2;3")},
        f"{NODES}, line 3, column 'town': '1;2;3' has 3 values; the rows before it have 2"),
    "vector with a word": (VECTOR, {NODES: FILES[NODES].replace("Cork", "1;x").replace("Bonn", "1;2").replace("Delft", "3;4")},
                           f"{NODES}, line 3, column 'town': '1;x': its value number 2 is not a finite number"),
    "text": ({"graph.nodes.0.features.0": {"feature": ["town", "t", "auto"]}},
             {NODES: FILES[NODES].replace("Bonn", "a town by the river").replace("Cork", "a town by the sea")},
             f"{NODES}, line 2, column 'town': 'a town by the river' and the other values are text, which is not offered yet"),
    "node id twice": ({}, changed(NODES, '"d"', '"b"'),
                      f"{NODES}, line 5, column '~id': 'b' is the id of another node of type 'person' already ({NODES}, line 3)"),
    "node without id": ({}, changed(NODES, '"d"', ""), f"{NODES}, line 5, column '~id': the cell is empty; every node must have"),
    "edge to an unknown node": ({}, changed(EDGES, '"c","a"', '"c","z"'),
                                f"{EDGES}, line 4, column '~to': 'z' is the id of no node of type 'person' in {NODES}"),
    "edge without an end": ({}, changed(EDGES, '"c","a"', ',"a"'),
                            f"{EDGES}, line 4, column '~from': the cell is empty; it must be the id of a node of type 'person'"),
    "edge without relation": (BY_RELATION, changed(EDGES, "2.5", ""),
                              f"{EDGES}, line 3, column 'weight': the cell is empty; every edge must have a relation"),
    "name of a reverse": (TWO_RELATIONS, {}, "(person)-knows-(person) and of type (person)-rev-knows-(person); the second name"),
    "too many cells": ({}, changed(NODES, '"Delft"', "Delft,NL"), f"{NODES}, line 7: it has 7 cells, but the header has 6"),
    "open quote": ({}, changed(NODES, '"Delft"', '"Delft'), f"{NODES}, line 7: "),
    "not UTF-8": ({}, {NODES: FILES[NODES].replace("Delft", "\udcff")}, f"{NODES}, line 7: the byte 0xff is not UTF-8"),
    "empty file": ({}, {NODES: ""}, f"{NODES}: the file is empty; its first line must name the columns"),
    "no labels": ({}, {NODES: re.sub(r'"[xy]"$', "", FILES[NODES], flags=re.MULTILINE)},
                  f"{NODES}, column 'group': no node of type 'person' has a label"),
    "split of an unknown node": (SPLIT, {"train.csv": "~id\na\nz\n"},
                                 "train.csv, line 3, column '~id': 'z' is the ~id of no node of type 'person'"),
    "split of an unlabelled node": (SPLIT, {"test.csv": "~id\nd\nf\n"}, "test.csv, line 3, column '~id': 'f' has no label"),
    "split that overlaps": (SPLIT, {"valid.csv": "~id\nc\nb\n"}, "valid.csv, line 3, column '~id': 'b' is in the part 'train'"),
    "split with a double": (SPLIT, {"train.csv": "~id\na\nb\na\n"}, "train.csv, line 4, column '~id': 'a' is listed twice"),
    "split without training": (SPLIT, {"train.csv": "~id\n"}, "train.csv: the training part is empty"),
    "split without ids": (SPLIT, {"train.csv": "id\na\n"}, "train.csv, line 1: there is no column '~id' (did you mean 'id'?)"),
}


@pytest.mark.parametrize(("changes", "files", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict[str, Any], files: dict[str, str], expected: str) -> None:
    folder = write(tmp_path / "export", changes, files)
    (tmp_path / "secret.csv").write_text("~id\na\n", encoding="utf-8")
    with pytest.raises(WorkFailed) as caught:
        read(folder)
    assert expected in str(caught.value)


def test_the_example_is_read() -> None:
    export = read(EXAMPLE)
    assert export.rows == 3_504 + 50_637
    target = export.graph.target
    assert target.classes == ("AF", "AS", "EU", "NA", "OC", "SA")
    assert [int(mask.sum()) for mask in (target.train, target.valid, target.test)] == [2_102, 701, 701]


def test_every_file_is_reported(tmp_path: Path) -> None:
    folder, steps = write(tmp_path), list[tuple[int, int]]()
    read_export(folder, read_configuration(CONFIGURATION, (folder / CONFIGURATION).read_bytes()),
                lambda done, of: steps.append((done, of)))
    assert steps == [(1, 2), (2, 2)]
