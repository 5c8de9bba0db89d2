"""Numbers of nodes are predicted: labels by node index, parts, and what is refused."""

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.graph.people import CONFIGURATION, NODES, read, write

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import Graph, Labelled
from despina.graph.schema import read_configuration

Json = dict[str, Any]
HEADER = "~id,~label,size"
SIX = ["a,person,1.5", "b,person,-2", "c,person,", "d,person,0.1", "e,person,1e3", "f,person,7"]
FILES = {"train": "train.csv", "valid": "valid.csv", "test": "test.csv"}


def lines(header: str, *rows: str) -> str:
    return "".join(f"{line}\n" for line in (header, *rows))


def regression(*, column: str = "size", **options: Any) -> Json:
    """What changes the people's configuration into one that predicts this column, of which no feature is left."""
    return {"graph.nodes.0.labels.0": {"label": [column, "regression"], **options}, "graph.nodes.0.features": []}


def graph_of(folder: Path, changes: Json, files: dict[str, str]) -> Graph:
    return read(write(folder, changes, files)).graph


def parts(labelled: Labelled) -> list[list[int]]:
    """The nodes of the training, validation and test part."""
    return [mask.nonzero()[0].tolist() for mask in (labelled.train, labelled.valid, labelled.test)]


def assert_labels(labelled: Labelled, *expected: float | None) -> None:
    """The labels are these numbers, as float32; None: there is none."""
    assert labelled.labels is not None
    assert labelled.labels.dtype == np.float32
    wanted = np.array([np.nan if value is None else value for value in expected], dtype=np.float32)
    assert np.array_equal(labelled.labels, wanted, equal_nan=True)


def test_numbers_of_nodes(tmp_path: Path) -> None:
    target = graph_of(tmp_path, regression(split_rate=[0.6, 0.2, 0.2]), {NODES: lines(HEADER, *SIX)}).target
    assert (target.task, target.property_name, target.classes, target.multilabel) == (Task.NODE_REGRESSION, "size", (), False)
    assert target.node_type == "person"
    assert_labels(target.nodes, 1.5, -2, None, 0.1, 1000, 7)
    assert list(map(len, parts(target.nodes))) == [3, 1, 1]
    assert sorted(node for part in parts(target.nodes) for node in part) == [0, 1, 3, 4, 5], "c has no number and is in no part"


def test_without_a_split_nine_of_ten_numbers_are_learnt_from(tmp_path: Path) -> None:
    edges: Json = {"graph.edges": []}
    rows = [f"p{i},person,{i}" for i in range(20)] + [f"q{i},person," for i in range(7)]
    nodes = graph_of(tmp_path, regression() | edges, {NODES: lines(HEADER, *rows)}).target.nodes
    assert list(map(len, parts(nodes))) == [18, 2, 0]


def test_a_single_number_may_be_predicted(tmp_path: Path) -> None:
    rows = [f"{name},person,{'' if name == 'c' else 4}" for name in "abcdef"]
    assert_labels(graph_of(tmp_path, regression(), {NODES: lines(HEADER, *rows)}).target.nodes, 4, 4, None, 4, 4, 4)


def test_numbers_are_in_the_order_of_the_files_of_a_type(tmp_path: Path) -> None:
    label = {"label": ["size", "regression"]}
    files = {"first.csv": lines("size,~id", "3,e", ",f"), "second.csv": lines("~id", "d"),
             "third.csv": lines("~id,size", "a,1", "b,2", "c,3")}
    nodes = [{"file_name": "first.csv", "node": ["~id", "person"], "labels": [label]},
             {"file_name": "second.csv", "node": ["~id", "person"]},
             {"file_name": "third.csv", "node": ["~id", "person"], "labels": [label]}]
    graph = graph_of(tmp_path, {"graph.nodes": nodes}, files)
    assert graph.node_ids["person"] == list("efdabc")
    assert_labels(graph.target.nodes, 3, None, None, 1, 2, 3)


def test_nodes_of_another_type_have_no_part_in_it(tmp_path: Path) -> None:
    changes = regression() | {"graph.nodes.1": {"file_name": "town.csv", "node": ["~id", "town"]}}
    graph = graph_of(tmp_path, changes, {NODES: lines(HEADER, *SIX), "town.csv": lines("~id,size", "t,5")})
    assert list(graph.target.by_type) == ["person"]
    assert len(graph.target.nodes.train) == 6


def test_the_type_in_a_header_is_no_part_of_the_property(tmp_path: Path) -> None:
    target = graph_of(tmp_path, regression(column="size:double"), {NODES: lines("~id,~label,size:double", *SIX)}).target
    assert target.property_name == "size"
    assert_labels(target.nodes, 1.5, -2, None, 0.1, 1000, 7)


def test_split_files_are_followed(tmp_path: Path) -> None:
    files = {NODES: lines(HEADER, *SIX), "train.csv": lines("~id", "f", "a"), "valid.csv": lines("~id"),
             "test.csv": lines("~id", "e")}
    nodes = graph_of(tmp_path, regression(custom_split_filenames=FILES), files).target.nodes
    assert parts(nodes) == [[0, 5], [], [4]]
    assert_labels(nodes, 1.5, -2, None, 0.1, 1000, 7)


def test_numbers_in_split_files_override_those_of_the_nodes(tmp_path: Path) -> None:
    files = {NODES: lines(HEADER, *SIX), "train.csv": lines("size,~id", "0.25,a", "-8,c"), "valid.csv": lines("~id", "b"),
             "test.csv": lines("~id,size", "f,1e-3")}
    nodes = graph_of(tmp_path, regression(custom_split_filenames=FILES), files).target.nodes
    assert_labels(nodes, 0.25, -2, -8, 0.1, 1000, 0.001)
    assert parts(nodes) == [[0, 2], [1], [5]]


def test_all_numbers_may_come_from_split_files(tmp_path: Path) -> None:
    files = {NODES: lines(HEADER, *(f"{name},person," for name in "abcdef")), "train.csv": lines("~id,size", "d,4", "e,5"),
             "valid.csv": lines("~id,size", "a,1")}
    split = {"train": "train.csv", "validation": "valid.csv"}
    nodes = graph_of(tmp_path, regression(custom_split_filenames=split), files).target.nodes
    assert_labels(nodes, 1, None, None, 4, 5, None)
    assert parts(nodes) == [[3, 4], [0], []]


def test_a_target_of_numbers_comes_back_from_its_files(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, regression(split_rate=[0.6, 0.2, 0.2]), {NODES: lines(HEADER, *SIX)})
    graph.save(tmp_path / "graph")
    again = Graph.load(tmp_path / "graph").target
    assert (again.task, again.property_name, again.node_type) == (Task.NODE_REGRESSION, "size", "person")
    assert_labels(again.nodes, 1.5, -2, None, 0.1, 1000, 7)
    assert parts(again.nodes) == parts(graph.target.nodes)


NUMBERS = st.one_of(st.just(""), st.integers(-1000, 1000).map(str), st.floats(-1e6, 1e6, width=32).map(repr))


@given(st.lists(NUMBERS, min_size=1, max_size=20).filter(any), st.tuples(st.integers(1, 5), st.integers(0, 5), st.integers(0, 5)))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_random_parts_divide_the_nodes_that_have_a_number(cells: list[str], shares: tuple[int, int, int]) -> None:
    rates = [share / sum(shares) for share in shares]
    rows = [f"p{i},person,{cell}" for i, cell in enumerate(cells)]
    with tempfile.TemporaryDirectory() as folder:
        changes = regression(split_rate=rates) | {"graph.edges": []}
        first, again = (graph_of(Path(folder), changes, {NODES: lines(HEADER, *rows)}).target.nodes for _ in range(2))
    assert_labels(first, *(float(cell) if cell else None for cell in cells))
    there = [i for i, cell in enumerate(cells) if cell]
    assert sorted(node for part in parts(first) for node in part) == there
    assert first.train.any()
    for part, rate in zip(parts(first)[1:], rates[1:], strict=True):
        assert abs(len(part) - rate * len(there)) <= 1
    assert parts(first) == parts(again)


GOOD = {NODES: lines(HEADER, *SIX), "train.csv": lines("~id", "a"), "valid.csv": lines("~id", "b"), "test.csv": lines("~id", "d")}


@pytest.mark.parametrize(("files", "fault", "line", "value", "text"), [
    ({NODES: GOOD[NODES].replace("-2", "two")}, Fault.INVALID_NUMBER, 3, "two",
     f"{NODES}, line 3, column 'size': 'two' is not a finite number"),
    ({NODES: GOOD[NODES].replace("1e3", "1e999")}, Fault.INVALID_NUMBER, 6, "1e999",
     f"{NODES}, line 6, column 'size': '1e999' is not a finite number"),
    ({NODES: GOOD[NODES].replace("0.1", "NaN")}, Fault.INVALID_NUMBER, 5, "NaN",
     f"{NODES}, line 5, column 'size': 'NaN' is not a finite number"),
    ({"test.csv": lines("~id,size", "d,3", "e,three")}, Fault.INVALID_NUMBER, 3, "three",
     "test.csv, line 3, column 'size': 'three' is not a finite number"),
    ({"valid.csv": lines("~id", "b", "c")}, Fault.INVALID_SPLIT, 3, "c",
     "valid.csv, line 3, column '~id': 'c' has no label; leave it out of the split files"),
    ({"test.csv": lines("~id", "d", "a")}, Fault.INVALID_SPLIT, 3, "a",
     "test.csv, line 3, column '~id': 'a' is in the part 'train' as well; parts must not overlap"),
    ({"test.csv": lines("~id", "d", "d")}, Fault.INVALID_SPLIT, 3, "d", "test.csv, line 3, column '~id': 'd' is listed twice"),
    ({"train.csv": lines("~id", "a", "z")}, Fault.INVALID_SPLIT, 3, "z",
     "train.csv, line 3, column '~id': 'z' is the ~id of no node of type 'person'"),
    ({"train.csv": lines("~id")}, Fault.INVALID_SPLIT, None, None, "train.csv: the training part is empty"),
], ids=["word", "too large", "NaN", "word in a split file", "no number", "overlap", "twice", "unknown",
        "nothing to learn from"])
def test_what_cannot_be_used_is_refused(tmp_path: Path, files: dict[str, str], fault: Fault, line: int | None, value: str | None,
                                        text: str) -> None:
    with pytest.raises(InputFault, match=re.escape(text)) as caught:
        graph_of(tmp_path, regression(custom_split_filenames=FILES), GOOD | files)
    finding, = caught.value.findings
    assert (finding.name, finding.text, finding.line, finding.value) == (fault, text, line, value)


@pytest.mark.parametrize("rows", [[], [f"{name},person," for name in "abcdef"]], ids=["no nodes", "no numbers"])
def test_nothing_to_learn_from(tmp_path: Path, rows: list[str]) -> None:
    text = f"{NODES}, column 'size': no row has a label; a regression needs some to learn from"
    with pytest.raises(InputFault, match=re.escape(text)) as caught:
        graph_of(tmp_path, regression() | {"graph.edges": []}, {NODES: lines(HEADER, *rows)})
    finding, = caught.value.findings
    assert (finding.name, finding.file, finding.column) == (Fault.MISSING_LABELS, NODES, "size")


def test_several_words_are_told_together(tmp_path: Path) -> None:
    nodes = GOOD[NODES].replace("1.5", "one").replace("1e3", "a thousand").replace("7", "seven")
    with pytest.raises(InputFault) as caught:
        graph_of(tmp_path, regression(), {NODES: nodes})
    assert [(finding.line, finding.value) for finding in caught.value.findings] == [(2, "one"), (6, "a thousand"), (7, "seven")]


def test_a_number_is_one_and_never_several(tmp_path: Path) -> None:
    write(tmp_path, regression(separator=";"))
    text = "graph.nodes[0].labels[0].separator: only a classification can have several labels in a cell"
    with pytest.raises(InputFault, match=re.escape(text)) as caught:
        read_configuration(CONFIGURATION, (tmp_path / CONFIGURATION).read_bytes())
    assert caught.value.findings[0].name is Fault.CONTRADICTION
