"""What is predicted of edges: their classes, their numbers, the links themselves; labels and parts by the row of the edge files."""

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.graph.edges import (
    CLASSES,
    FILES,
    KIND,
    KNOWS,
    LIKES,
    LINKS,
    NO_EDGE,
    NUMBERS,
    PEOPLE,
    PLAIN,
    RELATIONS,
    WEIGHT,
    Json,
    assert_disjoint,
    entry,
    graph_of,
    lines,
    members,
    parts,
    sizes,
    target_of,
    values,
)
from tests.unit.graph.people import CONFIGURATION, write

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType, Graph
from despina.graph.schema import read_configuration

# Classes


def test_edges_are_classified(tmp_path: Path) -> None:
    rows = ["a,b,x", "b,a,y", "c,a,x", "d,c,", "f,e,y"]
    target = target_of(tmp_path, [entry(KIND, split_rate=[0.5, 0.25, 0.25])], {"knows.csv": lines(CLASSES, *rows)})
    assert (target.task, target.property_name, target.classes, target.multilabel) == (Task.EDGE_CLASS, "kind", ("x", "y"), False)
    assert list(target.by_type) == [KNOWS]
    edges = target.by_type[KNOWS]
    assert values(edges) == [0, 1, 0, -1, 1]
    assert edges.labels is not None
    assert edges.labels.dtype == np.int64
    assert sizes(edges) == [2, 1, 1]
    assert members(edges) == [0, 1, 2, 4], "the edge without a label is in no part"


def test_every_class_of_edges_is_divided_alike(tmp_path: Path) -> None:
    rows = [f"{PEOPLE[i % 6]},{PEOPLE[i // 6]},{'x' if i < 24 else 'y'}" for i in range(36)]
    edges = target_of(tmp_path, [entry(KIND, split_rate=[0.5, 0.25, 0.25])],
                      {"knows.csv": lines(CLASSES, *rows)}).by_type[KNOWS]
    assert edges.labels is not None
    assert [[int((edges.labels[mask] == label).sum()) for label in (0, 1)] for mask in (edges.train, edges.valid, edges.test)] == [
        [12, 6], [6, 3], [6, 3]]


def test_without_a_split_nine_of_ten_labelled_edges_are_learnt_from(tmp_path: Path) -> None:
    rows = [f"a,b,{'xy'[i % 2]}" for i in range(20)] + ["a,b,"] * 10
    assert sizes(target_of(tmp_path, [entry(KIND)], {"knows.csv": lines(CLASSES, *rows)}).by_type[KNOWS]) == [18, 2, 0]


def test_labels_are_in_the_order_of_the_files_of_a_type(tmp_path: Path) -> None:
    first, second = ["e,a,x", "a,e,y", "b,a,z"], ["d,a,y", "a,b,x"]
    graph = graph_of(tmp_path, [entry(KIND), entry(KIND, file="more.csv")],
                     {"knows.csv": lines(CLASSES, *first), "more.csv": lines(CLASSES, *second)})
    assert values(graph.target.by_type[KNOWS]) == [0, 1, 2, 1, 0]
    csr = graph.edges[KNOWS]
    label = {row: ends for ends, row in zip(
        [(PEOPLE[source], PEOPLE[node]) for node in range(6) for source in csr.indices[csr.indptr[node]:csr.indptr[node + 1]]],
        csr.edge_ids.tolist(), strict=True)}
    assert [",".join(label[row]) for row in range(5)] == [row[:3] for row in (*first, *second)], "the rows of edge_ids"


def test_a_file_of_the_type_that_has_no_labels_gives_edges_without(tmp_path: Path) -> None:
    edges = [entry(None, file="before.csv"), entry(KIND), entry(None, file="after.csv")]
    files = {"before.csv": lines("~to,~from", "a,b"), "knows.csv": lines(CLASSES, "a,b,x", "b,c,y"),
             "after.csv": lines("~from,~to,kind", "a,c,z")}
    target = target_of(tmp_path, edges, files)
    assert values(target.by_type[KNOWS]) == [-1, 0, 1, -1]
    assert target.classes == ("x", "y"), "a column of this name in a file without labels is not read"


def test_several_relations_from_a_column_have_labels_of_their_own_and_one_numbering(tmp_path: Path) -> None:
    rows = ["a,b,x,work", "b,a,z,school", "c,a,y,work", "a,c,,school", "d,c,x,school"]
    target = target_of(tmp_path, [entry(KIND, relation=("how", "knows"), split_rate=[1, 0, 0])],
                       {"knows.csv": lines(f"{CLASSES},how", *rows)})
    assert target.classes == ("x", "y", "z")
    assert {kind.relation: (values(edges), parts(edges)) for kind, edges in target.by_type.items()
            if isinstance(kind, EdgeType)} == {
        "knows-work": ([0, 1], [[0, 1], [], []]), "knows-school": ([2, -1, 0], [[0, 2], [], []])}


def test_several_edge_types_share_one_numbering_of_classes(tmp_path: Path) -> None:
    edges = [entry(KIND, split_rate=[1, 0, 0]), entry(KIND, file="likes.csv", relation=("", "likes"), split_rate=[1, 0, 0])]
    files = {"knows.csv": lines(CLASSES, "a,b,y", "b,c,m"), "likes.csv": lines(CLASSES, "a,b,z", "b,c,a", "c,d,m")}
    target = target_of(tmp_path, edges, files)
    assert target.classes == ("a", "m", "y", "z")
    assert {kind: values(edges) for kind, edges in target.by_type.items()} == {KNOWS: [2, 1], LIKES: [3, 0, 1]}


def test_edges_of_a_type_without_labels_are_no_part_of_the_target(tmp_path: Path) -> None:
    edges = [entry(KIND), entry(None, file="likes.csv", relation=("", "likes"))]
    graph = graph_of(tmp_path, edges, {"knows.csv": lines(CLASSES, "a,b,y", "b,c,m"), "likes.csv": lines(CLASSES, "a,b,z")})
    assert list(graph.target.by_type) == [KNOWS]
    assert LIKES in graph.edges


def test_a_separator_gives_an_edge_several_labels(tmp_path: Path) -> None:
    rows = ["a,b,x;z", "b,a,y", "c,a,", "d,a,z;x", "e,a,;", r"f,a,y\;z;x", "a,c,x;x"]
    target = target_of(tmp_path, [entry(KIND, separator=";", split_rate=[0.6, 0.2, 0.2])],
                       {"knows.csv": lines(CLASSES, *rows)})
    assert (target.classes, target.multilabel) == (("x", "y", "y;z", "z"), True)
    edges = target.by_type[KNOWS]
    assert values(edges) == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0]]
    assert edges.labels is not None
    assert edges.labels.dtype == np.float32
    assert sizes(edges) == [3, 1, 1]
    assert members(edges) == [0, 1, 3, 5, 6]


def test_classes_of_several_labels_are_numbered_over_all_types(tmp_path: Path) -> None:
    edges = [entry(KIND, separator=";"), entry(KIND, file="likes.csv", relation=("", "likes"), separator=";")]
    files = {"knows.csv": lines(CLASSES, "a,b,x", "b,c,w;x"), "likes.csv": lines(CLASSES, "a,b,z;w")}
    target = target_of(tmp_path, edges, files)
    assert target.classes == ("w", "x", "z")
    assert {kind: values(edges) for kind, edges in target.by_type.items()} == {KNOWS: [[0, 1, 0], [1, 1, 0]], LIKES: [[1, 0, 1]]}


# Numbers


def test_numbers_of_edges(tmp_path: Path) -> None:
    rows = ["a,b,1.5", "b,a,-2", "c,a,", "d,a,0.1", "e,a,1e3"]
    target = target_of(tmp_path, [entry(WEIGHT, split_rate=[0.5, 0.25, 0.25])], {"knows.csv": lines(NUMBERS, *rows)})
    assert (target.task, target.property_name, target.classes) == (Task.EDGE_REGRESSION, "weight", ())
    edges = target.by_type[KNOWS]
    assert edges.labels is not None
    assert edges.labels.dtype == np.float32
    assert np.array_equal(edges.labels, np.array([1.5, -2, np.nan, 0.1, 1000], dtype=np.float32), equal_nan=True)
    assert sizes(edges) == [2, 1, 1]
    assert members(edges) == [0, 1, 3, 4], "the edge without a number is in no part"


def test_a_single_number_for_all_edges_may_be_predicted(tmp_path: Path) -> None:
    target = target_of(tmp_path, [entry(WEIGHT, split_rate=[0.5, 0.5, 0])], {"knows.csv": lines(NUMBERS, "a,b,3", "b,a,3")})
    assert (values(target.by_type[KNOWS]), sizes(target.by_type[KNOWS])) == ([3, 3], [1, 1, 0])


def test_numbers_of_several_relations_and_files(tmp_path: Path) -> None:
    edges = [entry(WEIGHT, relation=("how", "")), entry(WEIGHT, relation=("how", ""), file="more.csv")]
    files = {"knows.csv": lines(f"{NUMBERS},how", "a,b,1,knows", "a,c,2,likes", "a,d,3,knows"),
             "more.csv": lines(f"how,{NUMBERS}", "likes,a,e,4", "knows,b,a,5")}
    target = target_of(tmp_path, edges, files)
    assert {kind: values(edges) for kind, edges in target.by_type.items()} == {KNOWS: [1, 3, 5], LIKES: [2, 4]}


def test_a_type_in_the_name_of_the_label_is_no_part_of_the_property(tmp_path: Path) -> None:
    edges = [entry({"label": ["weight:double", "regression"]})]
    target = target_of(tmp_path, edges, {"knows.csv": lines("~from,~to,weight:double", "a,b,1", "b,a,2")})
    assert target.property_name == "weight"
    assert values(target.by_type[KNOWS]) == [1, 2]


# Links


def test_links_have_parts_and_no_labels(tmp_path: Path) -> None:
    rows = [f"{source},{destination}" for source in "ab" for destination in PEOPLE[:4]]
    target = target_of(tmp_path, [entry(LINKS, split_rate=[0.5, 0.25, 0.25])], {"knows.csv": lines(PLAIN, *rows)})
    assert (target.task, target.property_name, target.classes, target.multilabel) == (Task.LINK_PREDICT, "", (), False)
    edges = target.by_type[KNOWS]
    assert edges.labels is None
    assert sizes(edges) == [4, 2, 2]
    assert members(edges) == list(range(8))


def test_without_any_label_the_links_of_all_types_are_predicted(tmp_path: Path) -> None:
    edges = [entry(None), entry(None, file="likes.csv", relation=("how", "")),
             {"file_name": "clubs.csv", "source": ["~from", "person"], "relation": ["", "joined"], "dest": ["~to", "club"]}]
    files = {"knows.csv": lines(PLAIN, *(f"{PEOPLE[i % 5]},f" for i in range(20))),
             "likes.csv": lines(f"{PLAIN},how", *(f"a,{PEOPLE[i % 6]},{'likes' if i < 11 else 'hates'}" for i in range(14))),
             "clubs.csv": lines(PLAIN, "a,chess")}
    target = target_of(tmp_path, edges, files)
    assert target.task is Task.LINK_PREDICT
    assert {kind.relation: sizes(edges) for kind, edges in target.by_type.items() if isinstance(kind, EdgeType)} == {
        "knows": [18, 2, 0], "likes": [10, 1, 0], "hates": [3, 0, 0], "joined": [1, 0, 0]}


def test_a_label_of_one_edge_type_leaves_the_links_of_others_alone(tmp_path: Path) -> None:
    edges = [entry(LINKS, split_rate=[0.5, 0.5, 0]), entry(None, file="likes.csv", relation=("", "likes"))]
    target = target_of(tmp_path, edges, {"knows.csv": lines(PLAIN, "a,b", "b,a"), "likes.csv": lines(PLAIN, "a,b")})
    assert list(target.by_type) == [KNOWS]


def test_edge_types_may_have_splits_of_their_own(tmp_path: Path) -> None:
    edges = [entry(LINKS, split_rate=[0.5, 0.5, 0]), entry(LINKS, file="likes.csv", relation=("", "likes"), split_rate=[1, 0, 0])]
    target = target_of(tmp_path, edges, {"knows.csv": lines(PLAIN, "a,b", "b,a"), "likes.csv": lines(PLAIN, "a,b", "c,b")})
    assert {kind: sizes(edges) for kind, edges in target.by_type.items()} == {KNOWS: [1, 1, 0], LIKES: [2, 0, 0]}


# What holds of every split


PAIRS = [f"{source},{destination}" for source in "abc" for destination in "abc"]
EDGES = st.lists(st.tuples(st.sampled_from(PAIRS), st.sampled_from(["x", "y", "z", ""])), min_size=1, max_size=25).filter(
    lambda rows: any(label for _, label in rows))
RATES = st.tuples(st.integers(1, 8), st.integers(0, 8), st.integers(0, 8)).map(
    lambda shares: [share / sum(shares) for share in shares])


@given(EDGES, RATES, st.sampled_from([None, ";"]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_random_parts_divide_the_labelled_edges_the_same_way_every_time(rows: list[tuple[str, str]], rates: list[float],
                                                                        separator: str | None) -> None:
    options: Json = {"split_rate": rates} if separator is None else {"split_rate": rates, "separator": separator}
    with tempfile.TemporaryDirectory() as folder:
        edges = [entry(KIND, **options)]
        content = {"knows.csv": lines(CLASSES, *(f"{pair},{label}" for pair, label in rows))}
        first, again = (target_of(Path(folder), edges, content).by_type[KNOWS] for _ in range(2))
    assert members(first) == [row for row, (_, label) in enumerate(rows) if label]
    assert first.train.any()
    assert parts(first) == parts(again)


@given(st.lists(st.tuples(st.sampled_from(PAIRS), st.sampled_from(["knows", "likes"])), min_size=1, max_size=25), st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_listed_parts_hold_the_edges_of_the_listed_pairs(rows: list[tuple[str, str]], data: st.DataObject) -> None:
    names = ["train", "valid", "test", "none"]
    part_of = {row: data.draw(st.sampled_from(names)) for row in sorted(set(rows))}
    part_of[rows[0]] = "train"
    kinds = ["xy"[i % 2] for i in range(len(rows))]
    files = {f"{part}.csv": lines("~label,~from,~to", *(
        f"{relation},{pair}" for (pair, relation), its in part_of.items() if its == part)) for part in names}
    files["knows.csv"] = lines(f"{CLASSES},how", *(f"{pair},{kind},{how}" for (pair, how), kind in zip(rows, kinds, strict=True)))
    with tempfile.TemporaryDirectory() as folder:
        target = target_of(Path(folder), [entry(KIND, relation=("how", ""), custom_split_filenames=FILES)], files)
    assert_disjoint(target)
    for kind, edges in target.by_type.items():
        assert isinstance(kind, EdgeType)
        own = [(row, label) for row, label in zip(rows, kinds, strict=True) if row[1] == kind.relation]
        assert parts(edges) == [[i for i, (row, _) in enumerate(own) if part_of[row] == part] for part in names[:3]]
        assert [target.classes[label] for label in values(edges)] == [label for _, label in own]


@pytest.mark.parametrize("label", [KIND, WEIGHT, LINKS, {**KIND, "separator": ";"}], ids=["classes", "numbers", "links", "several"])
def test_a_target_of_edges_comes_back_from_its_files(tmp_path: Path, label: Json) -> None:
    edges = [entry(label, split_rate=[0.5, 0.5, 0]), entry(label, file="likes.csv", relation=("", "likes"))]
    graph = graph_of(tmp_path, edges, {"knows.csv": lines("~from,~to,kind,weight", "a,b,x,1", "b,a,,", "c,a,y,2"),
                                       "likes.csv": lines("~from,~to,kind,weight", "a,b,y;z,3")})
    graph.save(tmp_path / "graph")
    ours, again = graph.target, Graph.load(tmp_path / "graph").target
    assert (again.task, again.property_name, again.classes, again.multilabel) == (
        ours.task, ours.property_name, ours.classes, ours.multilabel)
    assert list(again.by_type) == [KNOWS, LIKES]
    for kind, labelled in ours.by_type.items():
        assert parts(again.by_type[kind]) == parts(labelled)
        its = again.by_type[kind].labels
        assert (its is None) == (labelled.labels is None)
        if its is not None and labelled.labels is not None:
            assert its.dtype == labelled.labels.dtype
            assert np.array_equal(its, labelled.labels, equal_nan=its.dtype.kind == "f")


# What is refused


GOOD = {"knows.csv": lines("~from,~to,kind,weight", "a,b,x,1", "b,a,y,2", "c,a,x,3", "d,a,,", "a,b,y,4"),
        "train.csv": lines(PLAIN, "a,b"), "valid.csv": lines(PLAIN, "b,a"), "test.csv": lines(PLAIN, "c,a")}


@pytest.mark.parametrize(("label", "files", "fault", "line", "text"), [
    (KIND, {"train.csv": lines(PLAIN, "a,b", "b,c")}, Fault.INVALID_SPLIT, 3,
     f"train.csv, line 3, column '~from': 'b': {NO_EDGE}"),
    (LINKS, {"train.csv": lines(PLAIN, "a,c")}, Fault.INVALID_SPLIT, 2,
     f"train.csv, line 2, column '~from': 'a': {NO_EDGE}"),
    (LINKS, {"valid.csv": lines(PLAIN, "b,a", "b,z")}, Fault.INVALID_SPLIT, 3,
     "valid.csv, line 3, column '~to': 'z' is the id of no node of type 'person'"),
    (WEIGHT, {"test.csv": lines(PLAIN, "z,a")}, Fault.INVALID_SPLIT, 2,
     "test.csv, line 2, column '~from': 'z' is the id of no node of type 'person'"),
    (LINKS, {"valid.csv": lines(PLAIN, "b,a", "a,b")}, Fault.INVALID_SPLIT, 3,
     "valid.csv, line 3, column '~from': 'a' is in the part 'train' as well; parts must not overlap"),
    (KIND, {"test.csv": lines("~label,~from,~to", "knows,b,a")}, Fault.INVALID_SPLIT, 2,
     "test.csv, line 2, column '~from': 'b' is in the part 'valid' as well; parts must not overlap"),
    (KIND, {"test.csv": lines(PLAIN, "c,a", "d,a")}, Fault.INVALID_SPLIT, 3,
     "test.csv, line 3, column '~from': 'd' has no label; leave it out of the split files"),
    (WEIGHT, {"valid.csv": lines(PLAIN, "d,a")}, Fault.INVALID_SPLIT, 2,
     "valid.csv, line 2, column '~from': 'd' has no label; leave it out of the split files"),
    ({**KIND, "separator": ";"}, {"valid.csv": lines(CLASSES, "b,a,;")}, Fault.INVALID_SPLIT, 2,
     "valid.csv, line 2, column '~from': 'b' has no label; leave it out of the split files"),
    (KIND, {"train.csv": lines(CLASSES, "a,b,z", "d,a,")}, Fault.INVALID_SPLIT, 3,
     "train.csv, line 3, column '~from': 'd' has no label; leave it out of the split files"),
    (LINKS, {"train.csv": lines(PLAIN, "a,b", ",a")}, Fault.INVALID_SPLIT, 3,
     "train.csv, line 3, column '~from': the cell is empty; it must be the id of a node of type 'person'"),
    (KIND, {"train.csv": lines(PLAIN, "a,b", "a,")}, Fault.INVALID_SPLIT, 3,
     "train.csv, line 3, column '~to': the cell is empty; it must be the id of a node of type 'person'"),
    (KIND, {"train.csv": lines(PLAIN)}, Fault.INVALID_SPLIT, None, "train.csv: the training part is empty"),
    (LINKS, {"train.csv": lines(f"{PLAIN},~label")}, Fault.INVALID_SPLIT, None, "train.csv: the training part is empty"),
    (LINKS, {"train.csv": lines(f"{PLAIN},~label", "a,b,likes")}, Fault.INVALID_SPLIT, 2,
     f"train.csv, line 2, column '~label': 'likes'{RELATIONS}knows"),
    (KIND, {"test.csv": lines(f"{PLAIN},~label", "c,a,")}, Fault.INVALID_SPLIT, 2,
     f"test.csv, line 2, column '~label': the cell is empty{RELATIONS}knows"),
    (KIND, {"test.csv": lines(f"{PLAIN},~label", "c,a,knows", "c,b,knows")}, Fault.INVALID_SPLIT, 3,
     f"test.csv, line 3, column '~from': 'c': {NO_EDGE}"),
    (WEIGHT, {"test.csv": lines(f"{PLAIN},~label", "c,a,knows", "c,z,knows")}, Fault.INVALID_SPLIT, 3,
     "test.csv, line 3, column '~to': 'z' is the id of no node of type 'person'"),
    (WEIGHT, {"knows.csv": lines(NUMBERS, "a,b,1", "b,a,much")}, Fault.INVALID_NUMBER, 3,
     "knows.csv, line 3, column 'weight': 'much' is not a finite number"),
    (WEIGHT, {"valid.csv": lines(NUMBERS, "b,a,-inf")}, Fault.INVALID_NUMBER, 2,
     "valid.csv, line 2, column 'weight': '-inf' is not a finite number"),
    (KIND, {"train.csv": lines("~from", "a")}, Fault.MISSING_COLUMN, None,
     "train.csv, line 1: there is no column '~to'; the columns are ~from"),
], ids=["no edge", "no link", "unknown destination", "unknown source", "overlap", "overlap of a relation", "no label", "no number",
        "only separators", "no label in either", "empty source", "empty destination", "nothing to learn from",
        "no link to learn from", "unknown relation", "no relation", "no edge of the relation", "no end of the relation", "word",
        "infinite", "no ~to"])
def test_what_cannot_be_used_is_refused(tmp_path: Path, label: Json, files: dict[str, str], fault: Fault, line: int | None,
                                        text: str) -> None:
    with pytest.raises(InputFault, match=re.escape(text)) as caught:
        target_of(tmp_path, [entry(label, custom_split_filenames=FILES)], GOOD | files)
    finding, = caught.value.findings
    assert (finding.name, finding.text, finding.line) == (fault, text, line)
    assert finding.file == re.split("[,:]", text, maxsplit=1)[0]


def test_faults_of_several_split_files_and_relations_are_told_together(tmp_path: Path) -> None:
    edges = [entry(KIND, custom_split_filenames=FILES),
             entry(KIND, file="likes.csv", relation=("", "likes"),
                   custom_split_filenames={"train": "more.csv", "valid": "valid.csv"})]
    files = GOOD | {"train.csv": lines(PLAIN, "a,c", "z,a", "a,d", "y,a"), "likes.csv": lines(CLASSES, "b,a,x"),
                    "more.csv": lines(PLAIN, "b,a", "b,y")}
    with pytest.raises(InputFault) as caught:
        target_of(tmp_path, edges, files)
    assert [(finding.file, finding.line, finding.column, finding.value) for finding in caught.value.findings] == [
        ("train.csv", 3, "~from", "z"), ("train.csv", 5, "~from", "y"), ("more.csv", 3, "~to", "y")]


def test_an_empty_training_part_beside_a_type_without_labels(tmp_path: Path) -> None:
    edges = [entry(KIND), entry(KIND, file="likes.csv", relation=("", "likes"), custom_split_filenames={
        "train": "train.csv", "valid": "valid.csv"})]
    files = {"knows.csv": lines(CLASSES, "a,b,"), "likes.csv": lines(CLASSES, "a,b,x", "b,a,y"), "train.csv": lines(PLAIN),
             "valid.csv": lines(PLAIN, "a,b")}
    with pytest.raises(InputFault, match=r"^train\.csv: the training part is empty$"):
        target_of(tmp_path, edges, files)


@pytest.mark.parametrize(("first", "second", "text"), [
    ({"split_rate": [1, 0, 0]}, {}, "give different options for the label 'kind'; they must be the same"),
    ({}, {"features": [{"feature": ["kind", "k", "category"]}]}, "the column 'kind' is the label of edge type"),
    ({"features": [{"feature": ["weight", "w", "numerical"], "norm": "none"}]},
     {"features": [{"feature": ["weight", "w", "category"]}]}, "give different options for the feature 'w'; they must be the")])
def test_files_agree_on_a_type_that_one_has_by_its_name_and_another_in_a_column(tmp_path: Path, first: Json, second: Json,
                                                                               text: str) -> None:
    edges = [entry(KIND, relation=("how", "")), entry(KIND if "features" not in second else None, file="more.csv")]
    for file, options in zip(edges, (first, second), strict=True):
        file |= {"features": options.get("features", [])}
        others = {name: value for name, value in options.items() if name != "features"}
        file["labels"] = [label | others for label in file["labels"]]
    files = {"knows.csv": lines("~from,~to,kind,weight,how", "a,b,x,1,knows", "b,a,y,2,likes"),
             "more.csv": lines("~from,~to,kind,weight", "c,a,y,3", "c,b,x,4")}
    with pytest.raises(InputFault, match=re.escape(text)) as caught:
        target_of(tmp_path, edges, files)
    finding, = caught.value.findings
    assert (finding.name, finding.file) == (Fault.CONTRADICTION, "more.csv")
    assert finding.text.startswith("knows.csv and more.csv: the ")
    assert "(person)-knows-(person)" in finding.text


@pytest.mark.parametrize(("label", "header", "text"), [
    (KIND, CLASSES, "knows.csv, column 'kind': no row has a label; a classification needs some to learn from"),
    (WEIGHT, NUMBERS, "knows.csv, column 'weight': no row has a label; a regression needs some to learn from"),
    (LINKS, PLAIN, "there are no edges of type (person)-knows-(person); link prediction needs some to learn from")])
@pytest.mark.parametrize("rows", [[], ["a,b,", "b,a,"]], ids=["no edges", "no labels"])
def test_nothing_to_learn_from(tmp_path: Path, label: Json, header: str, text: str, rows: list[str]) -> None:
    rows = [] if label is LINKS else rows
    with pytest.raises(InputFault, match=re.escape(text)) as caught:
        target_of(tmp_path, [entry(label)], {"knows.csv": lines(header, *rows)})
    assert [finding.name for finding in caught.value.findings] == [Fault.MISSING_LABELS]


def test_different_properties_of_edges_are_two_targets(tmp_path: Path) -> None:
    edges = [entry(KIND), entry(WEIGHT, file="likes.csv", relation=("", "likes"))]
    write(tmp_path, {"graph.nodes.0.labels": [], "graph.edges": edges})
    with pytest.raises(InputFault) as caught:
        read_configuration(CONFIGURATION, (tmp_path / CONFIGURATION).read_bytes())
    finding, = caught.value.findings
    assert finding.name is Fault.NOT_OFFERED
    assert finding.text.startswith(
        f"{CONFIGURATION}: there are labels for edge type (person)-knows-(person) (edge_class of kind) and edge type "
        "(person)-likes-(person) (edge_regression of weight); more than one target is not offered")
