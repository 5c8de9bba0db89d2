"""The configuration file is read as documented, and every mistake in it is named with its place."""

import json
from typing import Any

import pytest
from tests.unit.graph.people import CONFIGURATION, configured

from despina.core.errors import WorkFailed
from despina.core.task import Task
from despina.graph.schema import DatetimePart, Imputer, Norm, SplitFiles, read_configuration

FEATURE = "graph.nodes.0.features.0"
LABEL = "graph.nodes.0.labels.0"


def read(changes: dict[str, Any]) -> Any:
    return read_configuration(CONFIGURATION, json.dumps(configured(changes)).encode())


def test_a_configuration_is_read() -> None:
    configuration = read({})
    assert configuration.target_type == "person"
    assert configuration.target.task is Task.NODE_CLASS
    assert configuration.target.split == (0.6, 0.2, 0.2)
    age, town = configuration.nodes[0].features
    assert (age.column, age.norm, age.imputer, age.separator) == ("age", Norm.MIN_MAX, Imputer.MEDIAN, None)
    assert (town.norm, town.imputer) == (Norm.NONE, None)


@pytest.mark.parametrize(("changes", "read_as"), [
    ({f"{FEATURE}.imputer": "most_frequent"}, Imputer.MOST_FREQUENT),
    ({f"{FEATURE}.imputer": "most-frequent"}, Imputer.MOST_FREQUENT),
])
def test_both_spellings_of_the_imputer(changes: dict[str, Any], read_as: Imputer) -> None:
    assert read(changes).nodes[0].features[0].imputer is read_as


@pytest.mark.parametrize("key", ["valid", "validation"])
def test_both_spellings_of_the_validation_part(key: str) -> None:
    label = {"label": ["group", "classification"], "custom_split_filenames": {"train": "t.csv", key: "v.csv"}}
    assert read({LABEL: label}).target.split == SplitFiles(train="t.csv", valid="v.csv")


def test_what_may_be_left_out() -> None:
    configuration = read({"version": None, "warnings": None, "graph.nodes.0.separator": None, "graph.nodes.0.features": None,
                          "graph.edges.0.features": None, f"{LABEL}.split_rate": None})
    assert configuration.target.split == (0.9, 0.1, 0.0)
    assert configuration.nodes[0].separator == ","


def test_a_rounding_error_in_the_rates_is_no_error() -> None:
    assert read({f"{LABEL}.split_rate": [0.7, 0.2, 0.1]}).target.split == (0.7, 0.2, 0.1)
    assert read({f"{LABEL}.split_rate": [1, 0, 0]}).target.split == (1.0, 0.0, 0.0)


def test_datetime_parts_are_all_unless_some_are_named() -> None:
    when: dict[str, Any] = {"feature": ["since", "since", "datetime"]}
    assert read({FEATURE: when}).nodes[0].features[0].datetime_parts == tuple(DatetimePart)
    some = when | {"datetime_parts": ["hour", "year"]}
    assert read({FEATURE: some}).nodes[0].features[0].datetime_parts == (DatetimePart.HOUR, DatetimePart.YEAR)


LATER = "is not offered yet by this version of Despina"
RATES = ", graph.nodes[0].labels[0].split_rate: must be three numbers [train, valid, test] that add up to 1"
SECOND_NODE = {"file_name": "n2.csv", "node": ["~id", "person"]}
SECOND_EDGE = {"file_name": "e2.csv", "source": ["~from", "person"], "relation": ["", "knows"], "dest": ["~to", "person"]}
FILES = {"label": ["group", "classification"], "custom_split_filenames": {"train": "t", "valid": "v"}}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "v1": ({"version": "v1.0"}, f", version: the configuration form 'v1.0' {LATER}; 'v2.0' is"),
    "v1 without version": ({"version": None, "graph": [{"file_name": "n.csv"}]}, f"the configuration form v1 {LATER}"),
    "RDF": ({"graph": {"rdfs": []}}, f", graph.rdfs: RDF data {LATER}; property graphs are"),
    "no graph": ({"graph": None}, ", graph: must be an object, it is missing"),
    "empty graph": ({"graph": {}}, ", graph: the graph has neither 'nodes' nor 'edges'"),
    "nodes no list": ({"graph.nodes": {}}, ", graph.nodes: must be a list of objects, it is an object"),
    "node entry no object": ({"graph.nodes": ["n.csv"]}, ", graph.nodes[0]: must be an object, it is a string"),
    "unknown key of an entry": ({"graph.nodes.0.feature": []},
                                ", graph.nodes[0]: unknown key 'feature' (did you mean 'features'?); known are file_name"),
    "file name missing": ({"graph.nodes.0.file_name": None}, ", graph.nodes[0].file_name: must be a string, it is missing"),
    "long separator": ({"graph.nodes.0.separator": ", "}, ", graph.nodes[0].separator: must be a single character, it is ', '"),
    "node of one part": ({"graph.nodes.0.node": ["~id"]},
                         ', graph.nodes[0].node: must be a list of strings [id column, node type], it is ["~id"]'),
    "unknown key of a feature": ({f"{FEATURE}.imputation": "mean"},
                                 ", graph.nodes[0].features[0]: unknown key 'imputation' (did you mean 'imputer'?)"),
    "key of another type": ({"graph.nodes.0.features.1.norm": "none"},
                            ", graph.nodes[0].features[1]: unknown key 'norm'; known are feature, separator"),
    "unknown norm": ({f"{FEATURE}.norm": "minmax"},
                     ".norm: 'minmax' is not known (did you mean 'min-max'?); it must be one of none, min-max, standard"),
    "unknown imputer": ({f"{FEATURE}.imputer": "mode"}, ".imputer: 'mode' is not known"),
    "unknown type": ({f"{FEATURE}.feature.2": "numeric"}, "'numeric' is not known (did you mean 'numerical'?)"),
    "text": ({FEATURE: {"feature": ["town", "t", "text_sbert"]}}, f"the feature type 'text_sbert' {LATER}; offered are numerical"),
    "bucket": ({FEATURE: {"feature": ["a", "a", "bucket_numerical"], "range": [0, 1]}}, f"'bucket_numerical' {LATER}"),
    "unknown part of a time": ({FEATURE: {"feature": ["s", "s", "datetime"], "datetime_parts": ["day"]}}, "'day' is not known"),
    "no part of a time": ({FEATURE: {"feature": ["s", "s", "datetime"], "datetime_parts": []}}, "must be a list of some of year"),
    "feature twice": ({"graph.nodes.0.features.1.feature.1": "age"},
                      ", graph.nodes[0].features[1]: another feature of this entry has the name 'age' already"),
    "label as feature": ({f"{FEATURE}.feature.0": "group"}, ", graph.nodes[0].features[0]: the column 'group' is the label"),
    "features that differ": ({"graph.nodes.1": SECOND_NODE | {"features": [{"feature": ["age", "age", "auto"]}]}},
                             "the entries of node type 'person' give different options for the feature 'age'"),
    "edge features that differ": ({"graph.edges.1": SECOND_EDGE | {"features": [{"feature": ["weight", "weight", "auto"]}]}},
                                  "the entries of edge type (person)-knows-(person) give different options for the feature"),
    "ids that differ": ({"graph.nodes.1": SECOND_NODE | {"node": ["id", "person"]}}, "name different id columns"),
    "no label": ({"graph.nodes.0.labels": None}, f"which asks for link prediction; that {LATER}"),
    "regression": ({f"{LABEL}.label": ["age", "regression"]}, f"the task 'regression' {LATER}; 'classification' is"),
    "unknown task": ({f"{LABEL}.label": ["age", "classify"]}, "'classify' is not known (did you mean 'classification'?)"),
    "edge label": ({"graph.edges.0.labels": [{"label": ["weight", "classification"]}]}, ", graph.edges[0].labels: edge classif"),
    "two labels": ({"graph.nodes.0.labels.1": {"label": ["town", "classification"]}}, "more than one target is not offered yet"),
    "two targets": ({"graph.nodes.1": {"file_name": "c", "node": ["~id", "club"], "labels": [{"label": ["k", "classification"]}]}},
                    "there are labels for person.group and club.k; more than one target"),
    "labels that differ": ({"graph.nodes.1": SECOND_NODE | {"labels": [{"label": ["group", "classification"]}]}},
                           "the entries of node type 'person' give different options for the label 'group'"),
    "unknown key of a label": ({f"{LABEL}.splitrate": [1, 0, 0]}, "unknown key 'splitrate' (did you mean 'split_rate'?)"),
    "rates that do not add up": ({f"{LABEL}.split_rate": [0.7, 0.1, 0.1]}, RATES),
    "rates of two": ({f"{LABEL}.split_rate": [0.9, 0.1]}, RATES),
    "rate below 0": ({f"{LABEL}.split_rate": [1.2, -0.2, 0]}, RATES),
    "rate of text": ({f"{LABEL}.split_rate": ["1", 0, 0]}, RATES),
    "nothing to train on": ({f"{LABEL}.split_rate": [0, 0.5, 0.5]}, RATES),
    "rates and files": ({LABEL: FILES | {"split_rate": [0.8, 0.1, 0.1]}}, "'split_rate' and 'custom_split_filenames' cannot both"),
    "no valid file": ({LABEL: FILES | {"custom_split_filenames": {"train": "t"}}},
                      ", graph.nodes[0].labels[0].custom_split_filenames.valid: must be a string, it is missing"),
    "valid twice": ({LABEL: FILES | {"custom_split_filenames": {"train": "t", "valid": "v", "validation": "w"}}},
                    "'valid' and 'validation' mean the same"),
}


@pytest.mark.parametrize(("changes", "expected"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(WorkFailed) as caught:
        read(changes)
    assert str(caught.value).startswith(CONFIGURATION)
    assert expected in str(caught.value)


@pytest.mark.parametrize(("content", "expected"), [
    (b"{", "this is not JSON: "), (b"[]", "the file must hold a JSON object, it holds a list"), (b"\xff{}", "this is not JSON"),
])
def test_a_file_that_is_no_json_object(content: bytes, expected: str) -> None:
    with pytest.raises(WorkFailed, match=expected.replace("[", r"\[")):
        read_configuration(CONFIGURATION, content)
