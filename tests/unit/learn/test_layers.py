"""The relational convolution equals its formula, written out edge by edge."""

import pytest
import torch
from tests.unit.learn.graphs import communities
from tests.unit.learn.test_linear import linear_of

from despina.graph.graph import EdgeType, Graph
from despina.learn.batches import features_of_edges, whole_graph
from despina.learn.layers import RelationalConvolution
from despina.learn.linear import FeatureShape

WIDTH = 5


def layer_for(graph: Graph, *, bases: int, self_loop: bool, edge_features: bool) -> RelationalConvolution:
    shapes = {edge_type: FeatureShape.of(features) for edge_type in graph.edges if edge_features
              if (features := features_of_edges(graph, edge_type)) is not None}
    torch.manual_seed(3)
    layer = RelationalConvolution(WIDTH, tuple(graph.edges), bases=bases, self_loop=self_loop, edge_shapes=shapes, edge_hidden=4)
    torch.nn.init.normal_(layer.bias)
    return layer


def weight_of(layer: RelationalConvolution, index: int) -> torch.Tensor:
    if layer.coefficients is None:
        return layer.matrices[index]
    terms = [layer.coefficients[index, i] * layer.matrices[i] for i in range(len(layer.matrices))]
    return torch.stack(terms).sum(dim=0)


def by_the_formula(layer: RelationalConvolution, graph: Graph, nodes: dict[str, torch.Tensor], node_type: str,
                   node: int) -> torch.Tensor:
    """One node, one edge at a time."""
    result = layer.bias.clone()
    if layer.self_loop is not None:
        result = result + nodes[node_type][node] @ layer.self_loop
    with_features = [edge_type for edge_type in graph.edges if features_of_edges(graph, edge_type) is not None]
    for index, (edge_type, csr) in enumerate(graph.edges.items()):
        start, stop = csr.indptr[node:node + 2] if edge_type.destination == node_type else (0, 0)
        for edge in range(start, stop):
            message = nodes[edge_type.source][csr.indices[edge]] @ weight_of(layer, index)
            if layer.edge_matrices is not None and edge_type in with_features:
                i = with_features.index(edge_type)
                features = features_of_edges(graph, edge_type)
                assert features is not None
                hidden = torch.relu(linear_of(layer.edge_inputs[i])(torch.from_numpy(features.to_dense()[csr.edge_ids[edge]])))
                message = message + hidden @ layer.edge_matrices[i]
            result = result + message / (stop - start)
    return result


@pytest.mark.parametrize("bases", [0, 2])
@pytest.mark.parametrize("self_loop", [False, True])
@pytest.mark.parametrize(("edge_features", "hot"), [(False, False), (True, False), (True, True)])
def test_the_layer_is_its_formula(bases: int, self_loop: bool, edge_features: bool, hot: bool) -> None:
    graph = communities(hot=hot)
    layer = layer_for(graph, bases=bases, self_loop=self_loop, edge_features=edge_features)
    block = whole_graph(graph, layers=2, edge_features=edge_features).blocks[0]
    nodes = {node_type: torch.randn(count, WIDTH) for node_type, count in graph.node_counts.items()}
    computed = layer(block, nodes)
    for node_type, count in graph.node_counts.items():
        expected = torch.stack([by_the_formula(layer, graph, nodes, node_type, node) for node in range(count)])
        torch.testing.assert_close(computed[node_type], expected)


def test_every_weight_learns() -> None:
    graph = communities(hot=True)
    layer = layer_for(graph, bases=2, self_loop=True, edge_features=True)
    block = whole_graph(graph, layers=2, edge_features=True).blocks[0]
    nodes = {node_type: torch.randn(count, WIDTH) for node_type, count in graph.node_counts.items()}
    loss = torch.stack([vectors.square().sum() for vectors in layer(block, nodes).values()]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    for name, weight in layer.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_the_last_layer_computes_the_target_type_only() -> None:
    first, last = whole_graph(communities(), layers=2, edge_features=False).blocks
    assert set(first.destinations) == {"user", "item"}
    assert set(last.destinations) == {"user"}
    assert EdgeType("user", "likes", "item") in first.adjacencies
    assert EdgeType("user", "likes", "item") not in last.adjacencies
