"""The cross-entropy of answers among candidates, beside torch's own."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from despina.learn.cross_entropy import cross_entropy


def made(*, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Seven queries, the third of which has three answers and the last none, among eleven candidates."""
    generator = torch.Generator().manual_seed(0)
    queries, candidates = (scale * torch.randn(count, 5, generator=generator, dtype=torch.float64) for count in (7, 11))
    return queries.requires_grad_(), candidates.requires_grad_(), torch.tensor([0, 1, 2, 2, 2, 3, 4, 5]), torch.tensor(
        [3, 3, 0, 10, 4, 7, 1, 2])


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("at_a_time", [1, 3, 512])
def test_value_and_gradients_are_those_of_torch(scale: float, at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("despina.learn.cross_entropy.QUERIES", at_a_time)
    queries, candidates, places, answers = made(scale=scale)
    ours = cross_entropy(queries, candidates, places, answers)
    ours.backward()  # type: ignore[no-untyped-call]
    mine = [queries.grad, candidates.grad]
    queries.grad = candidates.grad = None
    theirs = F.cross_entropy((queries @ candidates.T)[places], answers, reduction="sum")
    theirs.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(mine, [queries.grad, candidates.grad])


def test_the_gradient_of_what_comes_after_is_carried_on() -> None:
    queries, candidates, places, answers = made()
    once = torch.autograd.grad(cross_entropy(queries, candidates, places, answers), (queries, candidates))
    thrice = torch.autograd.grad(3 * cross_entropy(queries, candidates, places, answers), (queries, candidates))
    torch.testing.assert_close([3 * gradient for gradient in once], list(thrice))
