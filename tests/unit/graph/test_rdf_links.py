"""Links of RDF are predicted: those of the targets' types, or all of them."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.graph.triples import (
    CONFIGURATION,
    KNOWS,
    LIVES,
    STATEMENTS,
    TRIPLES,
    configure,
    convert,
    expanded,
    graph_of,
    links,
    with_label,
    write,
)

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType
from despina.graph.schema import DEFAULT_SPLIT, ExportConfiguration, SplitFiles

KNOWS_EDGES = "(http://e/Person)-http://e/knows-(http://e/Person)"
LIVES_EDGES = "(http://e/Person)-http://e/livesIn-(http://e/Town)"
PART_EDGES = "(http://e/Town)-http://e/partOf-(_)"
ALL = f"{KNOWS_EDGES}, {LIVES_EDGES}, {PART_EDGES}"


def labels_of(configuration: ExportConfiguration) -> dict[str, Any]:
    """The split by predicate, without the IRI's beginning; None where edges are not predicted."""
    for entry in configuration.edges:
        assert entry.label is None or (entry.label.task, entry.label.column) == (Task.LINK_PREDICT, "")
    return {entry.relation.rpartition("/")[2]: entry.label and entry.label.split for entry in configuration.edges}


def test_the_edges_of_a_target_are_predicted_and_stay_edges(tmp_path: Path) -> None:
    configuration = configure(tmp_path, links(KNOWS | {"split_rate": [0.5, 0.5, 0]}))
    assert labels_of(configuration) == {"knows": (0.5, 0.5, 0.0), "livesIn": None, "partOf": None}
    assert configuration.target.task is Task.LINK_PREDICT
    assert [entry.label for entry in configuration.nodes] == [None, None, None]
    graph = graph_of(tmp_path, configuration).graph
    knows = EdgeType("http://e/Person", "http://e/knows", "http://e/Person")
    assert list(graph.target.by_type) == [knows]
    assert graph.target.by_type[knows].train.tolist() in ([True, False], [False, True])
    assert "http://e/Town" in graph.node_ids
    assert "http://e/age" in graph.features["http://e/Person"].columns


def test_several_targets_have_splits_of_their_own(tmp_path: Path) -> None:
    configuration = configure(tmp_path, links(KNOWS | {"split_rate": [0.5, 0.5, 0]}, LIVES))
    assert labels_of(configuration) == {"knows": (0.5, 0.5, 0.0), "livesIn": DEFAULT_SPLIT, "partOf": None}


@pytest.mark.parametrize("configuration", [
    with_label(None), links(), {"query_engine": "sparql", "graph": [{"rdfs": [{"file_name": STATEMENTS}]}]}, links({}),
    with_label({"task_type": "link_prediction"})])
def test_without_targets_all_edges_are_predicted(tmp_path: Path, configuration: dict[str, Any]) -> None:
    read_in = configure(tmp_path, configuration)
    assert labels_of(read_in) == dict.fromkeys(("knows", "livesIn", "partOf"), DEFAULT_SPLIT)
    assert read_in.warnings == ()


def test_the_split_of_all_edges(tmp_path: Path) -> None:
    configuration = configure(tmp_path, links({"split_rate": [0.6, 0.2, 0.2]}))
    assert labels_of(configuration) == dict.fromkeys(("knows", "livesIn", "partOf"), (0.6, 0.2, 0.2))


def test_an_incomplete_target_means_all_edges_and_says_so(tmp_path: Path) -> None:
    rdfs = [{"file_name": name, "label": links({"predicate": "http://e/knows"})["graph"]["rdfs"][0]["label"]}
            for name in (STATEMENTS, "more.nt")]
    write(tmp_path, {"query_engine": "sparql", "graph": {"rdfs": rdfs}, "warnings": ["of the exporter"]},
          files={"more.nt": expanded("e:a e:knows e:c .\n")})
    configuration = convert(tmp_path)
    assert labels_of(configuration) == dict.fromkeys(("knows", "livesIn", "partOf"), DEFAULT_SPLIT)
    assert configuration.warnings == ("of the exporter", (
        f"{CONFIGURATION}: the link prediction target with the predicate 'http://e/knows' has no subject and no object, so that "
        "all edges are to be predicted; to predict edges of one type, give subject, predicate and object"))


def test_beside_all_edges_a_complete_target_keeps_its_split(tmp_path: Path) -> None:
    configuration = configure(tmp_path, links({"split_rate": [0.6, 0.2, 0.2]}, KNOWS | {"split_rate": [0.5, 0.5, 0]}))
    assert labels_of(configuration) == {"knows": (0.5, 0.5, 0.0), "livesIn": (0.6, 0.2, 0.2), "partOf": (0.6, 0.2, 0.2)}


def test_the_classes_of_link_targets_are_types_that_count(tmp_path: Path) -> None:
    more = "e:a rdf:type e:Agent .\ne:b rdf:type e:Agent .\ne:x rdf:type e:City .\n"
    assert labels_of(configure(tmp_path, links(LIVES, KNOWS), TRIPLES + more)) == {
        "knows": DEFAULT_SPLIT, "livesIn": DEFAULT_SPLIT, "partOf": None}


def test_literals_with_the_predicate_are_no_links(tmp_path: Path) -> None:
    configuration = configure(tmp_path, links(KNOWS), TRIPLES + 'e:a e:knows "nobody" .\n')
    assert "http://e/knows" in [feature.column for feature in configuration.nodes[0].features]
    assert labels_of(configuration)["knows"] == DEFAULT_SPLIT


def test_split_files_of_links(tmp_path: Path) -> None:
    files = {"train": "splits/train.csv", "valid": "valid.csv"}
    write(tmp_path, links(KNOWS | {"custom_split_filenames": files}), files={
        "splits/train.csv": "~from,~to\nhttp://e/b,http://e/a\n", "valid.csv": "~from,~to\nhttp://e/a,http://e/b\n"})
    configuration = convert(tmp_path)
    assert labels_of(configuration)["knows"] == SplitFiles(train="splits/train.csv", valid="valid.csv")
    part, = graph_of(tmp_path, configuration).graph.target.by_type.values()
    assert (part.train.tolist(), part.valid.tolist(), part.test.tolist()) == ([False, True], [True, False], [False, False])


def test_split_files_of_all_edges_say_which_predicate_is_meant(tmp_path: Path) -> None:
    write(tmp_path, links({"custom_split_filenames": {"train": "train.csv", "valid": "valid.csv"}}), files={
        "train.csv": "~from,~label,~to\nhttp://e/b,http://e/knows,http://e/a\nhttp://e/c,http://e/livesIn,http://e/x\n",
        "valid.csv": "~from,~label,~to\nhttp://e/a,http://e/knows,http://e/b\n"})
    target = graph_of(tmp_path, convert(tmp_path)).graph.target
    knows, lives, part_of = target.by_type.values()
    assert (knows.train.tolist(), knows.valid.tolist()) == ([False, True], [True, False])
    assert (lives.train.tolist(), lives.valid.tolist()) == ([True], [False])
    assert not part_of.train.any()


def test_split_files_of_all_edges_without_predicates_are_refused(tmp_path: Path) -> None:
    write(tmp_path, links({"custom_split_filenames": {"train": "train.csv", "valid": "valid.csv"}}), files={
        "train.csv": "~from,~to\nhttp://e/b,http://e/a\n", "valid.csv": "~from,~to\nhttp://e/a,http://e/b\n"})
    with pytest.raises(InputFault) as caught:
        convert(tmp_path)
    assert str(caught.value) == (
        f"train.csv: it lists edges of 3 types, {ALL}; add the column '~label' with the predicate of each, or give each type "
        "a target with subject, predicate and object, and split files of its own")
    assert caught.value.findings[0].name is Fault.INVALID_SPLIT


@pytest.mark.parametrize(("target", "expected"), [
    ({"object": "http://e/Town"}, f"http://e/knows-(http://e/Town) to predict; the edges with this predicate are {KNOWS_EDGES}"),
    ({"predicate": "urn:x", "object": "http://e/Town"},
     f"urn:x-(http://e/Town) to predict; there are none with this predicate; there are {LIVES_EDGES}, {KNOWS_EDGES}, {PART_EDGES}"),
    ({"predicate": "http://e/know"},
     (f"http://e/know-(http://e/Person) to predict; there are none with this predicate (did you mean 'http://e/knows'?); "
      f"there are {ALL}")),
])
def test_a_target_that_no_edge_has_is_named(tmp_path: Path, target: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputFault) as caught:
        configure(tmp_path, links(LIVES, KNOWS | target))
    assert str(caught.value) == f"{STATEMENTS}: there are no edges (http://e/Person)-{expected}"
    finding, = caught.value.findings
    assert (finding.name, finding.file, finding.column) == (Fault.MISSING_LABELS, STATEMENTS, (KNOWS | target)["predicate"])


def test_links_need_edges(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="there are no edges to predict: no triple but those of rdf:type has an IRI or a blank"):
        configure(tmp_path, links(), 'e:a rdf:type e:Person .\ne:a e:age "3" .\n')


