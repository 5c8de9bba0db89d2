"""Dropout: what is left, how much of it, and that the seed decides."""

import pytest
import torch

from despina.learn.dropout import dropout


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.8])
def test_as_many_are_dropped_as_asked_and_the_mean_stays(rate: float) -> None:
    torch.manual_seed(0)
    left = dropout(torch.ones(1_003, 701), rate, training=True)
    assert (left == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    assert left.mean().item() == pytest.approx(1.0, abs=0.01)
    assert len(set(left.flatten().tolist())) == 2, "zero, and one over the share that stays"


def test_every_place_has_the_same_chance() -> None:
    torch.manual_seed(0)
    dropped = (dropout(torch.ones(20_000, 16), 0.5, training=True) == 0).float()
    assert (dropped.mean(dim=0) - 0.5).abs().max().item() < 0.02
    correlation = torch.corrcoef(dropped.T) - torch.eye(16)
    assert correlation.abs().max().item() < 0.04, "each by itself"


def test_the_gradient_passes_where_the_number_did() -> None:
    x = torch.ones(64, 8, requires_grad=True)
    left = dropout(x, 0.5, training=True)
    left.sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad, left.detach())


def test_outside_training_and_without_a_rate_nothing_changes() -> None:
    x = torch.randn(5, 3)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x


def test_the_seed_decides() -> None:
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(dropout(torch.ones(100, 3), 0.5, training=True))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
