"""Mean aggregation: what it computes, and its gradient."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from despina.graph.graph import Csr
from despina.learn.adjacency import Adjacency, mean

SOURCES, DESTINATIONS = 6, 4
edge_lists = st.lists(st.tuples(st.integers(0, SOURCES - 1), st.integers(0, DESTINATIONS - 1)), min_size=1, max_size=30)


def grouped(edges: list[tuple[int, int]]) -> Csr:
    columns = np.array(edges, dtype=np.int32)
    return Csr.group(columns[:, 0].copy(), columns[:, 1].copy(), n_destination=DESTINATIONS)


@given(edge_lists)
def test_each_row_is_the_mean_of_its_sources(edges: list[tuple[int, int]]) -> None:
    adjacency = Adjacency.of(grouped(edges), n_source=SOURCES)
    x = torch.randn(SOURCES, 3, generator=torch.Generator().manual_seed(1))
    result = mean(x, adjacency)
    assert adjacency.rows.tolist() == sorted({destination for _, destination in edges})
    for row, destination in zip(result, adjacency.rows.tolist(), strict=True):
        torch.testing.assert_close(row, torch.stack([x[s] for s, d in edges if d == destination]).mean(dim=0))


@given(edge_lists)
def test_averages_of_edge_features_pair_each_edge_with_its_destination(edges: list[tuple[int, int]]) -> None:
    csr = grouped(edges)
    features = torch.arange(float(len(edges)))[:, None]
    result = mean(features[csr.edge_ids.astype(np.int64)], Adjacency.of(csr, n_source=SOURCES).of_edges())
    for row, destination in zip(result, sorted({d for _, d in edges}), strict=True):
        assert row.item() == pytest.approx(np.mean([i for i, (_, d) in enumerate(edges) if d == destination]))


@pytest.mark.parametrize("of_edges", [False, True])
def test_the_gradient_is_right(of_edges: bool) -> None:
    edges = [(0, 0), (1, 0), (1, 0), (5, 2), (3, 2), (0, 3)]
    adjacency = Adjacency.of(grouped(edges), n_source=SOURCES)
    adjacency = adjacency.of_edges() if of_edges else adjacency
    x = torch.randn(len(edges) if of_edges else SOURCES, 2, dtype=torch.float64, requires_grad=True)
    # The weights are of 32 bits (1/3 is not exact): the tolerance is theirs.
    assert torch.autograd.gradcheck(lambda values: mean(values, adjacency), (x,), atol=1e-6)


def test_the_order_of_edges_does_not_matter() -> None:
    edges = [(0, 0), (1, 0), (2, 0), (5, 2), (3, 2), (0, 3)]
    x = torch.randn(SOURCES, 3)
    results = [mean(x, Adjacency.of(grouped(order), n_source=SOURCES)) for order in (edges, edges[::-1])]
    torch.testing.assert_close(results[0], results[1])
