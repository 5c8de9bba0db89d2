"""What training is made of, each part beside its peer in the same run, taking turns.

- Mean aggregation with its gradient, beside torch's CSR product and beside gather and ``index_add``.
- An epoch over a graph as a whole, beside an epoch in mini-batches with sampled neighbours.
- The start of a program that makes our Adam, beside one that makes ``torch.optim.Adam``.
- Two threads that wait passively, beside two that spin, while another process works.

    python bench/train.py [--rounds 5] [--nodes 50000] [--edges 500000]
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from despina.core.task import Task
from despina.graph.graph import EdgeType, Features, Graph, Labelled, Target, both_directions
from despina.graph.ids import Ids
from despina.learn.adjacency import Adjacency, mean
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import Hyperparameters
from despina.learn.supervised import Supervised
from despina.learn.trainer import train

WIDTH = 64
LINK = EdgeType("node", "link", "node")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=50_000)
    parser.add_argument("--edges", type=int, default=500_000)
    parser.add_argument("--epoch", choices=["whole", "batches"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)  # torch calls its CSR tensors a beta
    if options.epoch:
        print(epoch_seconds(random_graph(options.nodes, options.edges), options.epoch))
        return
    graph = random_graph(options.nodes, options.edges)
    measured: dict[str, list[float]] = {}
    contestants = {**aggregations(graph), **epochs(graph), **starts(), **waits(options.nodes, options.edges)}
    for _ in range(options.rounds):
        for name, run in contestants.items():
            measured.setdefault(name, []).append(run())
    medians = {name: statistics.median(values) for name, values in measured.items()}
    for name, median in medians.items():
        print(f"{name:28} median {median:8.4f} s   ({min(measured[name]):.4f} to {max(measured[name]):.4f})")
    pairs = [("mean, torch CSR", "mean, ours"), ("mean, gather index_add", "mean, ours"), ("epoch, batches", "epoch, whole graph"),
             ("start, torch.optim.Adam", "start, our Adam"), ("busy epoch, spinning", "busy epoch, passive")]
    for peer, ours in pairs:
        print(f"{peer} over {ours}: {medians[peer] / medians[ours]:.2f}")
    print(json.dumps({"bench": "train", "nodes": options.nodes, "edges": options.edges, "medians": medians, "rounds": measured}))


def random_graph(nodes: int, edges: int) -> Graph:
    """One node type, one relation; two classes that a feature tells apart."""
    generator = np.random.default_rng(0)
    sources, destinations = (generator.integers(0, nodes, edges, dtype=np.int32) for _ in range(2))
    labels = generator.integers(0, 2, nodes)
    parts = generator.integers(0, 10, nodes)
    target = Target(property_name="class", task=Task.NODE_CLASS, classes=("a", "b"), by_type={
        "node": Labelled(labels=labels, train=parts < 8, valid=parts == 8, test=parts == 9)})
    features = generator.normal(size=(nodes, 16)).astype(np.float32) + labels[:, None].astype(np.float32)
    return Graph(node_ids={"node": Ids.of(map(str, range(nodes)))},
                 features={"node": Features(columns={"x": (0, 16)}, dense=features)},
                 edges=both_directions(LINK, sources, destinations, {"node": nodes}), edge_features={}, raw_features={},
                 target=target)


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def aggregations(graph: Graph) -> dict[str, Callable[[], float]]:
    """The mean of all neighbours' vectors and its gradient, by three ways that give the same."""
    csr, count = graph.edges[LINK], graph.node_counts["node"]
    adjacency = Adjacency.of(csr, n_source=count)
    degrees = torch.from_numpy(np.diff(csr.indptr))
    rows = torch.repeat_interleave(torch.arange(count), degrees)
    weights = (1.0 / degrees.clamp(min=1)).repeat_interleave(degrees)
    columns = torch.from_numpy(csr.indices.astype(np.int64))
    matrix = torch.sparse_csr_tensor(torch.from_numpy(csr.indptr), columns, weights, (count, count))
    x = torch.randn(count, WIDTH, requires_grad=True)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "mean, ours": lambda: torch.zeros(count, WIDTH).index_add(0, adjacency.rows, mean(x, adjacency)),
        "mean, torch CSR": lambda: matrix @ x,
        "mean, gather index_add": lambda: torch.zeros(count, WIDTH).index_add(0, rows, x[columns] * weights[:, None]),
    }
    expected = ways["mean, ours"]()
    assert all(torch.allclose(way(), expected, atol=1e-4) for way in ways.values())
    return {name: partial(_there_and_back, way) for name, way in ways.items()}


def _there_and_back(way: Callable[[], torch.Tensor]) -> float:
    return seconds(lambda: way().sum().backward())  # type: ignore[no-untyped-call]


def epochs(graph: Graph) -> dict[str, Callable[[], float]]:
    return {"epoch, whole graph": lambda: epoch_seconds(graph, "whole"), "epoch, batches": lambda: epoch_seconds(graph, "batches")}


def epoch_seconds(graph: Graph, how: str) -> float:
    """The median seconds of an epoch, evaluation included."""
    nodes = graph.node_counts["node"]
    given = Hyperparameters(num_epochs=4, num_hidden=WIDTH, enable_early_stop=False, fanout=(10, 10),
                            batch_size=nodes if how == "whole" else 1024)
    ends = [time.perf_counter()]
    accuracy = Evaluation(metric="acc")
    train(Supervised(graph, given, accuracy, seed=0), given, accuracy, on_epoch=lambda *_: ends.append(time.perf_counter()))
    return float(np.median(np.diff(ends)[1:]))


def starts() -> dict[str, Callable[[], float]]:
    """Fresh interpreters."""
    make = "import torch; weight = torch.zeros(1, requires_grad=True); "
    scripts = {"start, our Adam": make + "from despina.learn.adam import Adam; Adam([weight], lr=0.1)",
               "start, torch.optim.Adam": make + "torch.optim.Adam([weight], lr=0.1)"}
    return {name: partial(_life, script) for name, script in scripts.items()}


def _life(script: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-c", script], check=True))


def waits(nodes: int, edges: int) -> dict[str, Callable[[], float]]:
    """An epoch with two threads beside a process that keeps a core busy."""
    def epoch(policy: str) -> float:
        busy = multiprocessing.Process(target=_keep_busy, daemon=True)
        busy.start()
        try:
            done = subprocess.run([sys.executable, __file__, "--epoch", "whole", "--nodes", str(nodes), "--edges", str(edges)],
                                  env={**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": policy}, check=True,
                                  capture_output=True, text=True)
        finally:
            busy.terminate()
            busy.join()
        return float(done.stdout)

    return {"busy epoch, passive": lambda: epoch("PASSIVE"), "busy epoch, spinning": lambda: epoch("ACTIVE")}


def _keep_busy() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()
