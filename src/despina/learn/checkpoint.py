"""Models on disk: ``model.safetensors`` has the weights, ``model.json`` everything else that is needed to build the model again."""

from pathlib import Path
from typing import Any, Literal

import msgspec
from safetensors.torch import load_file, save_file

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import read_parameters
from despina.learn.models import GraphShape, NodeClassifier

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


class Description(Frozen, frozen=True, kw_only=True):
    """``model.json``."""

    version: Literal[2] = 2
    model: Literal["rgcn"] = "rgcn"
    task: Task = Task.NODE_CLASS
    hyperparameters: dict[str, Any]
    """By wire name."""
    evaluation: Evaluation
    epoch: int
    """Of the training at which the model was kept, from 1."""
    value: float
    """The metric of ``evaluation`` on the validation nodes."""
    shape: GraphShape


def save(folder: Path, model: NodeClassifier, description: Description) -> None:
    """Write a model into an existing folder."""
    save_file({name: weights.contiguous() for name, weights in model.state_dict().items()}, folder / WEIGHTS)
    (folder / DESCRIPTION).write_bytes(msgspec.json.format(msgspec.json.encode(description), indent=1))


def load(folder: Path) -> tuple[NodeClassifier, Description]:
    """Read a model, ready to predict.

    Raises:
        WorkFailed: a file is missing, or ``model.json`` is not of a form that this version knows.
    """
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise WorkFailed(f"the model has no file {name}")
    try:
        description = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Description)
    except msgspec.DecodeError as error:
        raise WorkFailed(f"{DESCRIPTION}: not of a form that this version of Despina knows: {error}") from error
    model = NodeClassifier(description.shape, read_parameters(description.hyperparameters))
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model.eval(), description
