"""Laying down what a training job tunes."""

import logging
from typing import Any

import msgspec

from despina.core.hyperparameters import Strategy
from despina.core.job import ParameterValue, StrategyWork
from despina.learn import configuration
from despina.learn.hyperparameters import parameters_of, read_parameters
from despina.learn.memory import training_memory_mib
from despina.programs.context import Context
from despina.programs.inputs import processed_graph

log = logging.getLogger(__name__)


def run(work: StrategyWork, context: Context) -> dict[str, Any]:
    """Read the hyperparameter file beside the processed graph. Returns a ``Strategy``.

    Raises:
        WorkFailed: the file is missing or wrong, or asks for what this version cannot train.
        ArtifactError: the processed data cannot be read.
    """
    folder, graph = processed_graph(context, work.processed)
    given = configuration.load(folder)
    configuration.check_target(given, graph.target)
    kind = parameters_of(given.model, given.task)
    draft = given.strategy(work.trials, memory_mib=0)
    strategy = msgspec.structs.replace(draft, memory_mib=training_memory_mib(
        graph, read_parameters(_largest(draft), kind), workers=given.instance_count))
    log.info("%d trials by %s tune %s; each needs about %d MiB", work.trials, strategy.metric,
             ", ".join(tunable.name for tunable in strategy.tunable) or "nothing", strategy.memory_mib)
    result: dict[str, Any] = msgspec.to_builtins(strategy)
    return result


def _largest(strategy: Strategy) -> dict[str, ParameterValue]:
    """The parameters of the trial that needs most memory."""
    values = strategy.fixed | {tunable.name: tunable.default for tunable in strategy.tunable}
    for tunable in strategy.tunable:
        if tunable.name in {"num-hidden", "num-layer", "batch-size"}:
            sizes = [tunable.high, *(tunable.options or ())]
            values[tunable.name] = max(int(size) for size in sizes if isinstance(size, int | float))
    return values
