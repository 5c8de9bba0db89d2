"""What endpoints are asked and what they answer (``docs/inference.md``), as JSON Schemas; serving programs read and write it."""

from typing import Any

from despina.api.openapi.answers import NUMBER, TEXT, WHOLE, an_object, list_of, ref
from despina.api.openapi.members import Schema
from despina.core.task import Task

_MAX_ITEMS = 10_000
_OWN: Schema = {"type": "object", "description": "By name: texts, numbers, truth values, lists."}
_WEIGHT: Schema = {"type": "number", "description": "What is lost without it."}


def _nullable(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


_ITEM: Schema = an_object({}, {name: _nullable("string") for name in ("nodeId", "headNodeId", "tailNodeId")})
_ITEMS: Schema = {"type": "array", "maxItems": _MAX_ITEMS, "items": ref("InvocationItem")}

FORMS: dict[str, Schema] = {
    "Invocation": an_object({}, {
        "data": an_object({}, {"globalParameters": ref("InvocationParameters"), "nodes": _ITEMS, "edges": _ITEMS}),
        "version": {"const": "v1"},
        "mode": _nullable("string", enum=["predict_tail", "predict_head", "embed_knn", "node_predict", "edge_predict", "describe",
                                          None]),
        "subgraph": {"oneOf": [ref("Subgraph"), {"type": "null"}]}, "explain": {"type": "boolean", "default": False}}),
    "InvocationParameters": an_object({}, {
        "topk": _nullable("integer", minimum=1), "threshold": _nullable("number"), "fanout": _nullable("integer", minimum=1),
        **{name: _nullable("string") for name in ("property", "edgeType", "headNodeType", "tailNodeType", "nodeType")},
        "exclude_flag": _nullable("string", enum=["mask", None])}),
    "InvocationItem": _ITEM,
    "Subgraph": an_object({}, {
        "nodes": list_of(an_object({"id": TEXT, "type": TEXT}, {"properties": _OWN})),
        "edges": list_of(an_object({"from": TEXT, "to": TEXT, "type": TEXT}, {
            "fromType": TEXT, "toType": TEXT, "properties": _OWN}))},
        "Nodes and edges that are there beside those of the graph."),
    "Predicted": an_object({
        "version": {"const": "v1"}, "task": {"type": "string", "enum": [task.value for task in Task]}}, {
        "output": an_object({}, {"nodes": list_of(ref("PredictedItem")), "edges": list_of(ref("PredictedItem"))}),
        "property": TEXT, "description": ref("ModelDescription")}),
    "ModelDescription": an_object({
        "model": TEXT, "classes": list_of(TEXT), "explains": {"type": "boolean"}, "takesSubgraphs": {"type": "boolean"},
        "nodeTypes": list_of(an_object({"name": TEXT, "count": WHOLE, "predicted": {"type": "boolean"}, "samples": list_of(TEXT),
                                        "properties": list_of(ref("DescribedProperty"))})),
        "edgeTypes": list_of(an_object({
            "source": TEXT, "relation": TEXT, "destination": TEXT, "count": WHOLE, "predicted": {"type": "boolean"},
            "samples": list_of(an_object({"headNodeId": TEXT, "tailNodeId": TEXT})),
            "properties": list_of(ref("DescribedProperty"))}))}, description="The answer to the mode `describe`."),
    "DescribedProperty": an_object({"name": TEXT, "kind": TEXT, "example": {}}),
    "PredictedItem": an_object({}, {
        **_ITEM["properties"], "predictions": list_of(ref("Prediction")), "error": an_object({"code": TEXT, "message": TEXT}),
        "explanation": ref("Explanation")}),
    "Prediction": an_object({}, {
        "class": TEXT, "score": NUMBER, "value": NUMBER, "nodeId": TEXT, "nodeType": TEXT, "rawScore": NUMBER}),
    "Explanation": an_object({
        "neighbours": list_of(an_object({"nodeId": TEXT, "nodeType": TEXT, "relation": TEXT, "weight": _WEIGHT,
                                         "direction": {"type": "string", "enum": ["in", "out"]}})),
        "relations": list_of(an_object({"relation": TEXT, "weight": _WEIGHT})),
        "properties": list_of(an_object({"nodeId": TEXT, "nodeType": TEXT, "property": TEXT, "weight": _WEIGHT}))}, {
        "class": TEXT, "nodeId": TEXT, "nodeType": TEXT, "logOdds": NUMBER, "score": NUMBER}),
}

QUESTIONS: dict[str, Any] = {
    "what the model is about": {"mode": "describe"},
    "a property of nodes": {"data": {"globalParameters": {"topk": 3}, "nodes": [{"nodeId": "1"}]}},
    "a property of edges": {"data": {"globalParameters": {"edgeType": "liked"},
                                     "edges": [{"headNodeId": "r1", "tailNodeId": "b9"}]}},
    "tails of a head": {"mode": "predict_tail", "data": {"globalParameters": {"topk": 5, "edgeType": "liked"},
                                                         "edges": [{"headNodeId": "r1"}]}},
    "heads of a tail": {"mode": "predict_head", "data": {"globalParameters": {"topk": 5, "edgeType": "liked"},
                                                         "edges": [{"tailNodeId": "b9"}]}},
    "nearest neighbours": {"mode": "embed_knn", "data": {"globalParameters": {"topk": 5, "tailNodeType": "book"},
                                                         "nodes": [{"nodeId": "b9"}]}},
    "a node never seen, explained": {
        "data": {"globalParameters": {"topk": 3}, "nodes": [{"nodeId": "new"}]}, "explain": True,
        "subgraph": {"nodes": [{"id": "new", "type": "airport", "properties": {"runways": 2, "longest": 9000, "elev": 30}}],
                     "edges": [{"from": "new", "to": "1", "type": "route", "properties": {"dist": 809}}]}},
}

PREDICTED: dict[str, Any] = {
    "what the model is about": {"version": "v1", "task": "node_class", "property": "continent", "description": {
        "model": "rgcn", "classes": ["AF", "AN", "AS", "EU", "NA", "OC", "SA"], "explains": True, "takesSubgraphs": True,
        "nodeTypes": [{"name": "airport", "count": 3503, "predicted": True, "samples": ["1", "12", "21"], "properties": [
            {"name": "runways", "kind": "numerical", "example": 5}]}],
        "edgeTypes": [{"source": "airport", "relation": "route", "destination": "airport", "count": 50637, "predicted": False,
                       "samples": [{"headNodeId": "1", "tailNodeId": "3"}], "properties": [
                           {"name": "dist", "kind": "numerical", "example": 809}]}]}},
    "a property of nodes": {"version": "v1", "task": "node_class", "property": "continent", "output": {"nodes": [
        {"nodeId": "1", "predictions": [{"class": "NA", "score": 0.99}, {"class": "SA", "score": 0.01}]},
        {"nodeId": "nobody", "error": {"code": "UnknownNode", "message": "There is no node 'nobody' of type 'airport' in the graph "
                                       "that the model is applied to. A 'subgraph' in the request may bring it."}}]}},
    "a property of edges": {"version": "v1", "task": "edge_regression", "property": "stars", "output": {"edges": [
        {"headNodeId": "r1", "tailNodeId": "b9", "predictions": [{"value": 4.2}]}]}},
    "tails of a head": {"version": "v1", "task": "link_predict", "output": {"edges": [
        {"headNodeId": "r1", "predictions": [{"nodeId": "b9", "nodeType": "book", "score": 0.98, "rawScore": 3.9}]}]}},
    "heads of a tail": {"version": "v1", "task": "link_predict", "output": {"edges": [
        {"tailNodeId": "b9", "predictions": [{"nodeId": "r1", "nodeType": "reader", "score": 0.98, "rawScore": 3.9}]}]}},
    "nearest neighbours": {"version": "v1", "task": "node_class", "property": "genre", "output": {"nodes": [
        {"nodeId": "b9", "predictions": [{"nodeId": "b2", "nodeType": "book", "score": 0.87}]}]}},
    "a node never seen, explained": {"version": "v1", "task": "node_class", "property": "continent", "output": {"nodes": [{
        "nodeId": "new", "predictions": [{"class": "NA", "score": 0.99}], "explanation": {
            "class": "NA", "logOdds": 6.8,
            "neighbours": [{"nodeId": "1", "nodeType": "airport", "relation": "route", "direction": "out", "weight": 0.4}],
            "relations": [{"relation": "airport,route,airport", "weight": 5.9}],
            "properties": [{"nodeId": "new", "nodeType": "airport", "property": "longest", "weight": 0.2}]}}]}},
}
"""The answers to ``QUESTIONS``."""
