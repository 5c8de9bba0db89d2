"""The neighbour sampler: real neighbours, at most the fanout, all of them when there are no more, each with the same chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.learn.graphs import communities

from despina.graph.graph import Graph
from despina.graph.sampling import Neighbourhood, NeighbourSampler, distinct_numbers

GRAPH = communities()


def check(graph: Graph, seeds: list[int], fanouts: tuple[int, ...], found: Neighbourhood) -> None:
    assert found.nodes["user"][:len(seeds)].tolist() == seeds
    for indices in found.nodes.values():
        assert len(set(indices.tolist())) == len(indices), "no node twice"
    assert found.layers[-1].destinations == {"user": len(seeds)}
    for fanout, layer in zip(fanouts, found.layers, strict=True):
        for edge_type, csr in graph.edges.items():
            computed = layer.destinations.get(edge_type.destination, 0)
            sampled = layer.edges.get(edge_type)
            for position, node in enumerate(found.nodes.get(edge_type.destination, [])[:computed]):
                real = list(csr.edge_ids[csr.indptr[node]:csr.indptr[node + 1]])
                if sampled is None:
                    assert not real
                    continue
                edges = range(sampled.indptr[position], sampled.indptr[position + 1])
                ids = [sampled.edge_ids[edge] for edge in edges]
                assert len(ids) == len(set(ids)) == min(fanout, len(real))
                assert set(ids) <= set(real)
                source_of = dict(zip(csr.edge_ids.tolist(), csr.indices.tolist(), strict=True))
                assert [found.nodes[edge_type.source][sampled.indices[edge]] for edge in edges] == [source_of[i] for i in ids]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 79), min_size=1, max_size=8, unique=True), st.lists(st.integers(1, 7), min_size=1, max_size=3),
       st.integers(0, 100))
def test_a_neighbourhood_holds_real_edges_up_to_the_fanout(seeds: list[int], fanouts: list[int], seed: int) -> None:
    sampler = NeighbourSampler(GRAPH, tuple(fanouts), seed=seed)
    for _ in range(2):  # the second call sees nothing of the first
        check(GRAPH, seeds, tuple(fanouts), sampler.sample({"user": np.array(seeds)}))


def test_the_same_seed_samples_the_same() -> None:
    first, second = (NeighbourSampler(GRAPH, (2, 2), seed=7).sample({"user": np.arange(10)}) for _ in range(2))
    assert {name: indices.tolist() for name, indices in first.nodes.items()} == {
        name: indices.tolist() for name, indices in second.nodes.items()}


@given(st.lists(st.integers(1, 9), max_size=6), st.integers(0, 1000))
def test_distinct_numbers_are_distinct_and_in_range(below: list[int], seed: int) -> None:
    count = min(below, default=1)
    drawn = distinct_numbers(np.array(below, dtype=np.int64), count, np.random.default_rng(seed))
    for row, limit in zip(drawn.tolist(), below, strict=True):
        assert len(set(row)) == count
        assert set(row) <= set(range(limit))


def test_every_number_has_the_same_chance() -> None:
    rows, below, count = 20_000, 7, 3
    drawn = distinct_numbers(np.full(rows, below, dtype=np.int64), count, np.random.default_rng(0))
    shares = np.bincount(drawn.ravel(), minlength=below) / rows
    # Six standard deviations: with the seed fixed this cannot fail by chance, and a biased draw would be far outside.
    assert shares == pytest.approx(np.full(below, count / below), abs=6 * np.sqrt(0.25 / rows))
