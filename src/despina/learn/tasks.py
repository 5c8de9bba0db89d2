"""Which objective learns what a graph is to predict."""

import torch

from despina.graph.graph import Graph
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import Hyperparameters, LinkHyperparameters
from despina.learn.links import Links
from despina.learn.supervised import Supervised


def objective_of(graph: Graph, given: Hyperparameters, evaluation: Evaluation, *, seed: int) -> Links | Supervised:
    """The objective for the task of a graph. The same arguments give the same model on the same machine with as many threads.

    Raises:
        WorkFailed: there is nothing to learn from.
    """
    torch.manual_seed(seed)
    if isinstance(given, LinkHyperparameters):
        return Links(graph, given, seed=seed)
    return Supervised(graph, given, evaluation, seed=seed)
