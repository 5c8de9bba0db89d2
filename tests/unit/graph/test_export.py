"""An export becomes the graph it describes. What is said of a broken one: ``test_malformed.py``."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.graph.people import CONFIGURATION, EDGES, FILES, NODES, read, write

from despina.graph.export import read_export
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType, Graph
from despina.graph.schema import read_configuration

EXAMPLE = Path(__file__).parents[3] / "examples" / "air-routes"
KNOWS = EdgeType("person", "knows", "person")


def labels(graph: Graph) -> list[Any]:
    """The labels of the nodes, by their indices."""
    found = graph.target.nodes.labels
    assert found is not None
    return list(found.tolist())


def changed(name: str, old: str, new: str) -> dict[str, str]:
    assert old in FILES[name]
    return {name: FILES[name].replace(old, new)}


def test_the_graph_is_what_the_files_say(tmp_path: Path) -> None:
    export = read(write(tmp_path))
    graph = export.graph
    assert export.rows == {"person": 6, KNOWS: 4}
    assert graph.node_counts == {"person": 6}
    assert graph.node_ids == {"person": list("abcdef")}
    assert graph.features["person"].columns == {"age": (0, 1), "town": (1, 4)}
    # Age scaled to 0..1 with the median 40 for the missing one; Bonn and Cork are equally common, then Delft.
    assert graph.features["person"].to_dense().tolist() == [
        [0.25, 1, 0, 0], [0.5, 0, 1, 0], [0.5, 1, 0, 0], [0, 0, 0, 0], [0.75, 0, 1, 0], [1, 0, 0, 1]]
    assert set(graph.edges) == {KNOWS, KNOWS.reverse}
    knows, reverse = graph.edges[KNOWS], graph.edges[KNOWS.reverse]
    assert (knows.indptr.tolist(), knows.indices.tolist(), knows.edge_ids.tolist()) == ([0, 2, 3, 3, 3, 4, 4], [1, 2, 0, 5],
                                                                                        [1, 2, 0, 3])
    assert (reverse.indptr.tolist(), reverse.indices.tolist()) == ([0, 1, 2, 3, 3, 3, 4], [1, 0, 0, 4])
    assert graph.edge_features[KNOWS].dense.ravel().tolist() == [1.5, 2.5, 3.5, 4.5]
    assert graph.target.classes == ("x", "y")
    assert labels(graph) == [0, 1, 0, 1, 0, -1]


def test_graph_may_be_a_list_and_several_files_may_share_a_type(tmp_path: Path) -> None:
    header, *rows = FILES[NODES].splitlines(keepends=True)
    files = {NODES: header + "".join(rows[:3]), "nodes/more.csv": header + "".join(rows[3:])}
    parts = [{"nodes": [entry(NODES), entry("nodes/more.csv")]}, {"edges": edges(), "warnings": []}]
    graph = read(write(tmp_path, {"graph": parts}, files)).graph
    assert graph.node_ids == {"person": list("abcdef")}
    assert labels(graph) == [0, 1, 0, 1, 0, -1]


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
    assert graph.features["person"].columns == {"age": (0, 1), "town": (1, 4)}
    assert graph.target.property_name == "group"


def test_a_relation_column_makes_a_type_of_each_value(tmp_path: Path) -> None:
    rows = FILES[EDGES].splitlines()
    how = ["how", "work", "school", "work", "work"]
    content = "".join(f"{row},{value}\n" for row, value in zip(rows, how, strict=True))
    graph = read(write(tmp_path, {"graph.edges.0.relation": ["how", "knows"]}, {EDGES: content})).graph
    work, school = EdgeType("person", "knows-work", "person"), EdgeType("person", "knows-school", "person")
    assert set(graph.edges) == {work, school, work.reverse, school.reverse}
    assert graph.edge_features[work].dense.ravel().tolist() == [1.5, 3.5, 4.5]
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
    assert np.array_equal(first.target.nodes.train, second.target.nodes.train)
    assert np.array_equal(first.features["person"].dense, second.features["person"].dense)


def test_the_example_is_read() -> None:
    export = read(EXAMPLE)
    assert list(export.rows.values()) == [3_504, 50_637]
    target = export.graph.target
    assert target.classes == ("AF", "AS", "EU", "NA", "OC", "SA")
    assert [int(mask.sum()) for mask in (target.nodes.train, target.nodes.valid, target.nodes.test)] == [2_102, 701, 701]


def test_every_file_is_reported(tmp_path: Path) -> None:
    folder, steps = write(tmp_path), list[tuple[int, int]]()
    read_export(folder, read_configuration(CONFIGURATION, (folder / CONFIGURATION).read_bytes()),
                lambda done, of: steps.append((done, of)))
    assert steps == [(1, 2), (2, 2)]


def test_bad_ids_at_both_ends_of_edges_are_told_at_once(tmp_path: Path) -> None:
    edges = FILES[EDGES].replace('"2","knows","b","a"', '"2","knows","q","z"').replace('"3","knows","c"', '"3","knows",""')
    with pytest.raises(InputFault) as caught:
        read(write(tmp_path, files={EDGES: edges}))
    assert [(finding.line, finding.column, finding.value) for finding in caught.value.findings] == [
        (3, "~from", "q"), (4, "~from", None), (3, "~to", "z")]
    assert {finding.name for finding in caught.value.findings} == {Fault.DANGLING_EDGE}
