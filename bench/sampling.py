"""Sampling a batch's neighbourhood: ours beside a plain NumPy version and beside a random gather of as many edges.

    python bench/sampling.py [--rounds 40]

1,024 random seeds, 25 and then 10 neighbours without replacement, 500,000 nodes, 5,000,000 random edges. The plain version gives
each edge of the nodes a random number and sorts them node by node, so its work grows with the degrees. Ours also keeps the numbers
of the edges and each edge's position among the nodes, as a model needs them. The floor reads the ends of as many random edges. All
take turns. The last line is JSON.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from despina.core.task import Task
from despina.graph.graph import Csr, EdgeType, Graph, Labelled, Target
from despina.graph.ids import Ids
from despina.graph.sampling import NeighbourSampler

NODES, EDGES, SEEDS, FANOUTS = 500_000, 5_000_000, 1_024, (25, 10)
LINK = EdgeType("node", "link", "node")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    sources, destinations = (random.integers(0, NODES, EDGES, dtype=np.int32) for _ in range(2))
    csr = Csr.group(sources, destinations, n_destination=NODES)
    none = np.zeros(NODES, dtype=np.bool_)
    graph = Graph(node_ids={"node": Ids.of(map(str, range(NODES)))}, features={}, edges={LINK: csr}, edge_features={},
                  raw_features={}, target=Target(task=Task.NODE_CLASS, property_name="", classes=("a", "b"), by_type={
                      "node": Labelled(labels=np.zeros(NODES, dtype=np.int64), train=none, valid=none, test=none)}))
    # Layers are numbered from the features on: the seeds' own fanout is the last.
    sampler = NeighbourSampler(graph, FANOUTS[::-1], seed=0)
    sampled = sum(len(layer.edges[LINK].indices) for layer in sampler.sample({"node": np.arange(SEEDS)}).layers)
    ways: dict[str, Callable[[NDArray[np.int64]], object]] = {
        "floor": lambda _: csr.indices[random.integers(0, EDGES, sampled)],
        "ours": lambda seeds: sampler.sample({"node": seeds}),
        "plain NumPy": lambda seeds: plain(csr, seeds, random),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        seeds = random.choice(NODES, SEEDS, replace=False)
        for name, way in ways.items():
            begun = time.perf_counter()
            way(seeds)
            spent[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(values) for name, values in spent.items()}
    print(f"{sampled:,} edges sampled")
    for name, median in medians.items():
        print(f"{name:12} median {median * 1e3:7.2f} ms   ({min(spent[name]) * 1e3:.2f} to {max(spent[name]) * 1e3:.2f})")
    print(f"plain NumPy over ours: {medians['plain NumPy'] / medians['ours']:.2f}   aim at least 5")
    print(f"ours over floor: {medians['ours'] / medians['floor']:.2f}   aim at most 3")
    print(json.dumps({"bench": "sampling", "edges": sampled, "medians": medians, "rounds": spent,
                      "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


def plain(csr: Csr, seeds: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """The nodes within reach: those of each layer are the ones before and their sampled neighbours."""
    nodes = seeds
    for fanout in FANOUTS:
        starts, degrees = csr.indptr[nodes], csr.indptr[nodes + 1] - csr.indptr[nodes]
        rank = np.arange(degrees.sum()) - np.repeat(np.cumsum(degrees) - degrees, degrees)
        edges = np.repeat(starts, degrees) + rank
        order = np.lexsort((random.random(len(edges)), np.repeat(np.arange(len(nodes)), degrees)))
        nodes = np.unique(np.concatenate([nodes, csr.indices[edges[order][rank < fanout]]]))
    return nodes


if __name__ == "__main__":
    main()
