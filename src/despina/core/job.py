"""A job is data: ``Job`` holds ``Step``s, the resources that the API shows, and a step holds ``Run``s, the programs that work.

All times are whole milliseconds since 1970-01-01T00:00:00Z, as on the wire. Everything is frozen; ``msgspec.structs.replace``
makes changed copies.
"""

from enum import StrEnum
from typing import Any

from despina.core.frozen import RECORD_VERSION, Recorded
from despina.core.pruning import Averages
from despina.core.requests import StartRequests

ParameterValue = bool | int | float | str | list[int]
"""A hyperparameter's value; lists are fanouts (neighbours sampled, one number a layer)."""


class JobKind(StrEnum):
    """The kinds of job, spelled as in the API's paths. Ids are unique within a kind, not across kinds."""

    DATA_PROCESSING = "dataprocessing"
    MODEL_TRAINING = "modeltraining"
    MODEL_TRANSFORM = "modeltransform"


class Status(StrEnum):
    """The status of a job or step, exactly as on the wire. There is no queued status: clients take anything else for the end."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        """Whether this status never changes again."""
        return self in {Status.STOPPED, Status.COMPLETED, Status.FAILED}


class RunState(StrEnum):
    """The state of a run, as recorded in the job and as observed by an engine."""

    PENDING = "pending"
    """Recorded, perhaps submitted, not started: it waits for cores or memory."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The program said so itself, or ended with an error. It would do so again: not retried."""
    STOPPED = "stopped"
    """Ended by ``Engine.stop``."""
    LOST = "lost"
    """It ended and left no word (killed, out of memory, machine restarted): retried a bounded number of times."""

    @property
    def is_live(self) -> bool:
        """Whether the run may still do something."""
        return self in {RunState.PENDING, RunState.RUNNING}


class StepName(StrEnum):
    """The resources of a job that the API shows, by their wire names."""

    PROCESSING = "processingJob"
    TUNING = "hpoJob"
    BASE_PROCESSING = "baseProcessingJob"
    """Of a model-transform job."""


class RunKind(StrEnum):
    """What a run does in its job."""

    PROCESS = "process"
    STRATEGY = "strategy"
    TRIAL = "trial"
    TRANSFORM = "transform"


class ProcessWork(Recorded, frozen=True, kw_only=True, tag="process"):
    """Turn the export at ``input`` into a processed graph at ``output`` (both locations)."""

    input: str
    output: str
    config_file_name: str
    model_type: str | None = None
    previous: str | None = None
    """The output of the data-processing job that this one builds on (``previousDataProcessingJobId``)."""


class CustomCode(Recorded, frozen=True, kw_only=True):
    """A user's own model (``customModelTrainingParameters``): where its scripts lie, and their names."""

    source: str
    training: str
    transform: str


class StrategyWork(Recorded, frozen=True, kw_only=True, tag="strategy"):
    """Read the hyperparameter file at ``processed`` and lay down the tuning strategy for ``trials`` trials."""

    processed: str
    trials: int
    custom: CustomCode | None = None
    """If it is there, the file beside its scripts is read."""


class Earlier(Recorded, frozen=True, kw_only=True):
    """A trained model to begin with (``previousModelTrainingJobId``): where it lies, and the graph that it learned from."""

    model: str
    processed: str


class TrainWork(Recorded, frozen=True, kw_only=True, tag="train"):
    """Train one model on the graph at ``processed`` and write it to ``output``.

    ``parameters`` is None until the tuner has filled it in, which happens before the run is recorded.
    """

    processed: str
    output: str
    parameters: dict[str, ParameterValue] | None = None
    attempts: tuple[str, ...] = ()
    """The outputs of earlier attempts that were lost, the newest first. One may hold a state to go on from."""
    until: int | None = None
    """The time (ms) at which training ends, with the best model so far."""
    thresholds: Averages = ()
    """What the metric has to reach by some epochs (``core.pruning``)."""
    halvings: int = 0
    """How often the batch is halved, since earlier attempts were killed for lack of memory."""
    earlier: Earlier | None = None
    custom: CustomCode | None = None
    instance_count: int = 1
    """How many workers train it together."""


class Trial(Recorded, frozen=True, kw_only=True):
    """What is told of a trial that has ended."""

    name: str
    parameters: dict[str, ParameterValue]
    objective: float | None = None
    """None: it failed."""
    ended: str
    """Why: ``core.hyperparameters.End``, or the reason of its failure."""
    seconds: float


class TransformWork(Recorded, frozen=True, kw_only=True, tag="transform"):
    """Compute the artefacts of the model at ``model`` for the graph at ``processed`` and write them to ``output``."""

    processed: str
    model: str
    output: str
    learned_from: str | None = None
    """The graph that the model learned from, if it is not (or may not be) the one at ``processed``."""
    trials: tuple[Trial, ...] = ()
    """Those of the job, for its report."""
    custom: CustomCode | None = None
    parameters: dict[str, ParameterValue] | None = None
    """The hyperparameters of the model, of a user's own."""


class ServeWork(Recorded, frozen=True, kw_only=True, tag="serve"):
    """Answer inference requests with the artefacts at ``artifacts``, of the graph at ``processed``."""

    artifacts: str
    processed: str
    idle_seconds: float = 0.0
    """The run ends when it was not asked for so long; 0: never."""
    custom: CustomCode | None = None


Work = ProcessWork | StrategyWork | TrainWork | TransformWork | ServeWork


class RunSpec(Recorded, frozen=True, kw_only=True):
    """What an engine is given, and what the program finds in ``spec.json``."""

    run_id: str
    work: Work
    share: int = 1
    """The run may use ``1 / share`` of the machine's cores, one at least (sibling trials share a machine). 0: it is a service,
    which mostly waits: it starts at once and takes no core from others."""
    memory_mib: int = 512
    """The memory the run is expected to need, in MiB. Slots are given by it; it is not enforced."""
    traceparent: str | None = None
    """The trace that the program's work belongs to (W3C Trace Context). It is filled in when the run is submitted."""
    version: int = RECORD_VERSION
    """Of who laid it down: engines of older versions leave the run to those of this one."""


class Usage(Recorded, frozen=True, kw_only=True):
    """What a run has used of its machine so far."""

    cpu_seconds: float
    """Of all cores together."""
    peak_memory_bytes: int
    """The most memory that one process of it ever had resident."""


class Progress(Recorded, frozen=True, kw_only=True):
    """One line of a program's standard output: how far it has come. The latest one is shown."""

    at: int
    """When the line was written (ms)."""
    step: int
    of: int
    unit: str
    """What is counted: ``epoch``, ``row``, ``file``."""
    metric: str | None = None
    value: float | None = None
    best: float | None = None
    """The best ``value`` so far."""
    estimate: dict[str, Any] | None = None
    """What the work was expected to take, once that is known: ``despina.graph.estimate.Estimate`` as JSON, kept short."""
    loss: float | None = None
    """Of a training: that of the last step of the epoch."""
    rate: float | None = None
    """Of a training: examples a second in the last epoch."""
    usage: Usage | None = None
    """Of the program's own process, which is all there is unless a training has several workers, or scripts of a user's own."""


class Observation(Recorded, frozen=True, kw_only=True):
    """What an engine knows of a run. ``state`` None: the engine was never given this run."""

    state: RunState | None
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    failure_reason: str | None = None
    out_of_memory: bool = False
    """Whether a lost run was killed because the machine had no memory left."""
    started_at: int | None = None
    finished_at: int | None = None
    usage: Usage | None = None
    """Of all its processes, once it has ended; None: nobody saw the end."""


class Run(Recorded, frozen=True, kw_only=True):
    """One execution of a program. ``id`` is ours, so that submitting twice is once."""

    id: str
    kind: RunKind
    number: int = 0
    """The trial's number, from 0; 0 for all other kinds."""
    attempt: int = 1
    name: str = ""
    """The AWS-shaped name of a trial (a SageMaker training job)."""
    spec: RunSpec
    state: RunState = RunState.PENDING
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    failure_reason: str | None = None
    """Of a live run: why it is being ended, to be tried again."""
    out_of_memory: bool = False
    started_at: int | None = None
    finished_at: int | None = None
    usage: Usage | None = None
    """Once it has ended, if somebody saw that."""


class Step(Recorded, frozen=True, kw_only=True):
    """A resource that the API shows: the processing job or the tuning job."""

    name: StepName
    resource_name: str
    status: Status = Status.IN_PROGRESS
    output_location: str | None = None
    failure_reason: str | None = None
    runs: tuple[Run, ...] = ()


class Model(Recorded, frozen=True, kw_only=True):
    """An entry of ``mlModels`` or ``models``: a packaged model. ``trial`` is the name of the trial it came from."""

    name: str
    trial: str


class EarlierTraining(Recorded, frozen=True, kw_only=True):
    """The completed job that a training job builds on (``previousModelTrainingJobId``)."""

    metric: str
    """That its objectives are of."""
    best: Earlier
    trials: tuple[Trial, ...]
    """Those that succeeded, the best first."""


class TrainedModel(Recorded, frozen=True, kw_only=True):
    """The model of a trial, as far as a transform job needs it."""

    trial: str
    """The trial's name."""
    location: str
    learned_from: str
    """The location of the graph."""
    parameters: dict[str, ParameterValue] | None = None
    custom: CustomCode | None = None
    memory_mib: int = 512


class Job(Recorded, frozen=True, kw_only=True):
    """A data-processing, model-training or model-transform job: the request, the wish to stop it, and the facts so far."""

    kind: JobKind
    id: str
    created_at: int
    request: StartRequests
    prefix: str
    """The location that belongs to this job alone; everything it writes lies below, and ``clean`` deletes nothing else."""
    input: str
    """Where the job's input lies: the export, or the output of the data-processing job it builds on."""
    earlier: EarlierTraining | None = None
    started_by: str | None = None
    """The ARN of the principal who started it; None where requests are not signed."""
    stopped_by: str | None = None
    """The ARN of the principal whose wish to stop it was the last that changed anything."""
    traceparent: str | None = None
    """The trace that its start belongs to, and so all that is done for it (W3C Trace Context); None: it belongs to none."""
    status: Status = Status.IN_PROGRESS
    stop_requested: bool = False
    clean: bool = False
    swept: bool = False
    """Whether the artefacts have been deleted, as ``clean`` asks, and none can appear any more."""
    failed_sweeps: int = 0
    """How often deleting them has failed."""
    failure_reason: str | None = None
    """Set as soon as the job cannot complete any more; the status follows when its runs are dead."""
    notes: tuple[str, ...] = ()
    """What the user should know and the API has no member for (shown with ``details=true``)."""
    steps: tuple[Step, ...] = ()
    models: tuple[Model, ...] = ()

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs of all steps, in the order of their steps."""
        return tuple(run for step in self.steps for run in step.runs)

    @property
    def shown_status(self) -> Status:
        """The status as the API shows it: a job that is to be stopped and has not ended yet is ``Stopping``."""
        if self.stop_requested and not self.status.is_terminal:
            return Status.STOPPING
        return self.status
