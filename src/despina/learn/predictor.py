"""Applying a model: embeddings and probabilities of all nodes of the target type."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from despina.graph.graph import Graph
from despina.learn.batches import Batch, whole_graph
from despina.learn.hyperparameters import Hyperparameters
from despina.learn.models import NodeClassifier


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Rows are node indices of the target type."""

    embeddings: NDArray[np.float32]
    """``[n, num-hidden]``"""
    probabilities: NDArray[np.float32]
    """``[n, classes]``: sums of 1, or one probability for each class by itself when a node may have several labels."""


def predict_graph(model: NodeClassifier, graph: Graph, hyperparameters: Hyperparameters) -> Predictions:
    """Apply the model to a whole graph, with all neighbours. ``hyperparameters`` are those of the model."""
    everything = whole_graph(graph, layers=hyperparameters.num_layer, edge_features=hyperparameters.use_edge_features)
    return predict(model, everything, multilabel=graph.target.multilabel)


def predict(model: NodeClassifier, batch: Batch, *, multilabel: bool) -> Predictions:
    """Apply the model without dropout. Its mode (training or not) is as before afterwards."""
    training = model.training
    model.eval()
    with torch.no_grad():
        embeddings, scores = model(batch)
        probabilities = torch.sigmoid(scores) if multilabel else torch.softmax(scores, dim=1)
    model.train(training)
    return Predictions(embeddings=embeddings.numpy(), probabilities=probabilities.numpy())
