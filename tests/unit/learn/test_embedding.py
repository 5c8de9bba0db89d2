"""Training knowledge-graph embeddings, step by step: the optimiser, the losses by hand, and what the seed decides."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.learn.graphs import fan_clubs

from despina.learn import embedding
from despina.learn.adagrad import Adagrad
from despina.learn.embedding import Embedding
from despina.learn.hyperparameters import KGE_MODELS, EmbeddingHyperparameters, read_parameters


def made(model: str, *, seed: int = 0, **changes: Any) -> Embedding:
    """An objective on fan clubs, with a model that depends on nothing else."""
    torch.manual_seed(0)
    parameters = {"num-hidden": 8, "batch-size": 64, "num-negs": 32, "gamma": 6.0, "regularization-coef": 0.0}
    given = read_parameters(parameters | {name.replace("_", "-"): value for name, value in changes.items()},
                            EmbeddingHyperparameters)
    return Embedding(fan_clubs(), model, given, seed=seed)


def losses(objective: Embedding, epoch: int) -> list[float]:
    """Of the steps of an epoch, without going any."""
    objective.begin(epoch)
    return [step().item() for step in objective.steps()]


def test_adagrad_follows_the_formula() -> None:
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    adagrad = Adagrad([weight], lr=0.1)
    expected, squares = [1.0, -2.0], [0.0, 0.0]
    for gradient in ([0.3, -0.7], [0.0, 0.9], [-0.4, 0.2]):
        weight.grad = torch.tensor(gradient)
        adagrad.step()
        for i, g in enumerate(gradient):
            squares[i] += g * g
            expected[i] -= 0.1 * g / (math.sqrt(squares[i]) + 1e-10)
        torch.testing.assert_close(weight.detach(), torch.tensor(expected))
        assert weight.grad is None, "gradients do not add up from step to step"


def test_adagrad_leaves_alone_what_has_no_gradient_and_what_has_a_gradient_of_zero() -> None:
    still, moved = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    moved.grad = torch.tensor([0.0, 2.0])
    Adagrad([still, moved], lr=0.1).step()
    assert still.tolist() == [1.0, 1.0]
    assert moved.tolist() == pytest.approx([1.0, 0.9])


def test_another_adagrad_goes_on_from_the_state() -> None:
    weights = [torch.ones(3, requires_grad=True) for _ in range(2)]
    first, second = (Adagrad([weight], lr=0.1) for weight in weights)
    weights[0].grad = torch.tensor([1.0, 2.0, 3.0])
    first.step()
    second.restore({name: value.clone() for name, value in first.state().items()})
    with torch.no_grad():
        weights[1].copy_(weights[0])
    for weight, adagrad in zip(weights, (first, second), strict=True):
        weight.grad = torch.tensor([0.5, 0.5, 0.5])
        adagrad.step()
    assert torch.equal(*weights)


@pytest.mark.parametrize("shared", [True, False])
def test_wrong_answers_count_by_their_own_scores(*, shared: bool) -> None:
    """Self-adversarial weighting; the right answer among the random ones does not count."""
    objective = made("transe", neg_share=shared)
    right, wrong = torch.tensor([1.0, -1.0]), torch.tensor([[0.5, -torch.inf, 2.0], [0.0, 0.0, -3.0]])

    def away(score: float) -> float:
        return math.log(1 / (1 + math.exp(score)))

    expected = []
    for own, others in zip(right.tolist(), wrong.tolist(), strict=True):
        total = sum(math.exp(score) for score in others)
        pushed = sum(math.exp(score) / total * away(score) for score in others if score > -math.inf)
        expected.append(-(away(-own) + pushed) / 2)
    assert objective.loss(right, wrong).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("model", ["transe", "rotate"])
def test_no_weight_of_a_wrong_answer_has_a_gradient(model: str) -> None:
    wrong = torch.tensor([[0.5, 1.0]], requires_grad=True)
    made(model).loss(torch.tensor([0.0]), wrong).sum().backward()  # type: ignore[no-untyped-call]
    weights = torch.softmax(wrong.detach(), dim=1)
    torch.testing.assert_close(wrong.grad, weights * torch.sigmoid(wrong.detach()) / 2)


def test_products_are_told_apart_by_cross_entropy() -> None:
    right, wrong = torch.tensor([1.0]), torch.tensor([[0.5, -torch.inf, 2.0]])
    expected = -1.0 + math.log(sum(map(math.exp, (1.0, 0.5, 2.0))))
    assert made("complex").loss(right, wrong).tolist() == pytest.approx([expected])


@pytest.mark.parametrize("model", KGE_MODELS)
@pytest.mark.parametrize("size", [7, 64, 100_000])
def test_an_epoch_has_the_steps_that_it_says(model: str, size: int) -> None:
    objective = made(model, batch_size=size)
    assert len(losses(objective, 1)) == objective.per_epoch
    if size == 100_000:
        assert objective.per_epoch == 1


@pytest.mark.parametrize("model", KGE_MODELS)
def test_an_epoch_depends_on_its_number_and_the_seed_alone(model: str) -> None:
    objective = made(model)
    losses(objective, 1)
    second = losses(objective, 2)
    assert losses(made(model), 2) == second, "a training can go on with any epoch"
    assert losses(made(model, seed=1), 2) != second
    assert losses(objective, 3) != second


@pytest.mark.parametrize("model", KGE_MODELS)
def test_a_step_gives_all_that_it_asks_a_gradient(model: str) -> None:
    objective = made(model, batch_size=100_000)
    objective.begin(1)
    loss = next(objective.steps())()
    loss.backward()  # type: ignore[no-untyped-call]
    for weight in (objective.model.entities, objective.model.relations):
        assert weight.grad is not None
        assert weight.grad.isfinite().all()
        assert weight.grad.abs().sum(dim=1).gt(0).all()


@pytest.mark.parametrize("model", KGE_MODELS)
def test_the_size_of_a_batch_does_not_change_what_is_measured(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    whole = made(model).measure()
    monkeypatch.setattr(embedding, "SCORES", 100)
    assert made(model).measure() == pytest.approx(whole)


def test_of_many_triples_some_are_judged_in_both_directions_and_the_same_ones_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "JUDGED", 5)
    first, again = made("distmult"), made("distmult")
    judged = first.judged
    assert len(judged) == 10
    assert judged.entities[:5].tolist() == judged.answers[5:].tolist()
    assert judged.answers[:5].tolist() == again.judged.answers[:5].tolist()
    assert len(np.unique(judged.entities[:5] * 1000 + judged.answers[:5])) == 5


@pytest.mark.parametrize("model", KGE_MODELS)
def test_measuring_changes_nothing(model: str) -> None:
    objective = made(model)
    before = objective.model.entities.detach().clone()
    assert objective.measure() == objective.measure()
    assert torch.equal(objective.model.entities, before)
    assert objective.model.entities.grad is None
