"""Knowledge-graph embeddings: scores by hand, and what they learn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.learn.graphs import KNOWS, LIKES, fan_clubs

from despina.core.errors import WorkFailed
from despina.graph.graph import EdgeType, Graph, Labelled, both_directions
from despina.learn import embedding
from despina.learn.configuration import Evaluation
from despina.learn.embedding import Embedding, Ranker
from despina.learn.evaluation import evaluate
from despina.learn.hyperparameters import KGE_MODELS, EmbeddingHyperparameters, read_parameters
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.predictor import predict_graph
from despina.learn.ranking import report
from despina.learn.trainer import Trained, train
from despina.learn.triples import Triples

GIVEN: dict[str, Any] = {"num-hidden": 16, "num-epochs": 60, "batch-size": 64, "lr": 0.1, "gamma": 6.0, "num-negs": 32,
                         "enable-early-stop": False, "regularization-coef": 0.001}


def learned(graph: Graph, model: str, parameters: dict[str, Any], seed: int = 0, every: float = 0.1) -> tuple[Trained, Embedding]:
    torch.manual_seed(seed)
    given = read_parameters(GIVEN | parameters, EmbeddingHyperparameters)
    objective = Embedding(graph, model, given, seed=seed)
    evaluation = Evaluation(metric="mrr", frequency="evaluate_every_pct", every=every)
    return train(objective, given, evaluation, on_epoch=lambda *_: None), objective


def of(name: str, entities: list[list[float]], relations: list[list[float]], gamma: float = 5.0) -> KnowledgeGraphEmbedding:
    """A model with these vectors: as many relations in one direction as there are, or twice as many."""
    count = len(relations) // 2 if name in {"distmult", "complex"} else len(relations)
    width = len(entities[0]) // (1 if name in {"transe", "distmult"} else 2)
    model = KnowledgeGraphEmbedding(name, entities=len(entities), relations=count, width=width, gamma=gamma)
    model.load_state_dict({"entities": torch.tensor(entities), "relations": torch.tensor(relations)})
    return model


@pytest.mark.parametrize(("model", "forward", "backward"), [
    # 5 - |1 + 0.5 - 3| - |2 - 1 - 1|; backwards from v: 5 - |3 - 0.5 - 1| - |1 + 1 - 2|
    (of("transe", [[1.0, 2.0], [3.0, 1.0]], [[0.5, -1.0]]), 3.5, 3.5),
    # 1·2·3 + 2·(-1)·1, and with the vector of the other direction 3·1·1 + 1·1·2
    (of("distmult", [[1.0, 2.0], [3.0, 1.0]], [[2.0, -1.0], [1.0, 1.0]]), 4.0, 5.0),
    # (1 + 2i)(0.5 - i) = 2.5 + 0i, times 3 - i: 7.5 real; backwards (3 + i)(1 + i) = 2 + 4i, times 1 - 2i: 10 real
    (of("complex", [[1.0, 2.0], [3.0, 1.0]], [[0.5, -1.0], [1.0, 1.0]]), 7.5, 10.0),
    # A quarter turn: (1 + 2i) i = -2 + i, from 3 + i: 5; backwards (3 + i)(-i) = 1 - 3i, from 1 + 2i: 5
    (of("rotate", [[1.0, 2.0], [3.0, 1.0]], [[np.pi / 2]]), 0.0, 0.0),
], ids=["transe", "distmult", "complex", "rotate"])
def test_scores(model: KnowledgeGraphEmbedding, forward: float, backward: float) -> None:
    queries = model.query(torch.tensor([0, 1]), torch.tensor([0, 1]))  # (u, r, ?) and (v, r backwards, ?)
    scores = model.scores(queries, model.entities)
    assert [scores[0, 1].item(), scores[1, 0].item()] == pytest.approx([forward, backward], abs=1e-4)
    torch.testing.assert_close(model.own_scores(queries, model.entities[[1, 0]]), scores[[0, 1], [1, 0]])


def test_the_penalty_is_the_sum_of_cubes() -> None:
    asked = (torch.tensor([0]), torch.tensor([1]), torch.tensor([1]))
    model = of("distmult", [[1.0, -2.0], [3.0, 1.0]], [[2.0, -1.0], [1.0, 1.0]])
    assert model.penalty(asked).item() == pytest.approx(1 + 8 + 1 + 1 + 27 + 1)
    model = of("complex", [[3.0, 4.0], [0.0, 2.0]], [[0.5, -1.0], [1.0, 0.0]])
    assert model.penalty(asked).item() == pytest.approx(125 + 1 + 8)


def test_relation_vectors_are_those_of_the_own_direction() -> None:
    assert of("complex", [[1.0, 2.0]], [[0.5, -1.0], [1.0, 1.0]]).relation_vectors().tolist() == [[0.5, -1.0]]
    turned = of("rotate", [[1.0, 2.0]], [[np.pi / 2]]).relation_vectors()
    torch.testing.assert_close(turned, torch.tensor([[0.0, 1.0]]))


def test_triples_are_asked_in_both_directions_among_the_nodes_of_the_right_type() -> None:
    graph = fan_clubs()
    triples = Triples.of(graph)
    part = graph.target.by_type[LIKES]
    likes, knows = (triples.edge_types.index(kind) for kind in (LIKES, KNOWS))
    assert (triples.entities, triples.starts) == (84, {"user": 0, "item": 60})
    assert triples.candidates[[likes, likes + 2]].tolist() == [[60, 84], [0, 60]]
    assert triples.candidates[[knows, knows + 2]].tolist() == [[0, 60], [0, 60]]
    assert len(triples.train) == 2 * (part.train.sum() + len(graph.edges[KNOWS].indices)), "what is not predicted is learned from"
    assert len(triples.test) == 2 * part.test.sum()
    sources, destinations = (end[part.test] for end in graph.edges[LIKES].ends())
    half = len(triples.test) // 2
    assert triples.test.entities[:half].tolist() == sources.tolist() == triples.test.answers[half:].tolist()
    assert triples.test.answers[:half].tolist() == (destinations + 60).tolist()
    assert set(triples.test.relations.tolist()) == {likes, likes + 2}


@pytest.mark.parametrize(("model", "changes"), [
    *((model, {}) for model in KGE_MODELS), ("transe", {"neg-share": False}), ("rotate", {"neg-share": False})], ids=str)
def test_links_are_found(model: str, changes: dict[str, Any]) -> None:
    graph = fan_clubs()
    trained, objective = learned(graph, model, changes)
    given = read_parameters(GIVEN, EmbeddingHyperparameters)
    measured = evaluate(objective.model, graph, predict_graph(objective.model, graph, given))
    assert measured["test"]["hits@10"] > 0.9
    assert measured["test"]["mrr"] > 0.4
    assert trained.value == pytest.approx(measured["valid"]["mrr"])


@pytest.mark.parametrize("model", ["distmult", "complex"])
def test_with_many_entities_answers_are_learned_among_random_ones(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setattr(embedding, "learns_among_all", lambda _model, _entities: False)
    _, objective = learned(fan_clubs(), model, {})
    assert report(objective.ranker.rank(objective.model, objective.triples.test))["hits@10"] > 0.9


@pytest.mark.parametrize("model", ["transe", "complex"])
def test_the_same_seed_gives_the_same_model(model: str) -> None:
    first, again, other = (learned(fan_clubs(), model, {"num-epochs": 3}, seed)[1].model.entities for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("model", ["transe", "complex"])
def test_test_edges_are_not_seen(model: str) -> None:
    graph = fan_clubs()
    part = graph.target.by_type[LIKES]
    sources, destinations = (end.copy() for end in graph.edges[LIKES].ends())
    destinations[part.test] = (destinations[part.test] + 7) % 24
    moved = replace(graph, edges=graph.edges | both_directions(LIKES, sources, destinations, graph.node_counts))
    # With one evaluation there is no best epoch to choose by ranks, from which all known answers are filtered.
    first, second = (learned(one, model, {"num-epochs": 3}, every=1.0)[1].model.entities for one in (graph, moved))
    assert torch.equal(first, second)


def test_the_loss_among_all_is_the_mean_cross_entropy_of_each_triple() -> None:
    """Asked question by question, each with all its answers, it is what it would be triple by triple."""
    graph = fan_clubs()
    objective = Embedding(graph, "complex", read_parameters(GIVEN | {"batch-size": 10_000, "regularization-coef": 0.0},
                                                           EmbeddingHyperparameters), seed=0)
    step, = objective.steps()
    train_part, model = objective.triples.train, objective.model
    losses = []
    for entity, relation, answer in zip(train_part.entities, train_part.relations, train_part.answers, strict=True):
        start, stop = objective.triples.candidates[relation]
        scores = model.scores(model.query(torch.tensor([entity]), torch.tensor([relation])), model.entities[start:stop])
        losses.append(-torch.log_softmax(scores, dim=1)[0, answer - start].item())
    assert step().item() == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("model", ["distmult", "rotate"])
def test_ranks_are_those_of_a_plain_count(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setattr(embedding, "SCORES", 500)
    graph = replace(fan_clubs(), removed={"item": np.array([2, 9], dtype=np.int32)})
    torch.manual_seed(0)
    triples = Triples.of(graph)
    made = KnowledgeGraphEmbedding(model, entities=84, relations=2, width=4, gamma=6.0)
    known = {(int(u), int(r), int(v)) for part in (triples.train, triples.valid, triples.test)
             for u, r, v in zip(part.entities, part.relations, part.answers, strict=True)}
    there = ~np.isin(triples.test.answers, [62, 69]) & ~np.isin(triples.test.entities, [62, 69])
    asked = triples.test.take(np.flatnonzero(there))
    expected = []
    for u, r, v in zip(asked.entities.tolist(), asked.relations.tolist(), asked.answers.tolist(), strict=True):
        start, stop = triples.candidates[r]
        scores = made.scores(made.query(torch.tensor([u]), torch.tensor([r])), made.entities)[0].tolist()
        others = [w for w in range(start, stop) if w not in {62, 69} and (u, r, w) not in known]
        expected.append(1 + sum(scores[w] > scores[v] for w in others))
    assert sorted(Ranker(triples).rank(made, asked).tolist()) == sorted(map(float, expected))


def test_without_a_validation_part_the_training_part_is_judged() -> None:
    graph = fan_clubs()
    part = graph.target.by_type[LIKES]
    by_type: dict[str | EdgeType, Labelled] = {LIKES: replace(part, valid=np.zeros_like(part.valid))}
    triples = Triples.of(replace(graph, target=replace(graph.target, by_type=by_type)))
    assert len(triples.valid) == 2 * part.train.sum()


def test_without_any_training_edge_there_is_nothing_to_learn() -> None:
    graph = fan_clubs()
    part = graph.target.by_type[LIKES]
    by_type: dict[str | EdgeType, Labelled] = {LIKES: replace(part, train=np.zeros_like(part.train))}
    alone = replace(graph, edges={kind: graph.edges[kind] for kind in (LIKES, LIKES.reverse)},
                    target=replace(graph.target, by_type=by_type))
    with pytest.raises(WorkFailed, match="no edge in the training part: nothing to learn from"):
        learned(alone, "transe", {})


@pytest.mark.parametrize("name", ["distmult", "complex"])
def test_relations_are_scored_by_both_their_ends_as_triples_are(name: str) -> None:
    torch.manual_seed(0)
    model = KnowledgeGraphEmbedding(name, entities=7, relations=3, width=4, gamma=1.0)
    heads, tails = torch.tensor([0, 3, 6]), torch.tensor([5, 5, 1])
    by_relation = model.relation_query(heads, tails) @ model.relations.T
    for relation in range(6):
        by_entity = model.own_scores(model.query(heads, torch.full((3,), relation)), model.entities[tails])
        torch.testing.assert_close(by_relation[:, relation], by_entity)


@pytest.mark.parametrize("among_all", [True, False])
def test_the_prediction_of_relations_is_part_of_the_loss(among_all: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not among_all:
        monkeypatch.setattr("despina.learn.hyperparameters.ALL_ENTITIES", 0)
    losses = []
    for weight in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        given = read_parameters(GIVEN | {"relation-prediction-coef": weight}, EmbeddingHyperparameters)
        objective = Embedding(fan_clubs(), "complex", given, seed=0)
        objective.begin(1)
        losses.append(next(iter(objective.steps()))().item())
    relations = 2 * len(objective.triples.edge_types)
    assert losses[1] - losses[0] == pytest.approx(losses[2] - losses[1], rel=1e-4)
    assert losses[2] - losses[0] == pytest.approx(np.log(relations), rel=0.01), "at first all relations are as likely"


def test_distances_do_not_predict_relations() -> None:
    with pytest.raises(WorkFailed, match=r"relation-prediction-coef is 0.5, and the model transe; it must be 0"):
        learned(fan_clubs(), "transe", {"relation-prediction-coef": 0.5})
