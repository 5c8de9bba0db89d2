"""GraphSAGE with mean aggregation over all edges of one node type, both directions (Hamilton et al. 2017)."""

import torch
from torch import nn

from despina.learn.tensors import TensorGraph


class GraphSage(nn.Module):
    """Two layers ``h' = W [h, mean of the neighbours' h]``; the features of nodes beside a vector of their own go in."""

    def __init__(self, nodes, columns, hidden, classes):
        super().__init__()
        self.own = nn.Parameter(torch.randn(nodes, hidden))
        self.layers = nn.ModuleList([nn.Linear(2 * (columns + hidden), hidden), nn.Linear(2 * hidden, hidden)])
        self.out = nn.Linear(hidden, classes)

    def embed(self, features, neighbours):
        hidden = torch.cat([features, self.own], dim=1)
        for layer in self.layers:
            hidden = torch.relu(layer(torch.cat([hidden, neighbours @ hidden], dim=1)))
        return hidden

    def forward(self, features, neighbours):
        return self.out(self.embed(features, neighbours))


def inputs(graph: TensorGraph, node_type: str):
    """The features of the nodes, and the matrix whose product with vectors is the mean of each node's neighbours."""
    count = len(graph.node_ids[node_type])
    features = graph.features.get(node_type, torch.zeros(count, 0))
    own = [ends for (source, _, destination), ends in graph.edges.items() if source == destination == node_type]
    ends = torch.cat([torch.zeros(2, 0, dtype=torch.int64), *own, *(part.flip(0) for part in own)], dim=1)
    degrees = torch.bincount(ends[1], minlength=count).clamp(min=1)
    return features, torch.sparse_coo_tensor(ends.flip(0), 1 / degrees[ends[1]], (count, count), check_invariants=True).coalesce()
