"""Metrics, by hand."""

import numpy as np
import pytest

from despina.learn.metrics import measure, report

SCORES = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]], dtype=np.float32)
LABELS = np.array([0, 0, 1, 2])
MANY = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.float32)
MANY_SCORES = np.array([[0.9, 0.1], [0.2, 0.5], [0.6, 0.2], [0.6, 0.4]], dtype=np.float32)


@pytest.mark.parametrize(("metric", "expected"), [
    ("acc", 3 / 4),
    ("precision", (1 + 1 / 2 + 1) / 3),
    ("recall", (1 / 2 + 1 + 1) / 3),
    ("F1", (2 / 3 + 2 / 3 + 1) / 3),
    # Class 0: both positives (.7, .4) above both negatives (.1, .3). Class 1: .8 above all. Class 2: .4 above all.
    ("roc_auc", 1.0),
])
def test_one_label(metric: str, expected: float) -> None:
    assert measure(metric, SCORES, LABELS) == pytest.approx(expected)


def test_accuracy_at_k() -> None:
    assert measure("acc_topk", SCORES, LABELS, topk=1) == pytest.approx(3 / 4)
    assert measure("acc_topk", SCORES, LABELS, topk=2) == 1.0


@pytest.mark.parametrize(("metric", "expected"), [
    # Class 0: predicted for rows 0, 2, 3; hits 0, 2. Class 1: predicted for row 1, a hit; row 2 missed.
    ("precision", (2 / 3 + 1) / 2),
    ("recall", (1 + 1 / 2) / 2),
    ("F1", (4 / 5 + 2 / 3) / 2),
    # Class 0: .9 beats .2 and .6; .6 beats .2 and ties .6: 3.5 of 4. Class 1: .5 beats .1 and .4, .2 beats .1: 3 of 4.
    ("roc_auc", (3.5 / 4 + 3 / 4) / 2),
])
def test_several_labels(metric: str, expected: float) -> None:
    assert measure(metric, MANY_SCORES, MANY) == pytest.approx(expected)


def test_a_class_without_both_outcomes_has_no_part_in_roc_auc() -> None:
    labels = np.array([0, 0, 1, 1])
    assert measure("roc_auc", SCORES, labels) == pytest.approx(np.mean([1.0, 3 / 4]))
    assert measure("roc_auc", SCORES, np.array([0, 0, 0, 0])) == 0.0


def test_a_class_that_occurs_nowhere_has_no_part_in_the_averages() -> None:
    scores = np.pad(SCORES, ((0, 0), (0, 1)))
    assert measure("F1", scores, LABELS) == measure("F1", SCORES, LABELS)


def test_the_report_has_every_metric_and_class() -> None:
    written = report(SCORES, LABELS, ("a", "b", "c"), topk=2)
    assert written["acc"] == pytest.approx(3 / 4)
    assert written["acc_topk"] == 1.0
    assert set(written) == {"acc", "acc_topk", "F1", "precision", "recall", "roc_auc", "count", "classes"}
    assert written["classes"]["a"] == {"precision": 1.0, "recall": 0.5, "F1": pytest.approx(2 / 3), "support": 2}
    assert "acc" not in report(MANY_SCORES, MANY, ("a", "b"))
