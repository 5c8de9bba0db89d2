"""What is shown of a job beside its record: the course of its runs, what it wrote about itself, and the jobs around it.

The forms of ``processing-report.json`` and ``training-report.json`` as they are read here forgive what they do not know: the files
lie where others may write too, and may be of another version.
"""

from typing import Any

import msgspec

from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind, Usage

TypeName = str | tuple[str, str, str]
"""A node type, or source, relation and destination of an edge type."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is read from files of jobs: members that it does not know are passed over."""


class Point(Read, frozen=True, kw_only=True):
    """What a training was like at the end of an epoch."""

    epoch: int
    """From 1."""
    loss: float | None = None
    """None: the program did not tell, or it is no number."""
    value: float | None = None
    """The newest value of the metric on the validation part."""
    seconds: float | None = None
    """Since the training began."""


class Finding(Read, frozen=True, kw_only=True):
    """One thing that is wrong with an export (``despina.graph.faults``)."""

    name: str
    text: str
    file: str | None = None
    line: int | None = None
    column: str | None = None
    value: str | None = None


class FeatureFacts(Read, frozen=True, kw_only=True):
    """What became of a feature."""

    name: str
    type: str
    width: int = 0
    inferred: str | None = None
    dropped: str | None = None
    missing: int = 0


class TypeFacts(Read, frozen=True, kw_only=True):
    """The nodes or edges of a type."""

    type: TypeName
    count: int
    rows: int = 0
    removed: int = 0
    sparse: bool = False
    features: tuple[FeatureFacts, ...] = ()


class LabelFacts(Read, frozen=True, kw_only=True):
    """What is predicted of a type: members, classes or numbers by part."""

    type: TypeName
    parts: dict[str, int] = {}
    classes: dict[str, dict[str, int]] | None = None
    values: dict[str, dict[str, float | None]] | None = None


class DataReport(Read, frozen=True, kw_only=True):
    """``processing-report.json``, of a job that is at work (then only the estimate is there), failed or completed."""

    status: str = ""
    task: str | None = None
    property: str | None = None
    nodes: tuple[TypeFacts, ...] = ()
    edges: tuple[TypeFacts, ...] = ()
    labels: tuple[LabelFacts, ...] = ()
    dropped_rows: int = 0
    added_nodes: int = 0
    warnings: tuple[str, ...] = ()
    estimate: dict[str, Any] | None = None
    seconds: dict[str, float] = {}
    peak_memory_bytes: int | None = None
    findings: tuple[Finding, ...] = ()


class Baseline(Read, frozen=True, kw_only=True):
    """The plainest model for the task (``despina.learn.floors``)."""

    name: str
    metrics: dict[str, dict[str, Any]] = {}


class ModelReport(Read, frozen=True, kw_only=True):
    """``training-report.json``; of a user's own model only model, metric and values are there."""

    model: str
    metric: str
    task: str | None = None
    value: float | None = None
    correction: float | None = None
    epoch: int | None = None
    ended: str | None = None
    metrics: dict[str, dict[str, Any]] = {}
    """Under ``valid`` and ``test``."""
    floor: Baseline | None = None
    hyperparameters: dict[str, Any] | None = None
    instance_count: int = 1
    versions: dict[str, str] = {}
    seconds: dict[str, float] = {}
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    curve: tuple[Point, ...] = ()
    values: tuple[float | None, ...] = ()


class Course(Frozen, frozen=True, kw_only=True):
    """How a run went."""

    points: tuple[Point, ...] = ()
    """The epochs, in order."""
    usage: Usage | None = None
    """What it has used, as far as that is known."""


class Related(Frozen, frozen=True, kw_only=True):
    """Another job: one that this one builds on, or that builds on it."""

    kind: JobKind
    id: str


class JobReport(Frozen, frozen=True, kw_only=True):
    """All that is shown of a job."""

    job: Job
    """With the progress of its live runs as it is at this moment."""
    courses: dict[str, Course]
    """Of each run that has begun, by its id."""
    best: str | None = None
    """The id of the trial with the best value so far."""
    maximize: bool | None = None
    """Whether higher values are better, once the strategy is known."""
    data: DataReport | None = None
    """Of a data-processing job."""
    model: ModelReport | None = None
    """Of the model that a training or transform job has left at its output location."""
    gone: tuple[str, ...] = ()
    """Sentences on what is not there any more, and why."""
    before: tuple[Related, ...] = ()
    """The jobs that it builds on."""
    after: tuple[Related, ...] = ()
    """Jobs that build on it, among the newest of their kind."""
