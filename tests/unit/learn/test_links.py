"""Links are learned by an R-GCN, from training edges alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.learn.graphs import LIKES, fan_clubs

from despina.core.errors import WorkFailed
from despina.graph.graph import Graph, both_directions
from despina.learn import link_ranker
from despina.learn.batches import training_graph, without
from despina.learn.configuration import Evaluation
from despina.learn.decoders import LinkDecoder
from despina.learn.evaluation import evaluate
from despina.learn.hyperparameters import LinkHyperparameters, read_parameters
from despina.learn.link_ranker import Ranker
from despina.learn.links import Links
from despina.learn.predictor import predict_graph
from despina.learn.trainer import Trained, train

MRR = Evaluation(metric="mrr", frequency="evaluate_every_pct", every=0.1)
WHOLE = {"num-hidden": 32, "num-epochs": 100, "batch-size": 4096, "enable-early-stop": False}
BATCHES = WHOLE | {"num-epochs": 20, "batch-size": 32}


def learned(graph: Graph, parameters: dict[str, Any], seed: int = 0) -> tuple[Trained, dict[str, dict[str, Any]], Links]:
    torch.manual_seed(seed)
    given = read_parameters(parameters, LinkHyperparameters)
    objective = Links(graph, given, seed=seed)
    trained = train(objective, given, MRR, on_epoch=lambda *_: None)
    return trained, evaluate(objective.model, graph, predict_graph(objective.model, graph, given)), objective


def parted(graph: Graph, **masks: NDArray[np.bool_]) -> Graph:
    part = graph.target.by_type[LIKES]
    return replace(graph, target=replace(graph.target, by_type={LIKES: replace(part, **masks)}))


@pytest.mark.parametrize("parameters", [WHOLE, BATCHES, BATCHES | {"neg-share": False}],
                         ids=["whole graph", "batches", "negatives of their own"])
def test_links_are_found(parameters: dict[str, Any]) -> None:
    """Within a club nothing tells items from each other: of 4 items, those not known to be liked share the first ranks."""
    trained, measured, _ = learned(fan_clubs(), parameters)
    assert measured["test"]["hits@10"] > 0.9
    assert measured["test"]["mrr"] > 0.4
    assert trained.value == pytest.approx(measured["valid"]["mrr"])


def test_the_same_seed_gives_the_same_model() -> None:
    first, again, other = (learned(fan_clubs(), WHOLE | {"num-epochs": 5}, seed)[1] for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("parameters", [WHOLE | {"num-epochs": 5}, BATCHES | {"num-epochs": 2}], ids=["whole graph", "batches"])
def test_edges_outside_the_training_part_are_not_seen(parameters: dict[str, Any]) -> None:
    """Other test edges, and nothing changes."""
    graph = fan_clubs()
    part = graph.target.by_type[LIKES]
    sources, destinations = (end.copy() for end in graph.edges[LIKES].ends())
    destinations[part.test] = (destinations[part.test] + 7) % 24
    moved = replace(graph, edges=graph.edges | both_directions(LIKES, sources, destinations, graph.node_counts))
    models = [learned(one, parameters)[2].model for one in (graph, moved)]
    for (name, first), (_, second) in zip(*(model.state_dict().items() for model in models), strict=True):
        torch.testing.assert_close(first, second, msg=name)


def test_an_edge_is_not_its_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """In no step does an edge that is asked for carry a message."""
    objective = Links(fan_clubs(), read_parameters(BATCHES, LinkHyperparameters), seed=0)
    sample, asked = objective._sampler.sample, list[set[int]]()

    def watched(seeds: Any, silent: Any) -> Any:
        neighbourhood = sample(seeds, silent)
        walked = {int(edge) for layer in neighbourhood.layers for edge_type in (LIKES, LIKES.reverse)
                  if edge_type in layer.edges for edge in layer.edges[edge_type].edge_ids}
        asked.append(set(silent[LIKES].tolist()))
        assert walked
        assert not walked & asked[-1]
        return neighbourhood

    monkeypatch.setattr(objective._sampler, "sample", watched)
    for step in objective.steps():
        step()
    train_rows = set(np.flatnonzero(fan_clubs().target.by_type[LIKES].train).tolist())
    assert set().union(*asked) == train_rows
    assert sum(map(len, asked)) == len(train_rows)


def test_a_graph_without_some_edges_lacks_them_in_both_directions() -> None:
    graph = fan_clubs()
    part = graph.target.by_type[LIKES]
    reduced = training_graph(graph)
    for direction in (LIKES, LIKES.reverse):
        assert sorted(reduced.edges[direction].edge_ids.tolist()) == np.flatnonzero(part.train).tolist()
    again = without(reduced, {LIKES: np.flatnonzero(part.train)[:3]})
    assert len(again.edges[LIKES].indices) == len(reduced.edges[LIKES].indices) - 3
    assert again.edges[LIKES].indptr[-1] == len(again.edges[LIKES].indices)


@pytest.mark.parametrize("removed", [[], [0, 5, 23]], ids=str)
def test_ranks_are_those_of_a_plain_count(monkeypatch: pytest.MonkeyPatch, removed: list[int]) -> None:
    """Among the items that are there and not known to be liked, counted one by one; and so for users."""
    monkeypatch.setattr(link_ranker, "SCORES", 200)  # a few rows at a time
    graph = replace(fan_clubs(), removed={"item": np.array(removed, dtype=np.int32)} if removed else {})
    torch.manual_seed(0)
    decoder = LinkDecoder(3, (LIKES,))
    vectors = {name: torch.randint(-2, 3, (count, 3)).float() for name, count in graph.node_counts.items()}  # many ties
    sources, destinations = graph.edges[LIKES].ends()
    liked = set(zip(sources.tolist(), destinations.tolist(), strict=True))
    scores = ((vectors["user"] * decoder.relation(LIKES).detach()) @ vectors["item"].T).numpy()
    rows = np.flatnonzero(graph.target.by_type[LIKES].test)
    ends = [(int(sources[row]), int(destinations[row])) for row in rows if destinations[row] not in removed]
    rows = np.array([row for row in rows if destinations[row] not in removed])
    there = [item for item in range(24) if item not in removed]
    expected = [_rank(scores[user, item], [scores[user, other] for other in there if (user, other) not in liked])
                for user, item in ends]
    expected += [_rank(scores[user, item], [scores[other, item] for other in range(60) if (other, item) not in liked])
                 for user, item in ends]
    assert Ranker(graph).rank(decoder, vectors, {LIKES: rows}).tolist() == expected


def _rank(own: float, others: list[float]) -> float:
    return 1 + sum(other > own for other in others) + sum(other == own for other in others) / 2


def test_without_training_edges_there_is_nothing_to_learn() -> None:
    graph = fan_clubs()
    nothing = np.zeros_like(graph.target.by_type[LIKES].train)
    with pytest.raises(WorkFailed, match=r"no '\(user\)-likes-\(item\)' is in the training part: nothing to learn from"):
        learned(parted(graph, train=nothing), WHOLE)
