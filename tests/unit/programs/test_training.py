"""The programs of a training job on a small graph: what they return, write and refuse."""

import io
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.unit.learn.graphs import (
    KNOWS,
    LIKES,
    RATES,
    REVIEWS,
    changed,
    communities,
    fan_clubs,
    nameless,
    numbers_of_users,
    random_links,
    ratings,
)

from despina.artifacts import open_artifacts
from despina.core.errors import WorkFailed
from despina.core.hyperparameters import Strategy, TrialResult
from despina.core.job import Progress, RunSpec, StrategyWork, TrainWork, TransformWork
from despina.core.task import Task
from despina.graph.faults import InputFault
from despina.graph.graph import Graph
from despina.learn.proposals import ModelType, choose_model_type, default_configuration
from despina.learn.residuals import STRENGTHS
from despina.programs import strategy, train, transform
from despina.programs.context import Context
from despina.programs.instances import training_recommendation
from despina.programs.training_report import TrainingReport

PROCESSED, MODEL, OUTPUT = "s3://bucket/processed", "s3://bucket/model", "s3://bucket/output"
PARAMETERS: dict[str, Any] = {"num-hidden": 8, "num-epochs": 5, "batch-size": 128, "enable-early-stop": False}
TRAIN = TrainWork(processed=PROCESSED, output=MODEL, parameters=PARAMETERS)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder for the run and one that stands in for S3."""

    bucket: Path
    context: Context

    @classmethod
    def below(cls, folder: Path) -> "Place":
        """One in an empty folder."""
        (folder / "run").mkdir()
        return cls(bucket=folder / "s3" / "bucket", context=Context(folder=folder / "run", store=open_artifacts(folder / "s3")))

    def prepare(self, graph: Graph, *, model_type: ModelType | None = None, **changes: Any) -> None:
        """Put a processed graph there; ``changes`` are members of its one model."""
        configuration = default_configuration(graph, choose_model_type(graph, model_type))
        configuration["models"][0] |= changes
        graph.save(self.bucket / "processed" / "graph")
        (self.bucket / "processed" / "model-hpo-configuration.json").write_text(json.dumps(configuration), encoding="utf-8")

    def json(self, name: str) -> Any:
        return json.loads((self.bucket / name).read_bytes())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.below(tmp_path)


class RestrictedUnpickler(pickle.Unpickler):
    """Allows what graph-notebook allows."""

    def find_class(self, module: str, name: str) -> Any:
        if not module.startswith("numpy") or name not in {"ndarray", "dtype", "_reconstruct", "scalar", "array"}:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(module, name)


def test_the_strategy_is_that_of_the_file(place: Place) -> None:
    place.prepare(communities())
    result = msgspec.convert(strategy.run(StrategyWork(processed=PROCESSED, trials=2), place.context), Strategy)
    assert [tunable.name for tunable in result.tunable] == ["num-hidden", "num-epochs", "lr"]
    assert (result.metric, result.maximize) == ("acc", True)
    assert 100 < result.memory_mib < 2000


def test_a_larger_graph_and_a_wider_model_need_more_memory(place: Place) -> None:
    graph = communities()
    place.prepare(graph)
    small = strategy.run(StrategyWork(processed=PROCESSED, trials=2), place.context)["memory_mib"]
    pages = replace(graph, node_ids={**graph.node_ids, "page": nameless(10**6)})
    place.prepare(pages)
    large = strategy.run(StrategyWork(processed=PROCESSED, trials=2), place.context)["memory_mib"]
    narrow: Any = [{"param": "num-hidden", "type": "int", "options": [16, 32]}]
    place.prepare(pages, model_type=None, **{"1-tier-param": narrow})
    medium = strategy.run(StrategyWork(processed=PROCESSED, trials=2), place.context)["memory_mib"]
    assert small < medium < large
    assert large > 10**6 * 128 * 4 * 5 / 2**20, "five vectors of the widest trial for each node"


def test_a_metric_that_does_not_fit_the_labels_fails_before_any_trial(place: Place) -> None:
    place.prepare(communities(multilabel=True), eval_metric={"metric": "acc"})
    with pytest.raises(WorkFailed, match="'acc' is for one label a node"):
        strategy.run(StrategyWork(processed=PROCESSED, trials=2), place.context)


@pytest.mark.parametrize("work", [StrategyWork(processed=PROCESSED, trials=2), TRAIN], ids=["strategy", "train"])
def test_the_file_of_a_custom_model_without_its_scripts_is_refused(place: Place, work: StrategyWork | TrainWork) -> None:
    place.prepare(communities(), model="custom")
    with pytest.raises(InputFault, match="customModelTrainingParameters names their folder"):
        strategy.run(work, place.context) if isinstance(work, StrategyWork) else train.run(work, place.context)


def test_a_trial_reports_its_progress_and_writes_the_model(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.prepare(communities())
    result = msgspec.convert(train.run(TRAIN, place.context), TrialResult)
    lines = [msgspec.json.decode(line, type=Progress) for line in capsys.readouterr().out.splitlines()]
    assert [line.step for line in lines] == [0, 1, 2, 3, 4, 5]
    assert {(line.of, line.unit, line.metric) for line in lines} == {(5, "epoch", "acc")}
    assert lines[0].value is None
    assert lines[-1].best == lines[result.epoch].value == max(line.value for line in lines if line.value is not None)
    assert result.objective >= lines[-1].best, "it is that of the corrected predictions"
    assert sorted(path.name for path in (place.bucket / "model").iterdir()) == [
        "eval_metrics_info.json", "events", "model.json", "model.safetensors", "test_metrics_info.json", "training-report.json"]
    assert place.json("model/eval_metrics_info.json")["acc"] == result.objective
    assert list(place.context.folder.iterdir()) == [], "nothing is left in the run's folder"


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("hot", [False, True])
def test_the_artefacts_are_those_of_the_model(place: Place, multilabel: bool, hot: bool) -> None:
    graph = communities(multilabel=multilabel, hot=hot)
    place.prepare(graph)
    trial = msgspec.convert(train.run(TRAIN, place.context), TrialResult)
    result = transform.run(TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT), place.context)
    assert result["predicted"] == 80
    assert result["valid"] == trial.objective
    assert sorted(str(path.relative_to(place.bucket / "output")) for path in (place.bucket / "output").rglob("*.*")) == [
        "config.json", "embeddings/entity.npy", "eval_metrics_info.json", "infer_instance_recommendation.json", "mapping.info",
        "model.json", "model.safetensors", "predictions/predictions.parquet", "predictions/result.npz", "serving.json",
        "test_metrics_info.json", "training-report.json"]
    assert np.load(place.bucket / "output" / "embeddings" / "entity.npy", allow_pickle=False).shape == (80, 8)
    with np.load(place.bucket / "output" / "predictions" / "result.npz", allow_pickle=False) as file:
        scores = file["infer_scores"]
    assert scores.shape == (80, 3 if multilabel else 2)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert bool(np.allclose(scores.sum(axis=1), 1)) is not multilabel
    mapping = RestrictedUnpickler(io.BytesIO((place.bucket / "output" / "mapping.info").read_bytes())).load()
    assert mapping["node2gid"]["user"].tolist() == list(range(80))
    assert mapping["node2id"] == {name: {raw: i for i, raw in enumerate(ids)} for name, ids in graph.node_ids.items()}
    assert mapping["label_map"] == {"user": dict(enumerate(graph.target.classes))}
    assert (mapping["target_ntype"], mapping["target_ntype_property"], mapping["model_type"]) == ("user", "side", "rgcn")
    assert place.json("output/config.json") == {
        "task": "node_class", "model": "rgcn", "name": "node_class-rgcn", "infer_type": "online-transductive-infer",
        "property": "side"}
    assert set(place.json("output/infer_instance_recommendation.json")) == {"instance", "disk_size", "mem_size"}
    assert list(place.context.folder.iterdir()) == []


def test_a_report_tells_how_the_training_went_and_what_is_reached_without_a_graph(place: Place) -> None:
    graph = communities()
    place.prepare(graph)
    trial = msgspec.convert(train.run(TRAIN, place.context), TrialResult)
    report = msgspec.convert(place.json("model/training-report.json"), TrainingReport)
    assert (report.task, report.model, report.metric) == ("node_class", "rgcn", "acc")
    assert (report.value, report.epoch) == (trial.objective, trial.epoch)
    assert report.metrics == {part: place.json(f"model/{name}_metrics_info.json") for part, name in (
        ("valid", "eval"), ("test", "test"))}
    assert report.floor.name == "majority"
    assert report.floor.metrics["test"]["count"] == report.metrics["test"]["count"]
    assert report.hyperparameters["num-hidden"] == PARAMETERS["num-hidden"]
    assert set(report.versions) == {"python", "despina", "torch", "numpy"}
    assert [point.epoch for point in report.curve] == [1, 2, 3, 4, 5]
    assert report.curve[trial.epoch - 1].value == max(point.value for point in report.curve if point.value is not None)
    assert report.correction in STRENGTHS
    assert all(np.isfinite(point.loss) for point in report.curve)
    assert set(report.seconds) == {"load", "train", "evaluate"}
    assert report.cpu_seconds > 0
    assert report.peak_memory_bytes > 2**20
    transform.run(TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT), place.context)
    assert place.json("output/training-report.json") == place.json("model/training-report.json")


def test_of_edges_each_prediction_is_told_by_its_ends(place: Place) -> None:
    graph = ratings(Task.EDGE_REGRESSION)
    files = _all_programs(place, graph)
    with np.load(files / "predictions" / "result.npz", allow_pickle=False) as file:
        assert file["infer_scores"].shape == (1200, 1)
        assert file["edge_type"].tolist() == [0] * 600 + [1] * 600
        for i, edge_type in enumerate((RATES, REVIEWS)):
            ends = (file[name][file["edge_type"] == i].tolist() for name in ("source", "destination"))
            assert [list(end) for end in ends] == [end.tolist() for end in graph.edges[edge_type].ends()]
    mapping = RestrictedUnpickler(io.BytesIO((files / "mapping.info").read_bytes())).load()
    assert mapping["target_etype"] == [tuple(RATES), tuple(REVIEWS)]
    assert (mapping["target_etype_property"], mapping["label_map"]) == ("stars", {})
    assert np.load(files / "embeddings" / "entity.npy", allow_pickle=False).shape == (60 + 24, 8)
    assert sorted(np.concatenate(list(mapping["node2gid"].values())).tolist()) == list(range(60 + 24))
    assert set(place.json("output/eval_metrics_info.json")) == {"mse", "rmse", "mae", "r2", "count"}


def test_classes_of_edges_are_named(place: Place) -> None:
    mapping = RestrictedUnpickler(io.BytesIO((_all_programs(place, ratings(Task.EDGE_CLASS)) / "mapping.info").read_bytes())).load()
    assert mapping["label_map"] == {tuple(kind): {0: "bad", 1: "good"} for kind in (RATES, REVIEWS)}


def test_numbers_of_nodes_are_one_column(place: Place) -> None:
    with np.load(_all_programs(place, numbers_of_users()) / "predictions" / "result.npz", allow_pickle=False) as file:
        assert set(file) == {"infer_scores"}
        assert file["infer_scores"].shape == (80, 1)


def test_of_links_there_are_vectors_of_nodes_and_relations(place: Place) -> None:
    graph = fan_clubs()
    files = _all_programs(place, graph, model_type="heterogeneous")
    mapping = RestrictedUnpickler(io.BytesIO((files / "mapping.info").read_bytes())).load()
    assert mapping["relation2id_map"] == {tuple(LIKES): 0}
    assert mapping["nodetype2id_map"] == {"user": 0, "item": 1}
    entities, relations = (np.load(files / "embeddings" / f"{name}.npy", allow_pickle=False) for name in ("entity", "relation"))
    assert (entities.shape, relations.shape) == ((84, 8), (1, 8))
    row = mapping["node2gid"]["item"][mapping["node2id"]["item"]["item-3"]]
    assert row < len(entities)
    assert not (files / "predictions").exists()
    assert set(place.json("output/test_metrics_info.json")) == {"mrr", "hits@1", "hits@3", "hits@10", "mean_rank", "count"}
    assert "property" not in place.json("output/config.json")


def test_a_knowledge_graph_embedding_is_what_graphs_without_features_get(place: Place) -> None:
    files = _all_programs(place, fan_clubs(), gamma=6.0)
    mapping = RestrictedUnpickler(io.BytesIO((files / "mapping.info").read_bytes())).load()
    assert (mapping["model_type"], mapping["relation2id_map"]) == ("transe", {tuple(LIKES): 0, tuple(KNOWS): 1})
    entities, relations = (np.load(files / "embeddings" / f"{name}.npy", allow_pickle=False) for name in ("entity", "relation"))
    assert (entities.shape, relations.shape) == ((84, 8), (2, 8))
    assert mapping["node2gid"]["item"].tolist() == list(range(60, 84))
    assert place.json("output/config.json")["model"] == "transe"
    assert place.json("output/training-report.json")["floor"]["name"] == "popularity"


def _all_programs(place: Place, graph: Graph, model_type: ModelType | None = None, **changes: Any) -> Path:
    """Run the three programs of a training job; the folder of its artefacts."""
    place.prepare(graph, model_type=model_type)
    found = msgspec.convert(strategy.run(StrategyWork(processed=PROCESSED, trials=1), place.context), Strategy)
    parameters = {**found.fixed, **{tunable.name: tunable.default for tunable in found.tunable}, **PARAMETERS, **changes}
    trial = msgspec.convert(train.run(msgspec.structs.replace(TRAIN, parameters=parameters), place.context), TrialResult)
    result = transform.run(TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT), place.context)
    assert result["metric"] == found.metric
    assert result["valid"] == pytest.approx(trial.objective)
    return place.bucket / "output"


def test_without_test_nodes_there_are_no_test_metrics(place: Place) -> None:
    graph = communities()
    place.prepare(changed(graph, test=np.zeros_like(graph.target.nodes.test)))
    train.run(TRAIN, place.context)
    result = transform.run(TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT), place.context)
    assert "test" not in result
    assert not (place.bucket / "output" / "test_metrics_info.json").exists()


def test_a_parameter_that_nobody_knows_is_refused(place: Place) -> None:
    place.prepare(communities())
    with pytest.raises(WorkFailed, match=r"unknown hyperparameter 'num-hiden' \(did you mean 'num-hidden'\?\)"):
        train.run(TrainWork(processed=PROCESSED, output=MODEL, parameters={"num-hiden": 8}), place.context)


def test_removed_nodes_have_predictions_that_no_id_leads_to(place: Place) -> None:
    graph = replace(communities(), removed={"user": np.array([3, 79], dtype=np.int32)})
    place.prepare(graph)
    train.run(TRAIN, place.context)
    assert transform.run(TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT), place.context)["predicted"] == 80
    with np.load(place.bucket / "output" / "predictions" / "result.npz", allow_pickle=False) as file:
        assert len(file["infer_scores"]) == 80
    mapping = RestrictedUnpickler(io.BytesIO((place.bucket / "output" / "mapping.info").read_bytes())).load()
    assert mapping["node2id"]["user"] == {f"user-{i}": i for i in range(80) if i not in {3, 79}}
    assert len(mapping["node2id"]["item"]) == 13
    assert len(mapping["node2gid"]["user"]) == 80


def test_a_model_refuses_a_graph_with_another_task(place: Place) -> None:
    place.prepare(communities())
    train.run(TRAIN, place.context)
    place.prepare(random_links())
    with pytest.raises(WorkFailed, match="another graph: its task is node_class, that of the processed data link_predict"):
        transform.run(TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT), place.context)


def test_the_instance_recommended_for_training_has_room_for_the_graph() -> None:
    small = training_recommendation(communities(hot=True))
    assert (small["instance"], small["cpu_instance"]) == ("ml.g4dn.xlarge", "ml.m5.large")
    graph = communities(hot=True)
    large = training_recommendation(replace(graph, node_ids={**graph.node_ids, "page": nameless(10**7)}))
    assert large["mem_size"] > 10**7 * 2048
    assert (large["instance"], large["cpu_instance"]) == ("ml.g4dn.2xlarge", "ml.m5.2xlarge")
    features = sum(part.nbytes for part in (*graph.features.values(), *graph.edge_features.values()))
    without = training_recommendation(replace(graph, features={}, edge_features={}))
    assert small["disk_size"] - without["disk_size"] == 4 * features
    assert small["mem_size"] - without["mem_size"] == features + 1280 * (27 + 9)


def test_a_folder_without_a_processed_graph_is_named(place: Place) -> None:
    (place.bucket / "processed").mkdir(parents=True)
    (place.bucket / "processed" / "info.txt").touch()
    with pytest.raises(WorkFailed, match=r"no processed graph at s3://bucket/processed: the file graph/graph\.json is missing"):
        strategy.run(StrategyWork(processed=PROCESSED, trials=1), place.context)


def test_a_model_of_another_graph_is_refused(place: Place) -> None:
    place.prepare(communities())
    train.run(TRAIN, place.context)
    graph = communities()
    place.prepare(replace(graph, target=replace(graph.target, property_name="party")))
    with pytest.raises(WorkFailed, match="another graph: its property_name is side, that of the processed data party"):
        transform.run(TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT), place.context)


@pytest.mark.parametrize(("work", "unwanted"), [
    (StrategyWork(processed=PROCESSED, trials=2), {"torch", "polars", "optuna", "safetensors"}),
    (TRAIN, {"polars", "optuna", "torch._dynamo"}),
])
def test_a_program_imports_nothing_slow_that_it_does_not_need(place: Place, work: StrategyWork | TrainWork,
                                                              unwanted: set[str]) -> None:
    place.prepare(communities())
    (place.context.folder / "spec.json").write_bytes(msgspec.json.encode(RunSpec(run_id="run-1", work=work)))
    script = ("import json, sys; from despina.programs.__main__ import main; status = main(['spec.json']);"
              "sys.stderr.write('\\n' + json.dumps(sorted(sys.modules))); sys.exit(status)")
    done = subprocess.run([sys.executable, "-c", script], cwd=place.context.folder, capture_output=True, text=True, timeout=120,
                          env={"DESPINA_S3_FOLDER": str(place.bucket.parent), "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert not loaded & unwanted
    assert ("torch" in loaded) is isinstance(work, TrainWork), "the check sees what is loaded"
