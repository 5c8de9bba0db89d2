"""``training-report.json``: what a training was given, how it went, and whether the graph helped."""

import platform
import resource
from importlib.metadata import version
from typing import Any

from despina.core.frozen import Frozen
from despina.core.hyperparameters import End
from despina.core.job import ParameterValue, Trial
from despina.graph.graph import Graph
from despina.learn.floors import floor
from despina.learn.resume import Epoch
from despina.learn.trainer import Trained
from despina.learn.warm_start import WarmStart

FILE = "training-report.json"
PACKAGES = ("despina", "torch", "numpy")


class Floor(Frozen, frozen=True, kw_only=True):
    """The plainest model for the task, which knows nothing of the graph (``learn.floors``)."""

    name: str
    metrics: dict[str, dict[str, Any]]
    """Under ``valid`` and ``test``."""


class TrainingReport(Frozen, frozen=True, kw_only=True):
    """The content of ``training-report.json``."""

    task: str
    model: str
    metric: str
    value: float
    """The metric on the validation part, after the correction."""
    correction: float
    """The strength by which predictions are corrected (``learn.correction``): of nodes by their neighbours' residuals, of numbers
    of edges by the share of a factorisation; 0: they are not."""
    epoch: int
    """In which it was kept."""
    ended: End
    """Why training ended."""
    metrics: dict[str, dict[str, Any]]
    """All metrics of the model, under ``valid`` and ``test``."""
    floor: Floor
    hyperparameters: dict[str, ParameterValue]
    seed: int
    instance_count: int
    """Of the workers that trained it together: one where an epoch is a single step over the whole graph, whatever was asked for."""
    versions: dict[str, str]
    seconds: dict[str, float]
    """Stage (``load``, ``train``, ``evaluate``) → how long it took."""
    cpu_seconds: float
    """Of all cores together."""
    peak_memory_bytes: int
    """The most memory that the process ever had resident."""
    curve: tuple[Epoch, ...]
    warm_start: WarmStart | None
    """What was taken from the job that this one builds on; None: it builds on none."""
    trials: tuple[Trial, ...] = ()
    """Those of the job; empty in the report of a single trial."""


def training_report(graph: Graph, trained: Trained, *, value: float, correction: float, model: str, metric: str,
                    metrics: dict[str, dict[str, Any]], hyperparameters: dict[str, ParameterValue], seed: int,
                    instance_count: int, warm_start: WarmStart | None, seconds: dict[str, float]) -> TrainingReport:
    """The report on a training that has just ended in this process."""
    name, of_floor = floor(graph)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return TrainingReport(
        task=graph.target.task, model=model, metric=metric, value=value, correction=correction, epoch=trained.epoch,
        ended=trained.ended, metrics=metrics, floor=Floor(name=name, metrics=of_floor),
        hyperparameters=hyperparameters, seed=seed, instance_count=instance_count,
        seconds={stage: round(taken, 3) for stage, taken in seconds.items()},
        versions={"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        cpu_seconds=round(used.ru_utime + used.ru_stime, 3), peak_memory_bytes=used.ru_maxrss * 1024, curve=trained.curve,
        warm_start=warm_start)
