"""A trained model applied to a graph that has changed since: incremental inference, without training.

Source: Neptune user guide, "Incremental model inference". Nodes are known by their raw ids: those that the model knows keep its
vectors. New nodes of an R-GCN have their features; where it has learned a vector for each node, they get the mean of their type, so
that what tells them apart is their neighbours. New entities of a knowledge-graph embedding get the vector that their triples with
known entities ask for: the mean of the query vectors whose answers they are, which is where the model would look for them.
"""

import dataclasses

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import Tensor

from despina.core.errors import WorkFailed
from despina.graph.graph import Graph, Labelled
from despina.learn.checkpoint import AnyModel, Description, build
from despina.learn.hyperparameters import PRODUCTS
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.models import GraphShape
from despina.learn.triples import Triples
from despina.learn.warm_start import Rows, difference, tables

QUESTIONS = 1 << 16
"""Asked at a time."""


@torch.no_grad()
def carried_over(model: AnyModel, description: Description, graph: Graph, before: Graph) -> tuple[AnyModel, Description]:
    """The model for another graph, ready to predict.

    Args:
        model: A trained model.
        description: Of the model.
        graph: What it is to be applied to.
        before: The graph that it learned from.

    Raises:
        WorkFailed: the graphs differ in more than their nodes and edges: in types, features or classes.
    """
    shape = GraphShape.of(graph)
    reason = difference(shape, description.shape)
    if reason:
        raise WorkFailed(f"{reason}. Process the new data with 'previousDataProcessingJobId', so that it is encoded as before")
    fitted = replace(description, shape=shape)
    new, learned = build(fitted), model.state_dict()
    of_nodes = tables(new, graph, before)
    for name, weights in new.state_dict().items():
        if name in of_nodes:
            _fill(weights, learned[name], of_nodes[name])
        else:
            weights.copy_(learned[name])
    if isinstance(new, KnowledgeGraphEmbedding):
        _find_new(new, Triples.of(graph), _unknown(of_nodes["entities"], len(new.entities)))
    return new.eval(), fitted


def narrowed(graph: Graph, classes: tuple[str, ...]) -> Graph:
    """The graph with the classes that a model knows, if the graph has these and more: labels of other classes are no labels then.

    Data processing that builds on an earlier job puts new classes after the old ones.
    """
    target = graph.target
    if target.classes == classes or target.classes[:len(classes)] != classes:
        return graph
    return dataclasses.replace(graph, target=dataclasses.replace(target, classes=classes, by_type={
        kind: _narrowed(part, len(classes), multilabel=target.multilabel) for kind, part in target.by_type.items()}))


def _narrowed(part: Labelled, count: int, *, multilabel: bool) -> Labelled:
    if part.labels is None:
        return part
    if multilabel:
        return dataclasses.replace(part, labels=part.labels[:, :count])
    known = part.labels < count
    return dataclasses.replace(part, labels=np.where(known, part.labels, -1), train=part.train & known, valid=part.valid & known,
                               test=part.test & known)


def _fill(weights: Tensor, learned: Tensor, rows: Rows) -> None:
    weights.copy_(learned.mean(dim=0) if len(learned) else torch.zeros(weights.shape[1]))
    weights[torch.from_numpy(rows.new)] = learned[torch.from_numpy(rows.old)]


def _unknown(rows: Rows, count: int) -> NDArray[np.bool_]:
    unknown = np.ones(count, dtype=bool)
    unknown[rows.new] = False
    return unknown


def _find_new(model: KnowledgeGraphEmbedding, triples: Triples, unknown: NDArray[np.bool_]) -> None:
    """Give unknown entities the mean of the queries from known ones that they answer; those without any keep what they have."""
    questions = triples.train
    rows = np.flatnonzero(unknown[questions.answers] & ~unknown[questions.entities])
    if not len(rows):
        return
    sums, counts = torch.zeros_like(model.entities), torch.zeros(len(model.entities))
    for start in range(0, len(rows), QUESTIONS):
        some = questions.take(rows[start:start + QUESTIONS])
        answers = torch.from_numpy(some.answers)
        sums.index_add_(0, answers, model.query(torch.from_numpy(some.entities), torch.from_numpy(some.relations)))
        counts.index_add_(0, answers, torch.ones(len(answers)))
    found = torch.nonzero(counts)[:, 0]
    vectors = sums[found] / counts[found, None]
    if model.name in PRODUCTS:
        # A product grows with the vector's length, which says nothing here: they get that of known ones.
        known = model.entities[torch.from_numpy(~unknown)]
        vectors *= known.norm(dim=1).mean() / vectors.norm(dim=1, keepdim=True).clamp_min(1e-12)
    model.entities[found] = vectors
