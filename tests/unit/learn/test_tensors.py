"""The processed graph as plain tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.learn.graphs import KNOWS, LIKES, communities, fan_clubs, ratings

from despina.core.errors import WorkFailed
from despina.core.task import Task
from despina.graph.graph import Graph
from despina.learn.tensors import TensorGraph, load


def loaded(graph: Graph, folder: Path) -> TensorGraph:
    graph.save(folder / "graph")
    return load(folder)


@pytest.mark.parametrize("hot", [False, True])
def test_everything_of_the_graph_is_there(tmp_path: Path, hot: bool) -> None:
    graph = communities(hot=hot)
    found = loaded(graph, tmp_path)
    assert found.node_ids == {kind: list(ids) for kind, ids in graph.node_ids.items()}
    assert list(found.edges) == [LIKES, KNOWS], "reverse types are left out"
    for edge_type, ends in found.edges.items():
        np.testing.assert_array_equal(ends.numpy(), graph.edges[edge_type].ends())
        assert ends.dtype is torch.int64
    np.testing.assert_array_equal(found.features["user"].numpy(), graph.features["user"].to_dense())
    np.testing.assert_array_equal(found.edge_features[LIKES].numpy(), graph.edge_features[LIKES].to_dense())
    start, stop = found.columns["user"]["age"]
    assert found.features["user"][:, start:stop].shape == (80, 1)
    assert (found.task, found.property_name, found.classes) == ("node_class", "side", ("left", "right"))
    np.testing.assert_array_equal(found.labels["user"].numpy(), graph.target.nodes.labels)
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(found, part)["user"].numpy(), getattr(graph.target.nodes, part))


def test_edges_are_found_by_a_plain_tuple(tmp_path: Path) -> None:
    assert loaded(communities(), tmp_path).edges["user", "likes", "item"].shape[0] == 2  # type: ignore[index]


def test_labels_of_edges_are_by_edge_and_links_have_none(tmp_path: Path) -> None:
    rated = loaded(ratings(Task.EDGE_REGRESSION), tmp_path / "rated")
    for kind, labels in rated.labels.items():
        assert len(labels) == rated.edges[kind].shape[1]  # type: ignore[index]
    links = loaded(fan_clubs(), tmp_path / "links")
    assert links.labels == {}
    assert links.train


def test_a_folder_without_a_graph_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match=r"graph/graph\.json is missing"):
        load(tmp_path)
