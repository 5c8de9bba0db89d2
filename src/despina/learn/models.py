"""The model that classifies nodes: node encoders, relational convolutions, and a linear layer on top."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.graph.graph import EdgeType, Graph
from despina.learn.batches import Batch, features_of_edges
from despina.learn.encoders import NodeEncoder
from despina.learn.hyperparameters import Hyperparameters
from despina.learn.layers import RelationalConvolution


class GraphShape(Frozen, frozen=True, kw_only=True):
    """What a model has to know of a graph before it sees any number of it."""

    node_counts: dict[str, int]
    feature_columns: dict[str, dict[str, tuple[int, int]]]
    """Of the node types that have features."""
    edge_types: tuple[EdgeType, ...]
    edge_widths: tuple[int, ...]
    """Features of the edges, type by type; 0 for none."""
    node_type: str
    """The type whose nodes are classified."""
    property: str
    classes: tuple[str, ...]
    multilabel: bool

    @classmethod
    def of(cls, graph: Graph) -> "GraphShape":
        """The shape of a graph."""
        found = [features_of_edges(graph, edge_type) for edge_type in graph.edges]
        columns = {node_type: graph.feature_columns[node_type] for node_type in graph.features}
        return cls(node_counts=dict(graph.node_counts), feature_columns=columns, edge_types=tuple(graph.edges),
                   edge_widths=tuple(0 if features is None else features.shape[1] for features in found),
                   node_type=graph.target.node_type, property=graph.target.property, classes=graph.target.classes,
                   multilabel=graph.target.multilabel)

    def check(self, graph: Graph) -> None:
        """Raise WorkFailed when a model of this shape cannot read the graph."""
        other = GraphShape.of(graph)
        for name in self.__struct_fields__:
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its:
                raise WorkFailed(f"the model was trained for another graph: its {name} is {mine}, that of the processed data {its}")


class NodeClassifier(nn.Module):
    """An R-GCN with a linear layer on top.

    Each convolution is followed by layer normalisation (``layer-norm``), ReLU and dropout. What comes out of the last one is the
    node's embedding; the linear layer makes scores of it.

    Shapes:
        Batch → embeddings ``[n, num-hidden]`` and scores (logits) ``[n, classes]``, n nodes of the target type.
    """

    def __init__(self, shape: GraphShape, hyperparameters: Hyperparameters) -> None:
        super().__init__()
        width, given = hyperparameters.num_hidden, hyperparameters
        self._dropout = given.dropout
        self._node_type = shape.node_type
        self._encoder_index = {node_type: i for i, node_type in enumerate(shape.node_counts)}
        self.encoders = nn.ModuleList(
            NodeEncoder(count, shape.feature_columns.get(node_type, {}), width, embed=given.concat_node_embed,
                        by_feature=given.per_feat_name_embed)
            for node_type, count in shape.node_counts.items())
        widths = dict(zip(shape.edge_types, shape.edge_widths, strict=True)) if given.use_edge_features else {}
        self.convolutions = nn.ModuleList(
            RelationalConvolution(width, shape.edge_types, bases=given.num_bases, self_loop=given.use_self_loop,
                                  edge_widths={edge_type: width for edge_type, width in widths.items() if width},
                                  edge_hidden=given.edge_num_hidden)
            for _ in range(given.num_layer))
        self.norms = nn.ModuleList(nn.LayerNorm(width) if given.layer_norm else nn.Identity() for _ in range(given.num_layer))
        self.classify = nn.Linear(width, len(shape.classes))

    def embeddings(self) -> list[nn.Parameter]:
        """The learnable node embeddings, which have a learning rate of their own."""
        encoders = [encoder for encoder in self.encoders if isinstance(encoder, NodeEncoder)]
        return [encoder.embedding for encoder in encoders if encoder.embedding is not None]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings and scores of the nodes that the batch's last block computes."""
        nodes: dict[str, Tensor] = {}
        for node_type, indices in batch.nodes.items():
            encoder = self.encoders[self._encoder_index[node_type]]
            nodes[node_type] = self._drop(encoder(indices, batch.features.get(node_type)))
        for block, convolution, norm in zip(batch.blocks, self.convolutions, self.norms, strict=True):
            computed = convolution(block, nodes)
            nodes = {node_type: self._drop(torch.relu(norm(vectors))) for node_type, vectors in computed.items()}
        embeddings = nodes[self._node_type]
        return embeddings, self.classify(embeddings)

    def _drop(self, vectors: Tensor) -> Tensor:
        return F.dropout(vectors, self._dropout, self.training)
