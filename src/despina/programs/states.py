"""The states of trainings that go on, below their outputs."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from despina.core.location import Location
from despina.learn.resume import TrainingState
from despina.learn.workers import Workers
from despina.programs.context import Context

STATE = "state"
"""The subfolder of the output with the state of a training that goes on."""


def keep(state: TrainingState, place: Location, context: Context) -> None:
    """Put a state at a place of its own, where an earlier one may be."""
    with TemporaryDirectory(dir=context.folder) as folder:
        state.save(Path(folder))
        context.store.put(Path(folder), place)


def kept_at(place: Location, context: Context) -> TrainingState | None:
    """The state at this place; None if there is none, or none that can be read."""
    if next(iter(context.store.list(place)), None) is None:
        return None  # it was lost before it kept any
    return TrainingState.load(Path(context.store.get(place)))


def kept(outputs: tuple[str, ...], context: Context) -> TrainingState | None:
    """The newest state that these attempts at the training have kept, the newest first."""
    for output in outputs:
        state = kept_at(Location.parse(output) / STATE, context)
        if state is not None:
            return state
    return None


class PartStates:
    """What a worker keeps of a model that is divided: its part, in two places by turns.

    A worker may be killed while others have kept their parts already: then all have the parts before them.

    Args:
        workers: Who trains.
        output: Of this attempt.
        context: The run's.
    """

    def __init__(self, workers: Workers, output: str, context: Context) -> None:
        self._workers, self._output, self._context, self._turn = workers, output, context, 0

    def keep(self, state: TrainingState) -> None:
        """Keep this worker's part. All workers have to."""
        keep(state, self._place(self._output, self._turn), self._context)
        self._turn = 1 - self._turn

    def kept(self, outputs: tuple[str, ...]) -> TrainingState | None:
        """This worker's part of the newest state of which all have theirs. All workers have to ask for it."""
        for output in outputs:
            places = [self._place(output, turn) for turn in (0, 1)]
            states = [kept_at(place, self._context) for place in places]
            epochs = [len(state.progress.curve) if state else 0 for state in states]
            del states
            known = [set(found.tolist()) for found in self._workers.gather(torch.tensor(epochs))]
            newest = max(set.intersection(*known), default=0)
            if newest:
                return kept_at(places[epochs.index(newest)], self._context)
        return None

    def _place(self, output: str, turn: int) -> Location:
        return Location.parse(output) / f"{STATE}/worker-{self._workers.rank}/{turn}"
