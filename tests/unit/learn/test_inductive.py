"""A model on nodes and edges that it has never seen: the same as if they had been in the graph that a transform job is given."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.learn.graphs import KNOWS, LIKES, changed, communities, fan_clubs, numbers_of_users, ratings

from despina.core.task import Task
from despina.graph.graph import Csr, EdgeType, Features, Graph, Hot, Labelled, both_directions
from despina.graph.ids import Ids
from despina.graph.overlay import Overlay, OverlayEdges, ego_graph
from despina.learn.checkpoint import Description
from despina.learn.configuration import Evaluation
from despina.learn.explaining import MOST, explain, log_odds
from despina.learn.hyperparameters import Hyperparameters, LinkHyperparameters, read_parameters, write_parameters
from despina.learn.incremental import carried_over
from despina.learn.inductive import InductiveModel
from despina.learn.linear import FeatureRows
from despina.learn.models import GraphShape, Model
from despina.learn.new_residuals import NewResiduals
from despina.learn.predictor import activated, predict_graph
from despina.learn.residuals import correct

NEW = 5
"""Users that are in no graph, the last ones."""


def without_last_users(graph: Graph) -> tuple[Graph, Overlay]:
    """The graph without its last users, and what it lacks as an overlay. Labels of their edges are taken away in both."""
    count = graph.node_counts["user"] - NEW
    edges: dict[EdgeType, Csr] = {}
    lacking: dict[EdgeType, OverlayEdges] = {}
    kept_rows: dict[EdgeType, NDArray[np.bool_]] = {}
    for edge_type in [kind for kind in graph.edges if not kind.is_reverse_in(graph.edges)]:
        sources, destinations = graph.edges[edge_type].ends()
        gone = np.zeros(len(sources), dtype=np.bool_)
        for node_type, ends in ((edge_type.source, sources), (edge_type.destination, destinations)):
            gone |= (ends >= count) & (node_type == "user")
        kept_rows[edge_type] = ~gone
        counts = {**graph.node_counts, "user": count}
        edges |= both_directions(edge_type, sources[~gone], destinations[~gone], counts)
        features = graph.edge_features.get(edge_type)
        lacking[edge_type] = OverlayEdges(sources=sources[gone].astype(np.int64), destinations=destinations[gone].astype(np.int64),
                                          features=rows(features, np.flatnonzero(gone)) if features else None)
    by_type: dict[str | EdgeType, Labelled] = {}
    for kind, part in graph.target.by_type.items():
        mask = kept_rows[kind] if isinstance(kind, EdgeType) else np.arange(len(part.train)) < count
        by_type[kind] = Labelled(labels=None if part.labels is None else part.labels[mask], train=part.train[mask],
                                 valid=part.valid[mask], test=part.test[mask])
    smaller = replace(
        graph, edges=edges, node_ids={name: Ids.of(list(ids)[:count] if name == "user" else list(ids))
                                      for name, ids in graph.node_ids.items()},
        features={name: rows(features, np.arange(count)) if name == "user" else features
                  for name, features in graph.features.items()},
        edge_features={kind: rows(features, np.flatnonzero(kept_rows[kind])) for kind, features in graph.edge_features.items()},
        target=replace(graph.target, by_type=by_type))
    users = graph.features.get("user")
    new = np.arange(count, count + NEW)
    return smaller, Overlay(ids={"user": {f"user-{i}": int(i) for i in new}}, edges=lacking,
                            features={"user": rows(users, new)} if users else {},
                            rows={"user": {int(i): row for row, i in enumerate(new)}} if users else {})


def rows(features: Features, chosen: NDArray[np.integer[Any]]) -> Features:
    return Features(columns=features.columns, dense=features.dense[chosen], hot=features.hot.take(chosen) if features.hot else None)


def unlabelled_last_users(graph: Graph) -> Graph:
    """Their edges are as good as new ones: no label of theirs is known, and of links all are of the training part."""
    count, by_type = graph.node_counts["user"] - NEW, dict(graph.target.by_type)
    for kind, part in graph.target.by_type.items():
        if isinstance(kind, EdgeType):
            gone = graph.edges[kind].ends()[0] >= count
            labels = part.labels
            if labels is not None:
                labels = labels.copy()
                labels[gone] = -1 if labels.dtype.kind == "i" else np.nan
            by_type[kind] = Labelled(labels=labels, train=part.train & ~gone if labels is not None else part.train | gone,
                                     valid=part.valid & ~gone, test=part.test & ~gone)
    return replace(graph, target=replace(graph.target, by_type=by_type))


def prepared(graph: Graph, kind: Any = Hyperparameters,
             **given: Any) -> tuple[InductiveModel, Overlay, Model, Graph, Hyperparameters]:
    """A model of the graph without its last users; the model carried over to the whole graph, which it is."""
    torch.manual_seed(0)
    graph = unlabelled_last_users(graph)
    smaller, overlay = without_last_users(graph)
    parameters: Hyperparameters = read_parameters({"num-hidden": 8, **given}, kind)
    model = Model(GraphShape.of(smaller), parameters).eval()
    model.shift.fill_(3.0)
    description = Description(model="rgcn", hyperparameters=write_parameters(parameters), evaluation=Evaluation(metric="acc"),
                              epoch=1, value=0.0, shape=GraphShape.of(smaller))
    carried, _ = carried_over(model, description, graph, smaller)
    assert isinstance(carried, Model)
    return InductiveModel(copy.deepcopy(model), smaller, parameters), overlay, carried, graph, parameters


NODES = [
    (communities(), {}), (communities(hot=True), {}), (communities(multilabel=True), {"num-layer": 1}),
    (communities(hot=True), {"use-edge-features": True, "concat-node-embed": True}), (numbers_of_users(), {"num-layer": 2}),
    (communities(), {"num-layer": 0, "num-propagation": 3}), (communities(hot=True), {"per-feat-name-embed": True}),
]


@pytest.mark.parametrize(("graph", "given"), NODES)
def test_new_nodes_are_predicted_as_if_they_had_been_in_the_graph(graph: Graph, given: dict[str, Any]) -> None:
    inductive, overlay, carried, whole, parameters = prepared(graph, **given)
    expected = predict_graph(carried, whole, parameters).values["user"]
    seeds = np.array([0, 7, *range(len(expected) - NEW, len(expected))])
    ego = inductive.ego(overlay, {"user": seeds})
    with torch.no_grad():
        found = activated(inductive.scores_of_nodes(inductive.embeddings(ego), len(seeds)), whole.target).numpy()
    np.testing.assert_allclose(found, expected[seeds], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", [Task.EDGE_CLASS, Task.EDGE_REGRESSION])
def test_new_edges_are_predicted_as_if_they_had_been_in_the_graph(task: Task) -> None:
    inductive, overlay, carried, whole, parameters = prepared(ratings(task), **{"num-layer": 2})
    expected = predict_graph(carried, whole, parameters).values
    for edge_type, values in expected.items():
        assert isinstance(edge_type, EdgeType)
        sources, destinations = whole.edges[edge_type].ends()
        some = [0, *np.flatnonzero(sources >= whole.node_counts["user"] - NEW)[:4].tolist()]
        for row in some:
            seeds = {"user": np.array([sources[row]]), "item": np.array([destinations[row]])}
            ego = inductive.ego(overlay, seeds)
            with torch.no_grad():
                scores = inductive.scores_of_edge(inductive.embeddings(ego), edge_type, (0, 0), FeatureRows.of(
                    whole.edge_features[edge_type], np.array([row]), few=True))
            np.testing.assert_allclose(activated(scores, whole.target)[0].numpy(), values[row], rtol=1e-4, atol=1e-4)


def test_links_towards_new_nodes_have_the_scores_that_they_had_in_the_graph() -> None:
    inductive, overlay, carried, whole, parameters = prepared(fan_clubs(), LinkHyperparameters)
    expected = predict_graph(carried, whole, parameters)
    users = np.arange(55, 60)
    ego = inductive.ego(overlay, {"user": users, "item": np.arange(24)})
    embeddings = inductive.embeddings(ego)
    np.testing.assert_allclose(embeddings["user"][:5].numpy(), expected.embeddings["user"][users], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(embeddings["item"][:24].numpy(), expected.embeddings["item"], rtol=1e-4, atol=1e-5)
    scores = expected.embeddings["user"][57] * expected.relations[LIKES] @ expected.embeddings["item"].T
    with torch.no_grad():
        assert float(inductive.score_of_link(embeddings, LIKES, (2, 9))) == pytest.approx(scores[9], rel=1e-4, abs=1e-5)


def test_a_node_without_any_neighbour_has_its_features_alone() -> None:
    inductive, overlay, _, whole, _ = prepared(communities())
    alone = replace(overlay, edges={})
    ego = inductive.ego(alone, {"user": np.array([whole.node_counts["user"] - 1])})
    assert sum(len(ids) for ids in ego.edge_ids.values()) == 0
    with torch.no_grad():
        assert torch.isfinite(inductive.scores_of_nodes(inductive.embeddings(ego), 1)).all()


def test_new_properties_of_a_known_node_take_the_place_of_its_own() -> None:
    inductive, _, _, whole, parameters = prepared(communities())
    smaller = inductive.graph
    other = Overlay(features={"user": rows(smaller.features["user"], np.array([40]))}, rows={"user": {3: 0}})
    ego = inductive.ego(other, {"user": np.array([3])})
    dense = smaller.features["user"].dense.copy()
    dense[3] = dense[40]
    other_graph = replace(smaller, features={"user": replace(smaller.features["user"], dense=dense)})
    description = Description(model="rgcn", hyperparameters=write_parameters(parameters), evaluation=Evaluation(metric="acc"),
                              epoch=1, value=0.0, shape=GraphShape.of(smaller))
    model, _ = prepared_again(description)
    expected = predict_graph(model, other_graph, parameters).values["user"]
    with torch.no_grad():
        found = activated(inductive.scores_of_nodes(inductive.embeddings(ego), 1), whole.target).numpy()
    np.testing.assert_allclose(found[0], expected[3], rtol=1e-4, atol=1e-5)


def prepared_again(description: Description) -> tuple[Model, Hyperparameters]:
    """The model that ``prepared`` makes, once more."""
    torch.manual_seed(0)
    given: Hyperparameters = read_parameters(description.hyperparameters, Hyperparameters)
    model = Model(description.shape, given).eval()
    model.shift.fill_(3.0)
    return model, given


def test_a_fanout_limits_what_is_taken_from_the_graph_and_nothing_of_the_overlay() -> None:
    _, overlay, _, whole, _ = prepared(communities())
    smaller, _ = without_last_users(whole)
    new = whole.node_counts["user"] - 1
    few = ego_graph(smaller, overlay, {"user": np.array([new, 8])}, hops=2, fanout=1)
    everything = ego_graph(smaller, overlay, {"user": np.array([new, 8])}, hops=2)
    own = sum(int(((edges.sources == new) | (edges.destinations == new) & (kind == KNOWS)).sum()) for kind, edges in
              overlay.edges.items())
    ends = {kind: few.graph.edges[kind].ends() for kind in (LIKES, KNOWS)}
    of_new = sum(int((ends[kind][0] == 0).sum()) + int((ends[kind][1] == 0).sum()) * (kind == KNOWS) for kind in ends)
    assert of_new == own
    assert sum(map(len, few.edge_ids.values())) < sum(map(len, everything.edge_ids.values()))


def trained_on_knows() -> tuple[InductiveModel, Graph]:
    """A model that has learned which users are of one side, from whom they know and what they like."""
    from despina.learn.supervised import Supervised
    from despina.learn.trainer import train

    graph = communities()
    given: Hyperparameters = read_parameters(
        {"num-hidden": 16, "num-epochs": 60, "enable-early-stop": False, "lr": 0.02}, Hyperparameters)
    evaluation = Evaluation(metric="acc")
    objective = Supervised(graph, given, evaluation, seed=0)
    train(objective, given, evaluation, on_epoch=lambda *_: None)
    return InductiveModel(objective.model.eval(), graph, given), graph


def test_what_an_explanation_names_moves_a_prediction_more_than_as_much_at_random() -> None:
    inductive, graph = trained_on_knows()
    random = np.random.default_rng(0)
    named, others = [], []
    for user in random.permutation(80)[:40].tolist():
        ego = inductive.ego(Overlay(), {"user": np.array([user])})

        def score(embeddings: Any) -> torch.Tensor:
            return log_odds(inductive.scores_of_nodes(embeddings, 1)[0], 0, graph.target)

        explanation = explain(inductive, ego, {"user": 1}, score)
        if len(explanation.neighbours) < 6:
            continue
        direct = {(kind, int(row)): ego.edge_ids[kind] for kind in (LIKES, KNOWS) for row in np.flatnonzero(
            (graph.edges[kind].ends()[0] == user) | ((graph.edges[kind].ends()[1] == user) & (kind == KNOWS)))}
        chosen = [edges_of(graph, user, found.edge_type, found.index, inwards=found.inwards)
                  for found in explanation.neighbours[:2]]
        count = sum(len(found) for found in chosen)
        named.append(moved(inductive, graph, user, [pair for found in chosen for pair in found], explanation.score))
        picked = random.permutation(len(direct))[:count]
        others.append(moved(inductive, graph, user, [list(direct)[i] for i in picked], explanation.score))
    assert len(named) > 20
    assert np.mean(named) > 1.5 * np.mean(others)


def edges_of(graph: Graph, user: int, edge_type: EdgeType, other: int, *, inwards: bool) -> list[tuple[EdgeType, int]]:
    sources, destinations = graph.edges[edge_type].ends()
    own, far = (destinations, sources) if inwards else (sources, destinations)
    return [(edge_type, int(row)) for row in np.flatnonzero((own == user) & (far == other))]


def moved(inductive: InductiveModel, graph: Graph, user: int, edges: list[tuple[EdgeType, int]], before: float) -> float:
    """By how much the score changes on the whole graph without these edges, all of it computed anew."""
    left = dict(graph.edges)
    for kind in (LIKES, KNOWS):
        kept = ~np.isin(np.arange(len(graph.edges[kind].indices)), [row for of, row in edges if of == kind])
        for direction in (kind, kind.reverse):
            left[direction] = left[direction].only(kept[left[direction].edge_ids])
    fresh = InductiveModel.__new__(InductiveModel)
    fresh.__dict__ |= inductive.__dict__ | {"graph": replace(graph, edges=left)}
    ego = fresh.ego(Overlay(), {"user": np.array([user])})
    with torch.no_grad():
        return abs(before - float(log_odds(fresh.scores_of_nodes(fresh.embeddings(ego), 1)[0], 0, graph.target)))


def test_of_many_neighbours_those_that_count_are_found_without_trying_all() -> None:
    inductive, graph = trained_on_knows()
    item = int(np.diff(graph.edges[LIKES].indptr).argmax())
    users = graph.edges[LIKES].indices[graph.edges[LIKES].indptr[item]:graph.edges[LIKES].indptr[item + 1]]
    assert len(np.unique(users)) > MOST
    # An edge task would ask about items; here the score of a user is explained who likes everything.
    everything = Overlay(ids={"user": {"fan": 80}}, features={"user": rows(graph.features["user"], np.array([0]))},
                         rows={"user": {80: 0}}, edges={
        LIKES: OverlayEdges(sources=np.full(13, 80), destinations=np.arange(13)),
        KNOWS: OverlayEdges(sources=np.full(30, 80), destinations=np.arange(20, 50))})
    ego = inductive.ego(everything, {"user": np.array([80])})
    explanation = explain(inductive, ego, {"user": 1},
                          lambda embeddings: log_odds(inductive.scores_of_nodes(embeddings, 1)[0], 1, graph.target))
    assert 0 < len(explanation.neighbours) <= 10
    assert {kind for kind, _ in explanation.relations} == {LIKES, KNOWS}
    assert {found.name for found in explanation.properties} == {"age", "region"}


def test_hot_rows_of_both_are_taken_in_order() -> None:
    from despina.graph.overlay import take_rows

    known = Features(columns={"a": (0, 4)}, dense=np.zeros((3, 0), dtype=np.float32),
                     hot=Hot(width=4, indptr=np.array([0, 1, 3, 3]), indices=np.array([0, 1, 2], dtype=np.int32)))
    new = Features(columns={"a": (0, 4)}, dense=np.zeros((2, 0), dtype=np.float32),
                   hot=Hot(width=4, indptr=np.array([0, 0, 2]), indices=np.array([0, 3], dtype=np.int32)))
    for fresh, last in ((new, [[1, 0, 0, 1], [0, 0, 0, 0]]), (None, [[0, 0, 0, 0], [0, 0, 0, 0]])):
        taken = take_rows(known, fresh, np.array([4, 1, 3, 0]))
        assert taken.hot is not None
        assert taken.hot.to_dense().tolist() == [last[0], [0, 1, 1, 0], last[1], [1, 0, 0, 0]]


@pytest.mark.parametrize(("graph", "strength"), [
    (communities(), 0.9), (communities(multilabel=True), 0.5), (numbers_of_users(), 0.95),
])
def test_new_nodes_are_corrected_as_if_they_had_been_in_the_graph(graph: Graph, strength: float) -> None:
    old = np.arange(80) < 80 - NEW
    graph = changed(graph, train=graph.target.nodes.train & old)
    _, overlay, carried, whole, parameters = prepared(graph)
    smaller, _ = without_last_users(whole)
    values = predict_graph(carried, whole, parameters).values["user"]
    expected = correct(whole, values, strength)
    count = smaller.node_counts["user"]
    residuals = NewResiduals(smaller, values[:count], strength)
    # New users know old ones only: what they are told then is what the whole graph would tell them.
    knows = overlay.edges[KNOWS]
    some = (knows.sources < count) | (knows.destinations < count)
    few = replace(overlay, edges={KNOWS: OverlayEdges(sources=knows.sources[some], destinations=knows.destinations[some])})
    nodes = np.arange(len(values))
    found = residuals.correct(few, nodes, values)
    train = whole.target.nodes.train
    np.testing.assert_array_equal(found[train], values[train])
    untouched = np.setdiff1d(np.arange(count), np.concatenate([knows.sources, knows.destinations]))
    alone = correct(smaller, values[:count], strength)
    np.testing.assert_allclose(found[untouched], alone[untouched], rtol=1e-4, atol=1e-4)
    new = np.arange(count, len(values))
    error = np.abs(found[new] - expected[new]).mean()
    assert error < 0.5 * np.abs(values[new] - expected[new]).mean() + 1e-6
