"""What an endpoint answers, of every kind of task and model: that what the artefacts say, the model says, and metrics follow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.learn.graphs import KNOWS, LIKES, RATES, communities, fan_clubs, numbers_of_users, ratings
from tests.unit.learn.test_factorisation import of_two_tastes
from tests.unit.programs.test_training import Place, _all_programs

from despina.core.errors import WorkFailed
from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph
from despina.programs.serving.answering import Answers, NeedsModel
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import RequestFault
from despina.programs.serving.links import top

Json = dict[str, Any]
Serve = Callable[..., Answers]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Trains a model of a graph and serves its artefacts."""
    def made(graph: Graph, **changes: Any) -> Answers:
        place = Place.below(tmp_path)
        folder = _all_programs(place, graph, **changes)
        return Answers(Artefacts.load(folder, graph, place.bucket / "processed"))
    return made


def ask(answers: Answers, body: Json) -> list[Json]:
    """The answers to a request's items; by the model itself where the artefacts do not do."""
    read = answers.read(json.dumps(body).encode())
    try:
        content = answers.answer(read, with_model=False)
    except NeedsModel:
        content = answers.answer(read, with_model=True)
    [found] = json.loads(content)["output"].values()
    assert isinstance(found, list)
    return found


def links(answers: Answers, mode: str, edge_type: EdgeType, ids: list[str], **parameters: Any) -> list[Json]:
    end = "headNodeId" if mode == "predict_tail" else "tailNodeId"
    return ask(answers, {"mode": mode, "data": {"globalParameters": {"edgeType": edge_type.relation, "topk": 1000, **parameters},
                                                "edges": [{end: node_id} for node_id in ids]}})


def metrics(answers: Answers) -> Json:
    content: Json = json.loads((answers.served.folder / "test_metrics_info.json").read_bytes())
    return content


@pytest.mark.parametrize(("graph", "model"), [
    (fan_clubs(), {"model_type": "heterogeneous"}), (fan_clubs(), {"gamma": 6.0}),
])
def test_ranks_of_links_are_those_of_the_evaluation(serve: Serve, graph: Graph, model: Json) -> None:
    answers = serve(graph, **model)
    assert filtered_metrics(answers, graph) == pytest.approx({name: metrics(answers)[name] for name in ("mrr", "hits@10")})


def filtered_metrics(answers: Answers, graph: Graph) -> Json:
    """From the answers' scores alone: the ranks of test links among all that are no other known link."""
    found = []
    part = graph.target.by_type[LIKES]
    sources, destinations = graph.edges[LIKES].ends()
    known = {(int(u), int(v)) for u, v in zip(sources, destinations, strict=True)}
    for mode, own, other in (("predict_tail", 0, 1), ("predict_head", 1, 0)):
        types = (LIKES.source, LIKES.destination)
        for row in np.flatnonzero(part.test).tolist():
            pair = (int(sources[row]), int(destinations[row]))
            [item] = links(answers, mode, LIKES, [graph.node_ids[types[own]][pair[own]]])
            scores = {int(prediction["nodeId"].split("-")[1]): prediction["rawScore"] for prediction in item["predictions"]}
            assert len(scores) == graph.node_counts[types[other]]
            mine = scores[pair[other]]
            rest = [score for node, score in scores.items() if node != pair[other]
                    and ((pair[0], node) if own == 0 else (node, pair[1])) not in known]
            found.append(1 + sum(score > mine for score in rest) + sum(score == mine for score in rest) / 2)
    return {"mrr": float(np.mean([1 / rank for rank in found])), "hits@10": float(np.mean([rank <= 10 for rank in found]))}


@pytest.mark.parametrize("name", ["distmult", "complex", "transe", "rotate"])
def test_all_embeddings_are_scored_as_they_are_by_the_model(tmp_path: Path, name: str) -> None:
    place, graph = Place.below(tmp_path), fan_clubs()
    place.prepare(graph)
    configuration = place.bucket / "processed" / "model-hpo-configuration.json"
    document = json.loads(configuration.read_text())
    document["models"][0]["model"] = name
    answers = Answers(Artefacts.load(trained(place, graph, document), graph, place.bucket / "processed"))
    assert answers.served.layout.model == name
    assert filtered_metrics(answers, graph) == pytest.approx({name: metrics(answers)[name] for name in ("mrr", "hits@10")})


def trained(place: Place, graph: Graph, document: Json) -> Path:
    from despina.core.job import TrainWork, TransformWork
    from despina.programs import train, transform

    (place.bucket / "processed" / "model-hpo-configuration.json").write_text(json.dumps(document), encoding="utf-8")
    train.run(TrainWork(processed="s3://bucket/processed", output="s3://bucket/model", parameters={
        "num-hidden": 8, "num-epochs": 20, "batch-size": 64, "enable-early-stop": False}), place.context)
    transform.run(TransformWork(processed="s3://bucket/processed", model="s3://bucket/model", output="s3://bucket/output"),
                  place.context)
    return place.bucket / "output"


def test_known_links_are_left_out_if_that_is_wanted(serve: Serve) -> None:
    graph = fan_clubs()
    answers = serve(graph, model_type="heterogeneous")
    sources, destinations = graph.edges[LIKES].ends()
    for mode, node, linked in (("predict_tail", "user-4", {f"item-{i}" for i in destinations[sources == 4]}),
                               ("predict_head", "item-4", {f"user-{i}" for i in sources[destinations == 4]})):
        everything = {found["nodeId"] for found in links(answers, mode, LIKES, [node])[0]["predictions"]}
        masked = {found["nodeId"] for found in links(answers, mode, LIKES, [node], exclude_flag="mask")[0]["predictions"]}
        assert linked
        assert everything - masked == linked


def test_scores_of_links_lie_between_0_and_1_and_a_threshold_is_about_them(serve: Serve) -> None:
    answers = serve(fan_clubs(), model_type="heterogeneous")
    [item] = links(answers, "predict_tail", LIKES, ["user-1"])
    found = item["predictions"]
    assert [prediction["score"] for prediction in found] == sorted((prediction["score"] for prediction in found), reverse=True)
    assert all(0 < prediction["score"] < 1 for prediction in found)
    assert found[0]["score"] == pytest.approx(1 / (1 + np.exp(-found[0]["rawScore"])))
    least = found[3]["score"]
    [item] = links(answers, "predict_tail", LIKES, ["user-1"], threshold=least)
    assert item["predictions"] == found[:4]
    [item] = links(answers, "predict_tail", LIKES, ["user-1"], topk=2)
    assert item["predictions"] == found[:2]


@pytest.mark.parametrize(("parameters", "text"), [
    ({"edgeType": "loves"}, "knows no edge type 'loves'"), ({"edgeType": None}, None), ({"edgeType": "user,likes,item"}, None),
    ({"edgeType": "likes", "tailNodeType": "user"}, "must name one of user,likes,item"),
])
def test_which_edge_type_is_meant(serve: Serve, parameters: Json, text: str | None) -> None:
    answers = serve(fan_clubs(), model_type="heterogeneous")
    body = {"mode": "predict_tail", "data": {"globalParameters": parameters, "edges": [{"headNodeId": "user-1"}]}}
    if text is None:
        assert ask(answers, body)[0]["predictions"]
    else:
        with pytest.raises(RequestFault, match=text):
            ask(answers, body)


def test_several_edge_types_have_to_be_told_apart(serve: Serve) -> None:
    answers = serve(fan_clubs(), gamma=6.0)
    with pytest.raises(RequestFault, match="which of several edge types"):
        ask(answers, {"mode": "predict_tail", "data": {"edges": [{"headNodeId": "user-1"}]}})
    with pytest.raises(RequestFault, match="'mode' must be predict_tail"):
        ask(answers, {"data": {"nodes": [{"nodeId": "user-1"}]}})


@pytest.mark.parametrize("name", ["complex", "transe"])
def test_an_entity_that_the_embedding_has_never_seen(tmp_path: Path, name: str) -> None:
    place, graph = Place.below(tmp_path), fan_clubs()
    place.prepare(graph)
    document = json.loads((place.bucket / "processed" / "model-hpo-configuration.json").read_text())
    document["models"][0]["model"] = name
    answers = Answers(Artefacts.load(trained(place, graph, document), graph, place.bucket / "processed"))
    body: Json = {"mode": "predict_tail", "data": {"globalParameters": {"edgeType": "likes", "topk": 24}, "edges": [
        {"headNodeId": "new"}, {"headNodeId": "lonely"}, {"headNodeId": "user-0"}]},
        "subgraph": {"nodes": [{"id": "new", "type": "user"}, {"id": "lonely", "type": "user"}],
                     "edges": [{"from": "new", "to": f"user-{i}", "type": "knows"} for i in range(20, 30)]}}
    new, lonely, known = ask(answers, body)
    assert lonely["error"]["code"] == "NoKnownNeighbour"
    plain: Json = {**body, "subgraph": None, "data": {**body["data"], "edges": [{"headNodeId": "user-0"}]}}
    for mine, theirs in zip(known["predictions"], ask(answers, plain)[0]["predictions"], strict=True):
        assert mine["nodeId"] == theirs["nodeId"]
        assert mine["rawScore"] == pytest.approx(theirs["rawScore"], rel=1e-5)
    assert len(new["predictions"]) == 24
    heads: Json = {**body, "mode": "predict_head", "data": {"globalParameters": {"edgeType": "likes", "topk": 100},
                                                      "edges": [{"tailNodeId": "item-9"}]}}
    [item] = ask(answers, heads)
    assert "new" in {found["nodeId"] for found in item["predictions"]}, "it is a candidate too"
    assert "lonely" not in {found["nodeId"] for found in item["predictions"]}
    with pytest.raises(RequestFault, match="no neighbour has a part in it"):
        ask(answers, {**plain, "explain": True})


def test_links_from_and_towards_nodes_that_an_r_gcn_has_never_seen(serve: Serve) -> None:
    graph = fan_clubs()
    answers = serve(graph, model_type="heterogeneous")
    subgraph = {"nodes": [{"id": "new", "type": "user"}, {"id": "fresh", "type": "item"}],
                "edges": [{"from": "new", "to": "item-8", "type": "likes"}, {"from": "user-21", "to": "fresh", "type": "likes"},
                          {"from": "new", "to": "user-22", "type": "knows"}]}

    def asked(mode: str, end: str, node: str, **parameters: Any) -> Json:
        [item] = ask(answers, {"mode": mode, "subgraph": subgraph, "explain": True, "data": {
            "globalParameters": {"topk": 100, **parameters}, "edges": [{end: node}]}})
        return item

    tails = asked("predict_tail", "headNodeId", "new")["predictions"]
    assert {found["nodeId"] for found in tails} == {"fresh", *(f"item-{i}" for i in range(24))}
    heads = asked("predict_head", "tailNodeId", "fresh")["predictions"]
    assert {found["nodeId"] for found in heads} == {"new", *(f"user-{i}" for i in range(60))}
    score = {found["nodeId"]: found["rawScore"] for found in tails}["fresh"]
    assert score == pytest.approx({found["nodeId"]: found["rawScore"] for found in heads}["new"], rel=1e-4), "the same link"
    masked = asked("predict_tail", "headNodeId", "new", exclude_flag="mask")
    assert "item-8" not in {found["nodeId"] for found in masked["predictions"]}
    assert masked["explanation"]["nodeId"] == masked["predictions"][0]["nodeId"]
    assert masked["explanation"]["neighbours"]


@pytest.mark.parametrize("task", [Task.EDGE_CLASS, Task.EDGE_REGRESSION])
def test_edges_that_are_there_and_edges_that_are_not(serve: Serve, task: Task) -> None:
    graph = ratings(task)
    answers = serve(graph)
    sources, destinations = graph.edges[RATES].ends()
    pairs = [(f"user-{u}", f"item-{v}") for u, v in zip(sources[:30], destinations[:30], strict=True)]
    parameters = {"edgeType": "rates", "topk": 2, "property": "stars"}
    found = ask(answers, {"data": {"globalParameters": parameters, "edges": [
        {"headNodeId": head, "tailNodeId": tail} for head, tail in pairs]}})
    for item, row in zip(found, answers.served.values[RATES], strict=False):
        told = [prediction.get("score", prediction.get("value")) for prediction in item["predictions"]]
        assert told == sorted((float(value) for value in row), reverse=True)
    known = set(zip(sources.tolist(), destinations.tolist(), strict=True))
    missing = next((u, v) for u in range(60) for v in range(24) if (u, v) not in known)
    body = {"data": {"globalParameters": parameters, "edges": [
        {"headNodeId": f"user-{missing[0]}", "tailNodeId": f"item-{missing[1]}"}]}}
    with pytest.raises(NeedsModel):
        answers.answer(answers.read(json.dumps(body).encode()), with_model=False)
    [item] = ask(answers, body)
    [live] = ask(answers, {**body, "subgraph": {}, "explain": True})
    for mine, theirs in zip(item["predictions"], live["predictions"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-3) if "value" in mine else mine["class"] == theirs["class"]
    assert live["explanation"]["relations"]
    with pytest.raises(RequestFault, match="must say which of several edge types"):
        ask(answers, {"data": {"edges": [{"headNodeId": "user-1", "tailNodeId": "item-1"}]}})
    [error] = ask(answers, {"data": {"globalParameters": {"edgeType": "rates"}, "edges": [{"headNodeId": "user-1"}]}})
    assert error["error"] == {"code": "MissingNodeId", "message": "The item has no 'tailNodeId'."}


def test_numbers_of_edges_have_the_share_of_the_factorisation(serve: Serve) -> None:
    graph = of_two_tastes()
    answers = serve(graph)
    pairs = [{"headNodeId": str(u), "tailNodeId": str(v)} for u, v in ((0, 0), (3, 7), (59, 49))]
    body: Json = {"data": {"globalParameters": {"edgeType": "rated"}, "edges": pairs}}
    written = [item["predictions"][0]["value"] for item in ask(answers, body)]
    assert json.loads((answers.served.folder / "training-report.json").read_bytes())["correction"] > 0
    live = [item["predictions"][0]["value"] for item in ask(answers, {**body, "subgraph": {}})]
    assert live == pytest.approx(written, abs=1e-3)
    read = answers.read(json.dumps(body).encode()).data
    as_if_missing = [answers.live.scores_of_pair(item, read.global_parameters)[0] for item in read.edges]
    assert as_if_missing == pytest.approx(written, abs=1e-3)


def test_numbers_of_nodes(serve: Serve) -> None:
    answers = serve(numbers_of_users())
    found = ask(answers, {"data": {"globalParameters": {"property": "fame"}, "nodes": [
        {"nodeId": f"user-{i}"} for i in range(80)]}})
    assert [item["predictions"][0]["value"] for item in found] == answers.served.values["user"][:, 0].tolist()
    [live] = ask(answers, {"data": {"nodes": [{"nodeId": "user-1"}]}, "explain": True})
    assert live["predictions"][0]["value"] == pytest.approx(found[1]["predictions"][0]["value"], rel=1e-3), "corrected"
    assert live["explanation"]["score"] > 0


def test_several_labels(serve: Serve) -> None:
    answers = serve(communities(multilabel=True))
    [item] = ask(answers, {"data": {"globalParameters": {"topk": 3}, "nodes": [{"nodeId": "user-1"}]}})
    assert {found["class"] for found in item["predictions"]} == {"left", "right", "anyone"}
    assert [found["score"] for found in item["predictions"]] == sorted(
        answers.served.values["user"][1].tolist(), reverse=True), "each has a probability of its own"


def test_nearest_neighbours_are_those_with_the_smallest_angle(serve: Serve) -> None:
    graph = fan_clubs()
    answers = serve(graph, model_type="heterogeneous")
    for wanted in ("user", "item"):
        [item] = ask(answers, {"mode": "embed_knn", "data": {"globalParameters": {"topk": 5, "tailNodeType": wanted},
                                                             "nodes": [{"nodeId": "user-3"}]}})
        own, others = answers.served.embeddings["user"][3], answers.served.embeddings[wanted]
        cosines = others @ own / (np.linalg.norm(others, axis=1) * np.linalg.norm(own) + 1e-12)
        if wanted == "user":
            cosines[3] = -2
        assert [found["nodeId"] for found in item["predictions"]] == [
            f"{wanted}-{i}" for i in np.argsort(-cosines, kind="stable")[:5]]
    with pytest.raises(RequestFault, match="'tailNodeType' is not a node type with embeddings: it must be one of"):
        ask(answers, {"mode": "embed_knn", "data": {"nodes": [{"nodeId": "user-3"}]}})
    known = {f"user-{i}" for i in graph.edges[KNOWS].indices[graph.edges[KNOWS].indptr[3]:graph.edges[KNOWS].indptr[4]]}
    [item] = ask(answers, {"mode": "embed_knn", "data": {"globalParameters": {
        "topk": 100, "tailNodeType": "user", "exclude_flag": "mask"}, "nodes": [{"nodeId": "user-3"}]}})
    assert not known & {found["nodeId"] for found in item["predictions"]}


def test_nodes_that_were_removed_are_nobodys_answer(tmp_path: Path) -> None:
    from dataclasses import replace

    graph = replace(fan_clubs(), removed={"item": np.array([3], dtype=np.int32)})
    place = Place.below(tmp_path)
    answers = Answers(Artefacts.load(_all_programs(place, graph, model_type="heterogeneous"), graph, place.bucket / "processed"))
    [item] = links(answers, "predict_tail", LIKES, ["user-1"])
    assert "item-3" not in {found["nodeId"] for found in item["predictions"]}
    assert links(answers, "predict_head", LIKES, ["item-3"])[0]["error"]["code"] == "UnknownNode"


def test_an_answer_has_a_million_predictions_at_most(serve: Serve) -> None:
    answers = serve(fan_clubs(), model_type="heterogeneous")
    body = {"mode": "embed_knn", "data": {"globalParameters": {"topk": 10**9, "tailNodeType": "item"},
                                          "nodes": [{"nodeId": "user-1"}] * 9_999}}
    assert ask(answers, body), "there are fewer candidates"
    answers.served.embeddings["user"] = np.zeros((1000, 8), dtype=np.float32)
    with pytest.raises(RequestFault, match="asks for 9999000 predictions: it may ask for 1000000 at most"):
        ask(answers, body)


@pytest.mark.parametrize("count", [1, 3, 10, 100])
def test_the_best_of_many_with_ties(count: int) -> None:
    scores = np.random.default_rng(count).integers(0, 5, 50).astype(np.float64)
    expected = sorted(range(50), key=lambda i: (-scores[i], i))[:count]
    found = top(scores, count)
    assert [scores[i] for i in found] == [scores[i] for i in expected]
    assert found == sorted(found, key=lambda i: (-scores[i], i))
    assert len(set(found)) == len(expected)


def test_artefacts_of_another_graph_or_without_a_file_are_refused(tmp_path: Path) -> None:
    place, graph = Place.below(tmp_path), communities()
    folder = _all_programs(place, graph)
    with pytest.raises(WorkFailed, match="the artefacts are of 80 nodes of type 'user', the graph has 60"):
        Artefacts.load(folder, fan_clubs(), place.bucket / "processed")
    (folder / "predictions" / "result.npz").unlink()
    with pytest.raises(WorkFailed, match=r"no file predictions/result\.npz"):
        Artefacts.load(folder, graph, place.bucket / "processed")


def test_arrays_that_somebody_else_has_written_are_served_as_the_toolkit_writes_them(tmp_path: Path) -> None:
    graph = communities()
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "predictions").mkdir()
    np.save(tmp_path / "embeddings" / "entity.npy", np.zeros((80, 4), dtype=np.float32))
    scores = np.random.default_rng(0).random((80, 2)).astype(np.float32)
    np.savez(tmp_path / "predictions" / "result.npz", infer_scores=scores)
    answers = Answers(Artefacts.load(tmp_path, graph, tmp_path))
    [item] = ask(answers, {"data": {"globalParameters": {"topk": 2}, "nodes": [{"nodeId": "user-7"}]}})
    assert [found["score"] for found in item["predictions"]] == sorted(scores[7].tolist(), reverse=True)
    with pytest.raises(RequestFault, match="this request needs the model itself"):
        ask(answers, {"data": {"nodes": [{"nodeId": "user-7"}]}, "explain": True})


@pytest.mark.parametrize(("graph", "model", "explains"), [
    (communities(), {}, True), (ratings(Task.EDGE_REGRESSION), {}, True), (fan_clubs(), {"gamma": 6.0}, False),
], ids=["nodes", "edges", "embedding"])
def test_what_a_model_is_about_is_enough_to_ask_it(serve: Serve, graph: Graph, model: Json, explains: bool) -> None:
    answers = serve(graph, **model)
    document = json.loads(answers.answer(answers.read(b'{"mode": "describe"}'), with_model=True))
    told = document["description"]
    assert document["task"] == graph.target.task
    assert (told["explains"], told["takesSubgraphs"]) == (explains, True)
    assert {kind["name"]: kind["count"] for kind in told["nodeTypes"]} == dict(graph.node_counts)
    forward = {kind: len(csr.indices) for kind, csr in graph.edges.items() if not kind.is_reverse_in(graph.edges)}
    assert {EdgeType(kind["source"], kind["relation"], kind["destination"]): kind["count"] for kind in told["edgeTypes"]} == forward
    for kind in told["edgeTypes"]:
        csr = graph.edges[EdgeType(kind["source"], kind["relation"], kind["destination"])]
        ids = graph.node_ids[kind["source"]], graph.node_ids[kind["destination"]]
        pairs = zip(*(end.tolist() for end in csr.ends()), strict=True)
        there = {(ids[0][source], ids[1][destination]) for source, destination in pairs}
        assert {(sample["headNodeId"], sample["tailNodeId"]) for sample in kind["samples"]} <= there
        assert kind["samples"]
    mode = "predict_tail" if document["task"] == Task.LINK_PREDICT else None
    questions: list[tuple[Json, Json]] = [({}, {"nodes": [{"nodeId": sample} for sample in kind["samples"]]})
                 for kind in told["nodeTypes"] if kind["predicted"]]
    questions += [({"edgeType": ",".join((kind["source"], kind["relation"], kind["destination"]))}, {"edges": kind["samples"]})
                  for kind in told["edgeTypes"] if kind["predicted"]]
    assert questions
    for given, items in questions:
        assert all(item["predictions"] for item in ask(answers, {"mode": mode, "data": {"globalParameters": given, **items}}))
