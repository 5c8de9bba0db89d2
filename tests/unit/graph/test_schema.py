"""The configuration file is read as documented, and every mistake in it is named with its place."""

import json
from typing import Any

import pytest
from tests.unit.graph.people import CONFIGURATION, configured

from despina.core.errors import WorkFailed
from despina.core.task import Task
from despina.graph.features.options import Buckets, DatetimePart, FeatureType, Imputer, Norm, Terms
from despina.graph.schema import SplitFiles, read_configuration

FEATURE = "graph.nodes.0.features.0"
LABEL = "graph.nodes.0.labels.0"


def read(changes: dict[str, Any]) -> Any:
    return read_configuration(CONFIGURATION, json.dumps(configured(changes)).encode())


def test_a_configuration_is_read() -> None:
    configuration = read({})
    assert [entry.label for entry in configuration.nodes] == [configuration.target]
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


@pytest.mark.parametrize(("place", "label", "task"), [
    ("nodes", ["size", "regression"], Task.NODE_REGRESSION), ("edges", ["kind", "classification"], Task.EDGE_CLASS),
    ("edges", ["stars", "regression"], Task.EDGE_REGRESSION), ("edges", ["", "link_prediction"], Task.LINK_PREDICT)])
def test_every_task_has_its_words(place: str, label: list[str], task: Task) -> None:
    configuration = read({"graph.nodes.0.labels": None} | {f"graph.{place}.0.labels": [{"label": label}]})
    assert (configuration.target.task, configuration.target.column) == (task, label[0])


def test_without_labels_all_links_are_predicted() -> None:
    configuration = read({"graph.nodes.0.labels": None})
    assert configuration.target.task is Task.LINK_PREDICT
    assert [entry.label for entry in configuration.edges] == [configuration.target]
    assert configuration.target.split == (0.9, 0.1, 0.0)


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


BUCKETS: dict[str, Any] = {"feature": ["age", "age", "bucket_numerical"], "range": [0, 100], "bucket_cnt": 10}
TFIDF = {"feature": ["town", "home", "text_tfidf"]}
FASTTEXT = {"feature": ["town", "home", "text_fasttext"], "language": "es"}
WORD2VEC = {"feature": ["town", "home", "word2vec"]}
SET = {"feature": ["town", "home", "category"], "separator": ";", "max_categories": 7}


@pytest.mark.parametrize(("given", "expected"), [
    (BUCKETS, {"buckets": Buckets(low=0, high=100, count=10)}),
    (BUCKETS | {"slide_window_size": 2.5, "imputer": "mean"}, {"buckets": Buckets(low=0, high=100, count=10, window=2.5),
                                                               "imputer": Imputer.MEAN}),
    (TFIDF, {"terms": Terms(ngram_range=(1, 1), min_df=2, max_features=5000)}),
    (TFIDF | {"ngram_range": [1, 3], "min_df": 1, "max_features": 9},
     {"terms": Terms(ngram_range=(1, 3), min_df=1, max_features=9)}),
    (FASTTEXT | {"max_length": 64}, {"language": "es", "max_length": 64}),
    (FASTTEXT, {"max_length": None}),
    (WORD2VEC, {"type": FeatureType.TEXT_WORD2VEC, "language": "en"}),
    (WORD2VEC | {"language": "en_core_web_lg"}, {"language": "en"}),
    (WORD2VEC | {"language": ["en_core_web_lg"]}, {"language": "en"}),
    (SET, {"separator": ";", "max_categories": 7}),
    ({"feature": ["town", "home", "category"], "separator": ";"}, {"max_categories": 5000}),
])
def test_options_of_features(given: dict[str, Any], expected: dict[str, Any]) -> None:
    feature = read({FEATURE: given}).nodes[0].features[0]
    assert {name: getattr(feature, name) for name in expected} == expected


RATES = ", graph.nodes[0].labels[0].split_rate: must be three numbers [train, valid, test] that add up to 1"
SECOND_NODE = {"file_name": "n2.csv", "node": ["~id", "person"]}
SECOND_EDGE = {"file_name": "e2.csv", "source": ["~from", "person"], "relation": ["", "knows"], "dest": ["~to", "person"]}
FILES = {"label": ["group", "classification"], "custom_split_filenames": {"train": "t", "valid": "v"}}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"version": "v3.0"}, ", version: the form 'v3.0' is not known; 'v2.0' is, and v1, which has no 'version'"),
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
    "option of a sentence": ({FEATURE: {"feature": ["town", "t", "text_sbert"], "language": "en"}}, "unknown key 'language'"),
    "no range": ({FEATURE: BUCKETS | {"range": None}}, ".range: must be two numbers [a, b] with a below b, it is missing"),
    "range backwards": ({FEATURE: BUCKETS | {"range": [2, 1]}}, ".range: must be two numbers [a, b] with a below b, it is [2, 1]"),
    "range of words": ({FEATURE: BUCKETS | {"range": ["0", "1"]}}, "a below b, it is ['0', '1']"),
    "no buckets": ({FEATURE: BUCKETS | {"bucket_cnt": 0}}, ".bucket_cnt: must be a whole number from 1 to 10000, it is 0"),
    "half a bucket": ({FEATURE: BUCKETS | {"bucket_cnt": 1.5}}, "must be a whole number from 1 to 10000, it is 1.5"),
    "window below 0": ({FEATURE: BUCKETS | {"slide_window_size": -1}}, ".slide_window_size: must be a number, 0 or more, it is -1"),
    "window of text": ({FEATURE: BUCKETS | {"slide_window_size": True}}, "must be a number, 0 or more, it is True"),
    "norm of buckets": ({FEATURE: BUCKETS | {"norm": "none"}}, "unknown key 'norm'"),
    "terms of no words": ({FEATURE: TFIDF | {"ngram_range": [0, 1]}},
                          ".ngram_range: must be two whole numbers [fewest words, most words] of 1 to 5, it is [0, 1]"),
    "terms backwards": ({FEATURE: TFIDF | {"ngram_range": [2, 1]}}, "of 1 to 5, it is [2, 1]"),
    "terms of one number": ({FEATURE: TFIDF | {"ngram_range": 1}}, "of 1 to 5, it is 1"),
    "share of cells": ({FEATURE: TFIDF | {"min_df": 0.1}}, ".min_df: must be a whole number of at least 1, it is 0.1"),
    "no terms": ({FEATURE: TFIDF | {"max_features": 0}}, ".max_features: must be a whole number of at least 1, it is 0"),
    "no language": ({FEATURE: FASTTEXT | {"language": None}}, ".language: must be a string, it is missing"),
    "unknown language": ({FEATURE: FASTTEXT | {"language": "de"}}, "'de' is not known; it must be one of en, zh, hi, es, fr"),
    "no length": ({FEATURE: FASTTEXT | {"max_length": 0}}, ".max_length: must be a whole number of at least 1, it is 0"),
    "language of word2vec": ({FEATURE: WORD2VEC | {"language": ["en"]}}, ".language: must be 'en_core_web_lg', it is ['en']"),
    "one category": ({FEATURE: SET | {"max_categories": 1}}, ".max_categories: must be a whole number of at least 2, it is 1"),
    "categories of one": ({FEATURE: {"feature": SET["feature"], "max_categories": 7}},
                          ".max_categories: it is for cells of several categories; give"),
    "unknown part of a time": ({FEATURE: {"feature": ["s", "s", "datetime"], "datetime_parts": ["day"]}}, "'day' is not known"),
    "no part of a time": ({FEATURE: {"feature": ["s", "s", "datetime"], "datetime_parts": []}}, "must be a list of some of year"),
    "feature twice": ({"graph.nodes.0.features.1.feature.1": "age"},
                      ", graph.nodes[0].features[1]: another feature of this entry has the name 'age' already"),
    "label as feature": ({f"{FEATURE}.feature.0": "group"}, ", graph.nodes[0].features[0]: the column 'group' is the label"),
    "features that differ": ({"graph.nodes.1": SECOND_NODE | {"features": [{"feature": ["age", "age", "auto"]}]}},
                             "the entries of node type 'person' give different options for the feature 'age'"),
    "edge features that differ": ({"graph.edges.1": SECOND_EDGE | {"features": [{"feature": ["weight", "weight", "auto"]}]}},
                                  "the entries of edge type (person)-knows-(person) give different options for the feature"),
    "label as feature of another file": (
        {"graph.nodes.1": SECOND_NODE | {"features": [{"feature": ["group", "g", "auto"]}]}},
        "the column 'group' is the label of node type 'person', and the feature 'g' in another of its entries; it cannot be both"),
    "splits of links that differ": (
        {"graph.nodes.0.labels": None, "graph.edges.0.labels": [{"label": ["", "link_prediction"]}],
         "graph.edges.1": SECOND_EDGE | {"labels": [{"label": ["", "link_prediction"], "split_rate": [1, 0, 0]}]}},
        "the entries of edge type (person)-knows-(person) give different options for link prediction; they must be the same"),
    "ids that differ": ({"graph.nodes.1": SECOND_NODE | {"node": ["id", "person"]}}, "name different id columns"),
    "no label and no edges": ({"graph.nodes.0.labels": None, "graph.edges": None},
                              "no entry has 'labels', which asks for link prediction, and there are no 'edges' to predict"),
    "link of a node": ({f"{LABEL}.label": ["", "link_prediction"]},
                       "label: 'link_prediction' is asked for under 'edges'; what can be predicted of nodes is classif"),
    "several numbers": ({f"{LABEL}.label": ["size", "regression"], f"{LABEL}.separator": ";"},
                        "only a classification can have several"),
    "no column": ({f"{LABEL}.label": ["", "classification"]}, "the column is missing; only link prediction has none"),
    "unknown task": ({f"{LABEL}.label": ["age", "classify"]}, "'classify' is not known (did you mean 'classification'?)"),
    "edge label as feature": ({"graph.nodes.0.labels": None, "graph.edges.0.labels": [{"label": ["weight", "classification"]}]},
                              ", graph.edges[0].features[0]: the column 'weight' is the label; it cannot be a feature as well"),
    "node and edge label": ({"graph.edges.0.labels": [{"label": ["", "link_prediction"]}]},
                            "(node_class of group) and edge type (person)-knows-(person) (link_predict); more than one target"),
    "two labels": ({"graph.nodes.0.labels.1": {"label": ["town", "classification"]}}, "more than one target is not offered yet"),
    "two targets": ({"graph.nodes.1": {"file_name": "c", "node": ["~id", "club"], "labels": [{"label": ["k", "classification"]}]}},
                    "there are labels for node type 'person' (node_class of group) and node type 'club' (node_class of k); more"),
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
