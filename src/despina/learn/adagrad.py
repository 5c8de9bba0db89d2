"""The optimiser of knowledge-graph embeddings, of which a step touches some rows far more often than others."""

from collections.abc import Iterable

import torch
from torch import Tensor

EPSILON = 1e-10


class Adagrad:
    """Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011.

    With ``s ← s + g²``: ``w ← w - lr · g / (√s + ε)``.

    Args:
        parameters: Leaves with dense gradients.
        lr: The learning rate.
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float) -> None:
        self._parameters = [(weight, torch.zeros_like(weight, requires_grad=False)) for weight in parameters]
        self._lr = lr

    def state(self) -> dict[str, Tensor]:
        """Everything it remembers, to be given to ``restore``."""
        return {str(i): squares for i, (_, squares) in enumerate(self._parameters)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Remember what another one of the same parameters did."""
        for i, (_, squares) in enumerate(self._parameters):
            squares.copy_(state[str(i)])

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by their gradients, and forget the gradients."""
        for weight, squares in self._parameters:
            gradient = weight.grad
            if gradient is None:
                continue
            weight.grad = None
            squares.addcmul_(gradient, gradient)
            weight.addcdiv_(gradient, squares.sqrt().add_(EPSILON), value=-self._lr)
