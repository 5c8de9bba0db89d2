"""How good predictions are. NumPy only.

The metrics of classes are between 0 and 1, and higher is better. Macro averages are over the classes that occur among the labels or
the predictions (F1, precision, recall) or that have both outcomes (ROC-AUC). A quotient without a denominator counts as 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Labels = NDArray[Any]
"""Class ids int64 ``[n]``; 0/1 ``[n, classes]`` when there may be several labels; or numbers float32 ``[n]``."""
ERRORS = ("mse", "rmse", "mae", "r2")
"""The metrics of numbers: mean squared error, its root, mean absolute error, and the share of the variance that is explained."""


def measure(metric: str, scores: Scores, labels: Labels, *, topk: int = 1) -> float:
    """One metric of the probabilities ``[n, classes]``, or of numbers ``[n, 1]``.

    Args:
        metric: One of ``ERRORS``, or ``acc``, ``acc_topk``, ``F1``, ``precision``, ``recall`` (macro) or ``roc_auc`` (one against
            the rest, macro).
        scores: Probabilities, of which with several labels those from 0.5 on predict their class; or numbers.
        labels: The truth.
        topk: For ``acc_topk``: how many of the best classes may hold the label.

    Returns:
        The metric; 0 when it is undefined for these labels, as ROC-AUC is when no class has both outcomes.
    """
    if metric in ERRORS:
        return errors(scores[:, 0], labels)[metric]
    if metric == "acc":
        return float((scores.argmax(axis=1) == labels).mean()) if len(labels) else 0.0
    if metric == "acc_topk":
        return accuracy_at(scores, labels, topk)
    truth = indicators(labels, scores.shape[1])
    if metric == "roc_auc":
        areas = [area for area in map(roc_auc, truth.T, scores.T) if area is not None]
        return float(np.mean(areas)) if areas else 0.0
    table = per_class(scores, labels)
    index = ("precision", "recall", "F1").index(metric)
    return float(table[occurring(scores, labels), index].mean()) if len(labels) else 0.0


def report(scores: Scores, labels: Labels, classes: tuple[str, ...], *, topk: int = 1) -> dict[str, Any]:
    """All metrics that apply, and precision, recall, F1 and number of labels of each class: the content of the metrics files."""
    if not classes:
        return {**errors(scores[:, 0], labels), "count": len(labels)}
    single = labels.ndim == 1
    names = [*(["acc"] if single else []), *(["acc_topk"] if single and topk > 1 else []), "F1", "precision", "recall", "roc_auc"]
    support = indicators(labels, len(classes)).sum(axis=0)
    rows = {name: {"precision": float(p), "recall": float(r), "F1": float(f), "support": int(n)}
            for name, (p, r, f), n in zip(classes, per_class(scores, labels), support, strict=True)}
    return {**{name: measure(name, scores, labels, topk=topk) for name in names}, "count": len(labels), "classes": rows}


def errors(numbers: Scores, labels: Labels) -> dict[str, float]:
    """The metrics of ``ERRORS``; all 0 without any labels, and R² is 0 when they do not vary."""
    if not len(labels):
        return dict.fromkeys(ERRORS, 0.0)
    differences = numbers.astype(np.float64) - labels
    squares, variance = float((differences ** 2).mean()), float(labels.astype(np.float64).var())
    return {"mse": squares, "rmse": squares ** 0.5, "mae": float(np.abs(differences).mean()),
            "r2": 1 - squares / variance if variance else 0.0}


def accuracy_at(scores: Scores, labels: Labels, k: int) -> float:
    """How often the label is among the k classes with the highest scores. Classes that tie with it rank behind it."""
    if not len(labels):
        return 0.0
    own = scores[np.arange(len(labels)), labels]
    return float(((scores > own[:, None]).sum(axis=1) < k).mean())


def roc_auc(truth: NDArray[np.bool_], scores: Scores) -> float | None:
    """The chance that a positive scores above a negative, ties counting half; None without both."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def per_class(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """Precision, recall and F1 of each class: ``[classes, 3]``."""
    truth, predicted = indicators(labels, scores.shape[1]), predictions(scores, labels)
    hits = (truth & predicted).sum(axis=0)
    pairs = ((hits, predicted.sum(axis=0)), (hits, truth.sum(axis=0)), (2 * hits, truth.sum(axis=0) + predicted.sum(axis=0)))
    return np.stack([part / np.maximum(whole, 1) for part, whole in pairs], axis=1)


def occurring(scores: Scores, labels: Labels) -> NDArray[np.bool_]:
    """Which classes are the label or the prediction of any node; all if none is."""
    found = np.any(indicators(labels, scores.shape[1]) | predictions(scores, labels), axis=0)
    return found if found.any() else np.ones(scores.shape[1], dtype=np.bool_)


def predictions(scores: Scores, labels: Labels) -> NDArray[np.bool_]:
    """The predicted classes as ``[n, classes]``: the best one of each node, or with several labels those from 0.5 on."""
    return scores >= 0.5 if labels.ndim == 2 else indicators(scores.argmax(axis=1), scores.shape[1])


def indicators(labels: Labels, classes: int) -> NDArray[np.bool_]:
    """Labels as ``[n, classes]`` of true and false."""
    return labels > 0 if labels.ndim == 2 else labels[:, None] == np.arange(classes)
