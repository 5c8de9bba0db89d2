"""Incremental processing: a graph that continues an earlier one keeps its indices, classes and encodings."""

import json
import pickle
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.graph.people import CONFIGURATION, EDGES, FILES, NODES, read, write

from despina.artifacts import open_artifacts
from despina.core.errors import ArtifactError
from despina.core.job import ProcessWork
from despina.graph.continuation import ENCODINGS, Earlier
from despina.graph.export import Export, read_export
from despina.graph.faults import Fault, InputFault
from despina.graph.features import CategoryEncoding
from despina.graph.graph import EdgeType, Graph
from despina.graph.schema import read_configuration
from despina.programs import process
from despina.programs.context import Context
from despina.programs.processed import GRAPH, write_processed
from despina.programs.report import FILE

Json = dict[str, Any]
KNOWS = EdgeType("person", "knows", "person")
NODE_HEADER, EDGE_HEADER = (FILES[name].splitlines()[0] for name in (NODES, EDGES))
NO_EDGES = {EDGES: f"{EDGE_HEADER}\n"}


def people(*rows: str) -> dict[str, str]:
    """The file of nodes with these rows: id, age, town, group, with blanks between them and ``-`` for an empty cell."""
    cells = [["" if cell == "-" else cell for cell in row.split()] for row in rows]
    return {NODES: "".join(f"{line}\n" for line in (NODE_HEADER, *(f"{name},person,{age},{town},,{group}"
                                                                   for name, age, town, group in cells)))}


def knowing(*rows: str) -> dict[str, str]:
    """The file of edges with these rows: the two ids and the weight."""
    cells = [row.split() for row in rows]
    return {EDGES: "".join(f"{line}\n" for line in (EDGE_HEADER, *(f"{i},knows,{source},{destination},person,person,{weight}"
                                                                   for i, (source, destination, weight) in enumerate(cells))))}


def earlier(export: Export) -> Earlier:
    """What an export hands on to those that continue it, as it is written and read again."""
    with tempfile.TemporaryDirectory() as folder:
        write_processed(Path(folder), export.graph, export.encodings, "heterogeneous")
        (Path(folder) / CONFIGURATION).write_bytes(b"{}")
        loaded = Earlier.load(Path(folder), GRAPH)
        assert loaded.encodings == export.encodings
        assert loaded.node_ids == export.graph.node_ids
        return loaded


def go_on(before: Export, folder: Path, changes: Json | None = None, files: dict[str, str] | None = None) -> Export:
    """Read the export of the people with changes as one that continues an earlier one."""
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, changes, files)
    configuration = read_configuration(CONFIGURATION, (folder / CONFIGURATION).read_bytes())
    return read_export(folder, configuration, lambda done, of: None, earlier(before))


def features(graph: Graph, kind: str = "person") -> list[list[float]]:
    return [list(row) for row in graph.features[kind].to_dense().tolist()]


def labels(graph: Graph) -> list[Any]:
    found = graph.target.nodes.labels
    assert found is not None
    return list(found.tolist())


def removed(graph: Graph) -> dict[str, list[int]]:
    return {kind: indices.tolist() for kind, indices in graph.removed.items()}


def by_ids(graph: Graph, edge_type: EdgeType) -> list[str]:
    """The edges of a type in the order of their rows, by the ids of their ends."""
    csr, source, destination = graph.edges[edge_type], graph.node_ids[edge_type.source], graph.node_ids[edge_type.destination]
    found = {int(csr.edge_ids[i]): f"{source[int(csr.indices[i])]}{destination[node]}"
             for node in range(len(csr.indptr) - 1) for i in range(csr.indptr[node], csr.indptr[node + 1])}
    return [found[row] for row in range(len(found))]


CHANGED = people("g 80 Bonn x", "c 20 Essen y", "a 0 Cork a", "h - - x", "b 40 Bonn -")
"""Without d, e and f, with g and h, in another order, and some things are different."""


# Nodes


def test_old_nodes_keep_their_indices_whatever_the_order_of_the_file_and_new_ones_come_after_them(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    second = go_on(first, tmp_path / "second", {}, CHANGED | knowing("g a 1", "a b 2", "b h 3"))
    graph = second.graph
    assert graph.node_ids == {"person": list("abcdefgh")}
    assert graph.index_by_id("person") == {"a": 0, "b": 1, "c": 2, "g": 6, "h": 7}
    assert removed(graph) == {"person": [3, 4, 5]}
    assert graph.removed["person"].dtype == np.int32
    assert (second.added, second.rows) == (2, {"person": 5, KNOWS: 3})
    assert by_ids(graph, KNOWS) == ["ga", "ab", "bh"]
    assert [len(graph.edges[kind].indptr) for kind in (KNOWS, KNOWS.reverse)] == [9, 9]


def test_what_is_gone_has_zeros_for_features_no_label_and_no_part(tmp_path: Path) -> None:
    raw = {"graph.nodes.0.features.2": {"feature": ["town", "home", "none"]}}
    first = read(write(tmp_path / "first", raw))
    graph = go_on(first, tmp_path / "second", raw, CHANGED | NO_EDGES).graph
    # Ages were 20 to 60 with the median 40; Bonn and Cork were equally common, then Delft. Essen was not there.
    assert features(graph) == [[-0.5, 0, 1, 0], [0.5, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0],
                               [1.5, 1, 0, 0], [0.5, 0, 0, 0]]
    assert graph.raw_features == {"person": {"home": ["Cork", "Bonn", "Essen", "", "", "", "Bonn", ""]}}
    assert labels(graph) == [2, -1, 1, -1, -1, -1, 0, 0]
    nodes = graph.target.nodes
    parts = nodes.train.astype(int) + nodes.valid + nodes.test
    assert parts.tolist() == [1, 0, 1, 0, 0, 0, 1, 1]


def test_nothing_changes_when_nothing_has_changed(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    second = go_on(first, tmp_path / "second")
    assert (second.added, removed(second.graph)) == (0, {})
    assert second.graph.node_ids == first.graph.node_ids
    assert features(second.graph) == features(first.graph)
    assert labels(second.graph) == labels(first.graph)
    for part in ("train", "valid", "test"):
        assert np.array_equal(getattr(second.graph.target.nodes, part), getattr(first.graph.target.nodes, part))
    assert by_ids(second.graph, KNOWS) == by_ids(first.graph, KNOWS)
    assert second.encodings == first.encodings


def test_what_comes_back_has_its_old_index(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    second = go_on(first, tmp_path / "second", {}, people("g 80 Bonn x", "a 30 Bonn x", "b 40 Bonn y") | NO_EDGES)
    third = go_on(second, tmp_path / "third", {}, people("i 1 Bonn x", "f 60 Delft x", "g 20 Bonn y", "c 20 Cork x") | NO_EDGES)
    assert third.graph.node_ids == {"person": list("abcdefgi")}
    assert third.graph.index_by_id("person") == {"c": 2, "f": 5, "g": 6, "i": 7}
    assert removed(third.graph) == {"person": [0, 1, 3, 4]}
    assert third.added == 1
    assert features(third.graph)[5] == [1, 0, 0, 1]
    assert labels(third.graph) == [-1, -1, 0, -1, -1, 0, 1, 0]
    again = go_on(third, tmp_path / "again").graph
    assert again.node_ids == {"person": list("abcdefgi")}
    assert removed(again) == {"person": [6, 7]}


def test_all_nodes_of_a_type_may_be_replaced(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    graph = go_on(first, tmp_path / "second", {}, people("y 20 Bonn x", "z 60 Cork y") | knowing("z y 1")).graph
    assert graph.node_ids == {"person": list("abcdefyz")}
    assert removed(graph) == {"person": list(range(6))}
    assert features(graph) == [[0, 0, 0, 0]] * 6 + [[0, 1, 0, 0], [1, 0, 1, 0]]


def test_nodes_that_edges_name_keep_their_indices_too(tmp_path: Path) -> None:
    changes = {"graph.edges.0.dest": ["~to", "club"]}
    first = read(write(tmp_path / "first", changes, knowing("a chess 1", "b golf 1", "a rugby 1")))
    second = go_on(first, tmp_path / "second", changes, knowing("c polo 1", "b rugby 2", "c chess 3", "a darts 1"))
    club = EdgeType("person", "knows", "club")
    assert second.graph.node_ids["club"] == ["chess", "golf", "rugby", "polo", "darts"]
    assert removed(second.graph) == {"club": [1]}
    assert second.graph.index_by_id("club") == {"chess": 0, "rugby": 2, "polo": 3, "darts": 4}
    assert second.added == 2
    csr = second.graph.edges[club]
    assert csr.indices[csr.edge_ids.argsort()].tolist() == [2, 1, 2, 0]
    third = go_on(second, tmp_path / "third", changes, knowing("a golf 1"))
    assert third.graph.node_ids["club"] == ["chess", "golf", "rugby", "polo", "darts"]
    assert removed(third.graph) == {"club": [0, 2, 3, 4]}
    assert third.added == 0


def test_edges_may_not_name_what_is_gone(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", {}, CHANGED | knowing("a b 1", "d a 2"))
    finding, = caught.value.findings
    assert finding.name is Fault.DANGLING_EDGE
    assert finding.text == f"{EDGES}, line 3, column '~from': 'd' is the id of no node of type 'person' in {NODES}"


def test_split_files_may_not_list_what_is_gone(tmp_path: Path) -> None:
    split = {"graph.nodes.0.labels.0": {"label": ["group", "classification"], "custom_split_filenames": {
        "train": "train.csv", "valid": "valid.csv"}}}
    first = read(write(tmp_path / "first", split))
    files = CHANGED | NO_EDGES | {"train.csv": "~id\ng\na\n", "valid.csv": "~id\nh\n"}
    nodes = go_on(first, tmp_path / "second", split, files).graph.target.nodes
    assert (nodes.train.nonzero()[0].tolist(), nodes.valid.nonzero()[0].tolist()) == ([0, 6], [7])
    text = "valid.csv, line 3, column '~id': 'd' is the ~id of no node of type 'person'"
    with pytest.raises(InputFault, match=re.escape(text)):
        go_on(first, tmp_path / "third", split, files | {"valid.csv": "~id\nh\nd\n"})


def test_an_id_may_not_be_there_twice(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", {}, people("b 1 - x", "a 2 - y", "n 3 - x", "b 4 - y", "n 5 - x"))
    assert [(finding.name, finding.line, finding.value) for finding in caught.value.findings] == [
        (Fault.DUPLICATE_ID, 5, "b"), (Fault.DUPLICATE_ID, 6, "n")]


IDS = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=10, unique=True)


@given(st.lists(IDS, min_size=2, max_size=4))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_an_id_has_one_index_for_ever_and_an_index_one_id(jobs: list[list[str]]) -> None:
    changes: Json = {"graph.edges": [], "graph.nodes.0.features": []}
    with tempfile.TemporaryDirectory() as folder:
        def files(ids: list[str]) -> dict[str, str]:
            return people(*(f"{name} - - {'xy'[i % 2]}" for i, name in enumerate(ids)))

        seen = jobs[0].copy()
        export = read(write(Path(folder), changes, files(jobs[0])))
        for ids in jobs[1:]:
            new = [name for name in ids if name not in seen]
            seen += new
            export = go_on(export, Path(folder), changes, files(ids))
            graph = export.graph
            assert graph.node_ids == {"person": seen}, "old ids, and then new ones in the order of the file"
            assert graph.index_by_id("person") == {name: seen.index(name) for name in ids}
            assert [seen[i] for i in removed(graph).get("person", [])] == [name for name in seen if name not in ids]
            assert export.added == len(new)
            assert [label >= 0 for label in labels(graph)] == [name in ids for name in seen]


@given(st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), min_size=1, max_size=8), min_size=2,
                max_size=4))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_so_have_nodes_that_only_edges_name(jobs: list[list[tuple[str, str]]]) -> None:
    edge_type = EdgeType("left", "to", "right")
    edge = {"file_name": EDGES, "source": ["~from", "left"], "relation": ["", "to"], "dest": ["~to", "right"]}
    changes: Json = {"graph.nodes": [], "graph.edges": [edge]}

    def files(pairs: list[tuple[str, str]]) -> dict[str, str]:
        return {EDGES: "~from,~to\n" + "".join(f"{source},{destination}\n" for source, destination in pairs)}

    with tempfile.TemporaryDirectory() as folder:
        export, seen = read(write(Path(folder), changes, files(jobs[0]))), dict[str, list[str]]()
        for number, pairs in enumerate(jobs):
            if number:
                export = go_on(export, Path(folder), changes, files(pairs))
            graph = export.graph
            for node_type, ids in (("left", [source for source, _ in pairs]), ("right", [destination for _, destination in pairs])):
                known = seen.setdefault(node_type, [])
                known += [name for name in dict.fromkeys(ids) if name not in known]
                assert graph.node_ids[node_type] == known
                assert graph.index_by_id(node_type) == {name: known.index(name) for name in ids}
            assert by_ids(graph, edge_type) == [source + destination for source, destination in pairs]
            assert set(graph.removed) <= {"left", "right"}


# Encodings and classes


def test_numbers_are_scaled_as_in_the_first_job(tmp_path: Path) -> None:
    scaled = {"graph.nodes.0.features": [{"feature": ["age", "age", "numerical"], "norm": "standard", "imputer": "mean"}]}
    # Mean 40 and deviation 10, and the missing one is as the mean.
    first = read(write(tmp_path / "first", scaled, people("a 30 - x", "b 50 - y", "c 30 - x", "d 50 - y") | NO_EDGES))
    assert features(first.graph) == [[-1], [1], [-1], [1]]
    second = go_on(first, tmp_path / "second", scaled, people("c 140 - x", "e - - y", "a 0 - x") | NO_EDGES)
    assert features(second.graph) == [[-4], [0], [10], [0], [0]]
    third = go_on(second, tmp_path / "third", scaled, people("f 1040 - x", "e 30 - y") | NO_EDGES)
    assert features(third.graph) == [[0], [0], [0], [0], [-1], [100]]
    assert first.encodings == second.encodings == third.encodings


def test_features_of_edges_are_encoded_as_in_the_first_job(tmp_path: Path) -> None:
    scaled = {"graph.edges.0.features": [{"feature": ["weight", "weight", "numerical"], "norm": "min-max"}]}
    first = read(write(tmp_path / "first", scaled))
    assert np.allclose(first.graph.edge_features[KNOWS].dense.ravel(), [0, 1 / 3, 2 / 3, 1])
    second = go_on(first, tmp_path / "second", scaled, knowing("e f 3", "a b 7.5", "b c 0"))
    assert second.graph.edge_features[KNOWS].dense.ravel().tolist() == [0.5, 2, -0.5]
    assert second.encodings == first.encodings


def test_a_new_category_is_no_category(tmp_path: Path) -> None:
    town = {"graph.nodes.0.features": [{"feature": ["town", "town", "category"]}]}
    first = read(write(tmp_path / "first", town, people("a - Bonn x", "b - Cork y", "c - Bonn x") | NO_EDGES))
    graph = go_on(first, tmp_path / "second", town, people("a - Essen x", "b - Bonn y", "c - - x", "d - Cork y") | NO_EDGES).graph
    assert graph.features["person"].columns == {"town": (0, 2)}
    assert features(graph) == [[0, 0], [1, 0], [0, 0], [0, 1]]


def test_a_new_category_is_other_where_there_is_such_a_column(tmp_path: Path) -> None:
    town = {"graph.nodes.0.features": [{"feature": ["town", "town", "category"]}]}
    # The commonest, t005, and the first 98 of the others by name are kept; the last column stands for t099 and t100.
    rows = [f"p{i} - t{i:03d} x" for i in range(101)]
    first = read(write(tmp_path / "first", town, people(*rows, "q - t005 y") | NO_EDGES))
    encoding = first.encodings.nodes["person"].features["town"]
    assert isinstance(encoding, CategoryEncoding)
    assert encoding.values == ("t005", *(f"t{i:03d}" for i in range(99) if i != 5))
    assert encoding.other
    files = people("q - t005 x", "p3 - brand-new y", "n - t100 x", "p2 - t098 y") | NO_EDGES
    graph = go_on(first, tmp_path / "second", town, files).graph
    hot = graph.features["person"].hot
    assert hot is not None
    assert hot.width == 100
    place = {name: hot.take(np.array([index])).indices.tolist() for name, index in graph.index_by_id("person").items()}
    assert place == {"q": [0], "p3": [99], "n": [99], "p2": [98]}
    assert len(hot.indices) == 4, "what is gone has no ones"


def test_sets_of_categories_are_placed_at_the_old_indices(tmp_path: Path) -> None:
    town = {"graph.nodes.0.features": [{"feature": ["town", "town", "category"], "separator": ";"}]}
    first = read(write(tmp_path / "first", town, people("a - k;l;m;n x", "b - o;p;q;r;s y", "c - k x") | NO_EDGES))
    graph = go_on(first, tmp_path / "second", town, people("d - s;new;k x", "c - new y", "b - l x") | NO_EDGES).graph
    assert graph.features["person"].hot is not None
    # k is in two cells, the others in one each: k, l, m, n, o, p, q, r, s.
    assert features(graph) == [[0] * 9, [0, 1, 0, 0, 0, 0, 0, 0, 0], [0] * 9, [1, 0, 0, 0, 0, 0, 0, 0, 1]]


def test_an_inferred_type_stays_what_it_was(tmp_path: Path) -> None:
    auto = {"graph.nodes.0.features": [{"feature": ["age", "age", "auto"]}, {"feature": ["town", "town", "auto"]}]}
    rows = [f"p{i} {i} {'Bonn' if i % 2 else 'Cork'} {'xy'[i % 2]}" for i in range(21)]
    first = read(write(tmp_path / "first", auto, people(*rows) | NO_EDGES))
    width = first.graph.features["person"].width
    second = go_on(first, tmp_path / "second", auto, people("p1 3 Bonn x", "p0 3 Bonn y", "new 3 Bonn x") | NO_EDGES)
    assert second.graph.features["person"].width == width
    assert second.encodings == first.encodings
    assert features(second.graph)[0] == features(second.graph)[1] == features(second.graph)[21] != [0] * width


@pytest.mark.parametrize("changes", [
    {"graph.nodes.0.features.0": {"feature": ["age", "age", "category"]}},
    {"graph.nodes.0.features.0": {"feature": ["age", "age", "numerical"], "norm": "none", "imputer": "mean"}},
    {"graph.nodes.0.features.0": {"feature": ["years", "age", "numerical"], "imputer": "mean"}}], ids=["type", "options", "column"])
def test_options_of_features_are_those_of_the_first_job(tmp_path: Path, changes: Json) -> None:
    first = read(write(tmp_path / "first"))
    files = people("a 80 Bonn x", "b - Cork y")
    if changes["graph.nodes.0.features.0"]["feature"][0] == "years":
        files = {NODES: files[NODES].replace("age", "years")}
    second = go_on(first, tmp_path / "second", changes, files | NO_EDGES)
    assert features(second.graph)[:2] == [[1.5, 1, 0, 0], [0.5, 0, 1, 0]]
    assert second.encodings == first.encodings


def test_new_classes_come_after_the_old_ones(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    second = go_on(first, tmp_path / "second", {}, people("a - - y", "g - - w", "b - - a", "c - - y") | NO_EDGES)
    assert second.graph.target.classes == ("x", "y", "a", "w"), "x stays, though nobody has it"
    assert labels(second.graph) == [1, 2, 1, -1, -1, -1, 3]
    third = go_on(second, tmp_path / "third", {}, people("a - - x", "b - - b", "c - - w") | NO_EDGES)
    assert third.graph.target.classes == ("x", "y", "a", "w", "b")
    assert labels(third.graph) == [0, 4, 3, -1, -1, -1, -1]


def test_new_classes_of_several_labels_come_after_the_old_ones(tmp_path: Path) -> None:
    several = {"graph.nodes.0.labels.0.separator": ";"}
    first = read(write(tmp_path / "first", several, people("a - - x;z", "b - - y") | NO_EDGES))
    second = go_on(first, tmp_path / "second", several, people("c - - z;a", "a - - y") | NO_EDGES)
    assert second.graph.target.classes == ("x", "y", "z", "a")
    assert labels(second.graph) == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]


def test_new_classes_of_edges_come_after_the_old_ones(tmp_path: Path) -> None:
    changes = {"graph.nodes.0.labels": [], "graph.edges.0.features": [],
               "graph.edges.0.labels": [{"label": ["weight", "classification"], "split_rate": [1, 0, 0]}]}
    first = read(write(tmp_path / "first", changes, knowing("a b strong", "b a weak")))
    second = go_on(first, tmp_path / "second", changes, knowing("c a weak", "b a broken", "a b weak"))
    assert second.graph.target.classes == ("strong", "weak", "broken")
    found = second.graph.target.by_type[KNOWS].labels
    assert found is not None
    assert found.tolist() == [1, 2, 1]


def test_numbers_to_be_predicted_follow_their_nodes(tmp_path: Path) -> None:
    changes = {"graph.nodes.0.labels.0": {"label": ["age", "regression"]}, "graph.nodes.0.features": []}
    first = read(write(tmp_path / "first", changes))
    graph = go_on(first, tmp_path / "second", changes, people("g 7 - -", "b 2 - -", "a - - -") | NO_EDGES).graph
    found = graph.target.nodes.labels
    assert found is not None
    assert np.array_equal(found, np.array([np.nan, 2, *[np.nan] * 4, 7], dtype=np.float32), equal_nan=True)
    assert graph.target.nodes.train.tolist() == [False, True, False, False, False, False, True]


# What is gone altogether


PLACE = {"file_name": "place.csv", "node": ["~id", "place"], "features": [
    {"feature": ["size", "size", "numerical"], "norm": "min-max"}, {"feature": ["sort", "sort", "none"]}]}
LIVES = {"file_name": "lives.csv", "source": ["~from", "person"], "relation": ["", "lives"], "dest": ["~to", "place"],
         "features": [{"feature": ["since", "since", "numerical"], "norm": "min-max"}]}
WITH_PLACES: Json = {"graph.nodes.1": PLACE, "graph.edges.1": LIVES}
PLACES = {"place.csv": "~id,size,sort\nr,1,town\ns,3,hamlet\n", "lives.csv": "~from,~to,since\na,r,10\nb,s,20\n"}
LIVES_IN = EdgeType("person", "lives", "place")


@pytest.mark.parametrize(("changes", "files"), [
    ({}, {}), (WITH_PLACES, {"place.csv": "~id,size,sort\n", "lives.csv": "~from,~to,since\n"})], ids=["no files", "headers only"])
def test_types_that_vanish_stay_and_are_empty(tmp_path: Path, changes: Json, files: dict[str, str]) -> None:
    first = read(write(tmp_path / "first", WITH_PLACES, PLACES))
    second = go_on(first, tmp_path / "second", changes, files)
    graph = second.graph
    assert graph.node_ids == {"person": list("abcdef"), "place": ["r", "s"]}
    assert removed(graph) == {"place": [0, 1]}
    assert graph.index_by_id("place") == {}
    assert graph.features["place"].columns == {"size": (0, 1)}
    assert features(graph, "place") == [[0], [0]]
    assert graph.raw_features == {"place": {"sort": ["", ""]}}
    assert set(graph.edges) == {KNOWS, KNOWS.reverse, LIVES_IN, LIVES_IN.reverse}
    assert [(len(graph.edges[kind].indices), graph.edges[kind].indptr.tolist()) for kind in (LIVES_IN, LIVES_IN.reverse)] == [
        (0, [0] * 3), (0, [0] * 7)]
    assert graph.edge_features[LIVES_IN].dense.shape == (0, 1)
    assert second.rows.get("place", 0) == second.rows[LIVES_IN] == 0
    assert second.encodings.nodes == first.encodings.nodes
    assert {edges.type: edges for edges in second.encodings.edges} == {edges.type: edges for edges in first.encodings.edges}
    third = go_on(second, tmp_path / "third", WITH_PLACES, {
        "place.csv": "~id,size,sort\nt,5,city\ns,2,town\n", "lives.csv": "~from,~to,since\nc,s,15\n"})
    assert third.graph.node_ids["place"] == ["r", "s", "t"]
    assert features(third.graph, "place") == [[0], [0.5], [2]]
    assert third.graph.raw_features == {"place": {"sort": ["", "town", "city"]}}
    assert third.graph.edge_features[LIVES_IN].dense.tolist() == [[0.5]]
    assert by_ids(third.graph, LIVES_IN) == ["cs"]
    assert removed(third.graph) == {"place": [0]}


def test_types_whose_nodes_only_edges_name_vanish_with_them(tmp_path: Path) -> None:
    changes = {"graph.edges.1": LIVES}
    first = read(write(tmp_path / "first", changes, PLACES))
    assert first.graph.node_ids["place"] == ["r", "s"]
    graph = go_on(first, tmp_path / "second").graph
    assert graph.node_ids["place"] == ["r", "s"]
    assert removed(graph) == {"place": [0, 1]}
    assert graph.edges[LIVES_IN].indptr.tolist() == [0, 0, 0]
    assert "place" not in graph.features


@pytest.mark.parametrize(("options", "cell"), [
    ({"feature": ["size", "size", "category"]}, "u"),
    ({"feature": ["size", "size", "category"], "separator": ";"}, "a;b;c;d;e;f;g;h;i;j"),
    ({"feature": ["size", "size", "datetime"]}, "2001-05-01"),
    ({"feature": ["size", "size", "bucket_numerical"], "range": [0, 9], "bucket_cnt": 3, "slide_window_size": 2}, "3"),
    ({"feature": ["size", "size", "numerical"], "separator": ";"}, "1;2;3"),
    ({"feature": ["size", "size", "text_tfidf"], "ngram_range": [1, 2], "min_df": 1, "max_features": 9}, "so and so"),
    ({"feature": ["size", "size", "none"]}, "k")], ids=["category", "set", "time", "bucket", "vector", "text", "none"])
def test_features_of_every_type_may_lose_all_their_rows(tmp_path: Path, options: Json, cell: str) -> None:
    changes: Json = {"graph.nodes.1": PLACE | {"features": [options]}}
    first = read(write(tmp_path / "first", changes, {"place.csv": f"~id,size\nr,{cell}\ns,{cell}\n"}))
    for folder, now, files in (("second", {}, {}), ("third", changes, {"place.csv": "~id,size\n"})):
        second = go_on(first, tmp_path / folder, now, files)
        assert second.encodings == first.encodings
        assert removed(second.graph) == {"place": [0, 1]}
        assert ("place" in second.graph.features) == ("place" in first.graph.features)
        if "place" in first.graph.features:
            before, after = first.graph.features["place"], second.graph.features["place"]
            assert (after.columns, len(after.dense)) == (before.columns, 2)
            assert not after.to_dense().any()


def test_edges_of_a_node_type_without_files_any_more_are_dangling(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first", WITH_PLACES, PLACES))
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", {"graph.edges.1": LIVES}, PLACES)
    assert caught.value.findings[0].name is Fault.DANGLING_EDGE
    assert caught.value.findings[0].text == (
        "lives.csv, line 2, column '~to': 'r' is the id of no node of type 'place' in any file of this export")


# What may not change


SINCE = {"feature": ["since", "since", "category"]}
OTHER = "in the data-processing job that this one builds on"
TWO_CHANGES = {"graph.nodes.0.features.2": SINCE, "graph.edges.0.features": []}


@pytest.mark.parametrize(("before", "changes", "now", "then"), [
    ({}, {"graph.nodes.0.features.2": SINCE}, "the node type 'person' has the feature 'since'", "it had not"),
    ({}, {"graph.nodes.0.features.1": None}, "the node type 'person' lacks the feature 'town'", "it had it"),
    ({}, {"graph.edges.0.features": []}, "the edge type (person)-knows-(person) lacks the feature 'weight'", "it had it"),
    ({}, {"graph.edges.0.features.1": {"feature": ["~id", "id", "none"]}},
     "the edge type (person)-knows-(person) has the feature 'id'", "it had not"),
    ({}, WITH_PLACES | {"graph.edges.1": LIVES | {"dest": ["~to", "person"]}},
     "the node type 'place' has a file ('place.csv')", "it had none"),
    ({"graph.edges.1": LIVES}, WITH_PLACES, "the node type 'place' has a file ('place.csv')", "it had none"),
    ({}, {"graph.edges.0.relation": ["", "likes"]}, "there are edges of the edge type (person)-likes-(person)", "there were none"),
    ({}, {"graph.edges.0.dest": ["~to", "friend"]}, "there are edges of the edge type (person)-knows-(friend)", "there were none"),
    ({}, {"graph.nodes.0.labels.0": {"label": ["since", "classification"]}}, "what is predicted is node_class 'since'",
     "it was node_class 'group'"),
    ({}, {"graph.nodes.0.labels.0": {"label": ["group", "regression"]}}, "what is predicted is node_regression 'group'",
     "it was node_class 'group'"),
    ({}, {"graph.nodes.0.labels": []}, "what is predicted is link_predict ''", "it was node_class 'group'"),
    ({"graph.nodes.0.labels": []}, {}, "what is predicted is node_class 'group'", "it was link_predict ''"),
], ids=["new feature", "lost feature", "lost feature of edges", "new feature of edges", "new node type", "file for named nodes",
        "new relation", "new end", "other property", "other task", "links instead", "instead of links"])
def test_what_may_not_change(tmp_path: Path, before: Json, changes: Json, now: str, then: str) -> None:
    first = read(write(tmp_path / "first", before, PLACES))
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", changes, PLACES)
    finding = caught.value.findings[0]
    assert finding.name is Fault.SCHEMA_CHANGED
    assert finding.text.startswith(f"{now}, and {OTHER} {then}; incremental processing needs the same types, features and target")


def test_everything_that_has_changed_is_told_at_once(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    changes = TWO_CHANGES | {"graph.nodes.0.labels.0": {"label": ["age", "regression"]}, "graph.nodes.0.features.0": None}
    changes |= {"graph.nodes.1": PLACE}
    del changes["graph.nodes.0.features.2"]
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", changes, PLACES)
    assert [finding.text.partition(", and ")[0] for finding in caught.value.findings] == [
        "what is predicted is node_regression 'age'", "the node type 'person' lacks the feature 'age'",
        "the node type 'place' has a file ('place.csv')", "the edge type (person)-knows-(person) lacks the feature 'weight'"]


def test_a_feature_that_was_dropped_may_come_and_go(tmp_path: Path) -> None:
    dropped = {"graph.nodes.0.features.2": {"feature": ["since", "when", "auto"]}}
    first = read(write(tmp_path / "first", dropped, people("a 20 Bonn x", "b 60 Cork y") | NO_EDGES))
    assert set(first.encodings.nodes["person"].dropped) == {"when"}
    second = go_on(first, tmp_path / "second", dropped, {NODES: FILES[NODES]})
    assert second.graph.features["person"].columns == {"age": (0, 1), "town": (1, 3)}
    assert second.encodings == first.encodings
    third = go_on(first, tmp_path / "third")
    assert third.encodings == first.encodings


def test_cells_that_cannot_be_encoded_as_before_are_told(tmp_path: Path) -> None:
    auto = {"graph.nodes.0.features": [{"feature": ["age", "age", "auto"]}]}
    first = read(write(tmp_path / "first", auto, people(*(f"p{i} {i} - {'xy'[i % 2]}" for i in range(21))) | NO_EDGES))
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", auto, people("p1 1 - x", "p2 old - y") | NO_EDGES)
    finding, = caught.value.findings
    assert (finding.name, finding.line, finding.value) == (Fault.INVALID_NUMBER, 3, "old")


# The program


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
