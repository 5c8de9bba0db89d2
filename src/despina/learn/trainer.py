"""Training one model. Knows nothing of tasks, of tuning, of files or of jobs."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.learn.configuration import LOWER_IS_BETTER, Evaluation
from despina.learn.early_stopping import EarlyStopping
from despina.learn.hyperparameters import Parameters
from despina.learn.objective import Objective

log = logging.getLogger(__name__)

OnEpoch = Callable[[int, float | None, float | None], None]
"""Called after each epoch with its number, from 1, the newest value of the metric, and the best so far (None before the first)."""


class Epoch(Frozen, frozen=True, kw_only=True):
    """One point of the curves of a training."""

    epoch: int
    """From 1."""
    loss: float
    """Of its last step."""
    value: float | None
    """The newest value of the metric on the validation part; None before the first."""
    seconds: float
    """Since the training began."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The best model that a training met; it is that of the objective."""

    epoch: int
    """In which it was met, from 1."""
    value: float
    """The metric on the validation part."""
    curve: tuple[Epoch, ...]
    stopped_early: bool


def train(objective: Objective, given: Parameters, evaluation: Evaluation, *, on_epoch: OnEpoch) -> Trained:
    """Train the objective's model, and leave it as it was when it was best on the validation part.

    Raises:
        WorkFailed: the loss is no number any more.
    """
    judge = _Judge(objective, evaluation)
    stopping = EarlyStopping(given.window_for_early_stop)
    interval = _interval(evaluation, per_epoch=objective.per_epoch, epochs=given.num_epochs)
    done, stop, begun = 0, False, time.monotonic()
    curve: list[Epoch] = []
    for epoch in range(1, given.num_epochs + 1):
        for step in objective.steps():
            loss = _descend(objective, step)
            if not math.isfinite(loss):
                raise WorkFailed(f"training diverged in epoch {epoch}: the loss is {loss}. A lower lr (it is {given.lr}) may help.")
            done += 1
            if done % interval == 0 or done == given.num_epochs * objective.per_epoch:
                stop = stopping.stops_at(judge.look(epoch)) and given.enable_early_stop
            if stop:
                break
        log.info("epoch %d: loss %.4f, %s %s", epoch, loss, evaluation.metric, judge)
        curve.append(Epoch(epoch=epoch, loss=loss, value=judge.value, seconds=round(time.monotonic() - begun, 3)))
        on_epoch(epoch, judge.value, judge.best)
        if stop:
            log.info("early stop: worse than the mean of the last %d evaluations", given.window_for_early_stop)
            break
    judge.restore()
    return Trained(epoch=judge.epoch, value=judge.best or 0.0, curve=tuple(curve), stopped_early=stop)


class _Judge:
    """Measures the model on the validation part, and remembers it as it was when it was best."""

    def __init__(self, objective: Objective, evaluation: Evaluation) -> None:
        self._objective, self._model = objective, objective.model
        self._metric = evaluation.metric
        self._sign = -1 if evaluation.metric in LOWER_IS_BETTER else 1
        self._state: dict[str, Tensor] = {}
        self.value: float | None = None
        self.best: float | None = None
        self.epoch = 0

    def look(self, epoch: int) -> float:
        """Measure the model now. Of the result higher is better, whatever the metric."""
        self.value = self._objective.measure()
        if not math.isfinite(self.value):
            raise WorkFailed(f"training diverged in epoch {epoch}: the {self._metric} of the validation part is {self.value}. A "
                             "lower lr may help.")
        if self.best is None or self._sign * self.value > self._sign * self.best:
            self.best, self.epoch = self.value, epoch
            self._state = {name: weights.clone() for name, weights in self._model.state_dict().items()}
        return self._sign * self.value

    def __str__(self) -> str:
        return "not measured yet" if self.value is None or self.best is None else f"{self.value:.4f}, best {self.best:.4f}"

    def restore(self) -> None:
        """Make the model what it was when it was best."""
        self._model.load_state_dict(self._state)


def _descend(objective: Objective, step: Callable[[], Tensor]) -> float:
    """One step of gradient descent; the loss before it."""
    loss = step()
    loss.backward()  # type: ignore[no-untyped-call]
    for optimiser in objective.optimisers:
        optimiser.step()
    return loss.item()


def _interval(evaluation: Evaluation, *, per_epoch: int, epochs: int) -> int:
    """Steps between two evaluations."""
    steps = {"evaluate_every_epoch": per_epoch, "evaluate_every_batch": 1, "evaluate_every_pct": per_epoch * epochs}
    return max(1, round(evaluation.every * steps[evaluation.frequency]))
