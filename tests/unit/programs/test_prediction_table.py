"""The table of predictions, read by polars and by Arrow's own reader where it is there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from tests.unit.learn.graphs import USERS, communities, numbers_of_users, ratings

from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph
from despina.graph.ids import Ids
from despina.learn.predictor import Predictions
from despina.programs.prediction_table import write_predictions


def table(tmp_path: Path, graph: Graph, values: dict[str | EdgeType, NDArray[np.float32]]) -> pl.DataFrame:
    write_predictions(tmp_path, graph, Predictions(embeddings={}, values=values, relations={}))
    return pl.read_parquet(tmp_path / "predictions.parquet")


def probabilities(rows: int, classes: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((rows, classes), dtype=np.float32)


def test_a_class_of_nodes(tmp_path: Path) -> None:
    graph = communities()
    values = probabilities(USERS, 2)
    found = table(tmp_path, graph, {"user": values})
    assert found.columns == ["type", "id", "prediction", "score", "classes", "scores", "split"]
    assert found["id"].to_list() == list(graph.node_ids["user"])
    assert found["type"].unique().to_list() == ["user"]
    best = values.argmax(axis=1)
    assert found["prediction"].to_list() == [graph.target.classes[i] for i in best]
    np.testing.assert_array_equal(found["score"].to_numpy(), values.max(axis=1))
    for row, (classes, scores) in enumerate(zip(found["classes"], found["scores"], strict=True)):
        assert [graph.target.classes.index(name) for name in classes] == np.argsort(-values[row]).tolist()
        np.testing.assert_array_equal(scores.to_numpy(), np.sort(values[row])[::-1])
    part = graph.target.by_type["user"]
    for name in ("train", "valid", "test"):
        np.testing.assert_array_equal((found["split"] == name).fill_null(value=False).to_numpy(), getattr(part, name))
    assert found["split"].null_count() == 3


def test_several_classes_of_nodes(tmp_path: Path) -> None:
    graph = communities(multilabel=True)
    values = probabilities(USERS, 3)
    found = table(tmp_path, graph, {"user": values})
    for row, predicted in enumerate(found["prediction"]):
        assert {graph.target.classes.index(name) for name in predicted} == set(np.flatnonzero(values[row] >= 0.5))


def test_the_ten_best_of_many_classes(tmp_path: Path) -> None:
    graph = communities()
    many = tuple(f"class {i}" for i in range(40))
    found = table(tmp_path, replace(graph, target=replace(graph.target, classes=many)), {"user": probabilities(USERS, 40)})
    assert found["classes"].list.len().unique().to_list() == [10]


def test_removed_nodes_have_no_row(tmp_path: Path) -> None:
    graph = replace(communities(), removed={"user": np.array([0, 7], dtype=np.int32)})
    found = table(tmp_path, graph, {"user": probabilities(USERS, 2)})
    assert len(found) == USERS - 2
    assert not {"user-0", "user-7"} & set(found["id"])


def test_an_id_that_has_no_utf_8_is_escaped(tmp_path: Path) -> None:
    graph = communities()
    graph = replace(graph, node_ids={**graph.node_ids, "user": Ids.of(["\ud800", *list(graph.node_ids["user"])[1:]])})
    assert table(tmp_path, graph, {"user": probabilities(USERS, 2)})["id"][0] == "\\ud800"


def test_a_number_of_nodes(tmp_path: Path) -> None:
    graph = numbers_of_users()
    values = probabilities(USERS, 1)
    found = table(tmp_path, graph, {"user": values})
    assert found.columns == ["type", "id", "prediction", "split"]
    np.testing.assert_array_equal(found["prediction"].to_numpy(), values[:, 0])


@pytest.mark.parametrize("task", [Task.EDGE_CLASS, Task.EDGE_REGRESSION])
def test_edges_by_the_ids_of_their_ends(tmp_path: Path, task: Task) -> None:
    graph = ratings(task)
    kinds = [kind for kind in graph.target.by_type if isinstance(kind, EdgeType)]
    width = len(graph.target.classes) or 1
    values: dict[str | EdgeType, NDArray[np.float32]] = {
        kind: probabilities(len(graph.edges[kind].indices), width) for kind in kinds}
    found = table(tmp_path, graph, values)
    assert found.columns[:3] == ["relation", "from", "to"]
    for kind in kinds:
        of_kind = found.filter(pl.col("relation") == ",".join(kind))
        sources, destinations = graph.edges[kind].ends()
        assert of_kind["from"].to_list() == [graph.node_ids[kind.source][i] for i in sources]
        assert of_kind["to"].to_list() == [graph.node_ids[kind.destination][i] for i in destinations]
    assert len(found) == sum(map(len, values.values()))
