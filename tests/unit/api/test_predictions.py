"""The console's form of a prediction, by what the model predicts: the request that it makes, and the answer in words."""

from typing import Any

import msgspec
import pytest
from tests.wire.described import described as document

from despina.api.console.descriptions import Described
from despina.api.console.prediction_form import (
    example_subgraph,
    field_of,
    field_of_item,
    filled,
    request_of,
    samples,
    with_sample,
)
from despina.api.console.prediction_words import number, percent, shown, signed

Json = dict[str, Any]
LIKES = {"source": "user", "relation": "likes", "destination": "item", "count": 3, "predicted": True, "properties": [
    {"name": "stars", "kind": "numerical", "example": 3}], "samples": [
        {"headNodeId": "u1", "tailNodeId": "i1"}, {"headNodeId": "u1", "tailNodeId": "i2"}]}
USERS = {"name": "user", "count": 2, "predicted": False, "samples": ["u1", "u2"], "properties": [
    {"name": "age", "kind": "numerical", "example": 40.5}]}
ITEMS = {**USERS, "name": "item", "samples": ["i1", "i2"], "properties": []}


def described(task: str, *, explains: bool = True) -> Described:
    of_nodes = task.startswith("node")
    return msgspec.convert({
        "task": task, "property": "" if task == "link_predict" else "size", "more": 1, "description": {
            "model": "rgcn", "classes": ["a", "b"] if task.endswith("class") else [], "explains": explains, "takesSubgraphs": True,
            "nodeTypes": [{**USERS, "predicted": of_nodes}, ITEMS],
            "edgeTypes": [{**LIKES, "predicted": not of_nodes}]}}, Described)


SIZE: Json = {"property": "size"}
KEY: Json = {"edgeType": "user,likes,item"}


@pytest.mark.parametrize(("task", "pressed", "wanted"), [
    ("node_class", "0.1", {"data": {"globalParameters": {"topk": 3, **SIZE}, "nodes": [{"nodeId": "u2"}]}}),
    ("node_regression", "0.0", {"data": {"globalParameters": SIZE, "nodes": [{"nodeId": "u1"}]}}),
    ("edge_class", "0.1", {"data": {"globalParameters": {"topk": 3, **KEY, **SIZE},
                                    "edges": [{"headNodeId": "u1", "tailNodeId": "i2"}]}}),
    ("edge_regression", "0.0", {"data": {"globalParameters": {**KEY, **SIZE},
                                         "edges": [{"headNodeId": "u1", "tailNodeId": "i1"}]}}),
    ("link_predict", "0.0.tail", {"mode": "predict_tail", "data": {
        "globalParameters": {"topk": 3, **KEY, "exclude_flag": "mask"}, "edges": [{"headNodeId": "u1"}]}}),
    ("link_predict", "0.1.head", {"mode": "predict_head", "data": {
        "globalParameters": {"topk": 3, **KEY, "exclude_flag": "mask"}, "edges": [{"tailNodeId": "i2"}]}}),
])
def test_each_sample_is_a_request_of_the_right_form(task: str, pressed: str, wanted: Json) -> None:
    model = described(task)
    assert pressed in {sample.value for group in samples(model) for sample in group.samples}
    form = filled(model, {}, sent=False)
    given = with_sample(model, {"topk": form.topk, "edge": form.edge, "sample": pressed})
    body, errors = request_of(model, given)
    assert (body, errors) == (wanted, {})
    explained, _ = request_of(model, {**given, "explain": "on", "known": "on"})
    assert explained.pop("explain")
    assert "exclude_flag" not in explained["data"]["globalParameters"]
    for one in (body, explained):
        document().validator({"$ref": "#/components/schemas/Invocation"}).validate(one)
    assert "explain" not in request_of(described(task, explains=False), {**given, "explain": "on"})[0]


@pytest.mark.parametrize("pressed", ["", "7", "9.9", "0.9", "x.y", "0", "-1.0", "0.0.sideways", "1" * 40 + ".0"])
def test_a_sample_that_there_is_none_of_changes_nothing_much(pressed: str) -> None:
    for task in ("node_class", "edge_class", "link_predict"):
        given = with_sample(described(task), {"sample": pressed, "node": "u9"})
        assert given["node"] in {"u9", "u1"}


@pytest.mark.parametrize("task", ["node_class", "edge_regression", "link_predict"])
def test_the_example_of_a_new_node_is_joined_to_one_that_is_there(task: str) -> None:
    body, errors = request_of(described(task), {**example_subgraph(described(task)), "topk": "1"})
    assert not errors
    document().validator({"$ref": "#/components/schemas/Invocation"}).validate(body)
    assert body["subgraph"] == {
        "nodes": [{"id": "new", "type": "user", "properties": {"age": 40.5}}],
        "edges": [{"from": "new", "to": "i1", "type": "likes", "fromType": "user", "toType": "item", "properties": {"stars": 3}}]}


@pytest.mark.parametrize(("given", "errors"), [
    ({}, {"node": "Say which"}),
    ({"node": "u", "topk": "0"}, {"topk": "not '0'"}), ({"node": "u", "topk": "²"}, {"topk": "not '²'"}),
    ({"node": "u", "subgraph": "{"}, {"subgraph": "line 1, column 2"}),
    ({"node": "u", "subgraph": "[]"}, {"subgraph": "an object"}),
    ({"node": "u", "subgraph": "[" * 100_000}, {"subgraph": "not JSON"}), ({"node": "u", "subgraph": "  "}, {}),
])
def test_what_is_wrong_is_told_by_field(given: dict[str, str], errors: dict[str, str]) -> None:
    found = request_of(described("node_class"), given)[1]
    assert found.keys() == errors.keys()
    assert all(text in found[name] for name, text in errors.items())


def test_errors_of_the_model_find_their_field() -> None:
    given = {"node": "new", "subgraph": "{}"}
    assert field_of("The value 'x' of 'topk' is wrong", given) == "topk"
    assert field_of("Node 1 of the subgraph ('new') is wrong", given) == "subgraph"
    assert field_of("Node 1 of the subgraph ('new') is wrong", {}) == ""
    assert field_of("The model knows no edge type '': 'edgeType' must", given) == "edge"
    assert field_of("It is broken", given) == ""
    assert field_of_item("There is no node 'new' of type 'user'. A 'subgraph' may bring it.", given) == "node"
    assert field_of_item("There is no node 'b' of type 'user'", {"head": "a", "tail": "b"}) == "tail"
    assert field_of_item("It is broken", {"node": ""}) == ""


def test_an_answer_in_words() -> None:
    model = described("node_class")
    asked, _ = request_of(model, {"node": "u1", "explain": "on"})
    item = {"nodeId": "u1", "predictions": [{"class": "a", "score": 0.9999}, {"class": "b", "score": 0.0001}], "explanation": {
        "class": "a", "logOdds": 4.0,
        "neighbours": [{"nodeId": "i1", "nodeType": "item", "relation": "likes", "direction": "out", "weight": 2.0},
                       {"nodeId": "i2", "nodeType": "item", "relation": "likes", "direction": "in", "weight": -1.0}],
        "relations": [{"relation": "user,likes,item", "weight": 4.5}],
        "properties": [{"nodeId": "u1", "nodeType": "user", "property": "age", "weight": 0.001}]}}
    told = shown(model, asked, item)
    assert told.about == "size of user u1"
    assert [(one.what, one.text) for one in told.predictions] == [("a", "> 99.9 %"), ("b", "< 0.1 %")]
    assert told.sentences == (
        "The model gives “a” log-odds of 4.", "Without edges of the kind “user –likes→ item” it would be 4.5 lower.",
        "Without the neighbour “likes to item i1” it would be 2 lower.",
        "Against it speaks the neighbour “likes from item i2”: without, it would be 1 higher.",
        "No single one of the properties moves it much.")
    assert [[one.text for one in group.reasons] for group in told.reasons] == [["+4.5"], ["+2", "−1"], ["+0.001"]]


def test_answers_of_numbers_and_links() -> None:
    model = described("edge_regression")
    asked, _ = request_of(model, {"head": "u1", "tail": "i1", "edge": "user,likes,item"})
    told = shown(model, asked, {"headNodeId": "u1", "tailNodeId": "i1", "predictions": [{"value": 12345.678}], "explanation": {
        "score": 12345.678, "neighbours": [], "relations": [], "properties": []}})
    assert (told.about, told.predictions[0].what, told.predictions[0].share) == ("size of u1 –likes→ i1", "12,346", None)
    assert told.sentences == ("The model gives size the value 12,346.",)
    model = described("link_predict")
    asked, _ = request_of(model, {"node": "u1", "edge": "user,likes,item"})
    told = shown(model, asked, {"headNodeId": "u1", "predictions": [
        {"nodeId": "i1", "nodeType": "item", "score": 0.98, "rawScore": 3.9}], "explanation": {
            "nodeId": "i1", "nodeType": "item", "score": 3.9, "neighbours": [], "properties": [],
            "relations": [{"relation": "user,likes,item", "weight": -0.5}]}})
    assert (told.about, told.score, told.predictions[0].raw) == ("u1 –likes→ ?", "Score", "3.9")
    assert told.sentences == ("The model gives the link with item i1 a score of 3.9.",
                              "Against it speaks edges of the kind “user –likes→ item”: without, it would be 0.5 higher.")


def test_numbers_as_people_read_them() -> None:
    assert [number(value) for value in (0.0, 0.01234, 5.9, 809.123, 12_345.6, -0.5, 0.00002)] == [
        "0", "0.0123", "5.9", "809", "12,346", "-0.5", "2.0e-05"]
    assert [signed(value) for value in (0.4, -0.1, 0.0001, -0.0001)] == ["+0.4", "−0.1", "≈ 0", "≈ 0"]
    assert [percent(value) for value in (0.0, 0.0001, 0.9996, 1.0, 0.973)] == ["0.0 %", "< 0.1 %", "> 99.9 %", "100.0 %", "97.3 %"]
