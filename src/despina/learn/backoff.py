"""Going on with less memory: what to do when a training step finds none left."""

from msgspec.structs import replace

from despina.core.errors import WorkFailed
from despina.graph.graph import Graph
from despina.learn.hyperparameters import Hyperparameters, Parameters, training_count

_SENTENCE = "can't allocate memory"
"""Of torch's allocator for the CPU, whose error has no type of its own."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether NumPy, Python or torch found no memory."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _SENTENCE in str(error))


def halved(graph: Graph, given: Parameters) -> Parameters:
    """The hyperparameters with half the batch, as far as it was filled: a graph that was trained as a whole is trained in batches.

    Raises:
        WorkFailed: the batch cannot be smaller.
    """
    if isinstance(given, Hyperparameters) and given.num_propagation:
        raise WorkFailed(f"there is not enough memory to train the graph as a whole, which num-propagation {given.num_propagation} "
                         "needs; it must be 0 here")
    size = min(given.batch_size, training_count(graph)) // 2
    if size < 1:
        raise WorkFailed("there is not enough memory to train even with batch-size 1; a smaller num-hidden or fanout may help")
    return replace(given, batch_size=size)
