"""What a model computes on: the whole graph, or the sampled neighbourhood of a few nodes, in one form."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import REVERSE, Csr, EdgeType, Features, Graph
from despina.graph.sampling import Neighbourhood
from despina.learn.adjacency import Adjacency
from despina.learn.linear import FeatureRows, FeatureShape
from despina.learn.messages import Messages
from despina.learn.neighbours import Neighbours

EdgeLabels = Mapping[EdgeType, NDArray[np.float32]]
"""Forward edge type → the labels ``[edges, d]`` that messages carry along its edges, zeros where there are none."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """What one layer computes on. The nodes it computes are the first ones of those it reads, type by type."""

    reads: tuple[str, ...]
    """The node types that the layer reads."""
    destinations: dict[str, int]
    """Node type → how many nodes the layer computes."""
    adjacencies: dict[EdgeType, Adjacency]
    """Edge types without edges are left out."""
    messages: Messages
    """The same edges, all types together."""
    edge_features: dict[EdgeType, FeatureRows]
    """Rows in the order of the adjacency's edges. Edge types without features are left out."""

    @classmethod
    def of(cls, adjacencies: dict[EdgeType, Adjacency], edge_features: dict[EdgeType, FeatureRows], *, reads: dict[str, int],
           computes: dict[str, int]) -> "Block":
        """A block that reads so many nodes of each type and computes so many."""
        return cls(reads=tuple(reads), destinations=computes, adjacencies=adjacencies, edge_features=edge_features,
                   messages=Messages.of(adjacencies, reads=reads, computes=computes))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The input of a model."""

    nodes: dict[str, Tensor | None]
    """Node type → the node indices read, int64; None for all of them."""
    features: dict[str, FeatureRows]
    """The features of these nodes. Node types without features are left out."""
    blocks: tuple[Block, ...]
    """One a layer, first layer first."""
    neighbours: Neighbours | None = None
    """Of the target nodes, all of which are computed then: their embeddings are propagated in the end."""


def features_of_nodes(graph: Graph, node_type: str) -> Features | None:
    """The features of the nodes, rows by node index. None without any."""
    return _or_none(graph.features.get(node_type))


def features_of_edges(graph: Graph, edge_type: EdgeType) -> Features | None:
    """The features of the edges, rows by ``Csr.edge_ids``; a reverse type has those of its forward type. None without any."""
    if edge_type in graph.edge_features:
        return _or_none(graph.edge_features[edge_type])
    forward = EdgeType(edge_type.destination, edge_type.relation.removeprefix(REVERSE), edge_type.source)
    return _or_none(graph.edge_features.get(forward)) if edge_type.relation.startswith(REVERSE) else None


def _or_none(features: Features | None) -> Features | None:
    return features if features and FeatureShape.of(features).width else None


def predicted_from(graph: Graph) -> set[str]:
    """The node types that predictions are made from: the target type, or both ends of the target edge types."""
    return {node_type for kind in graph.target.by_type
            for node_type in ((kind.source, kind.destination) if isinstance(kind, EdgeType) else (kind,))}


def predicted_edges(graph: Graph) -> list[EdgeType]:
    """The edge types that are predicted."""
    return [kind for kind in graph.target.by_type if isinstance(kind, EdgeType)]


def training_graph(graph: Graph) -> Graph:
    """The graph without the edges that are not in the training part."""
    return without(graph, {kind: np.flatnonzero(~graph.target.by_type[kind].train) for kind in predicted_edges(graph)})


def without(graph: Graph, rows: dict[EdgeType, NDArray[np.int64]]) -> Graph:
    """The graph without some edges, by edge id, in both directions."""
    edges: dict[EdgeType, Csr] = dict(graph.edges)
    for edge_type, gone in rows.items():
        kept = np.ones(len(graph.target.by_type[edge_type].train), dtype=np.bool_)
        kept[gone] = False
        for direction in (edge_type, edge_type.reverse):
            edges[direction] = graph.edges[direction].only(kept[graph.edges[direction].edge_ids])
    return replace(graph, edges=edges)


def whole_graph(graph: Graph, *, layers: int, edge_features: bool, propagates: bool = False,
                labels: EdgeLabels | None = None) -> Batch:
    """Everything that ``layers`` layers need to compute all nodes that predictions are made from, and to propagate them."""
    adjacencies: dict[EdgeType, Adjacency] = {}
    attributes: dict[EdgeType, FeatureRows] = {}
    needed = predicted_from(graph)
    blocks: list[Block] = []
    for _ in range(layers):
        used = [edge_type for edge_type, csr in graph.edges.items() if edge_type.destination in needed and len(csr.indices)]
        for edge_type in used:
            if edge_type not in adjacencies:
                csr = graph.edges[edge_type]
                adjacencies[edge_type] = Adjacency.of(csr, n_source=graph.node_counts[edge_type.source])
                attributes |= _attributes(graph, edge_type, csr, labels or {}, edge_features=edge_features, few=False)
        computes = {node_type: graph.node_counts[node_type] for node_type in sorted(needed)}
        needed |= {edge_type.source for edge_type in used}
        blocks.insert(0, Block.of(
            {edge_type: adjacencies[edge_type] for edge_type in used}, computes=computes,
            edge_features={edge_type: attributes[edge_type] for edge_type in used if edge_type in attributes},
            reads={node_type: graph.node_counts[node_type] for node_type in sorted(needed)}))
    features = {node_type: FeatureRows.of(features, few=False) for node_type in sorted(needed)
                if (features := features_of_nodes(graph, node_type))}
    return Batch(nodes=dict.fromkeys(sorted(needed)), features=features, blocks=tuple(blocks),
                 neighbours=Neighbours(graph, own=True) if propagates else None)


def relabelled(batch: Batch, graph: Graph, labels: EdgeLabels, *, edge_features: bool) -> Batch:
    """The same whole graph, whose edges carry other labels."""
    carried: dict[EdgeType, FeatureRows] = {}
    for edge_type in labels:
        for direction in (edge_type, edge_type.reverse):
            carried |= _attributes(graph, direction, graph.edges[direction], labels, edge_features=edge_features, few=False)
    return replace(batch, blocks=tuple(replace(block, edge_features=block.edge_features | {
        edge_type: rows for edge_type, rows in carried.items() if edge_type in block.adjacencies}) for block in batch.blocks))


def sampled(graph: Graph, neighbourhood: Neighbourhood, *, edge_features: bool, labels: EdgeLabels | None = None,
            node_features: bool = True) -> Batch:
    """A sampled neighbourhood; the model computes its seeds. Without ``node_features`` their vectors come from elsewhere."""
    reads = {node_type: len(indices) for node_type, indices in neighbourhood.nodes.items()}
    blocks = []
    for layer in neighbourhood.layers:
        attributes: dict[EdgeType, FeatureRows] = {}
        for edge_type, csr in layer.edges.items():
            attributes |= _attributes(graph, edge_type, csr, labels or {}, edge_features=edge_features, few=True)
        adjacencies = {edge_type: Adjacency.of(csr, n_source=reads[edge_type.source]) for edge_type, csr in layer.edges.items()}
        blocks.append(Block.of(adjacencies, attributes, reads=reads, computes=layer.destinations))
        reads = layer.destinations
    features = {node_type: FeatureRows.of(features, indices, few=True) for node_type, indices in neighbourhood.nodes.items()
                if node_features and (features := features_of_nodes(graph, node_type))}
    return Batch(nodes={node_type: torch.from_numpy(indices) for node_type, indices in neighbourhood.nodes.items()},
                 features=features, blocks=tuple(blocks))


def _attributes(graph: Graph, edge_type: EdgeType, csr: Csr, labels: EdgeLabels, *, edge_features: bool,
                few: bool) -> dict[EdgeType, FeatureRows]:
    """What edges carry: their features, and the labels of those that are predicted."""
    features = features_of_edges(graph, edge_type) if edge_features else None
    rows = None if features is None else FeatureRows.of(features, csr.edge_ids, few=few)
    carried = labels.get(edge_type, labels.get(edge_type.forward))
    if carried is not None:
        columns = torch.from_numpy(carried[csr.edge_ids])
        rows = (FeatureRows(dense=columns, hot=None) if rows is None
                else FeatureRows(dense=torch.cat([rows.dense, columns], dim=1), hot=rows.hot))
    return {} if rows is None else {edge_type: rows}
