"""Hyperparameters as Neptune ML names them, and the strategy by which they are tuned.

Source: Neptune user guide, "Customizing model hyperparameter configurations in Neptune ML".
"""

from enum import StrEnum

from despina.core.frozen import Frozen
from despina.core.job import ParameterValue
from despina.core.pruning import Averages


class Increment(StrEnum):
    """How a range is searched: ``inc_strategy`` of the hyperparameter file."""

    LINEAR = "linear"
    LOG = "log"
    POWER2 = "power2"


class Tunable(Frozen, frozen=True, kw_only=True):
    """A hyperparameter that this job tunes: either ``low``..``high`` or one of ``options``."""

    name: str
    type: str
    """``int``, ``float`` or ``bool``."""
    default: ParameterValue
    """The value of the first trial."""
    low: float | None = None
    high: float | None = None
    increment: Increment = Increment.LINEAR
    step: float | None = None
    """``inc_val``: the distance of neighbouring values of a linear range; None for any value."""
    options: tuple[ParameterValue, ...] | None = None


class Strategy(Frozen, frozen=True, kw_only=True):
    """The result of the strategy run: what is tuned, by which metric, and what every trial shares."""

    metric: str
    maximize: bool
    tunable: tuple[Tunable, ...]
    fixed: dict[str, ParameterValue]
    """The hyperparameters that all trials of this job share."""
    memory_mib: int
    """The memory that one trial is expected to need, all its workers together."""
    instance_count: int = 1
    """How many workers train one trial together."""


class End(StrEnum):
    """Why a training ended."""

    EPOCHS = "all epochs"
    EARLY = "early stop"
    """By the training's own curve (``enable-early-stop``)."""
    PRUNED = "pruned"
    """It was worse than the job's other trials at the same epoch (``core.pruning``)."""
    TIME = "time out"


class TrialResult(Frozen, frozen=True, kw_only=True):
    """The result of a trial run: the value of the strategy's metric on the validation part, at the best epoch."""

    objective: float
    epoch: int
    """The epoch, from 1, whose model was kept."""
    ended: End = End.EPOCHS
    averages: Averages = ()
    """What later trials are held against."""
