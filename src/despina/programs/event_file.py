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
    # It takes a while to import, and is not needed before. Its SummaryWriter writes in a thread of its own: should that die, of a
    # full disk or for lack of memory, closing it would never end. So the events are written here, one by one.
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.summary import scalar

    (folder / FOLDER).mkdir()
    writer = EventsWriter(str(folder / FOLDER / "events"))
    ended, last = time.time() - seconds_ago, curve[-1].seconds if curve else 0.0
    for epoch in curve:
        told = {"train/loss": epoch.loss, **({} if epoch.value is None else {f"valid/{metric}": epoch.value})}
        for tag, value in told.items():
            writer.write_event(Event(wall_time=ended - (last - epoch.seconds), step=epoch.epoch, summary=scalar(tag, value)))
    writer.close()
