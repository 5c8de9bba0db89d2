"""What is done when there is not enough memory for a batch."""

import subprocess
import sys

import pytest
from tests.unit.learn.graphs import communities, fan_clubs

from despina.core.errors import WorkFailed
from despina.learn.backoff import halved, is_out_of_memory
from despina.learn.hyperparameters import EmbeddingHyperparameters, Parameters, read_parameters

LIMITED = """
import resource, numpy, torch
from despina.learn.backoff import is_out_of_memory
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
for ask in (lambda: torch.zeros(1 << 30), lambda: numpy.ones(1 << 30), lambda: bytearray(4 << 30)):
    try:
        ask()
    except (MemoryError, RuntimeError) as error:
        print(is_out_of_memory(error))
"""


def test_errors_of_all_allocators_are_known() -> None:
    ran = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["True"] * 3


def test_other_errors_are_not() -> None:
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


def test_a_batch_larger_than_the_training_part_is_halved_from_what_filled_it() -> None:
    graph = communities()
    given: Parameters = read_parameters({"batch-size": 4096})
    sizes = []
    for _ in range(4):
        given = halved(graph, given)
        sizes.append(given.batch_size)
    assert sizes == [15, 7, 3, 1], "31 nodes are trained on"
    with pytest.raises(WorkFailed, match="even with batch-size 1"):
        halved(graph, given)


def test_embeddings_are_halved_too() -> None:
    given = read_parameters({"batch-size": 8}, EmbeddingHyperparameters)
    assert halved(fan_clubs(), given).batch_size == 4


def test_a_graph_that_has_to_be_trained_as_a_whole_cannot_be_halved() -> None:
    with pytest.raises(WorkFailed, match="num-propagation 10 needs"):
        halved(communities(), read_parameters({"num-propagation": 10}))
