"""Whatever a request to an endpoint says, it is answered, item by item, or refused with a reason."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.unit.learn.graphs import fan_clubs, ratings
from tests.unit.programs.test_training import Place, _all_programs

from despina.core.task import Task
from despina.graph.graph import Graph
from despina.programs.serving.answering import Answers, NeedsModel
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import RequestFault

Json = dict[str, Any]
EXAMPLES = 200


def mostly(*values: Any) -> st.SearchStrategy[Any]:
    """One of these, or now and then any JSON."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    anything = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=3), scalars, max_size=2)
    return st.integers(0, 60).flatmap(lambda dice: anything if not dice else st.sampled_from(values))


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """An object with some of these members."""
    return st.fixed_dictionaries({}, optional=members)


KINDS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "classes of nodes": (["item-1", "item-2", "item-59"], ["item"], ["link"]),
    "numbers of edges": (["user-1", "user-2", "item-1", "item-2"], ["user", "item"], ["rates"]),
    "links": (["user-1", "user-2", "item-1", "item-2"], ["user", "item"], ["likes", "user,likes,item", "knows"]),
    "embedding": (["user-1", "user-2", "item-1", "item-2"], ["user", "item"], ["likes", "user,likes,item", "knows"]),
}
"""Nodes, node types and relations that are there, by what is served."""
MODES = {"classes of nodes": ["node_predict", "embed_knn"], "numbers of edges": ["edge_predict", "edge_predict", "embed_knn"]}


def bodies(kind: str) -> st.SearchStrategy[Json]:
    """Requests of which many can be answered."""
    ids, types, relations = KINDS[kind]
    node_id, node_type, relation = mostly(*ids, *ids, "new", "fresh", "nobody", ""), mostly(*types), mostly(*relations)
    properties = some(size=mostly(0.5, -7, "3", "", None, True, [1, 2], "many", 10**400, "nan", -1e308), other=mostly(1))
    subgraph = some(
        nodes=st.lists(st.fixed_dictionaries({"id": mostly("new", "fresh", *ids), "type": node_type}, optional={
            "properties": properties}), max_size=3),
        edges=st.lists(st.fixed_dictionaries({"from": mostly(*ids, "new"), "to": mostly(*ids, "new"), "type": relation}, optional={
            "fromType": node_type, "toType": node_type, "properties": properties}), max_size=2))
    given = {"topk": mostly(1, 3, 10**30), "threshold": mostly(0.2, -1e300), "headNodeType": node_type, "tailNodeType": node_type,
             "nodeType": node_type, "fanout": mostly(1, 2, 10**30), "exclude_flag": mostly("mask", "")}
    parameters = st.fixed_dictionaries({"edgeType": relation} if len(types) > 1 else {}, optional=given)
    data = st.one_of([
        st.fixed_dictionaries({what: st.lists(some(**item), min_size=1, max_size=3), "globalParameters": parameters})
        for what, item in (("nodes", {"nodeId": node_id}), ("edges", {"headNodeId": node_id, "tailNodeId": node_id}))])
    return st.fixed_dictionaries({"data": data, "mode": mostly(*MODES.get(kind, ["predict_tail", "predict_head", "embed_knn"]))},
                                 optional={"explain": mostly(True, False), "subgraph": subgraph})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, trained_data: Path) -> Callable[[str], Answers]:
    """An endpoint's answers by what it serves."""
    @cache
    def made(kind: str) -> Answers:
        if kind == "classes of nodes":
            artifacts = trained_data
            [processed] = (path.parent.parent for path in artifacts.rglob("graph/graph.json"))
            [predictions] = artifacts.rglob("predictions/result.npz")
            return Answers(Artefacts.load(predictions.parent.parent, Graph.load(processed / "graph"), processed))
        place = Place.below(tmp_path_factory.mktemp("served"))
        graph = ratings(Task.EDGE_REGRESSION) if kind == "numbers of edges" else fan_clubs()
        changes: Json = {"model_type": "heterogeneous"} if kind == "links" else {"gamma": 6.0} if kind == "embedding" else {}
        return Answers(Artefacts.load(_all_programs(place, graph, **changes), graph, place.bucket / "processed"))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_is_answered_or_refused(served: Callable[[str], Answers], kind: str) -> None:
    answers, answered = served(kind), 0

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(bodies(kind))
    def one(body: Json) -> None:
        nonlocal answered
        answered += check(answers, body)

    one()
    assert answered > EXAMPLES / 10


def check(answers: Answers, body: Json) -> bool:
    """Whether a request is answered, rather than refused."""
    try:
        read = answers.read(json.dumps(body).encode())
        try:
            content = answers.answer(read, with_model=False)
        except NeedsModel:
            content = answers.answer(read, with_model=True)
    except RequestFault as fault:
        assert str(fault).endswith((".", "?")), fault  # noqa: PT017 - most requests are answered
        return False
    [found] = json.loads(content)["output"].values()
    asked = body["data"].get("nodes") or body["data"]["edges"]
    assert len(found) == len(asked)
    for item, question in zip(found, asked, strict=True):
        assert ("predictions" in item) != ("error" in item)
        assert all(item[name] == value for name, value in question.items() if name in item)
        if "error" in item:
            assert item["error"]["code"]
            assert item["error"]["message"]
    return True
