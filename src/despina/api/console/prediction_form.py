"""The form that asks a model: its fields by what the model predicts, and from them the request, as ``docs/inference.md`` has it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from despina.api.console.descriptions import Described, EdgeType
from despina.core.frozen import Frozen
from despina.core.task import Task

TOPK = 3
"""Predictions that are asked for if nothing is said."""
_FIELDS = {"topk": "topk", "edgeType": "edge", "headNodeType": "edge", "tailNodeType": "edge", "headNodeId": "head",
           "tailNodeId": "tail", "nodeId": "node"}
"""Members of a request, as errors name them, and the fields that they come from."""
_EDGE_TASKS = (Task.EDGE_CLASS, Task.EDGE_REGRESSION)
_NUMBERS = (Task.NODE_REGRESSION, Task.EDGE_REGRESSION)


class Sample(Frozen, frozen=True, kw_only=True):
    """A button that asks at once."""

    value: str
    text: str


class SampleGroup(Frozen, frozen=True, kw_only=True):
    """Samples of one kind."""

    label: str
    samples: tuple[Sample, ...]


class Filled(Frozen, frozen=True, kw_only=True):
    """A form with what stands in it, and what is wrong with it."""

    ends: bool
    """Whether edges are asked for: by ``head`` and ``tail``."""
    links: bool
    """Whether links are: by ``node``, in the direction ``complete``."""
    ranked: bool
    """Whether there are several predictions for one item: ``topk``."""
    node: str
    head: str
    tail: str
    edge: str
    complete: str
    topk: str
    known: bool
    """Whether links that are there already are shown, too."""
    explain: bool
    subgraph: str
    errors: dict[str, str]
    """By field; that of ``""`` is about all of it."""


def filled(described: Described, given: Mapping[str, str], errors: dict[str, str] | None = None, *, sent: bool) -> Filled:
    """The form.

    Args:
        described: The model.
        given: Its fields.
        errors: What is wrong.
        sent: Whether somebody has sent it: boxes that are not in ``given`` are not ticked then.
    """
    edges = described.predicted_edges
    return Filled(
        ends=described.task in _EDGE_TASKS, links=described.task is Task.LINK_PREDICT, ranked=described.task not in _NUMBERS,
        node=given.get("node", ""), head=given.get("head", ""), tail=given.get("tail", ""),
        edge=given.get("edge", edges[0].key if edges else ""), complete=given.get("complete", "tail"),
        topk=given.get("topk", str(TOPK)), known="known" in given, explain="explain" in given or not sent,
        subgraph=given.get("subgraph", ""), errors=errors or {})


def samples(described: Described) -> tuple[SampleGroup, ...]:
    """Nodes and edges that the model knows, to be asked for with one click."""
    nodes = described.predicted_nodes
    if nodes is not None:
        return (SampleGroup(label=nodes.name, samples=tuple(
            Sample(value=f"0.{i}", text=node_id) for i, node_id in enumerate(nodes.samples))),)
    groups = []
    for place, edge in enumerate(described.predicted_edges[:4]):
        if described.task is Task.LINK_PREDICT:
            groups += [SampleGroup(label=f"{edge.source} –{edge.relation}→ ?", samples=_ends(edge, place, "tail")),
                       SampleGroup(label=f"? –{edge.relation}→ {edge.destination}", samples=_ends(edge, place, "head"))]
        else:
            groups.append(SampleGroup(label=f"{edge.source} –{edge.relation}→ {edge.destination}", samples=tuple(
                Sample(value=f"{place}.{i}", text=f"{pair.head_node_id} → {pair.tail_node_id}")
                for i, pair in enumerate(edge.samples))))
    return tuple(groups)


def _ends(edge: EdgeType, place: int, complete: str) -> tuple[Sample, ...]:
    texts = [pair.head_node_id if complete == "tail" else pair.tail_node_id for pair in edge.samples]
    return tuple(Sample(value=f"{place}.{i}.{complete}", text=text) for i, text in enumerate(texts) if text not in texts[:i])


def with_sample(described: Described, given: Mapping[str, str]) -> dict[str, str]:
    """The fields, with those of the sample whose button was pressed; one that there is none of changes nothing."""
    parts = given.get("sample", "").split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()) or len(".".join(parts)) > 20:
        return dict(given)
    place, i, nodes, edges = int(parts[0]), int(parts[1]), described.predicted_nodes, described.predicted_edges
    if nodes is not None:
        return {**given, "node": nodes.samples[i]} if i < len(nodes.samples) else dict(given)
    if place >= len(edges) or i >= len(edges[place].samples):
        return dict(given)
    edge, pair = edges[place], edges[place].samples[i]
    if described.task is Task.LINK_PREDICT:
        complete = parts[-1] if parts[-1] in {"head", "tail"} else "tail"
        return {**given, "edge": edge.key, "complete": complete,
                "node": pair.head_node_id if complete == "tail" else pair.tail_node_id}
    return {**given, "edge": edge.key, "head": pair.head_node_id, "tail": pair.tail_node_id}


def example_subgraph(described: Described) -> dict[str, str]:
    """Fields that ask for a node that the graph has not, with a subgraph that brings it: like one that is there, joined to it."""
    description, nodes, edges = described.description, described.predicted_nodes, described.predicted_edges
    name = nodes.name if nodes else edges[0].source if edges else ""
    own = next((kind for kind in description.node_types if kind.name == name), None)
    if own is None:
        return {}
    new: dict[str, Any] = {"id": "new", "type": name, "properties": {one.name: one.example for one in own.properties}}
    joined = [{"from": "new", "to": kind.samples[0].tail_node_id, "type": kind.relation, "fromType": kind.source,
               "toType": kind.destination, "properties": {one.name: one.example for one in kind.properties}}
              for kind in description.edge_types if kind.source == name and kind.samples][:1]
    joined = joined or [{"from": kind.samples[0].head_node_id, "to": "new", "type": kind.relation, "fromType": kind.source,
                         "toType": kind.destination, "properties": {one.name: one.example for one in kind.properties}}
                        for kind in description.edge_types if kind.destination == name and kind.samples][:1]
    text = json.dumps({"nodes": [new], "edges": joined}, indent=2, ensure_ascii=False)
    tail = {"tail": edges[0].samples[0].tail_node_id} if edges and edges[0].samples else {}
    return {"node": "new", "head": "new", "complete": "tail", "subgraph": text, "explain": "on", **tail,
            **({"edge": edges[0].key} if edges else {})}


def request_of(described: Described, given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The request that the fields ask for, and what is wrong with them, by field."""
    form, errors = filled(described, given, sent=True), dict[str, str]()
    parameters: dict[str, Any] = {}
    if form.ranked:
        parameters["topk"] = _whole(form.topk, errors)
    if form.ends or form.links:
        parameters["edgeType"] = form.edge
    if described.target:
        parameters["property"] = described.target
    if form.links and not form.known:
        parameters["exclude_flag"] = "mask"
    wanted = {"head": form.head, "tail": form.tail} if form.ends else {"node": form.node}
    errors |= {name: "Say which node is meant by its id." for name, value in wanted.items() if not value}
    body: dict[str, Any] = {}
    if form.links:
        tails = form.complete != "head"
        body = {"mode": "predict_tail" if tails else "predict_head",
                "data": {"globalParameters": parameters, "edges": [{"headNodeId" if tails else "tailNodeId": form.node}]}}
    elif form.ends:
        body = {"data": {"globalParameters": parameters, "edges": [{"headNodeId": form.head, "tailNodeId": form.tail}]}}
    else:
        body = {"data": {"globalParameters": parameters, "nodes": [{"nodeId": form.node}]}}
    if form.explain and described.description.explains:
        body["explain"] = True
    if form.subgraph.strip():
        body["subgraph"] = _object(form.subgraph, errors)
    return body, errors


def field_of(message: str, given: Mapping[str, str]) -> str:
    """The field that the model's refusal of a request is about; ``""``: none alone."""
    if "subgraph" in message.lower():
        return "subgraph" if given.get("subgraph") else ""
    return next((_FIELDS[text] for text in re.findall(r"'(\w+)'", message) if text in _FIELDS), "")


def field_of_item(message: str, given: Mapping[str, str]) -> str:
    """The field with the id that the model's error of an item quotes; ``""``: none does."""
    return next((name for name in ("node", "head", "tail") if given.get(name) and f"'{given[name]}'" in message), "")


def _whole(text: str, errors: dict[str, str]) -> int:
    if text.isdecimal() and len(text) < 10 and int(text):
        return int(text)
    errors["topk"] = f"It must be a whole number from 1 on, not '{text[:30]}'."
    return TOPK


def _object(text: str, errors: dict[str, str]) -> Any:
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f": {error.msg} in line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        errors["subgraph"] = f"It is not JSON{where}."
        return {}
    if not isinstance(found, dict):
        errors["subgraph"] = 'It must be an object with "nodes" and "edges".'
    return found
