"""What training on labels minimises."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A mean over members."""

    of: Callable[[Tensor, Tensor], Tensor]
    """What a decoder made, ``[n, outputs]``, and labels (int64 ``[n]``, float32 ``[n]`` or ``[n, classes]``) → the mean."""
    weight: Callable[[Tensor], float] = len
    """What members with these labels count in the mean: with it the means of parts make that of the whole."""


def classification_loss(labels: NDArray[Any], classes: int, *, class_weight: bool) -> Loss:
    """Cross-entropy; with several labels a node or edge, binary cross-entropy of each class.

    Args:
        labels: Those of the training part: class ids ``[n]``, or 0/1 ``[n, classes]``.
        classes: Their number.
        class_weight: Whether rare classes count more (``use-class-weight``): a class weighs n / (classes · its number), and with
            several labels a positive weighs (negatives / positives) times a negative.
    """
    if labels.ndim == 2:
        positives = np.maximum(labels.sum(axis=0), 1)
        weights = torch.from_numpy(np.maximum(len(labels) - positives, 1) / positives).float() if class_weight else None
        return Loss(of=lambda scores, truth: F.binary_cross_entropy_with_logits(scores, truth, pos_weight=weights))
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    if not class_weight:
        return Loss(of=F.cross_entropy)
    weights = torch.from_numpy(len(labels) / (len(counts) * counts)).float()
    return Loss(of=lambda scores, truth: F.cross_entropy(scores, truth, weight=weights), weight=lambda truth: float(
        weights[truth].sum()))


def regression_loss(shift: float, scale: float) -> Loss:
    """The mean squared error, of numbers in units of ``scale`` around ``shift``."""
    return Loss(of=lambda scores, truth: F.mse_loss(scores[:, 0], (truth - shift) / scale))
