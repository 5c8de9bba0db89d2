"""Models on disk: ``model.safetensors`` has the weights, ``model.json`` everything else that is needed to build the model again."""

from pathlib import Path
from typing import Any, Literal

import msgspec
from safetensors.torch import load_file, save_file

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.learn.configuration import Evaluation
from despina.learn.hyperparameters import EmbeddingHyperparameters, Parameters, parameters_of, read_parameters
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.models import GraphShape, Model

AnyModel = Model | KnowledgeGraphEmbedding
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


class Description(Frozen, frozen=True, kw_only=True):
    """``model.json``."""

    version: Literal[3] = 3
    model: str
    """As hyperparameter files call it."""
    hyperparameters: dict[str, Any]
    """By wire name."""
    evaluation: Evaluation
    correction: float = 0.0
    """The strength by which predictions are corrected (``correction``); 0: they are not."""
    epoch: int
    """Of the training at which the model was kept, from 1."""
    value: float
    """The metric of ``evaluation`` on the validation part, after the correction."""
    shape: GraphShape

    @property
    def given(self) -> Parameters:
        """The hyperparameters that the model was built with."""
        return read_parameters(self.hyperparameters, parameters_of(self.model, self.shape.task))


def save(folder: Path, model: AnyModel, description: Description) -> None:
    """Write a model into an existing folder."""
    save_file({name: weights.contiguous() for name, weights in model.state_dict().items()}, folder / WEIGHTS)
    describe(folder, description)


def describe(folder: Path, description: Description) -> None:
    """Write all of a model but its weights."""
    (folder / DESCRIPTION).write_bytes(msgspec.json.format(msgspec.json.encode(description), indent=1))


def load(folder: Path) -> tuple[AnyModel, Description]:
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
    model = build(description)
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model.eval(), description


def build(description: Description) -> AnyModel:
    """A model as described, with random weights."""
    shape, given = description.shape, description.given
    if isinstance(given, EmbeddingHyperparameters):
        forward = [edge_type for edge_type in shape.edge_types if not edge_type.is_reverse_in(shape.edge_types)]
        return KnowledgeGraphEmbedding(description.model, entities=sum(shape.node_counts.values()), relations=len(forward),
                                       width=given.num_hidden, gamma=given.gamma)
    return Model(shape, given)
