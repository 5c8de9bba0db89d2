"""Reading model-hpo-configuration.json, and the strategy that follows from it."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.learn.graphs import communities, random_links

from despina.core.errors import WorkFailed
from despina.core.hyperparameters import Increment
from despina.core.task import Task
from despina.graph.faults import InputFault
from despina.learn.configuration import Configuration, Evaluation, check_target, load, read
from despina.learn.hyperparameters import (
    EmbeddingHyperparameters,
    Hyperparameters,
    LinkHyperparameters,
    names_of,
    parameters_of,
    read_parameters,
)

FILE = "model-hpo-configuration.json"


def sample() -> dict[str, Any]:
    """The form of the user guide's sample: tier 1 has no defaults."""
    return {"models": [{
        "model": "rgcn", "task_type": "node_class", "eval_metric": {"metric": "acc"},
        "eval_frequency": {"type": "evaluate_every_epoch", "value": 1},
        "1-tier-param": [
            {"param": "num-hidden", "range": [16, 128], "type": "int", "inc_strategy": "power2"},
            {"param": "num-epochs", "range": [3, 30], "inc_strategy": "linear", "inc_val": 1, "type": "int",
             "node_strategy": "perM"},
            {"param": "lr", "range": [0.001, 0.01], "type": "float", "inc_strategy": "log"}],
        "2-tier-param": [
            {"param": "dropout", "range": [0.0, 0.5], "inc_strategy": "linear", "type": "float", "default": 0.3},
            {"param": "layer-norm", "type": "bool", "default": True}],
        "3-tier-param": [
            {"param": "batch-size", "range": [128, 4096], "inc_strategy": "power2", "type": "int", "default": 1024},
            {"param": "fanout", "type": "int", "options": [[10, 30], [15, 30], [15, 30]], "default": [10, 15, 15]}],
        "fixed-param": [{"param": "l2norm", "type": "bool", "default": 0}]}]}


def parsed(content: dict[str, Any]) -> Configuration:
    return read(FILE, json.dumps(content).encode())


@pytest.mark.parametrize(("trials", "tuned"), [
    (1, ["num-hidden", "num-epochs", "lr"]),
    (10, ["num-hidden", "num-epochs", "lr"]),
    (11, ["num-hidden", "num-epochs", "lr", "dropout", "layer-norm"]),
    (50, ["num-hidden", "num-epochs", "lr", "dropout", "layer-norm"]),
    (51, ["num-hidden", "num-epochs", "lr", "dropout", "layer-norm", "batch-size", "fanout"]),
])
def test_the_number_of_trials_decides_which_tiers_are_tuned(trials: int, tuned: list[str]) -> None:
    strategy = parsed(sample()).strategy(trials, memory_mib=1)
    assert [tunable.name for tunable in strategy.tunable] == tuned
    assert not set(tuned) & set(strategy.fixed)
    values = strategy.fixed | {tunable.name: tunable.default for tunable in strategy.tunable}
    given = read_parameters(values)
    assert (given.dropout, given.fanout, given.l2norm) == (0.3, (10, 15, 15), 0.0)


def test_tunables_keep_their_ranges_and_start_inside_them() -> None:
    hidden, epochs, rate, _, norm, *_ = parsed(sample()).strategy(51, memory_mib=1).tunable
    assert (hidden.low, hidden.high, hidden.increment, hidden.type, hidden.default) == (16, 128, Increment.POWER2, "int", 64)
    assert (epochs.low, epochs.high, epochs.step, epochs.default) == (3, 30, 1, 30)
    assert (rate.increment, rate.type, rate.default) == (Increment.LOG, "float", 0.01)
    assert norm.options == (True, False)


@pytest.mark.parametrize(("entry", "start"), [
    ({"param": "lr", "range": [0.0001, 0.001], "inc_strategy": "linear"}, pytest.approx(0.00055)),
    ({"param": "lr", "range": [0.0001, 0.001], "inc_strategy": "log"}, pytest.approx(0.000316, rel=0.01)),
    ({"param": "num-hidden", "range": [8, 32], "inc_strategy": "power2"}, 16),
    ({"param": "num-hidden", "range": [100, 300], "inc_strategy": "power2"}, 128),
    ({"param": "num-hidden", "options": [8, 24]}, 8),
])
def test_without_a_default_a_range_that_leaves_out_our_own_starts_in_its_middle(entry: dict[str, Any], start: float) -> None:
    content = sample()
    content["models"][0]["1-tier-param"] = [entry]
    (tunable,) = parsed(content).strategy(1, memory_mib=1).tunable
    assert tunable.default == start


BROKEN: list[tuple[str, Any, str]] = [
    ("models", [], "models: must hold exactly one model, it holds 0"),
    ("models.0.model", "rgnc", "models[0].model: 'rgnc' is not known (did you mean 'rgcn'?); it must be one of rgcn, transe"),
    ("models.0.model", "transe", "models[0].model: 'transe' predicts links only, and task_type is node_class; it must be rgcn"),
    ("models.0.model", "custom", "models[0].model: 'custom' stands for scripts of your own"),
    ("models.0.task_type", "node_clas", "models[0].task_type: 'node_clas' is not known (did you mean 'node_class'?)"),
    ("models.0.task_type", "node_regression", "eval_metric.metric: 'acc' is not known; it must be one of mse"),
    ("models.0.4-tier-param", [], "models[0]: unknown key '4-tier-param' (did you mean '3-tier-param'?)"),
    ("models.0.2-tier-param", None, "2-tier-param: must be a list of objects, it is missing"),
    ("models.0.eval_metric", {"metric": "mrr"}, "eval_metric.metric: 'mrr' is not known"),
    ("models.0.eval_metric", {"metric": "acc_topk", "topk": 0}, "eval_metric.topk: must be a whole number from 1, it is 0"),
    ("models.0.eval_frequency", {"type": "evaluate_every_pct", "value": 2}, "eval_frequency.value: is the part of the training"),
    ("models.0.eval_frequency", {"type": "evaluate_every_batch", "value": 1.5}, "must be a whole number for evaluate_every_batch"),
    ("models.0.eval_frequency", {"value": 0}, "must be a number above 0, it is 0"),
    ("models.0.1-tier-param.0.param", "num-hiden", "param: 'num-hiden' is not known (did you mean 'num-hidden'?)"),
    ("models.0.1-tier-param.1.param", "num-hidden", "1-tier-param[1].param: 'num-hidden' is already in models[0].1-tier-param[0]"),
    ("models.0.1-tier-param.0.ragne", [1, 2], "unknown key 'ragne' (did you mean 'range'?)"),
    ("models.0.1-tier-param.0.range", [128, 16], "range: its low end 128 is above its high end 16"),
    ("models.0.1-tier-param.0.range", [17, 31], "holds no power of two"),
    ("models.0.1-tier-param.0.range", [16], "must be a list of two numbers [low, high], it is [16]"),
    ("models.0.1-tier-param.0.range", [0, 16], "range: the value 0 of hyperparameter 'num-hidden' is not allowed: Expected int >="),
    ("models.0.1-tier-param.0.options", [16], "has both 'range' and 'options'"),
    ("models.0.1-tier-param.0.inc_strategy", "cubic", "inc_strategy: 'cubic' is not known"),
    ("models.0.1-tier-param.1.inc_val", 0, "inc_val: must be a number above 0, it is 0"),
    ("models.0.1-tier-param.1.node_strategy", "perK", "node_strategy: 'perK' is not known"),
    ("models.0.1-tier-param.2.range", [0.0, 0.1], "the value 0.0 of hyperparameter 'lr' is not allowed: Expected float > 0.0"),
    ("models.0.2-tier-param.0.range", [0.0, 1.0], "the value 1.0 of hyperparameter 'dropout' is not allowed: Expected float < 1.0"),
    ("models.0.2-tier-param.0.inc_strategy", "log", "must be above 0 when inc_strategy is log"),
    ("models.0.2-tier-param.1.range", [0, 1], "range: 'layer-norm' has no range; give its values as options"),
    ("models.0.3-tier-param.1.range", [1, 2], "range: 'fanout' has no range; give its values as options"),
    ("models.0.1-tier-param.0.param", "num-negs", "1-tier-param[0].param: 'num-negs' is not known"),
    ("models.0.2-tier-param.1.default", "yes", "the value \"yes\" of hyperparameter 'layer-norm' is not allowed: Expected bool"),
    ("models.0.3-tier-param.1.options", [[10, 0]], "options: the value [10,0] of hyperparameter 'fanout' is not allowed"),
]


@pytest.mark.parametrize(("path", "value", "message"), BROKEN, ids=[f"{path}={value}" for path, value, _ in BROKEN])
def test_what_is_wrong_is_named(path: str, value: Any, message: str) -> None:
    content = sample()
    *parents, last = path.split(".")
    place: Any = content
    for step in parents:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[last] = value
    with pytest.raises(WorkFailed) as raised:
        parsed(content)
    assert str(raised.value).startswith(FILE)
    assert message in str(raised.value)


def test_all_four_tiers_are_required() -> None:
    content = sample()
    del content["models"][0]["fixed-param"]
    with pytest.raises(WorkFailed, match=r"models\[0\]\.fixed-param: is missing; all four of"):
        parsed(content)


def test_a_number_to_be_tuned_needs_values_to_choose_from() -> None:
    content = sample()
    content["models"][0]["1-tier-param"] = [{"param": "num-layer", "type": "int", "default": 2}]
    with pytest.raises(WorkFailed, match=r"1-tier-param\[0\]: 'num-layer' is tuned in this job, and has neither 'range' nor 'opt"):
        parsed(content).strategy(1, memory_mib=1)


@pytest.mark.parametrize("name", ["model-hpo-configuration.json", "model-HPO-configuration.json"])
def test_both_spellings_of_the_file_name_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(sample()), encoding="utf-8")
    assert load(tmp_path).strategy(60, memory_mib=1) == parsed(sample()).strategy(60, memory_mib=1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match=r"the processed data has no file model-hpo-configuration\.json"):
        load(tmp_path)


def test_the_file_has_to_fit_what_the_graph_is_to_predict() -> None:
    given, one, several = parsed(sample()), communities().target, communities(multilabel=True).target
    check_target(given, one)
    check_target(replace(given, evaluation=Evaluation(metric="roc_auc")), several)
    with pytest.raises(WorkFailed, match=r"'acc' is for one label a node or edge, .* one of F1, precision, recall, roc_auc"):
        check_target(given, several)
    with pytest.raises(WorkFailed, match=r"task_type: it says node_class, and the processed data is for link_predict; the task is"):
        check_target(given, random_links().target)


def test_a_file_of_a_custom_model_is_refused_before_anything_else_in_it(tmp_path: Path) -> None:
    content = {"models": [{"model": "custom", "task_type": "node_class", "1-tier-param": [{"param": "nobody-knows-it"}]}]}
    (tmp_path / FILE).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputFault) as raised:
        load(tmp_path)
    assert str(raised.value) == (f"{FILE}, models[0].model: 'custom' stands for scripts of your own: the file belongs beside them, "
                                 "and customModelTrainingParameters names their folder")


def test_files_of_other_models_can_be_read_all_the_same() -> None:
    content = {"models": [{
        "model": "rotate", "task_type": "link_prediction", "eval_metric": {"metric": "mrr"},
        "1-tier-param": [{"param": "gamma", "range": [1, 24], "type": "float"}], "2-tier-param": [], "3-tier-param": [],
        "fixed-param": [{"param": "rel-part", "type": "bool", "default": True}]}]}
    given = parsed(content)
    strategy = given.strategy(1, memory_mib=1)
    assert (given.model, given.task, strategy.maximize) == ("rotate", Task.LINK_PREDICT, True)
    assert [(tunable.name, tunable.type, tunable.default) for tunable in strategy.tunable] == [("gamma", "float", 12.0)]
    assert strategy.fixed["rel-part"] is True
    assert "num-layer" not in strategy.fixed
    content["models"][0]["1-tier-param"] = [{"param": "num-layer", "range": [1, 3], "type": "int"}]
    with pytest.raises(WorkFailed, match=r"1-tier-param\[0\]\.param: 'num-layer' is not known"):
        parsed(content)


def test_a_lower_error_is_better() -> None:
    content = sample()
    content["models"][0] |= {"task_type": "node_regression", "eval_metric": {"metric": "mse"}}
    assert parsed(content).strategy(1, memory_mib=1).maximize is False


@pytest.mark.parametrize(("task", "names"), [
    (Task.NODE_CLASS, Hyperparameters), (Task.EDGE_REGRESSION, Hyperparameters), (Task.LINK_PREDICT, LinkHyperparameters)])
def test_negative_edges_are_for_link_prediction_only(task: Task, names: type[Hyperparameters]) -> None:
    assert parameters_of("rgcn", task) is names
    assert ("num-negs" in names_of(names)) is (task is Task.LINK_PREDICT)


@pytest.mark.parametrize("name", sorted({*names_of(LinkHyperparameters), *names_of(EmbeddingHyperparameters)}))
def test_names_are_those_of_the_user_guide(name: str) -> None:
    assert name in {"num-propagation", "relation-prediction-coef"} or name in {  # the first two are ours
        "batch-size", "concat-node-embed", "dropout", "edge-num-hidden", "enable-early-stop", "fanout", "gamma", "l2norm",
        "layer-norm", "low-mem", "lr", "neg-share", "num-bases", "num-epochs", "num-hidden", "num-layer", "num-negs",
        "per-feat-name-embed", "regularization-coef", "rel-part", "sparse-lr", "use-class-weight", "use-edge-features",
        "use-self-loop", "window-for-early-stop"}
