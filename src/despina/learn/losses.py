"""What training minimises."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from despina.graph.graph import Target

Loss = Callable[[Tensor, Tensor], Tensor]
"""Scores ``[n, classes]`` and labels (int64 ``[n]`` or float32 ``[n, classes]``) → a number."""


def classification_loss(target: Target, *, class_weight: bool) -> Loss:
    """Cross-entropy; with several labels a node, binary cross-entropy of each class.

    Args:
        target: What is predicted.
        class_weight: Whether rare classes count more (``use-class-weight``), by their number among the training nodes: a class
            weighs n / (classes · its number), and with several labels a positive weighs (negatives / positives) times a negative.
    """
    nodes = target.nodes
    assert nodes.labels is not None  # noqa: S101 - a classification has labels
    labels = nodes.labels[nodes.train]
    if target.multilabel:
        positives = np.maximum(labels.sum(axis=0), 1)
        weights = torch.from_numpy(np.maximum(len(labels) - positives, 1) / positives).float() if class_weight else None
        return lambda scores, truth: F.binary_cross_entropy_with_logits(scores, truth, pos_weight=weights)
    counts = np.maximum(np.bincount(labels, minlength=len(target.classes)), 1)
    weights = torch.from_numpy(len(labels) / (len(counts) * counts)).float() if class_weight else None
    return lambda scores, truth: F.cross_entropy(scores, truth, weight=weights)
