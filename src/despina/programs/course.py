"""The course of a training as the outside follows it: how far it is, that it lives, and whether its time is over."""

import time

from despina.programs.context import Context

SIGN_OF_LIFE = 5.0
"""Seconds between two lines of progress within an epoch."""
SPAN_NS = 1_000_000_000
SPAN_SHARE = 100
"""A span of the trace has epochs of a second at least, and of a hundredth of the training so far: there may be any number of
epochs, and of a day's training there are some hundreds of spans."""


class Course:
    """Reports the epochs of a training, and between them that it still moves.

    Args:
        context: Where to report.
        epochs: How many there will be; 0: nobody knows.
        metric: What is measured.
        until: The time (ms since 1970) at which training has to end; None: never.
    """

    def __init__(self, context: Context, *, epochs: int, metric: str, until: int | None) -> None:
        self._context, self._epochs, self._metric, self._until = context, epochs, metric, until
        self._begun = self._span = time.time_ns()
        self._first = 1
        self._last: tuple[int, float | None, float | None, float | None, float | None] = (0, None, None, None, None)
        self._tell()

    def epoch(self, epoch: int, value: float | None, best: float | None, loss: float | None = None,
              rate: float | None = None) -> None:
        """An epoch has ended, with the newest value of the metric and the best so far, and the loss and the examples a second if
        they are known."""
        self._last = epoch, value, best, loss, rate
        self._tell()
        now = time.time_ns()
        if now - self._span >= max(SPAN_NS, (now - self._begun) // SPAN_SHARE):
            self.end()

    def end(self) -> None:
        """No epoch follows soon: those that have ended and are not in the trace yet come into it, in one span."""
        epoch, value, _, loss, rate = self._last
        if self._context.traces is not None and epoch >= self._first:
            told = {"despina.epoch.first": self._first, "despina.epoch.last": epoch, "despina.loss": loss,
                    f"despina.metric.{self._metric}": value, "despina.examples_per_second": rate}
            self._context.traces.passed("epochs", self._span, {name: value for name, value in told.items() if value is not None})
        self._span, self._first = time.time_ns(), epoch + 1

    def step(self) -> bool:
        """A step has ended. Returns whether the time is over."""
        if time.monotonic() - self._told >= SIGN_OF_LIFE:
            self._tell()
        return self._until is not None and time.time() * 1000 >= self._until

    def _tell(self) -> None:
        epoch, value, best, loss, rate = self._last
        self._context.report(epoch, self._epochs, "epoch", metric=self._metric, value=value, best=best, loss=loss, rate=rate)
        self._told = time.monotonic()
