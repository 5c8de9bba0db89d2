"""Training one model. Knows nothing of tuning, of files or of jobs."""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.core.errors import WorkFailed
from despina.graph.graph import Graph
from despina.graph.sampling import NeighbourSampler
from despina.learn.adam import Adam
from despina.learn.batches import Batch, sampled, whole_graph
from despina.learn.configuration import Evaluation
from despina.learn.early_stopping import EarlyStopping
from despina.learn.hyperparameters import Hyperparameters, trains_whole
from despina.learn.losses import Loss, classification_loss
from despina.learn.metrics import measure
from despina.learn.models import GraphShape, NodeClassifier
from despina.learn.predictor import predict

log = logging.getLogger(__name__)

OnEpoch = Callable[[int, float | None, float | None], None]
"""Called after each epoch with its number, from 1, the newest value of the metric, and the best so far (None before the first)."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The best model that a training met."""

    model: NodeClassifier
    shape: GraphShape
    epoch: int
    """In which it was met, from 1."""
    value: float
    """The metric on the validation nodes."""


def train(graph: Graph, hyperparameters: Hyperparameters, evaluation: Evaluation, *, on_epoch: OnEpoch, seed: int = 0) -> Trained:
    """Train an R-GCN to classify nodes on the graph's training nodes, and keep the model that is best on its validation nodes.

    The same arguments give the same model on the same machine with the same number of threads. Without validation nodes (a split
    rate may have none) the training nodes take their place.

    Raises:
        WorkFailed: there are no training nodes, or the loss is no number any more.
    """
    target, given = graph.target, hyperparameters
    if not target.nodes.train.any():
        raise WorkFailed(f"no '{target.node_type}' with a '{target.property_name}' is in the training part: nothing to learn from")
    torch.manual_seed(seed)
    shape = GraphShape.of(graph)
    model = NodeClassifier(shape, given)
    everything = whole_graph(graph, layers=given.num_layer, edge_features=given.use_edge_features)
    source = _WholeGraph(graph, everything) if trains_whole(graph, given.batch_size) else _Batches(graph, given, seed=seed)
    judge = _Judge(graph, model, everything, evaluation)
    optimisers = _optimisers(model, given)
    loss_of = classification_loss(target, class_weight=given.use_class_weight)
    stopping = EarlyStopping(given.window_for_early_stop)
    interval = _interval(evaluation, per_epoch=source.per_epoch, epochs=given.num_epochs)
    done, stop = 0, False
    for epoch in range(1, given.num_epochs + 1):
        for step in source.steps():
            loss = _descend(model, step, loss_of, optimisers)
            if not math.isfinite(loss):
                raise WorkFailed(f"training diverged in epoch {epoch}: the loss is {loss}. A lower lr (it is {given.lr}) may help.")
            done += 1
            if done % interval == 0 or done == given.num_epochs * source.per_epoch:
                stop = stopping.stops_at(judge.look(epoch)) and given.enable_early_stop
            if stop:
                break
        log.info("epoch %d: loss %.4f, %s %s", epoch, loss, evaluation.metric, judge)
        on_epoch(epoch, judge.value, judge.best)
        if stop:
            log.info("early stop: worse than the mean of the last %d evaluations", given.window_for_early_stop)
            break
    judge.restore()
    return Trained(model=model, shape=shape, epoch=judge.epoch, value=judge.best or 0.0)


@dataclass(frozen=True, kw_only=True)
class _Step:
    """The input of one step of gradient descent."""

    batch: Batch
    rows: Tensor | None
    """Which of the nodes that the batch computes have the labels; None: all of them, in order."""
    labels: Tensor


class _WholeGraph:
    """An epoch is one step on the whole graph."""

    per_epoch = 1

    def __init__(self, graph: Graph, everything: Batch) -> None:
        nodes = np.flatnonzero(graph.target.nodes.train)
        self._step = _Step(batch=everything, rows=torch.from_numpy(nodes), labels=torch.from_numpy(_labels(graph)[nodes]))

    def steps(self) -> Iterator[_Step]:
        yield self._step


class _Batches:
    """An epoch visits the training nodes once, in random order, ``batch-size`` at a time, with sampled neighbours."""

    def __init__(self, graph: Graph, hyperparameters: Hyperparameters, *, seed: int) -> None:
        self._graph = graph
        self._nodes = np.flatnonzero(graph.target.nodes.train)
        self._labels = _labels(graph)
        self._size = hyperparameters.batch_size
        self._edge_features = hyperparameters.use_edge_features
        self._random = np.random.default_rng(seed)
        fanouts = tuple(hyperparameters.fanout_of(layer) for layer in range(hyperparameters.num_layer))
        self._sampler = NeighbourSampler(graph, fanouts, seed=seed)
        self.per_epoch = math.ceil(len(self._nodes) / self._size)

    def steps(self) -> Iterator[_Step]:
        order = self._random.permutation(self._nodes)
        for start in range(0, len(order), self._size):
            seeds = order[start:start + self._size]
            neighbourhood = self._sampler.sample(self._graph.target.node_type, seeds)
            batch = sampled(self._graph, neighbourhood, edge_features=self._edge_features)
            yield _Step(batch=batch, rows=None, labels=torch.from_numpy(self._labels[seeds]))


class _Judge:
    """Measures the model on the validation nodes, with all their neighbours, and remembers it as it was when it was best."""

    def __init__(self, graph: Graph, model: NodeClassifier, everything: Batch, evaluation: Evaluation) -> None:
        parts = graph.target.nodes
        self._nodes = np.flatnonzero(parts.valid if parts.valid.any() else parts.train)
        self._labels = _labels(graph)[self._nodes]
        self._multilabel = graph.target.multilabel
        self._model, self._everything, self._evaluation = model, everything, evaluation
        self._state: dict[str, Tensor] = {}
        self.value: float | None = None
        self.best: float | None = None
        self.epoch = 0

    def look(self, epoch: int) -> float:
        """Measure the model now."""
        probabilities = predict(self._model, self._everything, multilabel=self._multilabel).probabilities[self._nodes]
        value = measure(self._evaluation.metric, probabilities, self._labels, topk=self._evaluation.topk)
        if self.best is None or value > self.best:
            self.best, self.epoch = value, epoch
            self._state = {name: weights.clone() for name, weights in self._model.state_dict().items()}
        self.value = value
        return value

    def __str__(self) -> str:
        return "not measured yet" if self.value is None or self.best is None else f"{self.value:.4f}, best {self.best:.4f}"

    def restore(self) -> None:
        """Make the model what it was when it was best."""
        self._model.load_state_dict(self._state)


def _labels(graph: Graph) -> NDArray[Any]:
    labels = graph.target.nodes.labels
    assert labels is not None  # noqa: S101 - a classification has labels
    return labels


def _descend(model: NodeClassifier, step: _Step, loss_of: Loss, optimisers: list[Adam]) -> float:
    """One step of gradient descent; the loss before it."""
    _, scores = model(step.batch)
    loss = loss_of(scores if step.rows is None else scores[step.rows], step.labels)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimiser in optimisers:
        optimiser.step()
    return loss.item()


def _optimisers(model: NodeClassifier, given: Hyperparameters) -> list[Adam]:
    embeddings = model.embeddings()
    own = {id(embedding) for embedding in embeddings}
    others = [parameter for parameter in model.parameters() if id(parameter) not in own]
    return [Adam(others, lr=given.lr, weight_decay=given.l2norm),
            Adam(embeddings, lr=given.sparse_lr or given.lr, weight_decay=given.l2norm)]


def _interval(evaluation: Evaluation, *, per_epoch: int, epochs: int) -> int:
    """Steps between two evaluations."""
    steps = {"evaluate_every_epoch": per_epoch, "evaluate_every_batch": 1, "evaluate_every_pct": per_epoch * epochs}
    return max(1, round(evaluation.every * steps[evaluation.frequency]))
