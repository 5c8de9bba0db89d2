"""The neighbour sampler: real neighbours, at most the fanout, all of them when there are no more, each with the same chance."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.learn.graphs import communities

from despina.graph import sampling
from despina.graph.graph import Csr, Graph
from despina.graph.sampling import Neighbourhood, NeighbourSampler, add_nodes, choose_edges, distinct_numbers

GRAPH = communities()
BOTH = pytest.mark.parametrize("compiled", [True, False], ids=["C", "NumPy"])


@contextmanager
def sampling_with(*, compiled: bool) -> Iterator[None]:
    """The loops in C or in NumPy."""
    with pytest.MonkeyPatch.context() as patch:
        if compiled:
            if sampling._sampler is None and not any(map(shutil.which, ("cc", "gcc", "clang"))):
                pytest.skip("the extension is not built: there is no C compiler here")
            assert sampling._sampler is not None, "there is a C compiler, and the extension is not built: scripts/setup"
        else:
            patch.setattr(sampling, "_sampler", None)
        yield


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


@BOTH
@settings(max_examples=25)
@given(st.lists(st.integers(0, 79), min_size=1, max_size=8, unique=True), st.lists(st.integers(1, 7), min_size=1, max_size=3),
       st.integers(0, 100))
def test_a_neighbourhood_holds_real_edges_up_to_the_fanout(compiled: bool, seeds: list[int], fanouts: list[int], seed: int) -> None:
    with sampling_with(compiled=compiled):
        sampler = NeighbourSampler(GRAPH, tuple(fanouts), seed=seed)
        for _ in range(2):  # the second call sees nothing of the first
            check(GRAPH, seeds, tuple(fanouts), sampler.sample({"user": np.array(seeds)}))


@BOTH
def test_the_same_seed_samples_the_same(compiled: bool) -> None:
    with sampling_with(compiled=compiled):
        first, second = (NeighbourSampler(GRAPH, (2, 2), seed=7).sample({"user": np.arange(10)}) for _ in range(2))
    assert {name: indices.tolist() for name, indices in first.nodes.items()} == {
        name: indices.tolist() for name, indices in second.nodes.items()}


@BOTH
@pytest.mark.parametrize("fanout", [1, 3, 6])
def test_every_set_of_neighbours_has_the_same_chance(compiled: bool, fanout: int) -> None:
    """A node with seven neighbours, many times: each of them in a share of fanout / 7, and each pair as often as any other."""
    copies, degree = 20_000, 7
    csr = Csr(indptr=np.arange(2) * degree, indices=np.arange(degree, dtype=np.int32),
              edge_ids=np.arange(degree, dtype=np.int32)[::-1].copy())
    with sampling_with(compiled=compiled):
        found = choose_edges(csr, np.zeros(copies, dtype=np.int64), fanout, np.random.default_rng(0))
    np.testing.assert_array_equal(found.edge_ids, degree - 1 - found.indices)
    drawn = np.zeros((copies, degree))
    drawn[np.repeat(np.arange(copies), fanout), found.indices] = 1
    assert (drawn.sum(axis=1) == fanout).all()
    together = drawn.T @ drawn / copies
    np.testing.assert_allclose(together.diagonal(), fanout / degree, atol=0.015)
    pairs = together[~np.eye(degree, dtype=np.bool_)]
    np.testing.assert_allclose(pairs, fanout * (fanout - 1) / (degree * (degree - 1)), atol=0.015)


@BOTH
def test_new_nodes_are_added_once_each(compiled: bool) -> None:
    positions = np.full(10, -1, dtype=np.int32)
    positions[[3, 5]] = [0, 1]
    with sampling_with(compiled=compiled):
        new = add_nodes(np.array([3, 7, 2, 7, 5, 2, 9], dtype=np.int32), positions, 2)
    assert sorted(new.tolist()) == [2, 7, 9]
    assert positions[new].tolist() == [2, 3, 4]
    assert positions[[3, 5]].tolist() == [0, 1]
    assert (positions[[0, 1, 4, 6, 8]] == -1).all()


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
