"""Training one model. Knows nothing of tasks, of tuning, of files or of jobs."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from despina.core.errors import WorkFailed
from despina.core.hyperparameters import End
from despina.core.pruning import Averages
from despina.learn.configuration import LOWER_IS_BETTER, Evaluation
from despina.learn.early_stopping import EarlyStopping
from despina.learn.gradients import add_up
from despina.learn.hyperparameters import Parameters
from despina.learn.objective import Objective
from despina.learn.replicas import align
from despina.learn.resume import Epoch, Progress, TrainingState

log = logging.getLogger(__name__)

SHARE = 0.05
"""Of the time that keeping the state of a training may take."""
Keep = Callable[[TrainingState], None]
OnEpoch = Callable[[Epoch, float | None], None]
"""Called after each epoch with its point of the curves, and the best value of the metric so far (None before the first)."""
OnStep = Callable[[], bool]
"""Called after each step; whether training is to end there, since its time is over."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The best model that a training met; it is that of the objective."""

    epoch: int
    """In which it was met, from 1."""
    value: float
    """The metric on the validation part."""
    curve: tuple[Epoch, ...]
    ended: End


def train(objective: Objective, given: Parameters, evaluation: Evaluation, *, on_epoch: OnEpoch,
          on_step: OnStep = lambda: False, thresholds: Averages = (), keep: Keep | None = None,
          kept: TrainingState | None = None) -> Trained:
    """Train the objective's model, and leave it as it was when it was best on the validation part.

    Args:
        objective: What to train.
        given: Epochs, learning rate and early stopping.
        evaluation: When to measure, and whether higher is better.
        on_epoch: Is told of each epoch, also of those that an earlier attempt has gone through.
        on_step: Is asked after each step whether training is to end there.
        thresholds: The training ends after an epoch among these if its best value is worse than the one beside it.
        keep: Is given the state at the end of epochs, unless keeping takes more than a twentieth of the time.
        kept: A state to go on from. What comes of it is what would have come without a break.

    Of several workers all call this. Only the first one's ``on_step`` and ``kept`` count.

    Raises:
        WorkFailed: the loss is no number any more.
    """
    judge, curve, workers = _Judge(objective, given, evaluation), list[Epoch](), objective.workers
    if kept is not None:
        objective.model.load_state_dict(kept.model)
        for optimiser, state in zip(objective.optimisers, kept.optimisers, strict=True):
            optimiser.restore(state)
    progress = align(objective, kept.progress if kept else None)
    if progress is not None:
        curve = list(progress.curve)
        judge.resume(progress, kept.best if kept else {})
        log.info("going on after epoch %d", len(curve))
        for epoch_before in curve:
            on_epoch(epoch_before, judge.best)
    keeper, at_least, end = _Keeper(keep), dict(thresholds), None
    begun = time.monotonic() - (curve[-1].seconds if curve else 0)
    for epoch in range(len(curve) + 1, given.num_epochs + 1):
        objective.begin(epoch)
        for number, step in enumerate(objective.steps(), start=(epoch - 1) * objective.per_epoch + 1):
            loss = _descend(objective, step)
            if not math.isfinite(loss):
                raise WorkFailed(f"training diverged in epoch {epoch}: the loss is {loss}. A lower lr (it is {given.lr}) may help.")
            end = judge.after_step(number, epoch, is_time_over=bool(workers.first(on_step)))
            if end is not None:
                break
        log.info("epoch %d: loss %.4f, %s %s", epoch, loss, evaluation.metric, judge)
        curve.append(Epoch(epoch=epoch, loss=loss, value=judge.value, seconds=round(time.monotonic() - begun, 3)))
        on_epoch(curve[-1], judge.best)
        if end is None and judge.is_below(at_least.get(epoch)):
            end = End.PRUNED
        if end is not None:
            log.info("ended after epoch %d: %s", epoch, end)
            break
        keeper.offer(judge.progress(curve), objective, judge.state)
    judge.restore()
    return Trained(epoch=judge.epoch, value=judge.best or 0.0, curve=tuple(curve), ended=end or End.EPOCHS)


class _Keeper:
    """Keeps states, but not so often that it takes more than ``SHARE`` of the time."""

    def __init__(self, keep: Keep | None) -> None:
        self._keep = keep
        self._next = 0.0

    def offer(self, progress: Progress, objective: Objective, best: dict[str, Tensor]) -> None:
        """Keep the state if it is time for that, as the first worker finds."""
        begun = time.monotonic()
        if objective.workers.first(lambda: begun >= self._next) and self._keep is not None:
            self._keep(TrainingState(progress=progress, model=objective.model.state_dict(), best=best,
                                     optimisers=[optimiser.state() for optimiser in objective.optimisers]))
            ended = time.monotonic()
            self._next = ended + (ended - begun) / SHARE


class _Judge:
    """Measures the model on the validation part, remembers it as it was when it was best, and tells when that is enough."""

    def __init__(self, objective: Objective, given: Parameters, evaluation: Evaluation) -> None:
        self._objective, self._model = objective, objective.model
        self._metric = evaluation.metric
        self._sign = -1 if evaluation.metric in LOWER_IS_BETTER else 1
        self._stopping, self._may_stop = EarlyStopping(given.window_for_early_stop), given.enable_early_stop
        self._steps = given.num_epochs * objective.per_epoch
        self._interval = _interval(evaluation, per_epoch=objective.per_epoch, epochs=given.num_epochs)
        self.state: dict[str, Tensor] = {}
        self.value: float | None = None
        self.best: float | None = None
        self.epoch = 0

    def progress(self, curve: list[Epoch]) -> Progress:
        """What another one has to know to go on."""
        return Progress(best_value=self.best, best_epoch=self.epoch, window=self._stopping.values, curve=tuple(curve))

    def resume(self, progress: Progress, state: dict[str, Tensor]) -> None:
        """Know what an earlier one knew, and what the model was when it was best."""
        self.state, self.best, self.epoch = state, progress.best_value, progress.best_epoch
        self.value = progress.curve[-1].value
        self._stopping = EarlyStopping(self._stopping.window, progress.window)

    def after_step(self, number: int, epoch: int, *, is_time_over: bool) -> End | None:
        """Measure the model if it is time for that; the reason to end after this step, if there is one.

        Args:
            number: Of the step in the whole training, from 1.
            epoch: From 1.
            is_time_over: Whether no step may follow.
        """
        end = None
        if (number % self._interval == 0 or number == self._steps) and self._stopping.stops_at(self.look(epoch)) and self._may_stop:
            end = End.EARLY
        if is_time_over and end is None and number < self._steps:
            end = End.TIME
            if self.best is None:  # a model that was never measured could not be kept
                self.look(epoch)
        return end

    def look(self, epoch: int) -> float:
        """Measure the model now. Of the result higher is better, whatever the metric."""
        self.value = self._objective.measure()
        if not math.isfinite(self.value):
            raise WorkFailed(f"training diverged in epoch {epoch}: the {self._metric} of the validation part is {self.value}. A "
                             "lower lr may help.")
        if self.best is None or self._sign * self.value > self._sign * self.best:
            self.best, self.epoch = self.value, epoch
            self.state = {name: weights.clone() for name, weights in self._model.state_dict().items()}
        return self._sign * self.value

    def is_below(self, threshold: float | None) -> bool:
        """Whether the best value is worse than this."""
        return threshold is not None and self.best is not None and self._sign * self.best < self._sign * threshold

    def __str__(self) -> str:
        return "not measured yet" if self.value is None or self.best is None else f"{self.value:.4f}, best {self.best:.4f}"

    def restore(self) -> None:
        """Make the model what it was when it was best."""
        if self.state:  # a worker that joined after that does not know it
            self._model.load_state_dict(self.state)


def _descend(objective: Objective, step: Callable[[], Tensor]) -> float:
    """One step of gradient descent; the loss before it, of all workers."""
    loss = step()
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    add_up(objective.workers, objective.shared)
    for optimiser in objective.optimisers:
        optimiser.step()
    return objective.workers.sum(loss.detach()).item()


def _interval(evaluation: Evaluation, *, per_epoch: int, epochs: int) -> int:
    """Steps between two evaluations."""
    steps = {"evaluate_every_epoch": per_epoch, "evaluate_every_batch": 1, "evaluate_every_pct": per_epoch * epochs}
    return max(1, round(evaluation.every * steps[evaluation.frequency]))
