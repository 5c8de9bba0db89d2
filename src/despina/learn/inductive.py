"""A trained R-GCN applied to nodes and edges that it has never seen: it reads their features and their neighbours, and is not
trained anew.

Hamilton, Ying and Leskovec, "Inductive Representation Learning on Large Graphs", 2017. Where the model has learned a vector for
each node, new ones get the mean of their type, so that what tells them apart is their neighbours (as in ``incremental``).
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from despina.graph.graph import EdgeType, Graph
from despina.graph.overlay import ALL, Ego, Indices, Overlay, ego_graph
from despina.learn.batches import Batch, training_graph, whole_graph
from despina.learn.decoders import EdgeRows, LinkDecoder
from despina.learn.encoders import NodeEncoder
from despina.learn.hyperparameters import Hyperparameters, propagates
from despina.learn.labels import Members, carried_labels
from despina.learn.linear import FeatureRows
from despina.learn.models import Model
from despina.learn.predictor import embed
from despina.learn.questions import Question


class InductiveModel:
    """A model, ready for graphs that are larger than its own.

    Predictions are the model's own, not corrected (``new_residuals`` does that).

    Args:
        model: Of ``graph``. Its tables of node vectors get a row more.
        graph: What it was applied to.
        given: Its hyperparameters.
    """

    def __init__(self, model: Model, graph: Graph, given: Hyperparameters) -> None:
        self.model, self._given, self._full = model, given, graph
        links = isinstance(model.decoder, LinkDecoder)
        self.graph = training_graph(graph) if links else graph
        """Messages pass along its edges."""
        self._propagates = propagates(graph, given)
        self._carried = carried_labels(graph, Members.of(graph))
        self._counts = graph.node_counts
        for encoder in model.encoder.encoders:
            if isinstance(encoder, NodeEncoder) and encoder.embedding is not None:
                learned = encoder.embedding.detach()
                mean = learned.mean(dim=0, keepdim=True) if len(learned) else learned.new_zeros(1, learned.shape[1])
                encoder.embedding = nn.Parameter(torch.cat([learned, mean]))

    def encoder_of(self, node_type: str) -> nn.Module:
        """What makes the first vectors of the nodes of a type."""
        return self.model.encoder.encoders[list(self._counts).index(node_type)]

    @property
    def hops(self) -> int:
        """So far away what a node is told comes from."""
        return self._given.num_layer + (self._given.num_propagation + 1 if self._propagates else 0)

    def ego(self, overlay: Overlay, seeds: dict[str, Indices], *, fanout: int = ALL) -> Ego:
        """The neighbourhood that the embeddings of some nodes are made of."""
        return ego_graph(self.graph, overlay, seeds, hops=self.hops, fanout=fanout)

    def batch(self, ego: Ego) -> Batch:
        """What the model computes on."""
        carried = {kind: _rows(labels, ego.edge_ids[kind]) for kind, labels in self._carried.items()}
        batch = whole_graph(ego.graph, layers=self._given.num_layer, edge_features=self._given.use_edge_features,
                            propagates=self._propagates, labels=carried)
        nodes: dict[str, Tensor | None] = {
            node_type: torch.from_numpy(np.minimum(ego.origin[node_type], self._counts[node_type])) for node_type in batch.nodes}
        return replace(batch, nodes=nodes)

    def embeddings(self, ego: Ego) -> dict[str, Tensor]:
        """Of the node types that predictions are made from, a row for each node of the neighbourhood."""
        return embed(self.model, self.batch(ego))

    def scores_of_nodes(self, embeddings: Mapping[str, Tensor], count: int) -> Tensor:
        """Of the first nodes of the neighbourhood: ``[count, classes]``, or numbers ``[count, 1]`` (see ``activated``)."""
        target = self._full.target
        return self._scores(embeddings, Question(members=np.arange(count), nodes={target.node_type: torch.arange(count)}, edges={}))

    def scores_of_edge(self, embeddings: Mapping[str, Tensor], edge_type: EdgeType, ends: tuple[int, int],
                       features: FeatureRows | None) -> Tensor:
        """Of an edge between two nodes of the neighbourhood, by their rows, with these features: the same, ``[1, …]``."""
        rows = EdgeRows(sources=torch.tensor([ends[0]]), destinations=torch.tensor([ends[1]]), features=features)
        return self._scores(embeddings, Question(members=np.arange(1), nodes={}, edges={edge_type: rows}))

    def score_of_link(self, embeddings: Mapping[str, Tensor], edge_type: EdgeType, ends: tuple[int, int]) -> Tensor:
        """The score of a link between two nodes of the neighbourhood, by their rows."""
        assert isinstance(self.model.decoder, LinkDecoder)  # noqa: S101 - of links it is
        source, destination = embeddings[edge_type.source][ends[0]], embeddings[edge_type.destination][ends[1]]
        return (source * self.model.decoder.relation(edge_type) * destination).sum()

    def _scores(self, embeddings: Mapping[str, Tensor], question: Question) -> Tensor:
        assert not isinstance(self.model.decoder, LinkDecoder)  # noqa: S101 - links have no labels
        return self.model.scores(question.answer(self.model.decoder, embeddings))


def _rows(labels: NDArray[np.float32], ids: Indices) -> NDArray[np.float32]:
    """The labels of some edges; those of the overlay have none."""
    found = np.zeros((len(ids), labels.shape[1]), dtype=np.float32)
    old = ids < len(labels)
    found[old] = labels[ids[old]]
    return found
