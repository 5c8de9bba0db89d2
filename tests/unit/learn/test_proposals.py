"""What is proposed for a graph: the model, and hyperparameters that fit its size, task and labels."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.learn.graphs import LIKES, changed, communities, labels_of, nameless, numbers_of_users, random_links

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import Features, Graph
from despina.learn.configuration import Configuration, check_target, read
from despina.learn.hyperparameters import Hyperparameters, Parameters, parameters_of, propagates, read_parameters, trains_whole
from despina.learn.proposals import FEW_JUDGES, ModelType, choose_model_type, default_configuration, templates

HETEROGENEOUS: ModelType = "heterogeneous"
KGE: ModelType = "kge"
CLASSES = ("a", "b")


def parsed(content: dict[str, Any]) -> Configuration:
    return read("model-hpo-configuration.json", json.dumps(content).encode())


def defaults(configuration: Configuration) -> Parameters:
    """The hyperparameters of the first trial."""
    strategy = configuration.strategy(1, memory_mib=1)
    return read_parameters(strategy.fixed | {tunable.name: tunable.default for tunable in strategy.tunable},
                           parameters_of(configuration.model, configuration.task))


def first(content: dict[str, Any]) -> dict[str, Any]:
    """Parameter → its entry."""
    (model,) = content["models"]
    tiers = ("1-tier-param", "2-tier-param", "3-tier-param", "fixed-param")
    return {entry["param"]: entry for tier in tiers for entry in model[tier]}


def graph_for(task: Task) -> Graph:
    match task:
        case Task.NODE_CLASS:
            return communities()
        case Task.NODE_REGRESSION:
            graph = changed(communities(), labels=np.zeros(80, dtype=np.float32))
            return replace(graph, target=replace(graph.target, task=task, classes=()))
        case Task.EDGE_CLASS:
            return random_links(task=task, classes=CLASSES, labels=np.arange(200) % 2)
        case Task.EDGE_REGRESSION:
            return random_links(task=task, labels=np.zeros(200, dtype=np.float32))
        case Task.LINK_PREDICT:
            return random_links()


def of_size(graph: Graph, *, nodes: int) -> Graph:
    """The same with so many more nodes."""
    return replace(graph, node_ids={**graph.node_ids, "page": nameless(nodes)})


@pytest.mark.parametrize(("task", "features", "chosen"), [
    (Task.LINK_PREDICT, False, "kge"),
    (Task.LINK_PREDICT, True, "heterogeneous"),
    (Task.EDGE_CLASS, False, "heterogeneous"),
    (Task.EDGE_REGRESSION, True, "heterogeneous"),
    (Task.NODE_CLASS, False, "heterogeneous"),
    (Task.NODE_REGRESSION, True, "heterogeneous"),
])
def test_links_of_a_graph_without_features_are_for_knowledge_graph_embeddings(task: Task, features: bool, chosen: str) -> None:
    graph = graph_for(task)
    some = {"node": Features(columns={"size": (0, 1)}, dense=np.zeros((50, 1), dtype=np.float32))}
    assert choose_model_type(replace(graph, features=some if features else {}), None) == chosen


def test_features_without_columns_and_features_of_edges_alone_do_not_count() -> None:
    graph = random_links()
    nothing = {"node": Features(columns={"name": (0, 0)}, dense=np.zeros((50, 0), dtype=np.float32))}
    edge_type = next(iter(graph.edges))
    weights = {edge_type: Features(columns={"weight": (0, 1)}, dense=np.zeros((200, 1), dtype=np.float32))}
    assert choose_model_type(replace(graph, features=nothing, edge_features=weights), None) == "kge"


@pytest.mark.parametrize("task", Task)
def test_what_is_asked_for_is_taken_where_it_can_be(task: Task) -> None:
    graph = graph_for(task)
    assert choose_model_type(graph, "heterogeneous") == "heterogeneous"
    if task is Task.LINK_PREDICT:
        assert choose_model_type(random_links(features=True), "kge") == "kge"
        return
    with pytest.raises(InputFault, match=f"modelType 'kge' was asked for, and the task is {task}: .* predict links only") as raised:
        choose_model_type(graph, "kge")
    assert raised.value.findings[0].name is Fault.CONTRADICTION


def test_a_type_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputFault, match="'transformer' is not known; it must be one of heterogeneous, kge"):
        choose_model_type(random_links(), "transformer")


@pytest.mark.parametrize(("graph", "model_type", "model", "metric"), [
    (graph_for(Task.NODE_CLASS), HETEROGENEOUS, "rgcn", "acc"),
    (communities(multilabel=True), HETEROGENEOUS, "rgcn", "roc_auc"),
    (graph_for(Task.NODE_REGRESSION), HETEROGENEOUS, "rgcn", "mse"),
    (graph_for(Task.EDGE_CLASS), HETEROGENEOUS, "rgcn", "acc"),
    (random_links(task=Task.EDGE_CLASS, classes=CLASSES, labels=(np.arange(200) % 25 == 1).astype(np.int64)), HETEROGENEOUS,
     "rgcn", "F1"),
    (graph_for(Task.EDGE_REGRESSION), HETEROGENEOUS, "rgcn", "mse"),
    (graph_for(Task.LINK_PREDICT), HETEROGENEOUS, "rgcn", "mrr"),
    (graph_for(Task.LINK_PREDICT), KGE, "transe", "mrr"),
], ids=str)
def test_every_proposal_is_the_one_model_of_a_file_that_can_be_read(graph: Graph, model_type: ModelType, model: str,
                                                                    metric: str) -> None:
    content = default_configuration(graph, model_type)
    configuration = parsed(content)
    check_target(configuration, graph.target)
    assert (configuration.model, configuration.task, configuration.evaluation.metric) == (model, graph.target.task, metric)
    assert configuration.strategy(51, memory_mib=1).maximize is (metric != "mse")
    defaults(configuration)


def test_all_models_of_link_prediction_have_a_template_and_other_tasks_none() -> None:
    graph = random_links()
    for model_type, order in ((KGE, ["transe", "distmult", "rotate", "complex", "rgcn"]),
                              (HETEROGENEOUS, ["rgcn", "transe", "distmult", "rotate", "complex"])):
        found = templates(graph, model_type)
        assert list(found) == order
        assert found[order[0]] == default_configuration(graph, model_type), "the way back to what was proposed"
        assert [parsed(content).model for content in found.values()] == order
    assert not any(templates(graph_for(task), HETEROGENEOUS) for task in Task if task is not Task.LINK_PREDICT)


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_small_graph_is_trained_as_a_whole(multilabel: bool) -> None:
    graph = judged(communities(multilabel=multilabel))
    configuration = parsed(default_configuration(graph, HETEROGENEOUS))
    given = defaults(configuration)
    assert isinstance(given, Hyperparameters)
    assert trains_whole(graph, given.batch_size)
    assert (given.num_epochs, given.num_hidden, given.lr, given.window_for_early_stop) == (200, 64, 0.01, 50)
    assert configuration.evaluation.frequency == "evaluate_every_epoch"
    assert given.concat_node_embed


def judged(graph: Graph) -> Graph:
    """With all nodes but the training ones in the validation part, which are enough to choose an epoch by."""
    part = graph.target.nodes
    known, first = part.train | part.valid | part.test, np.arange(len(part.train)) % 3 == 0
    return changed(graph, train=known & first, valid=known & ~first, test=np.zeros_like(part.test))


def test_a_few_validation_nodes_do_not_choose_the_epoch() -> None:
    graph = communities()
    assert graph.target.nodes.valid.sum() < FEW_JUDGES <= judged(graph).target.nodes.valid.sum()
    configuration = parsed(default_configuration(graph, HETEROGENEOUS))
    given = defaults(configuration)
    assert isinstance(given, Hyperparameters)
    assert (configuration.evaluation.frequency, configuration.evaluation.every) == ("evaluate_every_pct", 1.0)
    assert (given.num_epochs, given.concat_node_embed) == (50, False)


def test_numbers_of_nodes_with_features_are_not_learned_by_heart() -> None:
    """Vectors of their own would learn them."""
    for graph, beside in ((numbers_of_users(), False), (replace(numbers_of_users(), features={}), True)):
        given = defaults(parsed(default_configuration(graph, HETEROGENEOUS)))
        assert isinstance(given, Hyperparameters)
        assert given.concat_node_embed is beside


def test_few_labels_of_linked_nodes_with_features_are_propagated() -> None:
    graph = communities()
    few = changed(graph, train=np.isin(np.arange(80), [0, 1, 2, 3, 50, 51, 52, 53]))
    given = defaults(parsed(default_configuration(few, HETEROGENEOUS)))
    assert isinstance(given, Hyperparameters)
    assert (given.num_layer, given.num_propagation, given.concat_node_embed) == (0, 10, False)
    assert propagates(few, given)
    for other in (graph, replace(few, features={}), replace(few, edges={kind: few.edges[kind] for kind in (LIKES, LIKES.reverse)})):
        given = defaults(parsed(default_configuration(other, HETEROGENEOUS)))
        assert isinstance(given, Hyperparameters)
        assert given.num_propagation == 0


def test_a_large_training_part_has_the_ranges_of_the_guide() -> None:
    graph = communities()
    many = np.ones(200_000, dtype=np.bool_)
    graph = changed(of_size(graph, nodes=10), labels=np.zeros(200_000, dtype=np.int64), train=many)
    entries = first(default_configuration(graph, HETEROGENEOUS))
    assert entries["num-epochs"]["range"] == [3, 30]
    assert entries["lr"]["range"] == [0.001, 0.01]
    assert (entries["batch-size"]["range"], entries["batch-size"]["default"]) == ([128, 4096], 1024)
    assert entries["window-for-early-stop"]["default"] == 3


@pytest.mark.parametrize(("rare", "metric"), [(2, "F1"), (3, "acc")])
def test_imbalanced_labels_are_judged_by_f1_and_weighted(rare: int, metric: str) -> None:
    graph = communities()
    labels, train = labels_of(graph).copy(), graph.target.nodes.train
    labels[train] = 0
    labels[np.flatnonzero(train)[:rare]] = 1
    proposed = default_configuration(changed(graph, labels=labels), HETEROGENEOUS)
    assert proposed["models"][0]["eval_metric"] == {"metric": metric}
    assert ("use-class-weight" in first(proposed)) is (metric == "F1")


def test_many_nodes_have_narrower_vectors_and_many_relations_have_bases() -> None:
    few, many = random_links(relations=50, edges=3, features=True), random_links(relations=51, edges=3, features=True)
    assert [first(default_configuration(graph, HETEROGENEOUS))["num-bases"]["default"] for graph in (few, many)] == [0, 40]
    widths = [first(default_configuration(of_size(few, nodes=nodes), HETEROGENEOUS))["num-hidden"] for nodes in (1000, 5_000_000)]
    assert [width["default"] for width in widths] == [64, 32]


@pytest.mark.parametrize(("edges", "epochs"), [(483_142, 50), (141_442, 170), (304_000_000, 8), (90, 300)])
def test_embeddings_are_trained_as_long_as_in_practice(edges: int, epochs: int) -> None:
    """FB15k, WN18, Freebase, and a graph as small as can be."""
    graph = random_links()
    (edge_type, part), *_ = graph.target.by_type.items()
    train = np.broadcast_to(np.ones(1, dtype=np.bool_), edges)
    graph = replace(graph, target=replace(graph.target, by_type={edge_type: replace(part, train=train)}))
    entry = first(default_configuration(graph, KGE))["num-epochs"]
    assert (entry["default"], entry["range"]) == (epochs, [epochs // 2, epochs * 2])


def test_embeddings_of_many_nodes_are_narrower() -> None:
    widths = [first(default_configuration(of_size(random_links(), nodes=nodes), KGE))["num-hidden"]
              for nodes in (1_000_000, 2_000_000, 90_000_000)]
    assert [width["range"] for width in widths] == [[128, 512], [64, 256], [32, 128]]
    rotate = first(templates(of_size(random_links(), nodes=1_000_000), KGE)["rotate"])["num-hidden"]
    assert rotate["range"] == [64, 256], "in complex numbers"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 3000), st.integers(1, 60), st.booleans(), st.sampled_from([HETEROGENEOUS, KGE]))
def test_every_proposal_holds_together(nodes: int, edges: int, relations: int, features: bool, model_type: ModelType) -> None:
    graph = random_links(nodes=nodes, edges=edges // relations + 1, relations=relations, features=features)
    for content in (default_configuration(graph, model_type), *templates(graph, model_type).values()):
        entries = first(content)
        for entry in entries.values():
            if "range" in entry:
                low, high = entry["range"]
                assert low <= entry["default"] <= high
        assert "num-negs" not in entries or entries["num-negs"]["range"][1] <= nodes
        strategy = parsed(content).strategy(51, memory_mib=1)
        assert {tunable.name for tunable in strategy.tunable} | set(strategy.fixed) >= set(entries)
        assert parsed(content).evaluation.every == 0.1, "ten evaluations"
