"""From the embeddings of nodes to scores: of the nodes themselves, of edges that have labels, and of links that may be."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from despina.graph.graph import EdgeType
from despina.learn.linear import FeatureRows, FeatureShape, MixedLinear


@dataclass(frozen=True, kw_only=True)
class EdgeRows:
    """Some edges of one type."""

    sources: Tensor
    """int64 ``[n]``: rows of the source type's embeddings."""
    destinations: Tensor
    """int64 ``[n]``: rows of the destination type's embeddings."""
    features: FeatureRows | None
    """Those of the edges; None for a type without any."""


class NodeDecoder(nn.Linear):
    """Scores of nodes: a linear layer.

    Shapes:
        Embeddings ``[n, width]`` → ``[n, outputs]``.
    """


class EdgeDecoder(nn.Module):
    r"""Scores of the edges of one type, from both ends and the features of the edge.

    .. math:: y_{uv} = w [h_u, h_v] + W_2 \mathrm{ReLU}(W_1 [h_u, h_v, h_u \odot h_v] + P x_{uv} + b_1) + b_2

    The linear part alone is the model of a level for each end, which is hard to beat on ratings (Koren, Bell and Volinsky, "Matrix
    Factorization Techniques for Recommender Systems", 2009, section on biases); the rest is what the ends have with each other.

    Args:
        width: Of the embeddings.
        features: The shape of the features of these edges; None without any.
        outputs: Scores an edge.
    """

    def __init__(self, width: int, features: FeatureShape | None, outputs: int) -> None:
        super().__init__()
        self.levels = nn.Linear(2 * width, outputs)
        self.ends = nn.Linear(3 * width, width)
        self.features = MixedLinear(features.dense, features.hot, width) if features else None
        self.out = nn.Linear(width, outputs)

    def forward(self, sources: Tensor, destinations: Tensor, features: FeatureRows | None) -> Tensor:
        """The scores ``[n, outputs]`` of edges between these embeddings, ``[n, width]`` each."""
        ends = torch.cat([sources, destinations], dim=1)
        hidden = self.ends(torch.cat([ends, sources * destinations], dim=1))
        if self.features is not None and features is not None:
            hidden = hidden + self.features(features.dense, features.hot)
        scores: Tensor = self.levels(ends) + self.out(torch.relu(hidden))
        return scores


class EdgeDecoders(nn.Module):
    """Scores of the edges of several types.

    Args:
        width: Of the embeddings.
        shapes: Edge type → the shape of its features, or None.
        outputs: Scores an edge.
    """

    def __init__(self, width: int, shapes: Mapping[EdgeType, FeatureShape | None], outputs: int) -> None:
        super().__init__()
        self._index = {edge_type: i for i, edge_type in enumerate(shapes)}
        self.decoders = nn.ModuleList(EdgeDecoder(width, features, outputs) for features in shapes.values())

    def forward(self, nodes: Mapping[str, Tensor], edges: Mapping[EdgeType, EdgeRows]) -> Tensor:
        """The scores of the edges, type by type in the order in which they are given."""
        return torch.cat([
            self.decoders[self._index[edge_type]](nodes[edge_type.source][rows.sources],
                                                  nodes[edge_type.destination][rows.destinations], rows.features)
            for edge_type, rows in edges.items()])


class LinkDecoder(nn.Module):
    r"""Scores of links: :math:`s(u, r, v) = \sum_i h_{ui} w_{ri} h_{vi}`.

    Yang et al., "Embedding Entities and Relations for Learning and Inference in Knowledge Bases" (DistMult), 2015; on the
    embeddings of an R-GCN: Schlichtkrull et al., "Modeling Relational Data with Graph Convolutional Networks", 2018, section 4.

    Args:
        width: Of the embeddings.
        edge_types: Those that are predicted.
    """

    def __init__(self, width: int, edge_types: tuple[EdgeType, ...]) -> None:
        super().__init__()
        self._index = {edge_type: i for i, edge_type in enumerate(edge_types)}
        self.relations = nn.Parameter(torch.empty(len(edge_types), width))
        nn.init.xavier_uniform_(self.relations, gain=nn.init.calculate_gain("relu"))

    def relation(self, edge_type: EdgeType) -> Tensor:
        """The vector ``[width]`` of a relation: its product with one end, times the other, is the score."""
        return self.relations[self._index[edge_type]]
