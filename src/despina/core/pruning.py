"""The median stopping rule: a trial that is worse than most were at the same point is not worth going on with.

Source: Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.2: a trial stops at step s if
the best value it has met so far is strictly worse than the median of the running averages, up to s, of the trials that have
completed. We ask only at steps that are powers of two, so that a trial has a few numbers to remember.
"""

import statistics
from collections.abc import Iterable, Sequence

FIRST_STEP = 4
"""Of the first few epochs nothing is concluded."""
COMPLETED = 5
"""So many trials have to be completed before any is pruned (Optuna's ``n_startup_trials``)."""

Averages = tuple[tuple[int, float], ...]
"""Pairs of an epoch, from 1, and the mean of the metric's values up to its end."""


def running_averages(values: Sequence[float | None]) -> Averages:
    """Of a trial with these values of the metric after each epoch; None stands for those before the first evaluation."""
    found: list[tuple[int, float]] = []
    for epoch in range(1, len(values) + 1):
        known = [value for value in values[:epoch] if value is not None] if _is_asked(epoch) else []
        if known:
            found.append((epoch, statistics.fmean(known)))
    return tuple(found)


def thresholds(completed: Iterable[Averages], *, maximize: bool) -> Averages:
    """What a trial has to reach by these epochs, given the running averages of the completed trials; it may be equal."""
    at: dict[int, list[float]] = {}
    for averages in completed:
        for epoch, value in averages:
            at.setdefault(epoch, []).append(value)
    # Of an even number the worse one of the two in the middle: nothing is stopped that half of the trials were no better than.
    median = statistics.median_low if maximize else statistics.median_high
    return tuple((epoch, median(values)) for epoch, values in sorted(at.items()) if len(values) >= COMPLETED)


def _is_asked(epoch: int) -> bool:
    return epoch >= FIRST_STEP and epoch & (epoch - 1) == 0
