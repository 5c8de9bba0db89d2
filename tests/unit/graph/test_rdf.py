"""RDF is mapped to a typed graph; targets become labels that leave no trace in it."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from despina.core.errors import WorkFailed
from despina.graph.export import Export, read_export
from despina.graph.features import CategoryEncoding, NumericalEncoding
from despina.graph.forms import read_form
from despina.graph.graph import EdgeType
from despina.graph.schema import ExportConfiguration

CONFIGURATION = "training-data-configuration.json"
STATEMENTS = "statements/statements.nt"
TARGET = {"node": "http://e/Person", "predicate": "http://e/team", "split_rate": [0.5, 0.25, 0.25]}

TRIPLES = """\
e:a rdf:type e:Person .
e:b rdf:type e:Person .
e:c rdf:type e:Person .
e:d rdf:type e:Person .
e:x rdf:type e:Town .
e:a e:team "red" .
e:b e:team "blue"@en .
e:c e:team "red"^^xsd:string .
e:a e:age "30"^^xsd:integer .
e:b e:age "40.5"^^xsd:double .
e:d e:age "20" .
e:a e:likes "tea" .
e:a e:likes "salt;pepper" .
e:b e:likes "tea" .
e:c e:likes "salt;pepper" .
e:a e:knows e:b .
e:b e:knows e:a .
e:c e:livesIn e:x .
e:x e:partOf _:land .
_:land e:name "Land" .
"""


def expanded(text: str) -> str:
    """Short names written out: ``e:a`` is an IRI, ``rdf:type`` and ``xsd:…`` are the W3C's."""
    words = {"rdf:type": "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"}
    lines = []
    for line in text.splitlines():
        parts = [words.get(part, f"<http://e/{part[2:]}>" if part.startswith("e:") else part) for part in line.split(" ")]
        lines.append(" ".join(parts).replace("xsd:string", "<http://www.w3.org/2001/XMLSchema#string>")
                     .replace("xsd:integer", "<http://www.w3.org/2001/XMLSchema#integer>")
                     .replace("xsd:double", "<http://www.w3.org/2001/XMLSchema#double>"))
    return "\n".join(lines) + "\n"


def document(target: dict[str, Any] | None = None, **label: Any) -> dict[str, Any]:
    entry = {"file_name": STATEMENTS, "label": {"task_type": "classification", "targets": [target or TARGET]} | label}
    return {"version": "v2.0", "query_engine": "sparql", "graph": {"rdfs": [entry]}, "warnings": []}


def configure(folder: Path, configuration: dict[str, Any], triples: str = TRIPLES) -> ExportConfiguration:
    (folder / "export" / "statements").mkdir(parents=True)
    (folder / "export" / STATEMENTS).write_text(expanded(triples), encoding="utf-8")
    (folder / "export" / CONFIGURATION).write_text(json.dumps(configuration), encoding="utf-8")
    return convert(folder)


def convert(folder: Path) -> ExportConfiguration:
    (folder / "scratch").mkdir()
    place, configuration = read_form(folder / "export", CONFIGURATION, folder / "scratch")
    assert place == folder / "scratch"
    return configuration


def read(folder: Path, configuration: dict[str, Any] | None = None, triples: str = TRIPLES) -> Export:
    return read_export(folder / "scratch", configure(folder, configuration or document(), triples), lambda done, of: None)


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
    export = read(tmp_path)
    target = export.graph.target
    assert (target.node_type, target.property, target.classes) == ("http://e/Person", "http://e/team", ("blue", "red"))
    assert target.labels.tolist() == [1, 0, 1, -1]
    assert target.train.sum() + target.valid.sum() + target.test.sum() == 3
    assert set(export.encodings.nodes["http://e/Person"]) == {"http://e/age", "http://e/likes"}


def test_literals_are_features_of_inferred_types(tmp_path: Path) -> None:
    export = read(tmp_path)
    encodings, columns = export.encodings.nodes["http://e/Person"], export.graph.feature_columns["http://e/Person"]
    assert isinstance(encodings["http://e/age"], NumericalEncoding)
    start, stop = columns["http://e/age"]
    expected = [10 / 20.5, 1.0, 10 / 20.5, 0.0]  # 0..1 between 20 and 40.5; c has none and gets the median, 30
    assert np.allclose(export.graph.features["http://e/Person"][:, start:stop].T, expected)
    likes = encodings["http://e/likes"]
    assert isinstance(likes, CategoryEncoding)
    assert likes.values == ("salt;pepper", "tea"), "the separator inside a literal separates nothing"
    start, stop = columns["http://e/likes"]
    assert export.graph.features["http://e/Person"][:, start:stop].tolist() == [[1, 1], [0, 1], [1, 0], [0, 0]]


def test_objects_of_the_target_are_labels_and_no_edges(tmp_path: Path) -> None:
    graph = read(tmp_path, document(TARGET | {"predicate": "http://e/livesIn"}), TRIPLES + "e:b e:livesIn e:y .\n").graph
    assert graph.target.classes == ("http://e/x", "http://e/y")
    assert graph.target.labels.tolist() == [-1, 1, 0, -1]
    assert not [edge_type for edge_type in graph.edges if "livesIn" in edge_type.relation]
    assert "http://e/y" not in graph.node_ids["_"], "nothing else is known of it"
    assert graph.node_ids["http://e/Town"] == ["http://e/x"]


def test_the_same_predicate_on_other_classes_stays_an_edge(tmp_path: Path) -> None:
    graph = read(tmp_path, document(TARGET | {"predicate": "http://e/livesIn"}), TRIPLES + "e:x e:livesIn _:land .\n").graph
    assert EdgeType("http://e/Town", "http://e/livesIn", "_") in graph.edges


def test_several_labels_make_the_task_multi_label(tmp_path: Path) -> None:
    target = read(tmp_path, triples=TRIPLES + 'e:a e:team "blue" .\n').graph.target
    assert target.multilabel
    assert target.labels.tolist() == [[1, 1], [1, 0], [0, 1], [0, 0]]


def test_of_several_types_the_first_by_name_counts_unless_one_is_the_target(tmp_path: Path) -> None:
    more = "e:a rdf:type e:Agent .\ne:x rdf:type e:City .\ne:x rdf:type e:Village .\n"
    assert set(read(tmp_path, triples=TRIPLES + more).graph.node_ids) == {"http://e/Person", "http://e/City", "_"}


def test_split_files(tmp_path: Path) -> None:
    target = {"node": TARGET["node"], "predicate": TARGET["predicate"],
              "custom_split_filenames": {"train": "splits/train.csv", "valid": "valid.csv"}}
    (tmp_path / "export" / "splits").mkdir(parents=True)
    (tmp_path / "export" / "splits" / "train.csv").write_text("~id\nhttp://e/b\n", encoding="utf-8")
    (tmp_path / "export" / "valid.csv").write_text("~id\nhttp://e/a\n", encoding="utf-8")
    (tmp_path / "export" / "statements").mkdir()
    (tmp_path / "export" / STATEMENTS).write_text(expanded(TRIPLES), encoding="utf-8")
    (tmp_path / "export" / CONFIGURATION).write_text(json.dumps(document(target)), encoding="utf-8")
    graph = read_export(tmp_path / "scratch", convert(tmp_path), lambda done, of: None).graph
    assert graph.target.train.tolist() == [False, True, False, False]
    assert graph.target.valid.tolist() == [True, False, False, False]


def test_several_files_gzip_and_graphs(tmp_path: Path) -> None:
    lines = expanded(TRIPLES).splitlines()
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "one.nq.gz").write_bytes(gzip.compress("".join(
        f"{line[:-1]} <http://e/graph> .\n" for line in lines[:8]).encode()))
    (tmp_path / "export" / "two.nt").write_text("\n".join(lines[5:]) + "\n", encoding="utf-8")
    configuration = document()
    configuration["graph"]["rdfs"][0]["file_name"] = "one.nq.gz"
    configuration["graph"]["rdfs"].append({"file_name": "two.nt"})
    (tmp_path / "export" / CONFIGURATION).write_text(json.dumps(configuration), encoding="utf-8")
    split = read_export(tmp_path / "scratch", convert(tmp_path), lambda done, of: None).graph
    (tmp_path / "whole").mkdir()
    whole = read(tmp_path / "whole").graph
    assert split.node_ids == whole.node_ids
    assert split.target.labels.tolist() == whole.target.labels.tolist()
    assert {str(kind): csr.indices.tolist() for kind, csr in split.edges.items()} == {
        str(kind): csr.indices.tolist() for kind, csr in whole.edges.items()}


def test_the_predicate_may_be_left_out_when_there_is_one(tmp_path: Path) -> None:
    target = {"node": "http://e/Person"}
    only = "".join(line for line in TRIPLES.splitlines(keepends=True) if "e:age" not in line and "e:likes" not in line)
    assert configure(tmp_path, document(target), only).target.column == "http://e/team"


LATER = "is not offered yet by this version of Despina"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "regression": (document(task_type="regression"),
                   f"{CONFIGURATION}, graph.rdfs[0].label.task_type: the task 'regression' {LATER} for RDF; 'classification' is"),
    "link prediction": (document(task_type="link_prediction"), f"the task 'link_prediction' {LATER} for RDF; 'classification' is"),
    "unknown task": (document(task_type="classify"), "'classify' is not known (did you mean 'classification'?)"),
    "no label": ({"query_engine": "sparql", "graph": {"rdfs": [{"file_name": STATEMENTS}]}}, f"link prediction; that {LATER}"),
    "no targets": (document(targets=[]), ', graph.rdfs[0].label.targets: it is empty; give it [{"node": "class IRI"'),
    "two targets": (document(targets=[TARGET, TARGET | {"node": "http://e/Town"}]), f"more than one target {LATER}"),
    "no files": ({"query_engine": "sparql", "graph": {"rdfs": []}}, ", graph: it has no 'rdfs'; give it one entry for each file"),
    "property graph": ({"query_engine": "sparql", "graph": {"nodes": []}}, ", graph: unknown key 'nodes'"),
    "unknown key": (document(TARGET | {"property": "p"}),
                    ", graph.rdfs[0].label.targets[0]: unknown key 'property'; known are node"),
    "rates": (document(TARGET | {"split_rate": [1, 1, 0]}), "targets[0].split_rate: must be three numbers"),
    "no file": ({"query_engine": "sparql", "graph": {"rdfs": [
        {"file_name": "statements.nt", "label": {"task_type": "classification", "targets": [TARGET]}}]}},
        "statements.nt: there is no such file in the export"),
    "unknown class": (document(TARGET | {"node": "http://e/Persons"}),
                      f"{STATEMENTS}: no node has the rdf:type 'http://e/Persons' (did you mean 'http://e/Person'?)"),
    "unknown predicate": (document(TARGET | {"predicate": "http://e/teams"}),
                          "no node of the class 'http://e/Person' has the predicate 'http://e/teams' (did you mean 'http://e/team'?)"),
    "which predicate": (document({"node": "http://e/Person"}),
                        "has no 'predicate', which only a class with a single literal predicate can do without; this class has "),
    "rates and files": (document(TARGET | {"custom_split_filenames": {"train": "../t.csv", "valid": "v.csv"}}),
                     "cannot both be given"),
    "split file outside": (document({"node": TARGET["node"], "predicate": TARGET["predicate"],
                                     "custom_split_filenames": {"train": "../t.csv", "valid": "v.csv"}}), "../t.csv: a file name"),
}


@pytest.mark.parametrize(("configuration", "expected"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said(tmp_path: Path, configuration: dict[str, Any], expected: str) -> None:
    with pytest.raises(WorkFailed) as caught:
        configure(tmp_path, configuration)
    assert expected in str(caught.value)


def test_a_malformed_line_is_named_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match=r"^statements/statements\.nt, line 21: column 1: the subject must be"):
        configure(tmp_path, document(), TRIPLES + "nonsense\n")
