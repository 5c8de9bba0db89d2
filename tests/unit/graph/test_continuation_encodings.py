"""Incremental processing: features are encoded as in the first job, and classes keep their ids."""

from pathlib import Path

import numpy as np
import pytest
from tests.unit.graph.continuing import KNOWS, NO_EDGES, Json, features, go_on, knowing, labels, people
from tests.unit.graph.people import FILES, NODES, read, write

from despina.graph import matrix
from despina.graph.faults import Fault, InputFault
from despina.graph.features import CategoryEncoding


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


def test_vectors_of_which_none_is_there_are_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vector: Json = {"graph.nodes.0.features": [
        {"feature": ["town", "v", "numerical"], "separator": ";", "norm": "none", "imputer": "mean"}]}
    first = read(write(tmp_path / "first", vector, people("a - 1;2;3 x", "b - 3;4;5 y") | NO_EDGES))
    none = people("a - - x", "b - - y") | NO_EDGES
    for files in (none, {name: text.replace("a,person,,,", "a,person,, ,") for name, text in none.items()}):
        assert features(go_on(first, tmp_path / "second", vector, files).graph) == [[2, 3, 4]] * 2
    monkeypatch.setattr(matrix, "ROWS", 2)
    some = people("a - - x", "b - - y", "c - 7;8;9 x") | NO_EDGES
    assert features(go_on(first, tmp_path / "third", vector, some).graph) == [[2, 3, 4]] * 2 + [[7, 8, 9]]
    del vector["graph.nodes.0.features"][0]["imputer"]
    strict = read(write(tmp_path / "strict", vector, people("a - 1;2;3 x", "b - 3;4;5 y") | NO_EDGES))
    with pytest.raises(InputFault, match="line 2, column 'town': the cell is empty; give the feature an 'imputer'"):
        go_on(strict, tmp_path / "fourth", vector, none)
