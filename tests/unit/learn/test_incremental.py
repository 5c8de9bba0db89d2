"""A trained model on a graph that has changed: what new nodes get, and what is refused."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from tests.unit.learn.graphs import communities, fan_clubs
from tests.unit.learn.test_warm_start import kge, renamed, rgcn
from torch import Tensor
from torch.nn import functional as F

from despina.core.errors import WorkFailed
from despina.graph.graph import Graph
from despina.learn.checkpoint import AnyModel, Description
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import EmbeddingHyperparameters, Hyperparameters, read_parameters, write_parameters
from despina.learn.incremental import carried_over, narrowed
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.models import GraphShape, Model
from despina.learn.predictor import predict_graph
from despina.learn.triples import Triples


def described(graph: Graph, name: str = "rgcn") -> Description:
    given: Any = read_parameters({"num-hidden": 8}, Hyperparameters) if name == "rgcn" else read_parameters(
        {"num-hidden": 4}, EmbeddingHyperparameters)
    return Description(model=name, hyperparameters=write_parameters(given), evaluation=Evaluation(metric="acc"), epoch=1, value=0.0,
                       shape=GraphShape.of(graph))


def carried(model: AnyModel, graph: Graph, before: Graph, name: str = "rgcn") -> AnyModel:
    found, description = carried_over(model, described(before, name), graph, before)
    assert description == msgspec.structs.replace(described(before, name), shape=GraphShape.of(graph))
    return found


def entities(model: AnyModel) -> Tensor:
    assert isinstance(model, KnowledgeGraphEmbedding)
    return model.entities.detach()


def test_on_the_same_graph_a_model_says_the_same() -> None:
    graph = communities()
    model = rgcn(graph, 1).eval()
    assert isinstance(model, Model)
    model.scale.fill_(3.0)
    again = carried(model, graph, graph)
    for (name, mine), theirs in zip(again.state_dict().items(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, msg=name)


def test_new_nodes_without_features_get_the_mean_and_the_others_keep_their_vectors() -> None:
    graph = communities()
    names = list(graph.node_ids["item"])
    before = renamed(graph, "item", ["gone", *names[:0:-1]])
    model = rgcn(before, 1)
    table = f"encoder.encoders.{list(graph.node_counts).index('item')}.embedding"
    mine, theirs = carried(model, graph, before).state_dict()[table], model.state_dict()[table]
    torch.testing.assert_close(mine[0], theirs.mean(dim=0))
    torch.testing.assert_close(mine[1:], theirs[1:].flip(0))


def test_a_graph_may_have_grown_and_shrunk() -> None:
    graph = communities()
    before = replace(graph, removed={"item": np.array([2], dtype=np.int32)})
    model = carried(rgcn(before, 1), graph, before)
    given = read_parameters({"num-hidden": 8}, Hyperparameters)
    assert np.isfinite(predict_graph(model, graph, given).values["user"]).all()


@pytest.mark.parametrize("name", ["transe", "rotate", "distmult", "complex"])
def test_new_entities_lie_where_their_triples_look_for_them(name: str) -> None:
    graph = fan_clubs()
    node_type = next(iter(graph.node_counts))
    before = renamed(graph, node_type, ["gone", *list(graph.node_ids[node_type])[1:]])
    model = kge(before, 1, name)
    assert isinstance(model, KnowledgeGraphEmbedding)
    found, triples = entities(carried(model, graph, before, name)), Triples.of(graph)
    new = triples.starts[node_type]
    known = np.setdiff1d(np.arange(triples.entities), [new])
    torch.testing.assert_close(found[known], entities(model)[known])
    rows = np.flatnonzero((triples.train.answers == new) & (triples.train.entities != new))
    assert len(rows) > 1, "it has triples"
    asked = triples.train.take(rows)
    queries = model.query(torch.from_numpy(asked.entities), torch.from_numpy(asked.relations)).detach().mean(dim=0)
    if name in {"transe", "rotate"}:
        torch.testing.assert_close(found[new], queries)
    else:
        assert F.cosine_similarity(found[new], queries, dim=0) == pytest.approx(1, abs=1e-5)
        assert found[new].norm() == pytest.approx(found[known].norm(dim=1).mean().item(), rel=1e-4)


def test_an_entity_without_triples_gets_the_mean() -> None:
    graph = fan_clubs()
    node_type = next(iter(graph.node_counts))
    cut = replace(graph, edges={
        kind: replace(csr, indptr=np.zeros_like(csr.indptr), indices=csr.indices[:0], edge_ids=csr.edge_ids[:0])
        for kind, csr in graph.edges.items()})
    cut = replace(cut, target=replace(graph.target, by_type={
        kind: replace(part, labels=None, train=part.train[:0], valid=part.valid[:0], test=part.test[:0])
        for kind, part in graph.target.by_type.items()}))
    before = renamed(graph, node_type, ["gone", *list(graph.node_ids[node_type])[1:]])
    model = kge(before, 1)
    found = entities(carried(model, cut, before, "complex"))
    torch.testing.assert_close(found[Triples.of(cut).starts[node_type]], entities(model).mean(dim=0))


def test_labels_of_classes_that_a_model_does_not_know_are_no_labels() -> None:
    graph = communities()
    part = graph.target.by_type["user"]
    assert part.labels is not None
    labels = np.where(np.arange(len(part.labels)) < 10, 2, part.labels)
    grown = replace(graph, target=replace(graph.target, classes=("left", "right", "new"), by_type={
        "user": replace(part, labels=labels)}))
    narrow = narrowed(grown, ("left", "right"))
    found = narrow.target.by_type["user"]
    assert narrow.target.classes == ("left", "right")
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels[:10], -1)
    np.testing.assert_array_equal(found.labels[10:], part.labels[10:])
    for name in ("train", "valid", "test"):
        assert not getattr(found, name)[:10].any()
        np.testing.assert_array_equal(getattr(found, name)[10:], getattr(part, name)[10:])
    assert narrowed(graph, ("left", "right")) is graph
    assert narrowed(graph, ("right", "left")) is graph, "which the model will refuse"
    several = narrowed(communities(multilabel=True), ("left", "right")).target.by_type["user"].labels
    assert several is not None
    assert several.shape[1] == 2


def test_another_form_of_data_is_refused_with_what_to_do() -> None:
    graph, before = communities(hot=True), communities()
    with pytest.raises(WorkFailed, match=r"its features was .* Process the new data with 'previousDataProcessingJobId'"):
        carried_over(rgcn(before, 1), described(before), graph, before)
