"""Models on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.learn.graphs import communities

from despina.core.errors import WorkFailed
from despina.learn import checkpoint
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import Hyperparameters, read_parameters, write_parameters
from despina.learn.models import GraphShape, Model
from despina.learn.predictor import predict_graph

GRAPH = communities(hot=True)
GIVEN = Hyperparameters(num_hidden=8, num_bases=2, use_edge_features=True, per_feat_name_embed=True, sparse_lr=0.1)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Model]:
    shape = GraphShape.of(GRAPH)
    model = Model(shape, GIVEN)
    checkpoint.save(tmp_path, model, checkpoint.Description(
        model="rgcn", hyperparameters=write_parameters(GIVEN), evaluation=Evaluation(metric="acc"), epoch=3, value=0.5,
        shape=shape))
    return tmp_path, model


def test_a_model_comes_back_as_it_was(saved: tuple[Path, Model]) -> None:
    folder, model = saved
    loaded, description = checkpoint.load(folder)
    assert not loaded.training
    assert read_parameters(description.hyperparameters) == GIVEN
    assert (description.epoch, description.value, description.shape) == (3, 0.5, GraphShape.of(GRAPH))
    first, second = (predict_graph(one, GRAPH, GIVEN) for one in (model, loaded))
    np.testing.assert_array_equal(first.values["user"], second.values["user"])


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named(saved: tuple[Path, Model], name: str) -> None:
    folder, _ = saved
    (folder / name).unlink()
    with pytest.raises(WorkFailed, match=f"the model has no file {name}"):
        checkpoint.load(folder)


def test_a_description_of_another_version_is_refused(saved: tuple[Path, Model]) -> None:
    folder, _ = saved
    text = (folder / "model.json").read_text(encoding="utf-8")
    (folder / "model.json").write_text(text.replace('"version": 3', '"version": 2'), encoding="utf-8")
    with pytest.raises(WorkFailed, match=r"model\.json: not of a form that this version of Despina knows"):
        checkpoint.load(folder)


def test_a_model_refuses_a_graph_it_was_not_trained_for() -> None:
    shape = GraphShape.of(GRAPH)
    shape.check(GRAPH)
    other = replace(GRAPH, target=replace(GRAPH.target, classes=("left", "centre")))
    with pytest.raises(WorkFailed, match=r"trained for another graph: its classes is \('left', 'right'\)"):
        shape.check(other)
