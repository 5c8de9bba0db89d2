"""The edges of each part, as split files list them: by the row of the edge files."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.graph.edges import (
    CLASSES,
    FILES,
    KIND,
    KNOWS,
    LIKES,
    LINKS,
    NO_EDGE,
    NUMBERS,
    PLAIN,
    RELATIONS,
    WEIGHT,
    Json,
    entry,
    lines,
    parts,
    sizes,
    target_of,
    values,
)

from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType


def test_split_files_are_followed(tmp_path: Path) -> None:
    files = {"knows.csv": lines(CLASSES, "a,b,x", "b,a,y", "c,a,x", "d,a,y", "e,a,"),
             "train.csv": lines(PLAIN, "c,a", "b,a"), "valid.csv": lines("~to,~from", "b,a"), "test.csv": lines(PLAIN)}
    edges = target_of(tmp_path, [entry(KIND, custom_split_filenames=FILES)], files).by_type[KNOWS]
    assert parts(edges) == [[1, 2], [0], []]
    assert values(edges) == [0, 1, 0, 1, -1], "what is not listed keeps its label"


def test_a_listed_pair_means_all_edges_between_the_two_nodes(tmp_path: Path) -> None:
    rows = ["a,b,x", "b,a,y", "a,b,y", "c,a,x", "a,b,x", "b,a,x"]
    files = {"knows.csv": lines(CLASSES, *rows), "train.csv": lines(PLAIN, "a,b"), "valid.csv": lines(PLAIN, "b,a", "b,a"),
             "test.csv": lines(PLAIN, "c,a")}
    edges = target_of(tmp_path, [entry(KIND, custom_split_filenames=FILES)], files).by_type[KNOWS]
    assert parts(edges) == [[0, 2, 4], [1, 5], [3]]
    assert values(edges) == [0, 1, 1, 0, 0, 0]


def test_labels_in_split_files_override_those_of_the_edges(tmp_path: Path) -> None:
    files = {"knows.csv": lines(CLASSES, "a,b,v", "b,a,y", "a,b,x", "c,a,", "d,a,y"),
             "train.csv": lines(f"kind,{PLAIN}", "w,a,b", "y,c,a"), "valid.csv": lines(PLAIN, "b,a"),
             "test.csv": lines(CLASSES, "d,a,x")}
    target = target_of(tmp_path, [entry(KIND, custom_split_filenames=FILES)], files)
    assert target.classes == ("w", "x", "y"), "v is overridden everywhere"
    assert values(target.by_type[KNOWS]) == [0, 2, 0, 2, 1]
    assert parts(target.by_type[KNOWS]) == [[0, 2, 3], [1], [4]]


@pytest.mark.parametrize(("label", "header", "values_of", "expected"), [
    (KIND, CLASSES, "xyz", [0, 1, 2]), ({**KIND, "separator": ";"}, CLASSES, "xyz", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    (WEIGHT, NUMBERS, "123", [1, 2, 3])], ids=["classes", "several", "numbers"])
def test_an_empty_cell_of_a_split_file_leaves_the_label_as_it_is(tmp_path: Path, label: Json, header: str, values_of: str,
                                                                 expected: list[Any]) -> None:
    first, second, third = list(values_of)
    files = {"knows.csv": lines(header, f"a,b,{first}", f"b,a,{first}", f"c,a,{third}"),
             "train.csv": lines(header, "a,b,", f"b,a,{second}"), "valid.csv": lines(header, "c,a,"), "test.csv": lines(PLAIN)}
    edges = target_of(tmp_path, [entry(label, custom_split_filenames=FILES)], files).by_type[KNOWS]
    assert values(edges) == expected
    assert parts(edges) == [[0, 1], [2], []]


@pytest.mark.parametrize(("label", "cells"), [(KIND, "xy"), ({**KIND, "separator": ";"}, "xy"), (WEIGHT, "12")],
                         ids=["classes", "several", "numbers"])
def test_a_listed_pair_means_those_of_its_edges_that_have_a_label(tmp_path: Path, label: Json, cells: str) -> None:
    column, first, second = label["label"][0], cells[0], cells[1]
    rows = [f"a,b,{first}", "a,b,", f"a,b,{second}", f"b,a,{first}", "b,a,"]
    files = {"knows.csv": lines(f"{PLAIN},{column}", *rows), "train.csv": lines(PLAIN, "a,b", "a,b"),
             "valid.csv": lines(PLAIN, "b,a"), "test.csv": lines(PLAIN)}
    edges = target_of(tmp_path, [entry(label, custom_split_filenames=FILES)], files).by_type[KNOWS]
    assert parts(edges) == [[0, 2], [3], []]


def test_several_labels_in_split_files_override_too(tmp_path: Path) -> None:
    files = {"knows.csv": lines(CLASSES, "a,b,x;y", "b,a,y"), "train.csv": lines(CLASSES, "a,b,z"),
             "valid.csv": lines(CLASSES, "b,a,z;x")}
    split = {"train": "train.csv", "valid": "valid.csv"}
    target = target_of(tmp_path, [entry(KIND, separator=";", custom_split_filenames=split)], files)
    assert target.classes == ("x", "z")
    assert values(target.by_type[KNOWS]) == [[0, 1], [1, 1]]


def test_numbers_in_split_files_override_those_of_the_edges(tmp_path: Path) -> None:
    files = {"knows.csv": lines(NUMBERS, "a,b,1", "b,a,2", "a,b,3", "c,a,", "d,a,5"),
             "train.csv": lines(NUMBERS, "a,b,0.5", "c,a,-7"), "valid.csv": lines(PLAIN, "b,a"), "test.csv": lines(PLAIN)}
    edges = target_of(tmp_path, [entry(WEIGHT, custom_split_filenames=FILES)], files).by_type[KNOWS]
    assert values(edges) == [0.5, 2, 0.5, -7, 5]
    assert parts(edges) == [[0, 2, 3], [1], []]


def test_one_file_can_divide_the_edges_of_several_relations(tmp_path: Path) -> None:
    names = {"train": "train.csv", "valid": "valid.csv"}
    edges = [entry(KIND, custom_split_filenames=names),
             entry(KIND, file="likes.csv", relation=("", "likes"), custom_split_filenames=names)]
    files = {"knows.csv": lines(CLASSES, "a,b,x", "b,a,y", "c,a,x"), "likes.csv": lines(CLASSES, "a,b,y", "b,a,x", "d,a,y"),
             "train.csv": lines("~from,~to,~label,kind", "a,b,knows,z", "b,a,likes,x", "d,a,likes,w"),
             "valid.csv": lines("~label,~from,~to", "knows,b,a", "likes,a,b")}
    target = target_of(tmp_path, edges, files)
    assert target.classes == ("w", "x", "y", "z")
    assert {kind: (values(edges), parts(edges)) for kind, edges in target.by_type.items()} == {
        KNOWS: ([3, 2, 1], [[0], [1], []]), LIKES: ([2, 1, 0], [[1, 2], [0], []])}


def test_relations_from_a_column_are_divided_by_their_full_names(tmp_path: Path) -> None:
    edges = [entry(LINKS, relation=("how", "knows"), custom_split_filenames=FILES)]
    files = {"knows.csv": lines(f"{PLAIN},how", "a,b,work", "a,b,school", "b,a,work", "c,a,school"),
             "train.csv": lines(f"{PLAIN},~label", "a,b,knows-work", "c,a,knows-school"),
             "valid.csv": lines(f"{PLAIN},~label", "a,b,knows-school"), "test.csv": lines(f"{PLAIN},~label", "b,a,knows-work")}
    target = target_of(tmp_path, edges, files)
    assert {kind.relation: parts(edges) for kind, edges in target.by_type.items() if isinstance(kind, EdgeType)} == {
        "knows-work": [[0], [], [1]], "knows-school": [[1], [0], []]}


@pytest.mark.parametrize("label", [KIND, WEIGHT, LINKS], ids=["classes", "numbers", "links"])
def test_a_relation_may_have_split_files_of_a_header_only(tmp_path: Path, label: Json) -> None:
    nothing = {"train": "nothing.csv", "valid": "nothing.csv"}
    edges = [entry(label, custom_split_filenames=nothing),
             entry(label, file="likes.csv", relation=("", "likes"), custom_split_filenames=FILES)]
    files = {"knows.csv": lines("~from,~to,kind,weight", "a,b,x,1", "b,a,y,2"),
             "likes.csv": lines("~from,~to,kind,weight", "a,b,y,3", "b,a,x,4"),
             "nothing.csv": lines(PLAIN), "train.csv": lines(PLAIN, "b,a"), "valid.csv": lines(PLAIN, "a,b"),
             "test.csv": lines(PLAIN)}
    target = target_of(tmp_path, edges, files)
    assert {kind: parts(edges) for kind, edges in target.by_type.items()} == {KNOWS: [[], [], []], LIKES: [[1], [0], []]}
    if label is KIND:
        assert {kind: values(edges) for kind, edges in target.by_type.items()} == {KNOWS: [0, 1], LIKES: [1, 0]}


def test_one_type_by_files_and_another_at_random(tmp_path: Path) -> None:
    edges = [entry(LINKS, split_rate=[0.5, 0, 0.5]),
             entry(LINKS, file="likes.csv", relation=("", "likes"), custom_split_filenames=FILES)]
    files = {"knows.csv": lines(PLAIN, "a,b", "b,a"), "likes.csv": lines(PLAIN, "a,b", "b,a", "c,a"),
             "train.csv": lines(PLAIN, "c,a"), "valid.csv": lines(PLAIN, "a,b"), "test.csv": lines(PLAIN)}
    target = target_of(tmp_path, edges, files)
    assert sizes(target.by_type[KNOWS]) == [1, 0, 1]
    assert parts(target.by_type[LIKES]) == [[2], [0], []]


def test_the_ends_of_listed_edges_may_be_of_different_types(tmp_path: Path) -> None:
    edges = [{"file_name": "clubs.csv", "source": ["~from", "person"], "relation": ["", "joined"], "dest": ["~to", "club"],
              "labels": [{**LINKS, "custom_split_filenames": FILES}]}]
    files = {"clubs.csv": lines(PLAIN, "a,b", "b,chess", "b,a"), "train.csv": lines(PLAIN, "b,a"),
             "valid.csv": lines(PLAIN, "a,b"), "test.csv": lines(PLAIN, "b,chess")}
    assert parts(target_of(tmp_path, edges, files).by_type[EdgeType("person", "joined", "club")]) == [[2], [0], [1]]


def two_relations(folder: Path, *rows: str, others: Json | None = None, **ends: str) -> list[tuple[int | None, str | None, str]]:
    """The place and text of what is wrong with these rows of a training file that divides the edges of two relations."""
    names = {"train": "train.csv", "valid": "valid.csv"}
    edges = [entry(KIND, custom_split_filenames=names),
             entry(KIND, file="likes.csv", relation=("", "likes"), **others or {"custom_split_filenames": names})]
    edges[1] |= {end: ["~from" if end == "source" else "~to", node_type] for end, node_type in ends.items()}
    files = {"knows.csv": lines(CLASSES, "a,b,x", "b,a,y"), "likes.csv": lines(CLASSES, "a,b,y", "b,a,x"),
             "train.csv": lines("~from,~to,~label", "a,b,knows", *rows), "valid.csv": lines("~label,~from,~to", "knows,b,a")}
    with pytest.raises(InputFault) as caught:
        target_of(folder, edges, files)
    assert {(finding.name, finding.file) for finding in caught.value.findings} == {(Fault.INVALID_SPLIT, "train.csv")}
    return [(finding.line, finding.column, finding.text.split(f"'{finding.column}': ", 1)[1]) for finding in caught.value.findings]


def test_every_row_of_a_file_that_relations_share_must_name_an_edge_of_one(tmp_path: Path) -> None:
    rows = ["a,b,likes", "a,b,hates", "b,nobody,likes", "c,a,knows", "a,b,", ",a,likes", "nobody,a,knows"]
    assert two_relations(tmp_path, *rows) == [
        (9, "~from", "'nobody' is the id of no node of type 'person'"),
        (8, "~from", "the cell is empty; it must be the id of a node of type 'person'"),
        (4, "~label", f"'hates'{RELATIONS}knows, likes"), (7, "~label", f"the cell is empty{RELATIONS}knows, likes")]
    assert two_relations(tmp_path, "a,b,likes", "c,a,knows", "b,nobody,likes") == [
        (4, "~from", f"'c': {NO_EDGE}"), (5, "~to", "'nobody' is the id of no node of type 'person'")]


def test_a_file_divides_no_relation_that_is_divided_otherwise(tmp_path: Path) -> None:
    assert two_relations(tmp_path, "a,b,likes", others={"split_rate": [1, 0, 0]}) == [(3, "~label", f"'likes'{RELATIONS}knows")]


def test_a_row_may_name_an_edge_of_any_type_that_has_its_relation(tmp_path: Path) -> None:
    names = {"train": "train.csv", "valid": "valid.csv"}
    edges = [entry(LINKS, custom_split_filenames=names), entry(LINKS, file="clubs.csv", custom_split_filenames=names)]
    edges[1]["dest"] = ["~to", "club"]
    files = {"knows.csv": lines(PLAIN, "a,b", "b,a"), "clubs.csv": lines(PLAIN, "a,chess", "b,chess"),
             "train.csv": lines("~from,~to,~label", "a,b,knows", "a,chess,knows"),
             "valid.csv": lines("~from,~to,~label", "b,chess,knows", "b,a,knows")}
    target = target_of(tmp_path, edges, files)
    assert [parts(edges) for edges in target.by_type.values()] == [[[0], [1], []], [[0], [1], []]]
    files["train.csv"] += "a,draughts,knows\nc,b,knows\n"
    with pytest.raises(InputFault, match=r"line 4, column '~to': 'draughts' is the id of no node of type 'club' or 'person'$"):
        target_of(tmp_path, edges, files)
    files["train.csv"] = files["train.csv"].replace("a,draughts,knows\n", "")
    with pytest.raises(InputFault, match=r"line 4, column '~from': 'c': no edge of type \(person\)-knows-\(person\) or "
                                         r"\(person\)-knows-\(club\) goes from there"):
        target_of(tmp_path, edges, files)
