"""Beginning with an earlier model: what is taken over, and what is not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.learn.graphs import communities, fan_clubs

from despina.graph.graph import Graph
from despina.graph.ids import Ids
from despina.learn.checkpoint import AnyModel
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import EmbeddingHyperparameters, Hyperparameters, read_parameters
from despina.learn.tasks import objective_of
from despina.learn.warm_start import begin_with


def rgcn(graph: Graph, seed: int, **changes: Any) -> AnyModel:
    given = read_parameters({"num-hidden": 8} | {name.replace("_", "-"): value for name, value in changes.items()}, Hyperparameters)
    return objective_of(graph, "rgcn", given, Evaluation(metric="acc"), seed=seed).model


def kge(graph: Graph, seed: int, name: str = "complex") -> AnyModel:
    given = read_parameters({"num-hidden": 4}, EmbeddingHyperparameters)
    return objective_of(graph, name, given, Evaluation(metric="mrr"), seed=seed).model


def renamed(graph: Graph, node_type: str, names: list[str]) -> Graph:
    """The graph with other ids of a type's nodes."""
    return replace(graph, node_ids={**graph.node_ids, node_type: Ids.of(names)})


@pytest.mark.parametrize(("graph", "made"), [(communities(), rgcn), (fan_clubs(), kge)], ids=["rgcn", "kge"])
def test_on_the_same_graph_everything_learned_is_taken_over(graph: Graph, made: Any) -> None:
    earlier, model = made(graph, 1), made(graph, 2)
    found = begin_with(model, graph, earlier, graph)
    assert (found.tensors, found.reason) == (found.of, None)
    assert found.known_nodes == graph.node_counts
    for (name, mine), theirs in zip(model.named_parameters(), earlier.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, msg=name)


def test_vectors_follow_the_ids_of_their_nodes_and_new_nodes_keep_their_own() -> None:
    before = communities()
    names = list(before.node_ids["item"])
    graph = renamed(before, "item", ["new-1", *names[:0:-1]])  # the first is new, the others stand in another order
    earlier, model = rgcn(before, 1), rgcn(graph, 2)
    fresh = {name: weights.clone() for name, weights in model.named_parameters()}
    found = begin_with(model, graph, earlier, before)
    assert found.known_nodes == {"user": 80, "item": 12}
    table = f"encoder.encoders.{list(graph.node_counts).index('item')}.embedding"
    mine, theirs = dict(model.named_parameters())[table], dict(earlier.named_parameters())[table]
    torch.testing.assert_close(mine[0], fresh[table][0])
    torch.testing.assert_close(mine[1:], theirs[1:].flip(0))


def test_entities_of_an_embedding_follow_their_ids_through_all_types() -> None:
    before = fan_clubs()
    node_type = list(before.node_counts)[-1]
    names = list(before.node_ids[node_type])
    graph = renamed(before, node_type, names[::-1])
    earlier, model = kge(before, 1), kge(graph, 2)
    begin_with(model, graph, earlier, before)
    start = sum(list(before.node_counts.values())[:-1])
    mine, theirs = dict(model.named_parameters())["entities"], dict(earlier.named_parameters())["entities"]
    torch.testing.assert_close(mine[:start], theirs[:start])
    torch.testing.assert_close(mine[start:], theirs[start:].flip(0))


def test_removed_nodes_are_not_known() -> None:
    before = communities()
    graph = replace(before, removed={"item": np.array([3], dtype=np.int32)})
    assert begin_with(rgcn(graph, 2), graph, rgcn(before, 1), before).known_nodes["item"] == 12


def test_what_is_of_another_shape_begins_at_random_and_is_named() -> None:
    graph = communities()
    model = rgcn(graph, 2, num_layer=2)
    found = begin_with(model, graph, rgcn(graph, 1, num_layer=1), graph)
    assert 0 < found.tensors < found.of
    assert f"{found.of - found.tensors} tensors have no counterpart of the same shape" in (found.reason or "")
    wide = begin_with(rgcn(graph, 2, num_hidden=16), graph, rgcn(graph, 1), graph)
    assert wide.tensors < wide.of


def test_a_model_for_another_graph_or_of_another_kind_is_left_alone() -> None:
    graph, other = communities(), communities(multilabel=True)
    model = rgcn(graph, 2)
    before = checkpoint_of(model)
    found = begin_with(model, graph, rgcn(other, 1), other)
    assert found.tensors == 0
    assert "its classes was ('left', 'right', 'anyone')" in (found.reason or "")
    assert checkpoint_of(model) == before
    clubs = fan_clubs()
    found = begin_with(kge(clubs, 1, "transe"), clubs, kge(clubs, 2), clubs)
    assert found.reason == "the earlier model was complex, this one is transe"


def checkpoint_of(model: AnyModel) -> dict[str, list[float]]:
    return {name: weights.flatten().tolist() for name, weights in model.state_dict().items()}

