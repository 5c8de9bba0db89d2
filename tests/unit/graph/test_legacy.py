"""Configurations of the form v1 say the same as those of the form v2.0."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.unit.graph.people import EDGES, NODES, write

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.features.options import Buckets, FeatureType
from despina.graph.forms import read_form
from despina.graph.schema import DEFAULT_SPLIT, ExportConfiguration, Label, SplitFiles

CONFIGURATION = "training-job-configuration.json"

AGE = {"feat_type": "node", "sub_feat_type": "numerical", "cols": ["~id", "age"], "norm": "min-max", "imputer": "median",
       "node_type": "person"}
TOWN = {"feat_type": "node", "sub_feat_type": "category", "cols": ["~id", "town"], "node_type": "person"}
GROUP = {"label_type": "node", "sub_label_type": "node_class_label", "cols": ["~id", "group"], "split_rate": [0.6, 0.2, 0.2],
         "node_type": "person"}
KNOWS = {"edge_spec_type": "edge", "cols": ["~from", "~to"], "edge_type": ["person", "knows", "person"]}
WEIGHT = {"feat_type": "edge", "sub_feat_type": "numerical", "cols": ["~from", "~to", "weight"],
          "edge_type": ["person", "knows", "person"]}
SIGN = {"label_type": "edge", "sub_label_type": "edge_class_label", "cols": ["~from", "~to", "sign"], "split_rate": [0.6, 0.2, 0.2],
        "edge_type": ["person", "knows", "person"]}
LABELS = {"file_name": NODES, "separator": ",", "labels": [GROUP], "features": [AGE, TOWN]}
LINKS = {"file_name": EDGES, "separator": ",", "edges": [KNOWS], "features": [WEIGHT]}
PEOPLE = {"file_name": NODES, "separator": ",", "features": [AGE, TOWN]}


def read(folder: Path, *entries: dict[str, Any], **top: Any) -> ExportConfiguration:
    (folder / CONFIGURATION).write_text(json.dumps({"graph": list(entries), "warnings": []} | top), encoding="utf-8")
    place, configuration = read_form(folder, CONFIGURATION, folder)
    assert place == folder
    return configuration


def changed(entry: dict[str, Any], part: str, **members: Any) -> dict[str, Any]:
    """The entry with members of the first of its labels, features or edges set."""
    entry = deepcopy(entry)
    entry[part][0] |= members
    return entry


@pytest.mark.parametrize("top", [{}, {"version": "v1.0"}])
def test_it_says_the_same_as_the_form_v2(tmp_path: Path, top: dict[str, str]) -> None:
    write(tmp_path)
    _, same = read_form(tmp_path, "training-data-configuration.json", tmp_path)
    assert read(tmp_path, LABELS, LINKS, **top) == same


def test_entries_of_one_file_are_merged(tmp_path: Path) -> None:
    parts = [{"file_name": NODES, "separator": ",", "features": [AGE]}, {"file_name": EDGES, "separator": ",", "edges": [KNOWS]},
             {"file_name": NODES, "separator": ",", "labels": [GROUP]},
             {"file_name": NODES, "separator": ",", "features": [AGE, TOWN]}, LINKS]
    assert read(tmp_path, *parts) == read(tmp_path, LABELS, LINKS)


def test_edges_of_several_types_in_one_entry(tmp_path: Path) -> None:
    likes = KNOWS | {"edge_type": ["person", "likes", "person"]}
    first, second = read(tmp_path, LABELS, LINKS | {"edges": [KNOWS, likes]}).edges
    assert (first.relation, [feature.column for feature in first.features]) == ("knows", ["weight"])
    assert (second.relation, second.features) == ("likes", ())


def test_several_columns_share_their_options(tmp_path: Path) -> None:
    features = read(tmp_path, changed(LABELS, "features", cols=["~id", "age", "height"])).nodes[0].features
    assert [(feature.column, feature.imputer) for feature in features][:2] == [("age", "median"), ("height", "median")]


def test_options_of_other_features_are_kept(tmp_path: Path) -> None:
    bucket = {"feat_type": "node", "sub_feat_type": "bucket_numerical", "cols": ["~id", "age"], "node_type": "person",
              "range": [0, 100], "bucket_cnt": 10, "slide_window_size": 5, "imputer": "mean"}
    words = {"feat_type": "node", "sub_feat_type": "word2vec", "cols": ["~id", "town"], "node_type": "person",
             "language": "en_core_web_lg"}
    first, second = read(tmp_path, LABELS | {"features": [bucket, words]}).nodes[0].features
    assert first.buckets == Buckets(low=0, high=100, count=10, window=5)
    assert second.type is FeatureType.TEXT_WORD2VEC


def test_the_split_has_a_default_of_its_own(tmp_path: Path) -> None:
    label = {name: value for name, value in GROUP.items() if name != "split_rate"}
    assert read(tmp_path, LABELS | {"labels": [label]}).target.split == (0.7, 0.1, 0.2)


def test_split_files_in_place_of_rates(tmp_path: Path) -> None:
    files = {"train": "train.csv", "valid": "valid.csv"}
    label = {name: value for name, value in GROUP.items() if name != "split_rate"} | {"custom_split_filenames": files}
    assert read(tmp_path, LABELS | {"labels": [label]}).target.split == SplitFiles(train="train.csv", valid="valid.csv")


def test_regression_of_nodes(tmp_path: Path) -> None:
    configuration = read(tmp_path, changed(LABELS, "labels", sub_label_type="node_regression_label", cols=["~id", "height"]), LINKS)
    assert configuration.target == Label(column="height", task=Task.NODE_REGRESSION, split=(0.6, 0.2, 0.2))
    assert configuration.nodes[0].label == configuration.target
    assert configuration.edges[0].label is None


@pytest.mark.parametrize(("word", "task"), [("edge_class_label", Task.EDGE_CLASS), ("edge_regression_label", Task.EDGE_REGRESSION)])
def test_labels_of_edges(tmp_path: Path, word: str, task: Task) -> None:
    likes = KNOWS | {"edge_type": ["person", "likes", "person"]}
    configuration = read(tmp_path, PEOPLE, LINKS | {"edges": [KNOWS, likes], "labels": [SIGN | {"sub_label_type": word}]})
    assert configuration.target == Label(column="sign", task=task, split=(0.6, 0.2, 0.2))
    assert [(edge.relation, edge.label) for edge in configuration.edges] == [("knows", configuration.target), ("likes", None)]
    assert [feature.column for feature in configuration.edges[0].features] == ["weight"]


def test_a_label_in_an_entry_of_its_own(tmp_path: Path) -> None:
    alone = {"file_name": EDGES, "separator": ",", "edges": [KNOWS], "labels": [SIGN]}
    assert read(tmp_path, PEOPLE, LINKS, alone) == read(tmp_path, PEOPLE, LINKS | {"labels": [SIGN]})


def test_without_labels_links_are_predicted(tmp_path: Path) -> None:
    likes = KNOWS | {"edge_type": ["person", "likes", "person"]}
    configuration = read(tmp_path, PEOPLE, LINKS | {"edges": [KNOWS, likes]}, warnings=["no label was found"])
    assert configuration.target == Label(column="", task=Task.LINK_PREDICT, split=DEFAULT_SPLIT)
    assert [edge.label for edge in configuration.edges] == [configuration.target] * 2
    assert configuration.warnings == ("no label was found",)


def test_files_of_which_nothing_is_said_are_left_out(tmp_path: Path) -> None:
    assert len(read(tmp_path, LABELS, {"file_name": "nodes/town.csv", "separator": ",", "features": []}).nodes) == 1


OTHERS = ["person", "likes", "person"]
ALONE = {name: value for name, value in SIGN.items() if name != "edge_type"}
MALFORMED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "unknown task": ([changed(LABELS, "labels", sub_label_type="node_class")],
                     "graph[0].labels[0].sub_label_type: 'node_class' is not known (did you mean 'node_class_label'?)"),
    "task of edges": ([changed(LABELS, "labels", sub_label_type="edge_class_label")],
                      "graph[0].labels[0].sub_label_type: 'edge_class_label' is not known (did you mean 'node_class_label'?)"),
    "task of nodes": ([PEOPLE, LINKS | {"labels": [SIGN | {"sub_label_type": "node_class_label"}]}],
                      "graph[1].labels[0].sub_label_type: 'node_class_label' is not known (did you mean 'edge_class_label'?)"),
    "columns of nodes": ([PEOPLE, LINKS | {"labels": [SIGN | {"cols": ["~id", "sign"]}]}],
                         'graph[1].labels[0].cols: must be a list of strings such as ["~from", "~to", column], it is ['),
    "label of no type": ([PEOPLE, LINKS | {"labels": [ALONE]}],
                         "graph[1].labels[0].edge_type: must be a list of strings [source type, relation, destination type]"),
    "nothing": ([{"file_name": NODES, "features": []}], ", graph: it has no entry with 'labels', 'features' or 'edges'"),
    "unknown feature": ([changed(LABELS, "features", sub_feat_type="number")],
                        "graph[0].features[0].feature: 'number' is not known"),
    "unknown option": ([changed(LABELS, "features", scale=2)], "graph[0].features[0]: unknown key 'scale'"),
    "unknown key": ([LABELS | {"node": ["~id", "person"]}], "graph[0]: unknown key 'node'"),
    "no columns": ([changed(LABELS, "features", cols=["~id"])],
                   "graph[0].features[0].cols: must be a list of strings such as [\"~id\", column], it is ['~id']"),
    "no type": ([{"file_name": NODES, "features": [{"sub_feat_type": "auto", "cols": ["~id", "age"]}]}],
                "graph[0].features[0].node_type: must be a string, it is missing"),
    "edge columns": ([LABELS, changed(LINKS, "edges", cols=["~from"])], "graph[1].edges[0].cols: must be a list of strings"),
    "edge type": ([LABELS, changed(LINKS, "edges", edge_type="knows")], "graph[1].edges[0].edge_type: must be a list of strings"),
}
CONTRADICTIONS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "label of another type": ([PEOPLE, LINKS | {"labels": [SIGN | {"edge_type": OTHERS}]}],
                              f"graph[1].labels[0].edge_type: the 'edges' of this entry are not of the type {OTHERS}; they are ["),
    "edge label as feature": ([PEOPLE, LINKS | {"labels": [SIGN | {"cols": ["~from", "~to", "weight"]}]}],
                              "graph[1].features[0]: the column 'weight' is the label; it cannot be a feature as well"),
    "merged edge labels": ([PEOPLE, LINKS | {"labels": [SIGN]}, LINKS | {"labels": [SIGN | {"cols": ["~from", "~to", "size"]}]}],
                           "graph[2].labels: an entry before it has another label, 'sign'; there can be one target only"),
    "two types": ([changed(LABELS, "features", node_type="town")],
                  "graph[0].features[0].node_type: the types person and town in one entry; it must be one"),
    "two ids": ([changed(LABELS, "features", cols=["id", "age"])],
                "graph[0].features[0].cols: the id columns ~id and id in one entry; it must be one"),
    "merged label": ([LABELS, changed(LABELS, "labels", cols=["~id", "since"])],
                     "graph[1].labels: an entry before it has another label, 'group'; there can be one target only"),
    "label as feature": ([LABELS, {"file_name": NODES, "separator": ",", "features": [TOWN | {"cols": ["~id", "group"]}]}],
                         "graph[1]: the column 'group' is the label; it cannot be a feature as well"),
    "merged separator": ([LABELS, LABELS | {"separator": ";"}],
                         f"graph[1]: an entry before it reads '{NODES}' with another separator"),
    "merged edges": ([LABELS, LINKS, changed(LINKS, "edges", cols=["a", "b"])],
                     f"graph[2]: an entry before it reads '{EDGES}' with another separator or other id columns"),
    "merged options": ([LABELS, changed(LABELS, "features", norm="none")], "give different options for the feature 'age'"),
}
OTHER_FAULTS: dict[str, tuple[list[dict[str, Any]], str, Fault]] = {
    "two targets": ([LABELS, LINKS | {"labels": [SIGN]}], "more than one target is not offered yet by this version of Despina",
                    Fault.NOT_OFFERED),
    "nothing to predict": ([PEOPLE], "no entry has 'labels', which asks for link prediction, and there are no 'edges' to predict",
                           Fault.MISSING_LABELS),
}
WRONG = ({case: (*what, Fault.INVALID_CONFIGURATION) for case, what in MALFORMED.items()} | OTHER_FAULTS
         | {case: (*what, Fault.CONTRADICTION) for case, what in CONTRADICTIONS.items()})


@pytest.mark.parametrize(("entries", "expected", "name"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said(tmp_path: Path, entries: list[dict[str, Any]], expected: str, name: Fault) -> None:
    with pytest.raises(InputFault) as caught:
        read(tmp_path, *entries)
    assert expected in str(caught.value)
    finding, = caught.value.findings
    assert (finding.name, finding.file) == (name, CONFIGURATION)
