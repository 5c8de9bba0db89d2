"""The curves of a training as TensorBoard reads them."""

import time
from collections.abc import Sequence
from pathlib import Path

from despina.learn.resume import Epoch

FOLDER = "events"


def write_events(folder: Path, curve: Sequence[Epoch], metric: str, *, seconds_ago: float) -> None:
    """Write ``events/events.out.tfevents.*`` with the scalars ``train/loss`` and ``valid/<metric>``, an epoch a step.

    ``tensorboard --logdir`` on the location of a job's trials shows all of them side by side.

    Args:
        folder: Of the trial's output; it exists.
        curve: The epochs.
        metric: What was measured on the validation part.
        seconds_ago: When the last epoch ended.
    """
    # It takes a while, and is not needed before.
    from tensorboardX import SummaryWriter

    last = curve[-1].seconds if curve else 0.0
    ended = time.time() - seconds_ago
    with SummaryWriter(str(folder / FOLDER)) as writer:
        for epoch in curve:
            at = ended - (last - epoch.seconds)
            writer.add_scalar("train/loss", epoch.loss, epoch.epoch, walltime=at)
            if epoch.value is not None:
                writer.add_scalar(f"valid/{metric}", epoch.value, epoch.epoch, walltime=at)
