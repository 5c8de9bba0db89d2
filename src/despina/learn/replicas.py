"""Making the models of several workers the same when a training begins or goes on."""

import msgspec

from despina.learn.objective import Objective
from despina.learn.resume import Progress


def align(objective: Objective, progress: Progress | None) -> Progress | None:
    """Give all workers the first one's model, and what its optimisers remember.

    Args:
        objective: Whose model, which is the first worker's as it is to be.
        progress: Of the training that the first worker goes on with; None if it begins.

    Returns:
        The first worker's progress.
    """
    workers = objective.workers
    if workers.count == 1 or objective.is_divided:  # each worker goes on with its own part then
        return progress
    told = workers.told(msgspec.json.encode(progress))
    for tensor in objective.model.state_dict().values():
        workers.spread(tensor)
    for optimiser in objective.optimisers:
        state = optimiser.state()
        for tensor in state.values():
            workers.spread(tensor)
        optimiser.restore(state)
    return msgspec.json.decode(told, type=Progress | None)
