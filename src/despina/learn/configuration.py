"""Reading ``model-hpo-configuration.json``: which model is trained, how it is judged, and which hyperparameters are tuned.

Source: Neptune user guide, "Customizing model hyperparameter configurations in Neptune ML". Free of torch.

Decisions where the guide is silent: ``node_strategy`` and ``edge_strategy`` (ranges that depend on the size of the graph) are
accepted and the range is used as it is written; a tunable without a default starts at Despina's own default if that lies in its
range, else in the middle; ``type`` only has to be one of the known words, since every hyperparameter has a type of its own.
"""

import math
from pathlib import Path
from typing import Any

import msgspec

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.core.hyperparameters import Increment, Strategy, Tunable
from despina.core.job import ParameterValue
from despina.core.task import Task
from despina.graph.faults import Fault
from despina.graph.graph import Target
from despina.graph.json_object import JsonObject
from despina.learn.hyperparameters import (
    KGE_MODELS,
    RGCN,
    Parameters,
    names_of,
    parameters_of,
    read_parameters,
    write_parameters,
)

FILE_NAMES = ("model-hpo-configuration.json", "model-HPO-configuration.json")
"""The guide spells it both ways."""

MODELS = (RGCN, *KGE_MODELS)

CUSTOM = "custom"
"""What a file of the user's own model has for its model. Its form is another."""

TASKS = {str(task): task for task in Task} | {"link_prediction": Task.LINK_PREDICT}
"""The guide and Neptune ML's own scripts differ in how they spell the last one."""

CLASSIFICATION_METRICS = ("acc", "acc_topk", "F1", "precision", "recall", "roc_auc")
METRICS = {Task.NODE_CLASS: CLASSIFICATION_METRICS, Task.EDGE_CLASS: CLASSIFICATION_METRICS, Task.NODE_REGRESSION: ("mse",),
           Task.EDGE_REGRESSION: ("mse",), Task.LINK_PREDICT: ("mrr",)}
"""The guide names the metrics; which of them go with which task is plain from what they are."""

SINGLE_LABEL_METRICS = ("acc", "acc_topk")

LOWER_IS_BETTER = ("mse",)

FREQUENCIES = ("evaluate_every_epoch", "evaluate_every_batch", "evaluate_every_pct")

TIERS = ("1-tier-param", "2-tier-param", "3-tier-param", "fixed-param")

MOST_INSTANCES = 64
"""Workers of one training. Each step makes all of them meet: with more they would do little else."""

SCALES = ("perM", "per10M", "per100M")


class Evaluation(Frozen, frozen=True, kw_only=True):
    """How a model is judged while it trains."""

    metric: str
    topk: int = 1
    """With ``acc_topk``: a prediction is right when the label is among the ``topk`` best."""
    frequency: str = "evaluate_every_epoch"
    every: float = 1.0
    """Epochs, batches, or the part of the whole training (0-1), by ``frequency``."""


class Parameter(Frozen, frozen=True, kw_only=True):
    """A hyperparameter of the file."""

    place: str
    """Where it stands, for messages."""
    name: str
    kind: str
    """``bool``, ``int``, ``float``, or ``list`` (fanouts)."""
    own: ParameterValue
    """Despina's own default."""
    default: ParameterValue | None
    """The file's."""
    low: float | None = None
    high: float | None = None
    increment: Increment = Increment.LINEAR
    step: float | None = None
    options: tuple[ParameterValue, ...] | None = None


class Configuration(Frozen, frozen=True, kw_only=True):
    """The one model of the file."""

    model: str
    task: Task
    instance_count: int = 1
    """How many workers train a model together (``learn.workers``). Ours; SageMaker's ``ResourceConfig`` has the name."""
    evaluation: Evaluation
    tiers: tuple[tuple[Parameter, ...], tuple[Parameter, ...], tuple[Parameter, ...]]
    fixed: tuple[Parameter, ...]

    def strategy(self, trials: int, *, memory_mib: int) -> Strategy:
        """What is tuned by so many trials: up to 10 tune tier 1, up to 50 tiers 1 and 2, more tune all three.

        Everything else takes its default. Booleans need neither a range nor options to be tuned.
        """
        active = 1 if trials <= 10 else 2 if trials <= 50 else 3
        tunable = [_tunable(parameter) for tier in self.tiers[:active] for parameter in tier]
        resting = [*(parameter for tier in self.tiers[active:] for parameter in tier), *self.fixed]
        given: dict[str, ParameterValue] = {parameter.name: _start(parameter) for parameter in resting}
        fixed = write_parameters(read_parameters(given, parameters_of(self.model, self.task)))
        for parameter in tunable:
            fixed.pop(parameter.name, None)
        metric = self.evaluation.metric
        return Strategy(metric=metric, maximize=metric not in LOWER_IS_BETTER, tunable=tuple(tunable), fixed=fixed,
                        memory_mib=memory_mib, instance_count=self.instance_count)


def load(folder: Path) -> Configuration:
    """Read the configuration in a processed graph's folder, for a training job.

    Raises:
        WorkFailed: the file is missing or wrong; the message names the file, the place, the value and what would be right.
    """
    for name in FILE_NAMES:
        path = folder / name
        if path.is_file():
            return _configuration(only_model(name, path.read_bytes()))
    raise WorkFailed(f"the processed data has no file {FILE_NAMES[0]}; it is written by data processing")


def read(file: str, content: bytes) -> Configuration:
    """Read the configuration of any known model from the content of a file. Raises WorkFailed."""
    return _configuration(only_model(file, content))


def check_target(configuration: Configuration, target: Target) -> None:
    """Raise WorkFailed when the file is not for what the processed graph is to predict, or its metric has no meaning there."""
    if configuration.task is not target.task:
        raise WorkFailed(f"{FILE_NAMES[0]}, models[0].task_type: it says {configuration.task}, and the processed data is for "
                         f"{target.task}; the task is chosen by data processing and cannot be changed here")
    metric = configuration.evaluation.metric
    if target.multilabel and metric in SINGLE_LABEL_METRICS:
        allowed = ", ".join(known for known in METRICS[target.task] if known not in SINGLE_LABEL_METRICS)
        raise WorkFailed(f"{FILE_NAMES[0]}, models[0].eval_metric.metric: '{metric}' is for one label a node or edge, and this "
                         f"property has several; it must be one of {allowed}")


def only_model(file: str, content: bytes) -> JsonObject:
    """The one model that a file has. Raises InputFault."""
    top = JsonObject.parse(file, content)
    top.allow("models")
    models = top.objects("models")
    if len(models) != 1:
        raise top.error("models", f"must hold exactly one model, it holds {len(models)}")
    return models[0]


def _model(entry: JsonObject) -> str:
    model = entry.text("model")
    if model == CUSTOM:
        raise entry.error("model", "'custom' stands for scripts of your own: the file belongs beside them, and "
                                   "customModelTrainingParameters names their folder")
    return entry.known("model", model, MODELS)


def _task(entry: JsonObject) -> Task:
    return TASKS[entry.known("task_type", entry.text("task_type"), TASKS)]


def _configuration(entry: JsonObject) -> Configuration:
    model, task = _model(entry), _task(entry)
    if model in KGE_MODELS and task is not Task.LINK_PREDICT:
        raise entry.error("model", f"'{model}' predicts links only, and task_type is {task}; it must be {RGCN}",
                          name=Fault.CONTRADICTION)
    entry.allow("model", "task_type", "eval_metric", "eval_frequency", "instance_count", *TIERS)
    missing = [tier for tier in TIERS if tier not in entry.members]
    if missing:
        raise entry.error(missing[0], "is missing; all four of " + ", ".join(TIERS) + " are required, and may be empty lists []")
    kind, places = parameters_of(model, task), dict[str, str]()
    tiers = [tuple(_parameter(parameter, kind, places) for parameter in entry.objects(tier)) for tier in TIERS]
    return Configuration(model=model, task=task, evaluation=_evaluation(entry, task), tiers=(tiers[0], tiers[1], tiers[2]),
                         fixed=tiers[3], instance_count=_instance_count(entry))


def _instance_count(model: JsonObject) -> int:
    count = model.members.get("instance_count", 1)
    if type(count) is not int or not 1 <= count <= MOST_INSTANCES:
        raise model.error("instance_count", "is the number of workers that train a model together, a whole number from 1 to "
                                            f"{MOST_INSTANCES}; it is {_shown(count)}")
    return count


def _evaluation(model: JsonObject, task: Task) -> Evaluation:
    metric = model.object("eval_metric")
    metric.allow("metric", "topk")
    name = metric.known("metric", metric.text("metric"), METRICS[task])
    topk = metric.members.get("topk", 1)
    if type(topk) is not int or topk < 1:
        raise metric.error("topk", f"must be a whole number from 1, it is {_shown(topk)}")
    if "eval_frequency" not in model.members:
        return Evaluation(metric=name, topk=topk)
    frequency = model.object("eval_frequency")
    frequency.allow("type", "value")
    kind = frequency.word("type", FREQUENCIES, FREQUENCIES[0])
    every = frequency.members.get("value", 1)
    if type(every) not in {int, float} or every <= 0:
        raise frequency.error("value", f"must be a number above 0, it is {_shown(every)}")
    if kind == "evaluate_every_pct" and every > 1:
        raise frequency.error("value", f"is the part of the training between evaluations, at most 1.0; it is {_shown(every)}")
    if kind != "evaluate_every_pct" and every != int(every):
        raise frequency.error("value", f"must be a whole number for {kind}, it is {_shown(every)}")
    return Evaluation(metric=name, topk=topk, frequency=kind, every=float(every))


def _parameter(entry: JsonObject, kind: type[Parameters], places: dict[str, str]) -> Parameter:
    """One entry of a tier. ``places`` collects where each name was seen."""
    entry.allow("param", "type", "default", "range", "options", "inc_strategy", "inc_val", "node_strategy", "edge_strategy")
    name = entry.known("param", entry.text("param"), names_of(kind))
    if name in places:
        raise entry.error("param", f"'{name}' is already in {places[name]}; a hyperparameter may be in one tier only, once")
    places[name] = entry.path
    entry.word("type", ("bool", "int", "float", "str"), "float")
    for scale in ("node_strategy", "edge_strategy"):
        entry.word(scale, SCALES, SCALES[0])
    increment = Increment(entry.word("inc_strategy", tuple(Increment), Increment.LINEAR))
    default = entry.members.get("default")
    if default is not None:
        default = _checked(entry, "default", kind, name, default)
    low, high = _range(entry, kind, name, increment) if "range" in entry.members else (None, None)
    options = _options(entry, kind, name) if "options" in entry.members else None
    if low is not None and options is not None:
        raise entry.error("", "has both 'range' and 'options'; it must have one of them")
    step = entry.members.get("inc_val")
    if step is not None and (type(step) not in {int, float} or step <= 0):
        raise entry.error("inc_val", f"must be a number above 0, it is {_shown(step)}")
    own = _own(kind, name)
    return Parameter(place=f"{entry.file}, {entry.path}", name=name, kind=type(own).__name__, own=own, default=default, low=low,
                     high=high, increment=increment, step=step, options=options)


def _own(kind: type[Parameters], name: str) -> ParameterValue:
    """The default of a hyperparameter; that of ``sparse-lr`` is the one of ``lr``."""
    values = write_parameters(kind())
    return values[name] if name in values else values["lr"]


def _range(entry: JsonObject, kind: type[Parameters], name: str, increment: Increment) -> tuple[float, float]:
    if type(_own(kind, name)) not in {int, float}:
        raise entry.error("range", f"'{name}' has no range; give its values as options")
    bounds = entry.members["range"]
    if not isinstance(bounds, list) or len(bounds) != 2 or any(type(bound) not in {int, float} for bound in bounds):
        raise entry.error("range", f"must be a list of two numbers [low, high], it is {_shown(bounds)}")
    low, high = (_checked(entry, "range", kind, name, bound) for bound in bounds)
    check_bounds(entry, low, high, increment)
    return float(low), float(high)


def check_bounds(entry: JsonObject, low: float, high: float, increment: Increment) -> None:
    """Raise InputFault if there is nothing in the range of a hyperparameter to search."""
    if low > high:
        raise entry.error("range", f"its low end {_shown(low)} is above its high end {_shown(high)}")
    if increment is Increment.LOG and low <= 0:
        raise entry.error("range", f"must be above 0 when inc_strategy is log, its low end is {_shown(low)}")
    if increment is Increment.POWER2 and (high <= 0 or 2.0 ** math.floor(math.log2(high)) < low):
        raise entry.error("range", f"holds no power of two, which inc_strategy power2 asks for: {_shown([low, high])}")


def _options(entry: JsonObject, kind: type[Parameters], name: str) -> tuple[ParameterValue, ...]:
    options = entry.members["options"]
    if not isinstance(options, list) or not options:
        raise entry.error("options", f"must be a list of values, it is {_shown(options)}")
    return tuple(_checked(entry, "options", kind, name, option) for option in options)


def _checked(entry: JsonObject, member: str, kind: type[Parameters], name: str, value: Any) -> Any:
    """The value as the hyperparameter's own type (64 for 64.0, 1.0 for 1)."""
    try:
        return write_parameters(read_parameters({name: value}, kind))[name]
    except WorkFailed as error:
        raise entry.error(member, str(error)) from error


def _tunable(parameter: Parameter) -> Tunable:
    options = parameter.options
    if parameter.low is None and options is None:
        if parameter.kind != "bool":
            raise WorkFailed(f"{parameter.place}: '{parameter.name}' is tuned in this job, and has neither 'range' nor 'options'")
        options = (True, False)
    return Tunable(name=parameter.name, type=parameter.kind, default=_start(parameter), low=parameter.low, high=parameter.high,
                   increment=parameter.increment, step=parameter.step, options=options)


def _start(parameter: Parameter) -> ParameterValue:
    """The value when it is not tuned, and in the first trial."""
    if parameter.default is not None:
        return parameter.default
    own = parameter.own
    if parameter.options is not None:
        return own if own in parameter.options else parameter.options[0]
    low, high = parameter.low, parameter.high
    if low is None or high is None or not isinstance(own, int | float):
        return own
    if low <= own <= high:
        return own
    if parameter.increment is Increment.LINEAR:
        middle = (low + high) / 2
    elif parameter.increment is Increment.LOG:
        middle = math.sqrt(low * high)
    else:
        smallest = max(low, 1.0)
        middle = 2.0 ** round((math.log2(smallest) + math.log2(high)) / 2)
        middle = middle if low <= middle <= high else 2.0 ** math.floor(math.log2(high))
    return int(middle) if parameter.kind == "int" else middle


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()
