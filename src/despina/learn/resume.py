"""The state of a training in one file, so that it can go on where it was if its process is killed."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from despina.core.frozen import Frozen

FILE = "training-state.safetensors"
_KEY = "progress"


class Epoch(Frozen, frozen=True, kw_only=True):
    """One point of the curves of a training."""

    epoch: int
    """From 1."""
    loss: float
    """Of its last step."""
    value: float | None
    """The newest value of the metric on the validation part; None before the first."""
    seconds: float
    """Since the training began."""


class Progress(Frozen, frozen=True, kw_only=True):
    """How far a training has come at the end of an epoch."""

    best_value: float | None
    """Of the metric on the validation part; None: the model was not measured yet."""
    best_epoch: int
    window: tuple[float, ...]
    """The last values that early stopping compares with; higher is better."""
    curve: tuple[Epoch, ...]
    """Of all epochs so far."""


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """What a training needs to go on, beside what it was given: random numbers are drawn anew for each epoch, by its number."""

    progress: Progress
    model: dict[str, Tensor]
    best: dict[str, Tensor]
    """The model when it was best; empty while it was not measured."""
    optimisers: list[dict[str, Tensor]]

    def save(self, folder: Path) -> None:
        """Write it into an existing folder."""
        parts = {"model": self.model, "best": self.best} | {str(i): state for i, state in enumerate(self.optimisers)}
        tensors = {f"{part}/{name}": tensor.contiguous() for part, state in parts.items() for name, tensor in state.items()}
        save_file(tensors, folder / FILE, metadata={_KEY: msgspec.json.encode(self.progress).decode()})

    @classmethod
    def load(cls, folder: Path) -> "TrainingState | None":
        """Read it; None when there is none, or none that this version can read: the training begins anew then."""
        parts: dict[str, dict[str, Tensor]] = {}
        try:
            with safe_open(folder / FILE, framework="pt") as file:
                progress = msgspec.json.decode(file.metadata()[_KEY], type=Progress)
                for name in file.keys():  # noqa: SIM118 - it is no mapping
                    part, _, rest = name.partition("/")
                    parts.setdefault(part, {})[rest] = file.get_tensor(name)
        except (OSError, SafetensorError, msgspec.DecodeError, KeyError, TypeError):
            return None
        model, best = parts.pop("model", {}), parts.pop("best", {})
        return cls(progress=progress, model=model, best=best, optimisers=[parts[name] for name in sorted(parts, key=int)])
