"""The curves and hyperparameters of a training as TensorBoard reads them."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from despina.core.job import ParameterValue
from despina.learn.resume import Epoch

FOLDER = "events"


def write_events(folder: Path, curve: Sequence[Epoch], metric: str, *, parameters: Mapping[str, ParameterValue],
                 seconds_ago: float) -> None:
    """Write ``events/events.out.tfevents.*`` with the scalars ``train/loss`` and ``valid/<metric>``, an epoch a step, and with the
    hyperparameters for TensorBoard's plugin of that name.

    ``tensorboard --logdir`` on the location of a job's trials shows all of them side by side.

    Args:
        folder: Of the trial's output; it exists.
        curve: The epochs.
        metric: What was measured on the validation part.
        parameters: The hyperparameters, by their names in Neptune ML.
        seconds_ago: When the last epoch ended.
    """
    # It takes a while to import, and is not needed before. Its SummaryWriter writes in a thread of its own: should that die, of a
    # full disk or for lack of memory, closing it would never end. So the events are written here, one by one.
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.summary import hparams, scalar

    (folder / FOLDER).mkdir()
    writer = EventsWriter(str(folder / FOLDER / "events"))
    ended, last = time.time() - seconds_ago, curve[-1].seconds if curve else 0.0
    # The plugin knows numbers, words and truth values; fanouts are lists.
    plain = {name: json.dumps(value) if isinstance(value, list) else value for name, value in parameters.items()}
    for summary in hparams(plain, {f"valid/{metric}": None}):
        writer.write_event(Event(wall_time=ended - last, summary=summary))
    for epoch in curve:
        told = {"train/loss": epoch.loss, **({} if epoch.value is None else {f"valid/{metric}": epoch.value})}
        for tag, value in told.items():
            writer.write_event(Event(wall_time=ended - (last - epoch.seconds), step=epoch.epoch, summary=scalar(tag, value)))
    writer.close()
