"""Configurations of the form v1 say the same as those of the form v2.0."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.unit.graph.people import EDGES, NODES, write

from despina.core.errors import WorkFailed
from despina.graph.features.options import Buckets, FeatureType
from despina.graph.forms import read_form
from despina.graph.schema import ExportConfiguration

CONFIGURATION = "training-job-configuration.json"

AGE = {"feat_type": "node", "sub_feat_type": "numerical", "cols": ["~id", "age"], "norm": "min-max", "imputer": "median",
       "node_type": "person"}
TOWN = {"feat_type": "node", "sub_feat_type": "category", "cols": ["~id", "town"], "node_type": "person"}
GROUP = {"label_type": "node", "sub_label_type": "node_class_label", "cols": ["~id", "group"], "split_rate": [0.6, 0.2, 0.2],
         "node_type": "person"}
KNOWS = {"edge_spec_type": "edge", "cols": ["~from", "~to"], "edge_type": ["person", "knows", "person"]}
WEIGHT = {"feat_type": "edge", "sub_feat_type": "numerical", "cols": ["~from", "~to", "weight"],
          "edge_type": ["person", "knows", "person"]}
LABELS = {"file_name": NODES, "separator": ",", "labels": [GROUP], "features": [AGE, TOWN]}
LINKS = {"file_name": EDGES, "separator": ",", "edges": [KNOWS], "features": [WEIGHT]}


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


def test_files_of_which_nothing_is_said_are_left_out(tmp_path: Path) -> None:
    assert len(read(tmp_path, LABELS, {"file_name": "nodes/town.csv", "separator": ",", "features": []}).nodes) == 1


LATER = "not offered yet by this version of Despina"
WRONG: dict[str, tuple[list[dict[str, Any]], str]] = {
    "regression": ([changed(LABELS, "labels", sub_label_type="node_regression_label")],
                   f"graph[0].labels[0].label: the task 'regression' is {LATER}; 'classification' is"),
    "unknown task": ([changed(LABELS, "labels", sub_label_type="node_class")],
                     "graph[0].labels[0].sub_label_type: 'node_class' is not known (did you mean 'node_class_label'?)"),
    "edge label": ([LABELS, LINKS | {"labels": [{"label_type": "edge", "sub_label_type": "edge_class_label",
                                                 "cols": ["~from", "~to", "weight"], "edge_type": ["person", "knows", "person"]}]}],
                   f"graph[1].labels: edge classification, edge regression and link prediction are {LATER}"),
    "no label": ([LABELS | {"labels": []}, LINKS], f"which asks for link prediction; that is {LATER}"),
    "nothing": ([{"file_name": NODES, "features": []}], ", graph: it has no entry with 'labels', 'features' or 'edges'"),
    "unknown feature": ([changed(LABELS, "features", sub_feat_type="number")],
                        "graph[0].features[0].feature: 'number' is not known"),
    "unknown option": ([changed(LABELS, "features", scale=2)], "graph[0].features[0]: unknown key 'scale'"),
    "unknown key": ([LABELS | {"node": ["~id", "person"]}], "graph[0]: unknown key 'node'"),
    "no columns": ([changed(LABELS, "features", cols=["~id"])],
                   "graph[0].features[0].cols: must be a list of strings such as [\"~id\", column], it is ['~id']"),
    "no type": ([{"file_name": NODES, "features": [{"sub_feat_type": "auto", "cols": ["~id", "age"]}]}],
                "graph[0].features[0].node_type: must be a string, it is missing"),
    "two types": ([changed(LABELS, "features", node_type="town")],
                  "graph[0].features[0].node_type: the types person and town in one entry; it must be one"),
    "two ids": ([changed(LABELS, "features", cols=["id", "age"])],
                "graph[0].features[0].cols: the id columns ~id and id in one entry; it must be one"),
    "edge columns": ([LABELS, changed(LINKS, "edges", cols=["~from"])], "graph[1].edges[0].cols: must be a list of strings"),
    "edge type": ([LABELS, changed(LINKS, "edges", edge_type="knows")], "graph[1].edges[0].edge_type: must be a list of strings"),
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


@pytest.mark.parametrize(("entries", "expected"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said(tmp_path: Path, entries: list[dict[str, Any]], expected: str) -> None:
    with pytest.raises(WorkFailed) as caught:
        read(tmp_path, *entries)
    assert expected in str(caught.value)
