"""Metrics, held against scikit-learn on random predictions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from despina.learn.metrics import measure, report

CASES = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 6))
"""A seed, how many are predicted, and classes."""


@settings(max_examples=60, deadline=None)
@given(CASES, st.integers(1, 6))
def test_of_one_label(case: tuple[int, int, int], topk: int) -> None:
    seed, count, classes = case
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(classes), count).astype(np.float32)
    labels = random.integers(0, classes, count)
    predicted = scores.argmax(axis=1)
    assert measure("acc", scores, labels) == pytest.approx(sk.accuracy_score(labels, predicted))
    for name, theirs in (("F1", sk.f1_score), ("precision", sk.precision_score), ("recall", sk.recall_score)):
        assert measure(name, scores, labels) == pytest.approx(theirs(labels, predicted, average="macro", zero_division=0), abs=1e-6)
    among = np.argsort(scores, axis=1)[:, -topk:] == labels[:, None]
    assert measure("acc_topk", scores, labels, topk=topk) == pytest.approx(among.any(axis=1).mean())
    areas = [sk.roc_auc_score(labels == one, scores[:, one]) for one in range(classes) if 0 < (labels == one).sum() < count]
    assert measure("roc_auc", scores, labels) == pytest.approx(np.mean(areas) if areas else 0.0, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_of_several_labels(case: tuple[int, int, int]) -> None:
    seed, count, classes = case
    random = np.random.default_rng(seed)
    scores = np.round(random.random((count, classes)), 1).astype(np.float32) + np.float32(0.01)  # with ties
    labels = random.integers(0, 2, (count, classes)).astype(np.float32)
    predicted, known = scores > 0.5, labels.any(axis=0) | (scores > 0.5).any(axis=0)
    for name, theirs in (("F1", sk.f1_score), ("precision", sk.precision_score), ("recall", sk.recall_score)):
        by_class = theirs(labels, predicted, average=None, zero_division=0)
        assert measure(name, scores, labels) == pytest.approx(by_class[known].mean() if known.any() else 0.0, abs=1e-6)
    areas = [sk.roc_auc_score(labels[:, one], scores[:, one]) for one in range(classes) if 0 < labels[:, one].sum() < count]
    assert measure("roc_auc", scores, labels) == pytest.approx(np.mean(areas) if areas else 0.0, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_of_numbers(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.normal(size=count).astype(np.float32)
    values = (labels + random.normal(size=count)).astype(np.float32)
    found = report(values[:, None], labels, ())
    assert found["mse"] == pytest.approx(sk.mean_squared_error(labels, values), rel=1e-5)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(labels, values), rel=1e-5)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(labels, values), rel=1e-5)
    assert found["r2"] == pytest.approx(sk.r2_score(labels, values), rel=1e-4, abs=1e-4)
