"""The optimiser.

``torch.optim`` is not used on purpose: making one of its optimisers imports ``torch._dynamo``, which takes as long as torch itself,
and longer than a small graph needs to be trained (``bench/train.py``).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    """Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015. Rows without a gradient are left alone if it is sparse.

    With ``m ← β₁m + (1-β₁)g`` and ``v ← β₂v + (1-β₂)g²``: ``w ← w - lr · m̂ / (√v̂ + ε)``, hats for bias correction by the number of
    steps.

    Args:
        parameters: Leaves with gradients, dense or (two-dimensional, by rows) sparse.
        lr: The learning rate.
        weight_decay: Its product with the weights is added to the gradient.
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, weight_decay: float = 0.0) -> None:
        self._parameters = [(weight, torch.zeros_like(weight, requires_grad=False), torch.zeros_like(weight, requires_grad=False))
                            for weight in parameters]
        self._lr = lr
        self._weight_decay = weight_decay
        self._steps = 0

    def state(self) -> dict[str, Tensor]:
        """Everything it remembers, to be given to ``restore``."""
        moments = {f"{i}.{name}": moment for i, (_, first, second) in enumerate(self._parameters)
                   for name, moment in (("first", first), ("second", second))}
        return {"steps": torch.tensor(self._steps), **moments}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Remember what another one of the same parameters did."""
        self._steps = int(state["steps"])
        for i, (_, first, second) in enumerate(self._parameters):
            first.copy_(state[f"{i}.first"])
            second.copy_(state[f"{i}.second"])

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by their gradients, and forget the gradients."""
        self._steps += 1
        for weight, first, second in self._parameters:
            gradient = weight.grad
            if gradient is None:
                continue
            weight.grad = None
            if not gradient.is_sparse:
                self._change(weight, first, second, gradient)
                continue
            gradient = gradient.coalesce()
            rows = gradient.indices()[0]
            parts = (weight[rows], first[rows], second[rows])
            self._change(*parts, gradient.values())
            for whole, part in zip((weight, first, second), parts, strict=True):
                whole[rows] = part

    def _change(self, weight: Tensor, first: Tensor, second: Tensor, gradient: Tensor) -> None:
        if self._weight_decay:
            gradient = gradient.add(weight, alpha=self._weight_decay)
        first.lerp_(gradient, 1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        correction = 1 - BETAS[1] ** self._steps
        scale = second.div(correction).sqrt_().add_(EPSILON)
        weight.addcdiv_(first, scale, value=-self._lr / (1 - BETAS[0] ** self._steps))
