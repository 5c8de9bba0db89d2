"""What the trainer trains: anything that knows its steps and can judge itself."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from torch import Tensor, nn

from despina.learn.workers import Workers


class Optimiser(Protocol):
    """Changes parameters by their gradients."""

    def step(self) -> None:
        """Change them, and forget the gradients."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything it remembers."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None:
        """Remember what another one of the same parameters did."""
        ...


class Objective(Protocol):
    """A model, what its training minimises, and how good it is."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    @property
    def optimisers(self) -> Sequence[Optimiser]:
        """Of all its parameters."""
        ...

    @property
    def workers(self) -> Workers:
        """Who trains it."""
        ...

    @property
    def shared(self) -> Sequence[Tensor]:
        """The parameters that every worker has a copy of, whose gradients are added up. Others are a worker's own."""
        ...

    @property
    def is_divided(self) -> bool:
        """Whether each worker has a part of the model, and not the whole."""
        ...

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        ...

    @property
    def examples(self) -> int:
        """Examples of the training part: an epoch goes through all of them once."""
        ...

    def begin(self, epoch: int) -> None:
        """Draw all random numbers of the epoch by its number, from 1, and the seed: a training can go on with any epoch."""
        ...

    def steps(self) -> Iterator[Callable[[], Tensor]]:
        """The steps of the epoch that has begun: each computes the loss, with its gradient, of some of the training part.

        Each worker computes a part of it: the sum over workers is the loss that one worker would compute, and has its gradient.
        """
        ...

    def measure(self) -> float:
        """The metric on the validation part now, the same for all workers. The model's mode (training or not) is as before."""
        ...
