"""Graphs that are never computed as a whole: the same results, chunk by chunk, and no memory for what is not looked at."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.learn.graphs import communities, fan_clubs, labels_of, ratings

from despina.core.task import Task
from despina.graph.graph import Features, Graph
from despina.learn import hyperparameters, layerwise, trainer
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import LinkHyperparameters, Parameters, read_parameters
from despina.learn.links import Links
from despina.learn.memory import training_memory_mib
from despina.learn.metrics import measure
from despina.learn.models import GraphShape, Model
from despina.learn.predictor import Predictions, predict_graph
from despina.learn.supervised import Supervised

ACCURACY = Evaluation(metric="acc")


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every graph is large, and read 30 edges or 7 nodes at a time."""
    monkeypatch.setattr(layerwise, "CHUNK_EDGES", 30)
    monkeypatch.setattr(layerwise, "CHUNK_NODES", 7)
    return monkeypatch


@pytest.mark.parametrize("changes", [
    {"num-layer": 0}, {"num-layer": 1}, {"num-layer": 3}, {"use-edge-features": True}, {"concat-node-embed": False},
    {"num-bases": 2}, {"per-feat-name-embed": True}, {"use-self-loop": False}], ids=str)
def test_of_nodes_it_computes_what_the_whole_graph_shows(large: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    both_ways(communities(hot=True), read_parameters({"num-hidden": 16} | changes), large)


def test_of_edges_too_whose_labels_travel(large: pytest.MonkeyPatch) -> None:
    both_ways(ratings(Task.EDGE_CLASS), read_parameters({"num-hidden": 16, "use-edge-features": True}), large)


def test_and_of_links(large: pytest.MonkeyPatch) -> None:
    both_ways(fan_clubs(), read_parameters({"num-hidden": 16}, LinkHyperparameters), large)


def test_nodes_without_any_edge_have_embeddings(large: pytest.MonkeyPatch) -> None:
    graph = communities()
    bare = {kind: csr.only(np.zeros(len(csr.indices), dtype=np.bool_)) for kind, csr in graph.edges.items()}
    both_ways(replace(graph, edges=bare), read_parameters({"num-hidden": 16}), large)


def both_ways(graph: Graph, given: Parameters, large: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Model(GraphShape.of(graph), given)  # type: ignore[arg-type]
    whole = predict_graph(model, graph, given)
    large.setattr(hyperparameters, "AT_ONCE_EDGES", -1)
    chunked = predict_graph(model, graph, given)
    for found, expected in zip(arrays(chunked), arrays(whole), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def arrays(predictions: Predictions) -> list[Any]:
    return [*predictions.embeddings.values(), *predictions.values.values(), *predictions.relations.values()]


def test_it_learns_from_neighbourhoods_alone(large: pytest.MonkeyPatch) -> None:
    large.setattr(hyperparameters, "AT_ONCE_EDGES", -1)
    large.setattr(hyperparameters, "WHOLE_GRAPH_EDGES", -1)
    graph = communities()
    given = read_parameters({"num-hidden": 32, "num-epochs": 8, "lr": 0.02, "batch-size": 8})
    torch.manual_seed(0)
    objective = Supervised(graph, given, ACCURACY, seed=0)
    trainer.train(objective, given, ACCURACY, on_epoch=lambda *_: None)
    assert objective.measure() == objective.measure(), "the same neighbourhoods each time"
    probabilities, test = predict_graph(objective.model, graph, given).values["user"], graph.target.nodes.test
    assert measure("acc", probabilities[test], labels_of(graph)[test]) >= 0.9


def test_so_are_links(large: pytest.MonkeyPatch) -> None:
    graph, given = fan_clubs(), read_parameters({"num-hidden": 16, "batch-size": 32}, LinkHyperparameters)
    torch.manual_seed(0)
    whole = Links(graph, given, seed=0)
    large.setattr(hyperparameters, "AT_ONCE_EDGES", -1)
    torch.manual_seed(0)
    assert Links(graph, given, seed=0).measure() == pytest.approx(whole.measure())


NODES, DEGREE = 100_000, 1_000

CHILD = """
import re, sys
from pathlib import Path
import numpy as np
from despina.graph.graph import Graph
from despina.learn import trainer
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import read_parameters
from despina.learn.supervised import Supervised

def own() -> int:
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

graph = Graph.load(Path(sys.argv[1]))
before = own()
given = read_parameters({"concat-node-embed": False, "num-hidden": 16, "num-epochs": 1, "batch-size": 256, "fanout": [5]})
objective = Supervised(graph, given, Evaluation(metric="acc"), seed=0)
trained = trainer.train(objective, given, Evaluation(metric="acc"), on_epoch=lambda *_: None)
print(sum(len(csr.indices) for csr in graph.edges.values()), objective.per_epoch, own() - before)
"""


def test_training_has_no_memory_for_the_edges_it_does_not_look_at(tmp_path: Path) -> None:
    """A hundred million edges in both directions, 1.6 GB of arrays, are in files that are holes but for their beginning."""
    write_holes(tmp_path)
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        edges, steps, mib = map(int, child.stdout.read().split())
    assert (edges, steps) == (2 * NODES * DEGREE, 4)
    assert mib < 300, "of its own, beside what is mapped"


def write_holes(folder: Path) -> None:
    """A graph of one node type and one edge type that was stretched: everybody has a thousand edges from the first node."""
    small = communities()
    small = replace(small, removed={}, raw_features={}, node_ids={"user": small.node_ids["user"]}, edge_features={}, edges={
        kind: csr for kind, csr in small.edges.items() if kind.source == kind.destination == "user"},
        features={"user": Features(columns={"x": (0, 2)}, dense=np.zeros((80, 2), dtype=np.float32))})
    small.save(folder)
    kinds = len(json.loads((folder / "graph.json").read_bytes())["edges"])
    assert kinds == 2
    numbers = np.arange(NODES + 1)
    stretched: dict[str, tuple[tuple[int, ...], NDArray[Any] | None]] = {
        "node-0-ids": ((NODES,), None), "node-0-id-offsets": ((NODES + 1,), numbers), "node-0-features": ((NODES, 2), None),
        "target-0-labels": ((NODES,), numbers[1:] % 2), "target-0-train": ((NODES,), numbers[1:] % 100 == 0),
        "target-0-valid": ((NODES,), numbers[1:] % 100 == 1), "target-0-test": ((NODES,), None)}
    for i in range(kinds):
        stretched |= {f"edge-{i}-indptr": ((NODES + 1,), numbers * DEGREE), f"edge-{i}-indices": ((NODES * DEGREE,), None),
                      f"edge-{i}-ids": ((NODES * DEGREE,), None)}
    for name, (shape, values) in stretched.items():
        path = folder / f"{name}.npy"
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.load(path).dtype, shape=shape)
        if values is not None:
            array[:] = values


def test_the_memory_expected_of_a_training_leaves_out_what_is_mapped(large: pytest.MonkeyPatch) -> None:
    graph, given = communities(), read_parameters({"concat-node-embed": False})
    large.setattr(hyperparameters, "AT_ONCE_EDGES", -1)
    without = training_memory_mib(graph, given)
    doubled = replace(graph, edges={kind: replace(csr, indices=np.tile(csr.indices, 1_000)) for kind, csr in graph.edges.items()})
    assert training_memory_mib(doubled, given) == without
    assert training_memory_mib(graph, read_parameters({"num-hidden": 4096})) > without
