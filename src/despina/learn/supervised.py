"""Learning the labels of nodes or edges: their classes, or numbers."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import EdgeType, Graph
from despina.graph.sampling import NeighbourSampler
from despina.learn.batches import Batch, EdgeLabels, relabelled, sampled, whole_graph
from despina.learn.configuration import Evaluation
from despina.learn.decoders import LinkDecoder
from despina.learn.hyperparameters import Hyperparameters, computed_at_once, propagates, trains_whole
from despina.learn.labels import Members, carried_labels
from despina.learn.losses import Loss, classification_loss, regression_loss
from despina.learn.metrics import measure
from despina.learn.models import GraphShape, Model, optimisers
from despina.learn.predictor import embed, values_of
from despina.learn.questions import Question, Questioner
from despina.learn.workers import ALONE, Workers, nothing

ASKED = 0.5
"""The share of the training edges that a step on the whole graph asks for. The labels of the others travel with the messages."""


class Supervised:
    """An R-GCN learns the labels of a graph's target (an ``Objective``).

    A small graph is trained as a whole: an epoch is one step. Else an epoch visits the training nodes or edges once, in random
    order, ``batch-size`` at a time, with sampled neighbours. Without a validation part the training part takes its place. It is
    judged with all neighbours, in a large graph (``hyperparameters.AT_ONCE_EDGES``) with sampled ones.

    Where edges have labels, messages carry those of training edges (Berg, Kipf and Welling, "Graph Convolutional Matrix
    Completion", 2018; Shi et al., "Masked Label Prediction", 2021), but not those of the edges that a step asks for.

    Raises:
        WorkFailed: there is nothing to learn from.
    """

    is_divided = False

    def __init__(self, graph: Graph, given: Hyperparameters, evaluation: Evaluation, *, seed: int,
                 workers: Workers = ALONE) -> None:
        self._graph, self._given, self._evaluation, self.workers = graph, given, evaluation, workers
        self._members = Members.of(graph)
        self._members.check(graph)
        assert self._members.labels is not None  # noqa: S101 - only link prediction has none
        self._labels = torch.from_numpy(self._members.labels)
        self.model = Model(GraphShape.of(graph), given)
        self.optimisers = optimisers(self.model, given)
        self._loss = self._loss_of(self._members.labels[self._members.train])
        self._questioner = Questioner(graph, self._members)
        self._carried = carried_labels(graph, self._members)
        self._everything = whole_graph(graph, layers=given.num_layer, edge_features=given.use_edge_features, labels=self._carried,
                                       propagates=propagates(graph, given)) if computed_at_once(graph) else None
        self._validation = self._questioner.of_all_nodes(self._members.judged) if self._everything else None
        own = self._own(self._members.train)
        self._whole = self._questioner.of_all_nodes(own) if trains_whole(graph, given.batch_size) else None
        self.examples = len(self._members.train)
        self.per_epoch = 1 if self._whole else math.ceil(self.examples / given.batch_size)
        self._seed = seed
        self._random = np.random.default_rng(seed)
        self._fanouts = tuple(given.fanout_of(layer) for layer in range(given.num_layer))
        self._sampler = NeighbourSampler(graph, self._fanouts, seed=seed)

    @property
    def shared(self) -> Sequence[Tensor]:
        """All parameters."""
        return list(self.model.parameters())

    @contextmanager
    def _hidden(self, asked: NDArray[np.int64]) -> Iterator[EdgeLabels]:
        """The labels that messages carry, in this context without those that are asked for."""
        rows = {kind: rows for kind, (_, rows) in self._members.rows(asked).items() if isinstance(kind, EdgeType)}
        saved = {kind: self._carried[kind][some] for kind, some in rows.items() if kind in self._carried}
        for kind in saved:
            self._carried[kind][rows[kind]] = 0
        yield self._carried
        for kind, labels in saved.items():
            self._carried[kind][rows[kind]] = labels

    def _loss_of(self, labels: NDArray[np.generic]) -> Loss:
        """The loss of these training labels; the model learns in which units it is to count."""
        if self._graph.target.classes:
            return classification_loss(labels, len(self._graph.target.classes), class_weight=self._given.use_class_weight)
        shift, scale = float(labels.mean(dtype=np.float64)), float(labels.std(dtype=np.float64)) or 1.0
        self.model.shift.fill_(shift)
        self.model.scale.fill_(scale)
        return regression_loss(shift, scale)

    def begin(self, epoch: int) -> None:
        """Draw the random numbers of an epoch."""
        self._random = np.random.default_rng((self._seed, epoch))
        self._sampler.begin(self.workers.seed(self._seed, epoch))
        torch.manual_seed((self._seed << 32) + (self.workers.rank << 24) + epoch)

    def steps(self) -> Iterator[Callable[[], Tensor]]:
        """The steps of an epoch."""
        if self._everything and self._whole and not self._carried:
            yield partial(self._descend, self._everything, self._whole, self._members.train)
            return
        if self._everything and self._whole:
            asked = self._random.permutation(self._members.train)[:max(1, round(ASKED * len(self._members.train)))]
            with self._hidden(asked) as labels:
                batch = relabelled(self._everything, self._graph, labels, edge_features=self._given.use_edge_features)
            yield partial(self._descend, batch, self._questioner.of_all_nodes(self._own(asked)), asked)
            return
        for asked in self._stretches(self._random.permutation(self._members.train)):
            own = self._own(asked)
            yield partial(self._descend, *self._around(own, self._sampler, asked), asked) if len(own) else nothing

    def _stretches(self, members: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """So many of them as make a batch, one after another."""
        for start in range(0, len(members), self._given.batch_size):
            yield members[start:start + self._given.batch_size]

    def _around(self, members: NDArray[np.int64], sampler: NeighbourSampler,
                asked: NDArray[np.int64]) -> tuple[Batch, Question]:
        """The sampled neighbourhood of some members, in which nobody asked answers for himself, and the question for them."""
        seeds, question = self._questioner.of_seeds(members)
        with self._hidden(asked) as labels:
            return sampled(self._graph, sampler.sample(seeds), edge_features=self._given.use_edge_features, labels=labels), question

    def _own(self, asked: NDArray[np.int64]) -> NDArray[np.int64]:
        """This worker's part of the members that a step asks for."""
        return asked[self.workers.part(len(asked))]

    def _descend(self, batch: Batch, question: Question, asked: NDArray[np.int64]) -> Tensor:
        """What the members of a question have in the loss of all those that the step asks for."""
        assert not isinstance(self.model.decoder, LinkDecoder)  # noqa: S101 - labels are no links
        decoded, labels = question.answer(self.model.decoder, self.model.encoder(batch)), self._labels[question.members]
        loss = self._loss.of(decoded, labels)
        if self.workers.count > 1:
            loss = loss * (self._loss.weight(labels) / self._loss.weight(self._labels[asked]))
        return loss

    def measure(self) -> float:
        """The metric on the validation part, as the first worker finds it."""
        return self.workers.first(self._measured)

    def _measured(self) -> float:
        found = [(values_of(self.model, embed(self.model, batch), question, self._graph.target), question.members)
                 for batch, question in self._judged()]
        values, members = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return measure(self._evaluation.metric, values, self._labels[members].numpy(), topk=self._evaluation.topk)

    def _judged(self) -> Iterator[tuple[Batch, Question]]:
        """What the validation part is answered from: of a large graph the same sampled neighbourhoods each time."""
        if self._everything and self._validation:
            yield self._everything, self._validation
            return
        sampler = NeighbourSampler(self._graph, self._fanouts, seed=self._seed)
        for asked in self._stretches(self._members.judged):
            yield self._around(asked, sampler, asked)
