"""How much memory a training is expected to need. Free of torch."""

import numpy as np

from despina.graph.graph import Graph
from despina.learn.hyperparameters import Hyperparameters, trains_whole

PROGRAM_MIB = 400
"""Python, torch and what they allocate for themselves."""

BYTES_PER_EDGE = 40
"""Of one direction: the graph's own arrays, and the edges with their weights both ways."""


def training_memory_mib(graph: Graph, hyperparameters: Hyperparameters) -> int:
    """The memory of one training, in MiB.

    Counted are vectors of ``num-hidden`` 32-bit numbers: five for each node (embedding, gradient, two moments, best so far), and
    for each layer kept for its gradient six a node and two for each edge type that a node has any edge of. A training in batches
    keeps one layer, since only its evaluation touches all nodes.
    """
    nodes = sum(graph.node_counts.values())
    edges = sum(len(csr.indices) for csr in graph.edges.values())
    receivers = sum(int(np.count_nonzero(np.diff(csr.indptr))) for csr in graph.edges.values())
    layers = hyperparameters.num_layer if trains_whole(graph, hyperparameters.batch_size) else 1
    vectors = 5 * nodes + layers * (6 * nodes + 2 * receivers)
    features = sum(matrix.nbytes for matrix in (*graph.features.values(), *graph.edge_features.values()))
    total = vectors * 4 * hyperparameters.num_hidden + BYTES_PER_EDGE * edges + 2 * features
    return PROGRAM_MIB + -(-total // 2**20)
