"""How much memory a training is expected to need. Free of torch."""

import numpy as np

from despina.graph.graph import Graph
from despina.learn.hyperparameters import (
    CHUNK_EDGES,
    EmbeddingHyperparameters,
    Hyperparameters,
    Parameters,
    computed_at_once,
    edge_count,
    trains_whole,
)

PROGRAM_MIB = 400
"""Python, torch and what they allocate for themselves."""

STEP_BYTES = 4 * 2**24
"""Of the scores of a step of a knowledge-graph embedding (``embedding.SCORES``)."""

BYTES_PER_EDGE = 40
"""Of one direction: the graph's own arrays, and the edges with their weights both ways."""

BYTES_PER_NODE, BYTES_PER_MEMBER = 12, 100
"""Of a graph that is never computed as a whole: the sampler's places, and what is known of what is predicted."""


def training_memory_mib(graph: Graph, hyperparameters: Parameters, *, workers: int = 1) -> int:
    """The memory of one training, in MiB, of all its workers together.

    Counted are vectors of ``num-hidden`` 32-bit numbers: five for each node (embedding, gradient, two moments, best so far), five
    for each column of zeros and ones that nodes have (its weights), and for each layer kept for its gradient six a node and two for
    each edge type that a node has any edge of. A training in batches keeps one layer, since only its evaluation touches all nodes.
    Features are counted twice: as they are mapped from their files, and as tensors. Each worker has all of that.
    """
    if isinstance(hyperparameters, EmbeddingHyperparameters):
        return _of_embeddings(graph, hyperparameters, workers)
    if not computed_at_once(graph):
        return workers * _of_large_graph(graph, hyperparameters)
    nodes, edges = sum(graph.node_counts.values()), edge_count(graph)
    receivers = sum(int(np.count_nonzero(np.diff(csr.indptr))) for csr in graph.edges.values())
    layers = hyperparameters.num_layer if trains_whole(graph, hyperparameters.batch_size) else 1
    columns = sum(features.hot.width for features in graph.features.values() if features.hot is not None)
    vectors = 5 * (nodes + columns) + layers * (6 * nodes + 2 * receivers)
    features = sum(part.nbytes for part in (*graph.features.values(), *graph.edge_features.values()))
    total = vectors * 4 * hyperparameters.num_hidden + BYTES_PER_EDGE * edges + 2 * features
    count = 1 if trains_whole(graph, hyperparameters.batch_size) else workers
    return count * (PROGRAM_MIB + -(-total // 2**20))


def _of_large_graph(graph: Graph, hyperparameters: Hyperparameters) -> int:
    """Of an R-GCN on a graph that is never computed as a whole: five vectors for each node that has a learnable one, and for each
    column of zeros and ones, and for each edge of a chunk; and what is known of the members that are predicted. The rest stays in
    its files. Of the graph of ``bench/large.py`` it is 1.9 GiB, where 1.7 were measured.
    """
    learned = sum(count for node_type, count in graph.node_counts.items()
                  if hyperparameters.concat_node_embed or node_type not in graph.features)
    columns = sum(features.hot.width for features in graph.features.values() if features.hot is not None)
    members = sum(len(part.train) for part in graph.target.by_type.values())
    vectors = 5 * (learned + columns + CHUNK_EDGES)
    total = (vectors * 4 * hyperparameters.num_hidden + BYTES_PER_NODE * sum(graph.node_counts.values())
             + BYTES_PER_MEMBER * members)
    return PROGRAM_MIB + -(-total // 2**20)


def _of_embeddings(graph: Graph, hyperparameters: EmbeddingHyperparameters, workers: int) -> int:
    """Of a knowledge-graph embedding: four vectors a node (itself, gradient, what the optimiser remembers, best so far) of twice
    the width, of which each worker has its part; and of each worker six times the scores of a step, and each edge in both
    directions, and as a known answer.
    """
    nodes, edges = sum(graph.node_counts.values()), sum(len(csr.indices) for csr in graph.edges.values())
    table, beside = 4 * nodes * 2 * hyperparameters.num_hidden * 4, 6 * STEP_BYTES + 100 * edges
    return workers * PROGRAM_MIB + -(-(table + workers * beside) // 2**20)
