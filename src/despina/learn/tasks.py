"""Which objective learns what a graph is to predict, and which model a checkpoint has."""

import torch

from despina.graph.graph import Graph
from despina.learn.configuration import Evaluation
from despina.learn.embedding import Embedding
from despina.learn.hyperparameters import EmbeddingHyperparameters, LinkHyperparameters, Parameters
from despina.learn.links import Links
from despina.learn.sharded import ShardedEmbedding
from despina.learn.supervised import Supervised
from despina.learn.workers import ALONE, Workers

AnyObjective = Embedding | Links | Supervised


def objective_of(graph: Graph, model: str, given: Parameters, evaluation: Evaluation, *, seed: int,
                 workers: Workers = ALONE) -> AnyObjective:
    """The objective for a model and the task of a graph. The same arguments give the same model on one machine.

    Args:
        graph: What to learn from.
        model: The word of the hyperparameter file.
        given: Its hyperparameters for the task (``hyperparameters.parameters_of``).
        evaluation: How it is judged.
        seed: Of all random numbers.
        workers: Who trains it.

    Raises:
        WorkFailed: there is nothing to learn from.
    """
    torch.manual_seed(seed)
    if isinstance(given, EmbeddingHyperparameters) and workers.count > 1:
        return ShardedEmbedding(graph, model, given, seed=seed, workers=workers)
    if isinstance(given, EmbeddingHyperparameters):
        return Embedding(graph, model, given, seed=seed, workers=workers)
    if isinstance(given, LinkHyperparameters):
        return Links(graph, given, seed=seed, workers=workers)
    return Supervised(graph, given, evaluation, seed=seed, workers=workers)
