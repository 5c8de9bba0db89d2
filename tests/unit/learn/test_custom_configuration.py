"""The hyperparameter file of a user's own model."""

import json
from pathlib import Path
from typing import Any

import pytest

from despina.core.errors import WorkFailed
from despina.core.hyperparameters import Increment
from despina.graph.faults import InputFault
from despina.learn import custom_configuration
from despina.learn.custom_configuration import CustomConfiguration

EXAMPLE = Path(__file__).parents[3] / "examples" / "custom-model" / "model-hpo-configuration.json"
FILE = "model-hpo-configuration.json"


def document(**changes: Any) -> dict[str, Any]:
    """The example's file with changes to its model."""
    found: dict[str, Any] = json.loads(EXAMPLE.read_bytes())
    found["models"][0] |= changes
    return found


def read(**changes: Any) -> CustomConfiguration:
    return custom_configuration.read(FILE, json.dumps(document(**changes)).encode())


def objective(regex: str, kind: str = "Maximize") -> dict[str, Any]:
    return {"tuning_objective": {"MetricName": "m", "Type": kind}, "metric_definitions": [{"Name": "m", "Regex": regex}]}


def test_the_example_is_read() -> None:
    given = custom_configuration.load(EXAMPLE.parent, "s3://bucket/code")
    strategy = given.strategy(2, memory_mib=7)
    assert (strategy.metric, strategy.maximize, strategy.memory_mib) == ("validation:accuracy", True, 7)
    assert strategy.fixed == {"epochs": 100}
    size, rate = strategy.tunable
    assert (size.name, size.type, size.default, size.low, size.high, size.increment) == ("hidden-size", "int", 32, 16, 64,
                                                                                           Increment.POWER2)
    assert (rate.type, rate.default) == ("float", 0.02)


def test_tiers_are_tuned_by_the_number_of_trials() -> None:
    tiers: dict[str, Any] = {f"{tier}-tier-param": [{"param": f"p{tier}", "type": "float", "range": [0, 1]}] for tier in (1, 2, 3)}
    given = read(**tiers)
    assert [[one.name for one in given.strategy(trials, memory_mib=1).tunable] for trials in (10, 50, 51)] == [
        ["p1"], ["p1", "p2"], ["p1", "p2", "p3"]]
    assert given.strategy(10, memory_mib=1).fixed == {"epochs": 100, "p2": 0.0, "p3": 0.0}


@pytest.mark.parametrize(("parameter", "default", "kind"), [
    ({"default": 64}, 64, "int"), ({"default": 1, "range": [0.5, 2]}, 1.0, "float"), ({"options": ["x"]}, "x", "str"),
    ({"default": True}, True, "bool"), ({"options": [[5, 10]]}, [5, 10], "float")])
def test_without_a_type_it_is_that_of_the_values(parameter: dict[str, Any], default: Any, kind: str) -> None:
    (tunable,) = read(**{"1-tier-param": [{"param": "a", **parameter}]}).strategy(1, memory_mib=1).tunable
    assert (tunable.default, type(tunable.default), tunable.type) == (default, type(default), kind)


def test_the_end_of_a_sentence_is_no_part_of_a_number() -> None:
    assert read(eval_metric=objective(r"accuracy: ([0-9\.]+)")).last_value(["accuracy: 0.75."]) == 0.75


def test_the_task_type_is_not_looked_at() -> None:
    assert read(task_type="node_class") == read(task_type="anything")


@pytest.mark.parametrize(("parameter", "default"), [
    ({"param": "a", "type": "int", "options": [3, 4]}, 3), ({"param": "a", "type": "str", "options": ["x", "y"]}, "x"),
    ({"param": "a", "type": "bool"}, True), ({"param": "a", "type": "float", "default": 1}, 1.0),
    ({"param": "a", "type": "int", "options": [[5, 10], [10, 20]], "default": [10, 20]}, [10, 20]),
    ({"param": "metapaths", "type": "str", "default": "a-b-a"}, "a-b-a")])
def test_what_is_not_tuned_takes_its_default_or_its_first_value(parameter: dict[str, Any], default: Any) -> None:
    assert read(**{"fixed-param": [parameter]}).strategy(1, memory_mib=1).fixed["a" if "a" in parameter.values() else
                                                                               "metapaths"] == default


@pytest.mark.parametrize(("regex", "lines", "value"), [
    (r"accuracy ([0-9.]+)", ["accuracy 0.5", "noise", "accuracy 0.75"], 0.75),
    (r"Score: ([0-9\.]+) | Validation loss: ([0-9\.]+)", ["Score: 0.5 | Validation loss: 0.25"], 0.25),
    (r"Score: ([0-9\.]+) | done", ["Score: 0.5 | done", "all done"], 0.5),
    (r"loss=(\S+)", ["loss=0.5", "loss=nan", "loss=x"], 0.5), (r"mrr ([-+0-9.e]+)", ["mrr 1e-3"], 0.001),
    (r"mrr ([0-9.]+)", ["nothing of the kind"], None), (r"[0-9.]+ %", ["7 %"], None)])
def test_the_metric_is_the_last_number_that_the_expression_finds(regex: str, lines: list[str], value: float | None) -> None:
    assert read(eval_metric=objective(regex)).last_value(lines) == value


@pytest.mark.parametrize(("changes", "message"), [
    ({"model": "rgcn"}, r"models\[0\].model: 'rgcn' is not known; it must be one of custom"),
    ({"eval_metric": {"metric": "acc"}}, r"eval_metric: unknown key 'metric'"),
    ({"eval_metric": objective("(")}, r"metric_definitions\[0\].Regex: '\(' is no regular expression"),
    ({"eval_metric": objective("x", "Largest")}, r"tuning_objective.Type: 'Largest' is not known; it must be one of Maximize"),
    ({"eval_metric": objective("x") | {"tuning_objective": {"MetricName": "n", "Type": "Minimize"}}},
     r"MetricName: 'n' is not known.*must be one of m"),
    ({"1-tier-param": [{"param": "a b", "type": "int"}]}, r"1-tier-param\[0\].param: 'a b' cannot be passed to a script"),
    ({"1-tier-param": [{"param": "a", "type": "int"}]}, r"1-tier-param\[0\].default: is missing"),
    ({"1-tier-param": [{"param": "a", "type": "int", "default": 1.5}]}, r"default: 1.5 is not of type int"),
    ({"1-tier-param": [{"param": "a", "type": "str", "range": [1, 2]}]}, r"range: a parameter of type str has no range"),
    ({"1-tier-param": [{"param": "a", "type": "int", "range": [2, 1]}]}, r"its low end 2 is above its high end 1"),
    ({"1-tier-param": [{"param": "epochs", "type": "int", "default": 3}]}, r"'epochs' is already in .*1-tier-param\[0\]"),
    ({"1-tier-param": [{"param": "a", "type": "float", "range": [0, 1], "inc_strategy": "log"}]}, r"must be above 0"),
    ({"1-tier-param": [{"param": "a", "type": "int", "range": [5, 7], "inc_strategy": "power2"}]}, r"holds no power of two"),
    ({"1-tier-param": [{"param": "a", "type": "text", "default": 1}]}, r"'text' is not known"),
    ({"extra": 1}, "unknown key 'extra'")])
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputFault, match=message):
        read(**changes)


def test_a_missing_tier_and_a_missing_file_are_named(tmp_path: Path) -> None:
    found = document()
    del found["models"][0]["3-tier-param"]
    with pytest.raises(InputFault, match="3-tier-param: is missing"):
        custom_configuration.read(FILE, json.dumps(found).encode())
    with pytest.raises(WorkFailed, match=r"no file model-hpo-configuration.json at s3://bucket/code"):
        custom_configuration.load(tmp_path, "s3://bucket/code")
