"""Applying a model: embeddings of nodes, and what is predicted of nodes or edges."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import EdgeType, Graph, Target
from despina.learn.batches import Batch, predicted_edges, training_graph, whole_graph
from despina.learn.correction import corrected
from despina.learn.decoders import LinkDecoder
from despina.learn.hyperparameters import Hyperparameters, Parameters, computed_at_once, propagates
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.labels import Members, carried_labels
from despina.learn.layerwise import embed_by_layers
from despina.learn.models import Model
from despina.learn.questions import Question, Questioner
from despina.learn.triples import Triples

ROWS = 1 << 17
"""Members that are predicted at a time."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model says of a graph."""

    embeddings: dict[str, NDArray[np.float32]]
    """Of the node types that predictions are made from: ``[nodes, num-hidden]`` by node index."""
    values: dict[str | EdgeType, NDArray[np.float32]]
    """Of the node type, or of each edge type, that is predicted: probabilities ``[n, classes]`` (sums of 1, or one for each class
    by itself when there may be several labels) or numbers ``[n, 1]``, by node index or by row of the edges. Empty for links.
    """
    relations: dict[EdgeType, NDArray[np.float32]]
    """Of links: the vector of each edge type that is predicted, or of all that a knowledge-graph embedding has."""


def predict_graph(model: Model | KnowledgeGraphEmbedding, graph: Graph, hyperparameters: Parameters, *,
                  correction: float = 0.0) -> Predictions:
    """Apply the model to a whole graph, with all neighbours; to a large one layer by layer (``layerwise``).

    Where links are predicted, those outside the training part carry no messages: they are to be found, not known.

    Args:
        model: What to apply.
        graph: What to apply it to.
        hyperparameters: Those of the model.
        correction: The strength by which predictions are corrected (``correction``); 0: they are not.
    """
    if isinstance(model, KnowledgeGraphEmbedding):
        return _vectors_of(model, graph)
    assert isinstance(hyperparameters, Hyperparameters)  # noqa: S101 - of a model with convolutions they are
    links = isinstance(model.decoder, LinkDecoder)
    seen = training_graph(graph) if links else graph
    labels = carried_labels(graph, Members.of(graph))
    if computed_at_once(graph):
        embeddings = embed(model, whole_graph(seen, layers=hyperparameters.num_layer, labels=labels, propagates=propagates(
            graph, hyperparameters), edge_features=hyperparameters.use_edge_features))
    else:
        found = embed_by_layers(model, seen, hyperparameters, labels=labels)
        embeddings = {node_type: torch.from_numpy(vectors) for node_type, vectors in found.items()}
    values: dict[str | EdgeType, NDArray[np.float32]] = {}
    if not links:
        members = Members.of(graph)
        questioner = Questioner(graph, members)
        stretches = [np.arange(start, min(start + ROWS, members.count)) for start in range(0, members.count, ROWS)]
        together = np.concatenate([values_of(model, embeddings, questioner.of_all_nodes(some), graph.target) for some in stretches])
        values = {kind: together[members.starts[i]:members.starts[i + 1]] for i, kind in enumerate(members.kinds)}
    values = corrected(graph, values, correction)
    relations = ({edge_type: model.decoder.relation(edge_type).detach().numpy() for edge_type in predicted_edges(graph)}
                 if isinstance(model.decoder, LinkDecoder) else {})
    return Predictions(embeddings={node_type: vectors.numpy() for node_type, vectors in embeddings.items()}, values=values,
                       relations=relations)


def _vectors_of(model: KnowledgeGraphEmbedding, graph: Graph) -> Predictions:
    """The vectors themselves, of all nodes and relations."""
    triples = Triples.of(graph)
    entities, relations = (vectors.detach().numpy() for vectors in (model.entities, model.relation_vectors()))
    return Predictions(values={}, relations=dict(zip(triples.edge_types, relations, strict=True)), embeddings={
        node_type: entities[start:start + graph.node_counts[node_type]] for node_type, start in triples.starts.items()})


def embed(model: Model, batch: Batch) -> dict[str, Tensor]:
    """The embeddings of the nodes that the batch computes, without dropout."""
    training = model.training
    model.eval()
    with torch.no_grad():
        embeddings: dict[str, Tensor] = model.encoder(batch)
    model.train(training)
    return embeddings


def values_of(model: Model, embeddings: Mapping[str, Tensor], question: Question, target: Target) -> NDArray[np.float32]:
    """Probabilities of classes, or numbers, in the order of the question's members."""
    assert not isinstance(model.decoder, LinkDecoder)  # noqa: S101 - links have no labels
    training = model.training
    model.eval()
    with torch.no_grad():
        values = activated(model.scores(question.answer(model.decoder, embeddings)), target)
    model.train(training)
    found: NDArray[np.float32] = values.numpy()
    return found


def activated(scores: Tensor, target: Target) -> Tensor:
    """What scores say: probabilities of classes, or numbers as they are."""
    if not target.classes:
        return scores
    return torch.sigmoid(scores) if target.multilabel else torch.softmax(scores, dim=1)
