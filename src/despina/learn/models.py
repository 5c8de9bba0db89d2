"""The models that convolutions are part of: an R-GCN that makes embeddings of nodes, and a decoder that makes scores of them."""

import torch
from torch import Tensor, nn

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph
from despina.learn.adam import Adam
from despina.learn.batches import Batch, Block, features_of_edges, features_of_nodes
from despina.learn.decoders import EdgeDecoders, LinkDecoder, NodeDecoder
from despina.learn.dropout import dropout
from despina.learn.encoders import NodeEncoder
from despina.learn.hyperparameters import Hyperparameters
from despina.learn.layers import RelationalConvolution
from despina.learn.linear import FeatureShape


class GraphShape(Frozen, frozen=True, kw_only=True):
    """What a model has to know of a graph before it sees any number of it."""

    task: Task
    node_counts: dict[str, int]
    features: dict[str, FeatureShape]
    """Of the node types that have features."""
    edge_types: tuple[EdgeType, ...]
    edge_features: tuple[FeatureShape | None, ...]
    """Of the edges, type by type; None for a type without features."""
    kinds: tuple[str | EdgeType, ...]
    """The node type or the edge types that are predicted."""
    property_name: str
    classes: tuple[str, ...]
    multilabel: bool

    @classmethod
    def of(cls, graph: Graph) -> "GraphShape":
        """The shape of a graph."""
        nodes = {node_type: found for node_type in graph.node_ids if (found := features_of_nodes(graph, node_type))}
        edges = [features_of_edges(graph, edge_type) for edge_type in graph.edges]
        target = graph.target
        return cls(node_counts=graph.node_counts, edge_types=tuple(graph.edges), task=target.task, kinds=tuple(target.by_type),
                   features={node_type: FeatureShape.of(features) for node_type, features in nodes.items()},
                   edge_features=tuple(None if features is None else FeatureShape.of(features) for features in edges),
                   property_name=target.property_name, classes=target.classes, multilabel=target.multilabel)

    def check(self, graph: Graph) -> None:
        """Raise WorkFailed when a model of this shape cannot read the graph."""
        other = GraphShape.of(graph)
        for name in self.__struct_fields__:
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its:
                raise WorkFailed(f"the model was trained for another graph: its {name} is {mine}, that of the processed data {its}")

    @property
    def outputs(self) -> int:
        """Scores of a node or edge that has labels."""
        return len(self.classes) or 1

    def carried_by(self, edge_type: EdgeType, *, features: bool) -> FeatureShape | None:
        """The shape of what messages carry along edges of a type: their features, and their labels if they have any."""
        own = self.features_of(edge_type) if features else None
        labels = 0 if self.task is Task.LINK_PREDICT or not {edge_type, edge_type.forward} & set(self.kinds) else self.outputs + 1
        if not labels:
            return own
        return FeatureShape(columns={}, dense=labels + (own.dense if own else 0), hot=own.hot if own else 0)

    def features_of(self, edge_type: EdgeType) -> FeatureShape | None:
        """The shape of the features of an edge type."""
        return self.edge_features[self.edge_types.index(edge_type)]


class Rgcn(nn.Module):
    """Node encoders and relational convolutions.

    Each convolution is followed by layer normalisation (``layer-norm``), ReLU and dropout. What comes out of the last one are the
    embeddings of the nodes.

    Shapes:
        Batch → node type → embeddings ``[n, num-hidden]`` of the nodes that the batch's last block computes.
    """

    def __init__(self, shape: GraphShape, hyperparameters: Hyperparameters) -> None:
        super().__init__()
        width, given = hyperparameters.num_hidden, hyperparameters
        self._dropout, self._steps = given.dropout, given.num_propagation
        self._encoder_index = {node_type: i for i, node_type in enumerate(shape.node_counts)}
        self.encoders = nn.ModuleList(
            NodeEncoder(count, shape.features.get(node_type), width, embed=given.concat_node_embed,
                        by_feature=given.per_feat_name_embed, mean=given.num_layer == 0)
            for node_type, count in shape.node_counts.items())
        edge_shapes = {edge_type: carried for edge_type in shape.edge_types
                       if (carried := shape.carried_by(edge_type, features=given.use_edge_features))}
        self.convolutions = nn.ModuleList(
            RelationalConvolution(width, shape.edge_types, bases=given.num_bases, self_loop=given.use_self_loop,
                                  edge_shapes=edge_shapes, edge_hidden=given.edge_num_hidden)
            for _ in range(given.num_layer))
        self.norms = nn.ModuleList(nn.LayerNorm(width) if given.layer_norm else nn.Identity() for _ in range(given.num_layer))

    def learnable(self) -> list[nn.Parameter]:
        """The learnable node embeddings, which have a learning rate of their own."""
        encoders = [encoder for encoder in self.encoders if isinstance(encoder, NodeEncoder)]
        return [encoder.embedding for encoder in encoders if encoder.embedding is not None]

    def encode(self, batch: Batch) -> dict[str, Tensor]:
        """The input vectors of the batch's nodes: what the first convolution reads."""
        return {node_type: self._drop(self.encoders[self._encoder_index[node_type]](indices, batch.features.get(node_type)))
                for node_type, indices in batch.nodes.items()}

    def convolve(self, layer: int, block: Block, nodes: dict[str, Tensor]) -> dict[str, Tensor]:
        """The vectors of the nodes that a layer (from 0) computes, from those that it reads."""
        computed = self.convolutions[layer](block, nodes)
        return {node_type: self._drop(torch.relu(self.norms[layer](vectors))) for node_type, vectors in computed.items()}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The embeddings."""
        nodes = self.encode(batch)
        for layer, block in enumerate(batch.blocks):
            nodes = self.convolve(layer, block, nodes)
        if not batch.blocks:
            nodes = {node_type: torch.relu(vectors) for node_type, vectors in nodes.items()}
        if batch.neighbours is not None:
            nodes = {node_type: batch.neighbours.propagate(vectors, self._steps) for node_type, vectors in nodes.items()}
        return nodes

    def _drop(self, vectors: Tensor) -> Tensor:
        return dropout(vectors, self._dropout, training=self.training)


class Model(nn.Module):
    """An R-GCN with the decoder of its task.

    Numbers are predicted in units of their deviation around their mean, which are part of the model (``scale``, ``shift``).
    """

    def __init__(self, shape: GraphShape, hyperparameters: Hyperparameters) -> None:
        super().__init__()
        width = hyperparameters.num_hidden
        self.encoder = Rgcn(shape, hyperparameters)
        edges = tuple(kind for kind in shape.kinds if isinstance(kind, EdgeType))
        self.decoder: NodeDecoder | EdgeDecoders | LinkDecoder
        if shape.task is Task.LINK_PREDICT:
            self.decoder = LinkDecoder(width, edges)
        elif edges:
            self.decoder = EdgeDecoders(width, {edge_type: shape.features_of(edge_type) for edge_type in edges}, shape.outputs)
        else:
            self.decoder = NodeDecoder(width, shape.outputs)
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("shift", torch.zeros(()))

    def scores(self, decoded: Tensor) -> Tensor:
        """What the decoder said, in units of the labels: of classes as it is."""
        return decoded * self.scale + self.shift


def optimisers(model: Model, given: Hyperparameters) -> list[Adam]:
    """One for the learnable node embeddings, one for all else."""
    learnable = model.encoder.learnable()
    own = {id(embedding) for embedding in learnable}
    others = [parameter for parameter in model.parameters() if id(parameter) not in own]
    return [Adam(others, lr=given.lr, weight_decay=given.l2norm),
            Adam(learnable, lr=given.sparse_lr or given.lr, weight_decay=given.l2norm)]
