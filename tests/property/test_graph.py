"""What holds of every graph: CSR keeps the edges, reverse types reverse them, a saved graph comes back, splits divide."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from despina.core.task import Task
from despina.graph.features.hot import Ones
from despina.graph.graph import Csr, EdgeType, Features, Graph, Labelled, Target, both_directions
from despina.graph.ids import Ids
from despina.graph.splits import random_split

LIKES = EdgeType("user / a", "likes", "film")
COUNTS = {"user / a": 7, "film": 5}
pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=60)


def arrays(edges: list[tuple[int, int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    columns = np.array(edges, dtype=np.int32).reshape(-1, 2)
    return columns[:, 0].copy(), columns[:, 1].copy()


def walk(csr: Csr) -> list[tuple[int, int, int]]:
    """(edge id, source, destination) of every edge."""
    return [(int(csr.edge_ids[i]), int(csr.indices[i]), node)
            for node in range(len(csr.indptr) - 1) for i in range(csr.indptr[node], csr.indptr[node + 1])]


@given(pairs)
def test_csr_keeps_every_edge_in_order_and_the_reverse_type_reverses_it(edges: list[tuple[int, int]]) -> None:
    both = both_directions(LIKES, *arrays(edges), COUNTS)
    assert set(both) == {LIKES, EdgeType("film", "rev-likes", "user / a")}
    assert sorted(walk(both[LIKES])) == [(i, source, destination) for i, (source, destination) in enumerate(edges)]
    assert sorted(walk(both[LIKES.reverse])) == [(i, destination, source) for i, (source, destination) in enumerate(edges)]
    for csr in both.values():
        ids = [(node, edge_id) for edge_id, _, node in walk(csr)]
        assert ids == sorted(ids), "the edges of one destination keep their order"
        assert [array.dtype.name for array in (csr.indptr, csr.indices, csr.edge_ids)] == ["int64", "int32", "int32"]


@given(pairs, st.booleans(), st.lists(st.text(max_size=5), min_size=7, max_size=7))
@settings(max_examples=40)
def test_a_saved_graph_comes_back(edges: list[tuple[int, int]], multilabel: bool, texts: list[str]) -> None:
    generator = np.random.default_rng(len(edges))
    mask = np.arange(7) % 3
    hot = Ones(rows=generator.integers(0, 5, 9), columns=generator.integers(0, 9, 9)).to_hot(rows=5, width=9)
    graph = Graph(
        node_ids={"user / a": Ids.of(texts), "film": Ids.of("abcde")},
        features={"film": Features(columns={"length": (0, 1), "genre": (1, 3), "words": (3, 12)},
                                   dense=generator.random((5, 3), dtype=np.float32), hot=hot)},
        edges=both_directions(LIKES, *arrays(edges), COUNTS),
        edge_features={LIKES: Features(columns={"stars": (0, 2)}, dense=generator.random((len(edges), 2), dtype=np.float32))},
        raw_features={"user / a": {"note": texts}},
        removed={"film": np.array([1, 4], dtype=np.int32)},
        target=Target(property_name="group", task=Task.NODE_CLASS, classes=("x", "y"), multilabel=multilabel, by_type={
            "user / a": Labelled(labels=np.zeros((7, 2), dtype=np.float32) if multilabel else np.arange(7) % 2 - 1,
                                 train=mask == 0, valid=mask == 1, test=mask == 2)}))
    with tempfile.TemporaryDirectory() as folder:
        graph.save(Path(folder) / "graph")
        again = Graph.load(Path(folder) / "graph")
        assert (again.node_counts, again.node_ids, again.raw_features) == (graph.node_counts, graph.node_ids, graph.raw_features)
        assert again.index_by_id("film") == {"a": 0, "c": 2, "d": 3}
        assert list(again.edges) == list(graph.edges)
        for edge_type, csr in graph.edges.items():
            assert Counter(walk(again.edges[edge_type])) == Counter(walk(csr))
            assert again.edges[edge_type].indices.dtype == np.int32
        for ours, theirs in ((graph.features["film"], again.features["film"]),
                             (graph.edge_features[LIKES], again.edge_features[LIKES])):
            assert ours.columns == theirs.columns
            assert np.array_equal(ours.to_dense(), theirs.to_dense())
        assert (again.target.node_type, again.target.classes, again.target.multilabel) == ("user / a", ("x", "y"), multilabel)
        for name in ("labels", "train", "valid", "test"):
            mine, its = getattr(graph.target.nodes, name), getattr(again.target.nodes, name)
            assert mine.dtype == its.dtype
            assert np.array_equal(mine, its)
        again.features["film"].dense[:] = -1
        untouched = Graph.load(Path(folder) / "graph").features["film"]
        assert np.array_equal(untouched.dense, graph.features["film"].dense)


@given(st.lists(st.booleans(), min_size=1, max_size=200).filter(any), st.integers(1, 10), st.integers(0, 10), st.integers(0, 10),
       st.integers(0, 3))
def test_a_split_divides_the_labelled_nodes(labelled: list[bool], train: int, valid: int, test: int, seed: int) -> None:
    total = train + valid + test
    rates = (train / total, valid / total, test / total)
    strata = np.where(labelled, np.random.default_rng(seed).integers(0, 3, len(labelled)), -1)
    split = random_split(strata, rates, seed=seed)
    assert np.array_equal(split.train.astype(int) + split.valid + split.test, np.array(labelled).astype(int))
    assert split.train.any()
    tolerance = 1 if round(rates[0] * sum(labelled)) else 2  # the training part takes a node it has no share for
    for mask, rate in zip((split.train, split.valid, split.test), rates, strict=True):
        assert abs(int(mask.sum()) - rate * sum(labelled)) <= tolerance
        assert rate > 0 or not mask.any()


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_every_class_is_divided_alike(sizes: list[int], seed: int) -> None:
    strata = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rates = (0.6, 0.2, 0.2)
    split = random_split(strata, rates, seed=seed)
    for stratum, size in enumerate(sizes):
        for mask, rate in zip((split.train, split.valid, split.test), rates, strict=True):
            # What small classes get beyond their share of the training part the others lack: a node for each class at most.
            assert abs(int(mask[strata == stratum].sum()) - rate * size) <= 1 + len(sizes)
        room = split.train.sum() >= len(sizes)
        assert split.train[strata == stratum].any() or not room, "every class is learnt from"
