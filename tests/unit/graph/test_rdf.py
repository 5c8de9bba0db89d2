"""RDF is mapped to a typed graph; targets become labels that leave no trace in it."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.unit.graph.triples import (
    CONFIGURATION,
    KNOWS,
    LIVES,
    STATEMENTS,
    TARGET,
    TRIPLES,
    configure,
    convert,
    document,
    expanded,
    graph_of,
    links,
    read,
    with_label,
    write,
)

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType
from despina.graph.schema import DEFAULT_SPLIT, ExportConfiguration, Label


def people(folder: Path, configuration: ExportConfiguration, column: str) -> dict[str, str | None]:
    """The cells of a column of the file of people, by node."""
    entry, = (entry for entry in configuration.nodes if entry.node_type == "http://e/Person")
    frame = pl.read_csv(folder / "scratch" / entry.file_name, infer_schema=False)
    return dict(zip(frame["~id"].to_list(), frame[column].to_list(), strict=True))


def test_nodes_types_and_edges(tmp_path: Path) -> None:
    graph = read(tmp_path).graph
    assert graph.node_ids == {"http://e/Person": ["http://e/a", "http://e/b", "http://e/c", "http://e/d"],
                              "http://e/Town": ["http://e/x"], "_": ["_:land"]}
    forward = {edge_type: csr for edge_type, csr in graph.edges.items() if not edge_type.relation.startswith("rev-")}
    assert set(forward) == {EdgeType("http://e/Person", "http://e/knows", "http://e/Person"),
                            EdgeType("http://e/Person", "http://e/livesIn", "http://e/Town"),
                            EdgeType("http://e/Town", "http://e/partOf", "_")}
    assert forward[EdgeType("http://e/Person", "http://e/knows", "http://e/Person")].indices.tolist() == [1, 0]
    assert forward[EdgeType("http://e/Person", "http://e/livesIn", "http://e/Town")].indices.tolist() == [2]


def test_literals_of_the_target_are_labels_and_no_features(tmp_path: Path) -> None:
    configuration = configure(tmp_path, document())
    target = graph_of(tmp_path, configuration).graph.target
    assert (target.task, target.node_type, target.property_name) == (Task.NODE_CLASS, "http://e/Person", "http://e/team")
    assert target.classes == ("blue", "red")
    assert target.nodes.labels is not None
    assert target.nodes.labels.tolist() == [1, 0, 1, -1]
    assert target.nodes.train.sum() + target.nodes.valid.sum() + target.nodes.test.sum() == 3
    assert [feature.column for feature in configuration.nodes[0].features] == ["http://e/age", "http://e/likes"]


def test_literals_are_features_of_inferred_types(tmp_path: Path) -> None:
    features = read(tmp_path).graph.features["http://e/Person"]
    start, stop = features.columns["http://e/age"]
    expected = [10 / 20.5, 1.0, 10 / 20.5, 0.0]  # 0..1 between 20 and 40.5; c has none and gets the median, 30
    assert np.allclose(features.to_dense()[:, start:stop].T, expected)
    start, stop = features.columns["http://e/likes"]
    assert features.to_dense()[:, start:stop].tolist() == [[1, 1], [0, 1], [1, 0], [0, 0]], (
        "'salt;pepper' and 'tea': the separator inside a literal separates nothing")


def test_objects_of_the_target_are_labels_and_no_edges(tmp_path: Path) -> None:
    graph = read(tmp_path, document(TARGET | {"predicate": "http://e/livesIn"}), TRIPLES + "e:b e:livesIn e:y .\n").graph
    assert graph.target.classes == ("http://e/x", "http://e/y")
    assert graph.target.nodes.labels is not None
    assert graph.target.nodes.labels.tolist() == [-1, 1, 0, -1]
    assert not [edge_type for edge_type in graph.edges if "livesIn" in edge_type.relation]
    assert "http://e/y" not in graph.node_ids["_"], "nothing else is known of it"
    assert graph.node_ids["http://e/Town"] == ["http://e/x"]


def test_the_same_predicate_on_other_classes_stays_an_edge(tmp_path: Path) -> None:
    graph = read(tmp_path, document(TARGET | {"predicate": "http://e/livesIn"}), TRIPLES + "e:x e:livesIn _:land .\n").graph
    assert EdgeType("http://e/Town", "http://e/livesIn", "_") in graph.edges


def test_several_labels_make_the_task_multi_label(tmp_path: Path) -> None:
    target = read(tmp_path, triples=TRIPLES + 'e:a e:team "blue" .\n').graph.target
    assert target.multilabel
    assert target.nodes.labels is not None
    assert target.nodes.labels.tolist() == [[1, 1], [1, 0], [0, 1], [0, 0]]


def test_of_several_types_the_first_by_name_counts_unless_one_is_the_target(tmp_path: Path) -> None:
    more = "e:a rdf:type e:Agent .\ne:x rdf:type e:City .\ne:x rdf:type e:Village .\n"
    assert set(read(tmp_path, triples=TRIPLES + more).graph.node_ids) == {"http://e/Person", "http://e/City", "_"}


def test_split_files(tmp_path: Path) -> None:
    target = {"node": TARGET["node"], "predicate": TARGET["predicate"],
              "custom_split_filenames": {"train": "splits/train.csv", "valid": "valid.csv"}}
    write(tmp_path, document(target), files={"splits/train.csv": "~id\nhttp://e/b\n", "valid.csv": "~id\nhttp://e/a\n"})
    nodes = graph_of(tmp_path, convert(tmp_path)).graph.target.nodes
    assert nodes.train.tolist() == [False, True, False, False]
    assert nodes.valid.tolist() == [True, False, False, False]


@pytest.mark.parametrize("label", [
    {"task_type": "classification", "targets": [TARGET]},
    {"task_type": "regression", "targets": [{"node": "http://e/Person", "predicate": "http://e/age"}]},
    {"task_type": "link_prediction", "targets": [
        {"subject": "http://e/Person", "predicate": "http://e/knows", "object": "http://e/Person", "split_rate": [0.5, 0.5, 0]}]},
    None])
def test_several_files_gzip_and_graphs(tmp_path: Path, label: dict[str, Any] | None) -> None:
    whole = read(tmp_path / "whole", with_label(label)).graph
    lines = expanded(TRIPLES).splitlines()
    quads = "".join(f"{line[:-1]} <http://e/graph-{i % 2}> .\n" for i, line in enumerate(lines[:8]))
    configuration = with_label(label)
    configuration["graph"]["rdfs"] = [configuration["graph"]["rdfs"][0] | {"file_name": name} for name in ("1.nq.gz", "2.nt")]
    write(tmp_path, configuration, files={"2.nt": "\n".join(lines[5:]) + "\n"})
    (tmp_path / "export" / "1.nq.gz").write_bytes(gzip.compress(quads.encode()))
    split = graph_of(tmp_path, convert(tmp_path)).graph
    assert split.node_ids == whole.node_ids
    assert {str(kind): csr.indices.tolist() for kind, csr in split.edges.items()} == {
        str(kind): csr.indices.tolist() for kind, csr in whole.edges.items()}
    assert split.target.task is whole.target.task
    assert parts(split.target.by_type) == parts(whole.target.by_type)


def parts(by_type: dict[Any, Any]) -> dict[str, list[Any]]:
    return {str(kind): [None if array is None else [str(value) for value in array] for array in (
        labelled.labels, labelled.train, labelled.valid, labelled.test)] for kind, labelled in by_type.items()}


def test_the_predicate_may_be_left_out_when_there_is_one(tmp_path: Path) -> None:
    target = {"node": "http://e/Person"}
    only = "".join(line for line in TRIPLES.splitlines(keepends=True) if "e:age" not in line and "e:likes" not in line)
    assert configure(tmp_path, document(target), only).target.column == "http://e/team"


def regression(**target: Any) -> dict[str, Any]:
    return with_label({"task_type": "regression", "targets": [{"node": "http://e/Person", "predicate": "http://e/age"} | target]})


def test_numbers_of_the_target_are_labels_and_no_features(tmp_path: Path) -> None:
    configuration = configure(tmp_path, regression(split_rate=[0.5, 0.25, 0.25]))
    assert configuration.target == Label(column="http://e/age", task=Task.NODE_REGRESSION, split=(0.5, 0.25, 0.25))
    assert [entry.label for entry in configuration.nodes] == [configuration.target, None, None]
    assert [feature.column for feature in configuration.nodes[0].features] == ["http://e/team", "http://e/likes"]
    target = graph_of(tmp_path, configuration).graph.target
    assert target.nodes.labels is not None
    assert np.array_equal(target.nodes.labels, np.array([30, 40.5, np.nan, 20], dtype=np.float32), equal_nan=True)


def test_the_split_of_a_regression_has_a_default(tmp_path: Path) -> None:
    assert configure(tmp_path, regression()).target.split == DEFAULT_SPLIT


@pytest.mark.parametrize(("literal", "number"), [
    ('"1.5"', "1.5"), ('"+7"', "7.0"), ('" 8\\n"', "8.0"), ('"-1E3"^^xsd:double', "-1000.0"), ('".5"', "0.5"), ('"5."', "5.0"),
    ('"0.1234567890123456"', "0.1234567890123456")])
def test_forms_of_numbers(tmp_path: Path, literal: str, number: str) -> None:
    configuration = configure(tmp_path, regression(predicate="http://e/size"), TRIPLES + f"e:a e:size {literal} .\n")
    cell = people(tmp_path, configuration, "http://e/size")["http://e/a"]
    assert cell is not None
    assert float(cell) == float(number)


def test_one_number_written_in_two_ways_is_one_value(tmp_path: Path) -> None:
    configuration = configure(tmp_path, regression(), TRIPLES + 'e:a e:age "30.0"^^xsd:double .\n')
    assert people(tmp_path, configuration, "http://e/age")["http://e/a"] == "30.0"


@pytest.mark.parametrize(("triple", "value"), [
    ('e:c e:age "young" .', "young"), ('e:c e:age "" .', ""), ('e:c e:age "INF"^^xsd:double .', "INF"),
    ('e:c e:age "NaN"^^xsd:double .', "NaN"), ("e:c e:age e:x .", "http://e/x")])
def test_a_label_that_is_no_number_is_named(tmp_path: Path, triple: str, value: str) -> None:
    with pytest.raises(InputFault) as caught:
        configure(tmp_path, regression(), f"{TRIPLES}{triple}\n")
    assert str(caught.value) == (f"{STATEMENTS}: the node 'http://e/c' has the value '{value}' for the predicate 'http://e/age'; "
                                 'regression needs a finite number, such as "1.5"')
    finding, = caught.value.findings
    assert (finding.name, finding.file, finding.column, finding.value) == (
        Fault.INVALID_NUMBER, STATEMENTS, "http://e/age", value)


def test_a_node_with_two_numbers_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFault) as caught:
        configure(tmp_path, regression(), TRIPLES + 'e:a e:age "31" .\n')
    assert str(caught.value) == (f"{STATEMENTS}: the node 'http://e/a' has the values '30' and '31' for the predicate "
                                 "'http://e/age'; regression needs one number for each node")
    finding, = caught.value.findings
    assert (finding.name, finding.file, finding.column) == (Fault.CONTRADICTION, STATEMENTS, "http://e/age")


def test_the_files_that_are_written(tmp_path: Path) -> None:
    configuration = configure(tmp_path, document())
    people_file, towns, untyped = configuration.nodes
    assert (tmp_path / "scratch" / people_file.file_name).read_text(encoding="utf-8") == (
        "~id,http://e/age,http://e/likes,http://e/team\nhttp://e/a,30,salt\\;pepper;tea,red\nhttp://e/b,40.5,tea,blue\n"
        "http://e/c,,salt\\;pepper,red\nhttp://e/d,20,,\n")
    assert (tmp_path / "scratch" / towns.file_name).read_text(encoding="utf-8") == "~id\nhttp://e/x\n"
    assert (tmp_path / "scratch" / untyped.file_name).read_text(encoding="utf-8") == "~id,http://e/name\n_:land,Land\n"
    assert (tmp_path / "scratch" / configuration.edges[0].file_name).read_text(encoding="utf-8") == (
        "~from,~to\nhttp://e/a,http://e/b\nhttp://e/b,http://e/a\n")


LATER = "is not offered yet by this version of Despina, except for link prediction"
FIRST = ", graph.rdfs[0].label.targets[0]"
LINKS = {"task_type": "link_prediction", "targets": [KNOWS, LIVES]}
SPLIT_FILES = {"custom_split_filenames": {"train": "../t.csv", "valid": "v.csv"}}
NAME, OTHER = "http://e/Person http://e/team (node_class)", "http://e/Town http://e/team (node_class)"
MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown task": (document(task_type="classify"), "'classify' is not known (did you mean 'classification'?)"),
    "no task": (with_label({}), ", graph.rdfs[0].label.task_type: must be a string, it is missing"),
    "no targets": (document(targets=[]), ', graph.rdfs[0].label.targets: it is empty; give it [{"node": "class IRI"'),
    "no files": ({"query_engine": "sparql", "graph": {"rdfs": []}}, ", graph: it has no 'rdfs'; give it one entry for each file"),
    "property graph": ({"query_engine": "sparql", "graph": {"nodes": []}}, ", graph: unknown key 'nodes'"),
    "unknown key": (document(TARGET | {"property": "p"}), f"{FIRST}: unknown key 'property'; known are node, predicate"),
    "link target of nodes": (links(TARGET), f"{FIRST}: unknown key 'node'; known are subject, predicate, object, split_rate"),
}
UNLABELLED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown class": (document(TARGET | {"node": "http://e/Persons"}),
                      f"{STATEMENTS}: no node has the rdf:type 'http://e/Persons' (did you mean 'http://e/Person'?)"),
    "unlike any class": (document(TARGET | {"node": "urn:x"}),
                         f"{STATEMENTS}: no node has the rdf:type 'urn:x'; the types are http://e/Person, http://e/Town"),
    "unknown class alone": (document({"node": "http://e/Persons"}), "no node has the rdf:type 'http://e/Persons' (did you mean"),
    "unknown predicate": (document(TARGET | {"predicate": "http://e/teams"}),
                          "of the class 'http://e/Person' has the predicate 'http://e/teams' (did you mean 'http://e/team'?)"),
    "no numbers": (with_label({"task_type": "regression", "targets": [TARGET | {"predicate": "http://e/ages"}]}),
                   "has the predicate 'http://e/ages' (did you mean 'http://e/age'?)"),
    "which predicate": (document({"node": "http://e/Person"}),
                        "can do without; this class has http://e/age, http://e/likes, http://e/team"),
}
OTHERS: dict[str, tuple[dict[str, Any], str, Fault]] = {
    "two targets": (document(targets=[TARGET, TARGET | {"node": "http://e/Town"}]),
                    f"{CONFIGURATION}: there are the targets {NAME} and {OTHER}; more than one target {LATER}", Fault.NOT_OFFERED),
    "two tasks": ({"query_engine": "sparql", "graph": {"rdfs": [{"file_name": STATEMENTS, "label": label} for label in (
        {"task_type": "classification", "targets": [TARGET]}, LINKS)]}}, f"more than one target {LATER}", Fault.NOT_OFFERED),
    "two splits": (document(targets=[TARGET, TARGET | {"split_rate": [0.8, 0.1, 0.1]}]),
                   f"{CONFIGURATION}: the target {NAME} is there with different splits; they must be", Fault.CONTRADICTION),
    "two splits of links": (links({}, {"split_rate": [0.8, 0.1, 0.1]}),
                            "the target all edges (link_predict) is there with different splits", Fault.CONTRADICTION),
    "rates": (document(TARGET | {"split_rate": [1, 1, 0]}), "targets[0].split_rate: must be three numbers", Fault.INVALID_SPLIT),
    "no file": ({"query_engine": "sparql", "graph": {"rdfs": [{"file_name": "statements.nt"}]}},
                "statements.nt: there is no such file in the export", Fault.MISSING_FILE),
    "rates and files": (document(TARGET | SPLIT_FILES), "cannot both be given", Fault.INVALID_SPLIT),
    "split file outside": (document({"node": TARGET["node"], "predicate": TARGET["predicate"]} | SPLIT_FILES),
                           "../t.csv: a file name", Fault.INVALID_FILE_NAME),
}
WRONG = ({case: (*what, Fault.INVALID_CONFIGURATION) for case, what in MALFORMED.items()} | OTHERS
         | {case: (*what, Fault.MISSING_LABELS) for case, what in UNLABELLED.items()})


@pytest.mark.parametrize(("configuration", "expected", "name"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said(tmp_path: Path, configuration: dict[str, Any], expected: str, name: Fault) -> None:
    with pytest.raises(InputFault) as caught:
        configure(tmp_path, configuration)
    assert expected in str(caught.value)
    finding, = caught.value.findings
    assert finding.name is name
    assert finding.file


def test_a_malformed_line_is_named_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match=r"^statements/statements\.nt, line 21: column 1: the subject must be"):
        configure(tmp_path, document(), TRIPLES + "nonsense\n")
