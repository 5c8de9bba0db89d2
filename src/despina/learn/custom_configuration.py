"""Reading the ``model-hpo-configuration.json`` of a user's own model.

Source: Neptune user guide, "Custom models in Neptune ML", "Developing custom models". Its hyperparameters have any names and are
the script's business. ``task_type`` is not looked at: the task is that of the processed data, and files in circulation have it
wrong.
Free of torch.
"""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from despina.core.frozen import Frozen
from despina.core.hyperparameters import Increment, Strategy, Tunable
from despina.core.job import ParameterValue
from despina.graph.faults import Fault, InputFault
from despina.graph.json_object import JsonObject
from despina.learn.configuration import CUSTOM, FILE_NAMES, FREQUENCIES, SCALES, TIERS, check_bounds, only_model

TYPES: dict[str, tuple[type, ...]] = {"bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)}
TYPES_OF_OBJECTIVE = {"Maximize": True, "Minimize": False}


class CustomConfiguration(Frozen, frozen=True, kw_only=True):
    """What the file says."""

    metric: str
    maximize: bool
    pattern: str
    """The regular expression that finds the metric in what the training script prints; its first group is the value."""
    tiers: tuple[tuple[Tunable, ...], ...]
    """Three, of which a job tunes the first ones."""
    fixed: dict[str, ParameterValue]

    def strategy(self, trials: int, *, memory_mib: int) -> Strategy:
        """What is tuned by so many trials: up to 10 tune tier 1, up to 50 tiers 1 and 2, more tune all three."""
        active = 1 if trials <= 10 else 2 if trials <= 50 else 3
        tunable = tuple(parameter for tier in self.tiers[:active] for parameter in tier)
        resting = {parameter.name: parameter.default for tier in self.tiers[active:] for parameter in tier}
        return Strategy(metric=self.metric, maximize=self.maximize, tunable=tunable, fixed={**self.fixed, **resting},
                        memory_mib=memory_mib)

    def last_value(self, lines: Iterable[str]) -> float | None:
        """The value of the metric that the lines tell last; None when they tell none.

        Scripts print a metric only when it is better than before, so that the last one is the best. A match without a value (a
        regular expression with ``|`` in it) tells nothing.
        """
        found = None
        for line in lines:
            for match in re.finditer(self.pattern, line):
                value = number(match)
                found = found if value is None else value
        return found


def number(match: re.Match[str]) -> float | None:
    """The number in the first group that has text; None if there is none."""
    text = next((group for group in match.groups() if group is not None), "") if match.re.groups else match.group()
    try:
        value = float(text.rstrip("."))  # [0-9.]+ takes the end of a sentence too
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def load(folder: Path, source: str) -> CustomConfiguration:
    """Read the file in the folder with the user's scripts; ``source`` is its location, for messages.

    Raises:
        WorkFailed: it is missing or wrong; the message names the file, the place, the value and what would be right.
    """
    for name in FILE_NAMES:
        if (folder / name).is_file():
            return read(name, (folder / name).read_bytes())
    raise InputFault(Fault.MISSING_FILE, f"there is no file {FILE_NAMES[0]} at {source}, the sourceS3DirectoryPath; a model of "
                                         "your own needs one")


def read(file: str, content: bytes) -> CustomConfiguration:
    """Read the file's content. Raises WorkFailed."""
    entry = only_model(file, content)
    entry.allow("model", "task_type", "eval_metric", "eval_frequency", *TIERS)
    entry.known("model", entry.text("model"), (CUSTOM,))
    if "eval_frequency" in entry.members:  # the script decides; but what is written must mean something
        entry.object("eval_frequency").word("type", FREQUENCIES, FREQUENCIES[0])
    missing = [tier for tier in TIERS if tier not in entry.members]
    if missing:
        raise entry.error(missing[0], "is missing; all four of " + ", ".join(TIERS) + " are required, and may be empty lists []")
    places: dict[str, str] = {}
    tiers = [tuple(_tunable(parameter, places) for parameter in entry.objects(tier)) for tier in TIERS]
    metric, maximize, pattern = _metric(entry.object("eval_metric"))
    return CustomConfiguration(metric=metric, maximize=maximize, pattern=pattern, tiers=tuple(tiers[:3]),
                               fixed={parameter.name: parameter.default for parameter in tiers[3]})


def _metric(entry: JsonObject) -> tuple[str, bool, str]:
    entry.allow("tuning_objective", "metric_definitions")
    objective = entry.object("tuning_objective")
    objective.allow("MetricName", "Type")
    maximize = TYPES_OF_OBJECTIVE[objective.known("Type", objective.text("Type"), TYPES_OF_OBJECTIVE)]
    patterns: dict[str, str] = {}
    for definition in entry.objects("metric_definitions"):
        definition.allow("Name", "Regex")
        pattern = definition.text("Regex")
        try:
            re.compile(pattern)
        except re.error as error:
            raise definition.error("Regex", f"'{pattern}' is no regular expression: {error}") from error
        patterns[definition.text("Name")] = pattern
    metric = objective.known("MetricName", objective.text("MetricName"), patterns)
    return metric, maximize, patterns[metric]


def _tunable(entry: JsonObject, places: dict[str, str]) -> Tunable:
    """One entry of a tier. ``places`` collects where each name was seen. Values that are not tuned take ``default``."""
    entry.allow("param", "type", "default", "range", "options", "inc_strategy", "inc_val", "node_strategy", "edge_strategy")
    name = entry.text("param")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise entry.error("param", f"'{name}' cannot be passed to a script as --{name}; letters, digits, - and _ can")
    if name in places:
        raise entry.error("param", f"'{name}' is already in {places[name]}; a hyperparameter may be in one tier only, once")
    places[name] = entry.path
    kind = entry.word("type", TYPES, _kind(entry))
    for scale in ("node_strategy", "edge_strategy"):
        entry.word(scale, SCALES, SCALES[0])
    increment = Increment(entry.word("inc_strategy", tuple(Increment), Increment.LINEAR))
    options = _options(entry, kind) if "options" in entry.members else None
    low, high = _range(entry, kind, increment) if "range" in entry.members else (None, None)
    if low is not None and options is not None:
        raise entry.error("", "has both 'range' and 'options'; it must have one of them")
    step = entry.members.get("inc_val")
    if step is not None and (type(step) not in {int, float} or step <= 0):
        raise entry.error("inc_val", f"must be a number above 0, it is {_shown(step)}")
    if low is None and options is None and kind == "bool":
        options = (True, False)
    default: ParameterValue
    if "default" in entry.members:
        default = _checked(entry, "default", kind, entry.members["default"])
    elif options is not None:
        default = options[0]
    elif low is not None:
        default = int(low) if kind == "int" else low
    else:
        raise entry.error("default", "is missing, and there is neither 'range' nor 'options' to take a value from")
    return Tunable(name=name, type=kind, default=default, low=low, high=high, increment=increment, step=step,
                   options=options if low is not None or options is not None else (default,))


def _kind(entry: JsonObject) -> str:
    """The type of a parameter that tells none, by its values: a script may not take 64.0 for 64."""
    given = [entry.members.get(name) for name in ("default", "options", "range")]
    kinds = [type(value).__name__ for part in given for value in (part if isinstance(part, list) else [part])]
    return "float" if "float" in kinds else next((kind for kind in kinds if kind in TYPES), "float")


def _range(entry: JsonObject, kind: str, increment: Increment) -> tuple[float, float]:
    bounds = entry.members["range"]
    if kind not in {"int", "float"}:
        raise entry.error("range", f"a parameter of type {kind} has no range; give its values as options")
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise entry.error("range", f"must be a list of two numbers [low, high], it is {_shown(bounds)}")
    low, high = (_checked(entry, "range", kind, bound) for bound in bounds)
    check_bounds(entry, low, high, increment)
    return float(low), float(high)


def _options(entry: JsonObject, kind: str) -> tuple[ParameterValue, ...]:
    options = entry.members["options"]
    if not isinstance(options, list) or not options:
        raise entry.error("options", f"must be a list of values, it is {_shown(options)}")
    return tuple(_checked(entry, "options", kind, option) for option in options)


def _checked(entry: JsonObject, member: str, kind: str, value: Any) -> Any:
    """The value, if it is of the kind; a list of whole numbers (a fanout) may stand for any."""
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        return value
    if type(value) not in TYPES[kind]:
        raise entry.error(member, f"{_shown(value)} is not of type {kind}")
    return float(value) if kind == "float" else value


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()
