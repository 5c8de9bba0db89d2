"""What transform scripts of a user's own write for tools."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.learn.graphs import communities, fan_clubs, ratings

from despina.core.task import Task
from despina.graph.graph import EdgeType
from despina.programs.saving import save_artifacts


def test_predictions_of_nodes(tmp_path: Path) -> None:
    graph = communities()
    graph.save(tmp_path / "graph")
    (tmp_path / "out").mkdir()
    save_artifacts(tmp_path / "out", tmp_path, embeddings={"user": torch.ones(80, 4, requires_grad=True)},
                   predictions={"user": torch.full((80, 2), 0.5)})
    mapping = pickle.loads((tmp_path / "out" / "mapping.info").read_bytes())
    assert (mapping["model_type"], mapping["target_ntype"]) == ("custom", "user")
    assert mapping["label_map"]["user"] == {0: "left", 1: "right"}
    assert np.load(tmp_path / "out" / "embeddings" / "entity.npy").shape == (80, 4)
    assert np.load(tmp_path / "out" / "predictions" / "result.npz")["infer_scores"].shape == (80, 2)


def test_predictions_have_a_column_for_each_class(tmp_path: Path) -> None:
    communities().save(tmp_path / "graph")
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="the predictions of user have 3 columns; they must have 2, one for each class"):
        save_artifacts(tmp_path / "out", tmp_path, embeddings={"user": torch.ones(80, 4)}, predictions={"user": torch.ones(80, 3)})


def test_predictions_of_edges_by_a_plain_tuple(tmp_path: Path) -> None:
    graph = ratings(Task.EDGE_REGRESSION)
    graph.save(tmp_path / "graph")
    (tmp_path / "out").mkdir()
    kinds = [(kind.source, kind.relation, kind.destination) for kind in graph.target.by_type if isinstance(kind, EdgeType)]
    counts = [len(graph.edges[EdgeType(*kind)].indices) for kind in kinds]
    save_artifacts(tmp_path / "out", tmp_path,
                   predictions={kind: torch.zeros(count, 1) for kind, count in zip(kinds, counts, strict=True)},
                   embeddings={name: torch.zeros(size, 3) for name, size in graph.node_counts.items()})
    with np.load(tmp_path / "out" / "predictions" / "result.npz") as file:
        np.testing.assert_array_equal(file["source"][:counts[0]], graph.edges[EdgeType(*kinds[0])].ends()[0])
        assert len(file["infer_scores"]) == sum(counts)


def test_links_have_vectors_of_relations(tmp_path: Path) -> None:
    graph = fan_clubs()
    graph.save(tmp_path / "graph")
    (tmp_path / "out").mkdir()
    relations = {(kind.source, kind.relation, kind.destination): torch.ones(3) for kind in graph.target.by_type
                 if isinstance(kind, EdgeType)}
    save_artifacts(tmp_path / "out", tmp_path, relations=relations,
                   embeddings={name: torch.zeros(size, 3) for name, size in graph.node_counts.items()})
    assert np.load(tmp_path / "out" / "embeddings" / "relation.npy").shape == (len(relations), 3)
    assert not (tmp_path / "out" / "predictions").exists()


@pytest.mark.parametrize(("embeddings", "message"), [
    ({"user": torch.zeros(7, 4)}, r"embeddings of user have the shape \[7, 4\]; they must have two dimensions, and 80 rows"),
    ({"user": torch.zeros(80)}, r"have the shape \[80\]"), ({"usr": torch.zeros(80, 4)}, r"embeddings of usr .* and no rows")])
def test_rows_that_belong_to_nobody_are_refused(tmp_path: Path, embeddings: dict[str, torch.Tensor], message: str) -> None:
    communities().save(tmp_path / "graph")
    with pytest.raises(ValueError, match=message):
        save_artifacts(tmp_path, tmp_path, embeddings=embeddings)
