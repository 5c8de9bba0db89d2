"""The memory that a training is expected to need grows with what it holds."""

from dataclasses import replace

import numpy as np
from tests.unit.learn.graphs import communities, hot_of, nameless

from despina.graph.graph import Features
from despina.learn.hyperparameters import Hyperparameters
from despina.learn.memory import PROGRAM_MIB, training_memory_mib

GIVEN = Hyperparameters(num_hidden=64, num_layer=2)
MIB = 2**20


def test_a_small_graph_needs_little_but_the_program() -> None:
    assert PROGRAM_MIB < training_memory_mib(communities(hot=True), GIVEN) <= PROGRAM_MIB + 2


def test_nodes_need_vectors() -> None:
    graph = communities()
    graph = replace(graph, node_ids={**graph.node_ids, "page": nameless(10**6)})
    vector = 10**6 * 64 * 4 / MIB
    assert training_memory_mib(graph, GIVEN) >= PROGRAM_MIB + 17 * vector
    in_batches = Hyperparameters(num_hidden=64, num_layer=2, batch_size=8)
    assert PROGRAM_MIB + 11 * vector <= training_memory_mib(graph, in_batches) < PROGRAM_MIB + 12 * vector


def test_wide_features_need_their_ones_twice_and_weights_and_are_never_laid_out() -> None:
    graph = communities()
    columns, ones = 10**6, 80 * 10**4
    tags = hot_of((range(row, row + 10**4) for row in range(80)), columns)
    wide = replace(graph, features={"user": Features(columns={"tags": (0, columns)}, dense=np.zeros((80, 0), dtype=np.float32),
                                                     hot=tags)})
    expected = (5 * columns * 64 * 4 + 2 * 4 * ones) / MIB
    assert abs(training_memory_mib(wide, GIVEN) - PROGRAM_MIB - expected) < 3
