"""Incremental processing: a graph that continues an earlier one keeps its indices, and what is gone leaves them empty."""

import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.graph.continuing import (
    CHANGED,
    KNOWS,
    LIVES,
    LIVES_IN,
    NO_EDGES,
    PLACE,
    PLACES,
    WITH_PLACES,
    Json,
    by_ids,
    earlier,
    features,
    go_on,
    knowing,
    labels,
    people,
    removed,
)
from tests.unit.graph.people import CONFIGURATION, EDGES, NODES, read, write

from despina.graph.export import read_export
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType
from despina.graph.schema import read_configuration


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


# What is gone altogether


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


def test_edge_types_keep_their_order_whatever_that_of_the_files(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first", WITH_PLACES, PLACES))
    folder = write(tmp_path / "second", WITH_PLACES, PLACES)
    document = json.loads((folder / CONFIGURATION).read_bytes())
    document["graph"]["edges"].reverse()
    known = earlier(first)
    configuration = read_configuration(CONFIGURATION, json.dumps(document).encode())
    second = read_export(folder, known.check(configuration), lambda done, of: None, known)
    assert list(second.graph.edges) == list(first.graph.edges), "models know them by it"
    assert [edges.type for edges in second.encodings.edges] == [edges.type for edges in first.encodings.edges]


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
