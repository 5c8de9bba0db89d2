"""The optimiser equals Adam's formula, and rows without a gradient stay as they are."""

import math

import torch
from torch.nn import functional as F

from despina.learn.adam import Adam


def test_steps_follow_the_formula() -> None:
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    adam = Adam([weight], lr=0.1, weight_decay=0.5)
    expected, first, second = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0]
    for step, gradient in enumerate(([0.3, -0.7], [0.1, 0.9], [-0.4, 0.2]), start=1):
        weight.grad = torch.tensor(gradient)
        adam.step()
        for i in range(2):
            g = gradient[i] + 0.5 * expected[i]
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g * g
            expected[i] -= 0.1 * (first[i] / (1 - 0.9**step)) / (math.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
        torch.testing.assert_close(weight.detach(), torch.tensor(expected))
        assert weight.grad is None, "gradients do not add up from step to step"


def test_a_sparse_gradient_changes_its_rows_alone_and_as_a_dense_one_would() -> None:
    dense, sparse = (torch.ones(5, 2, requires_grad=True) for _ in range(2))
    optimisers = [Adam([dense], lr=0.1), Adam([sparse], lr=0.1)]
    rows = torch.tensor([3, 1])
    for _ in range(3):
        for weight, by_rows in ((dense, False), (sparse, True)):
            F.embedding(rows, weight, sparse=by_rows).square().sum().backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()
    torch.testing.assert_close(dense.detach(), sparse.detach())
    assert sparse[[0, 2, 4]].tolist() == [[1.0, 1.0]] * 3
    assert sparse[1, 0] < 1
