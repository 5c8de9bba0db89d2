r"""Correcting predictions of nodes by what the model got wrong about their neighbours.

What a model leaves over, the residual, is often alike for nodes that are linked. The residuals of the training part, which are
known, are spread along the edges among nodes of the target type:

.. math:: R_u = y_u - \hat y_u \text{ for training nodes}, \qquad R_u = \alpha \sum_v \frac{R_v}{\sqrt{d_u d_v}} \text{ for others}

and added to the predictions. Jia and Benson, "Residual Correlation in Graph Neural Network Regression", 2020; of classes: Huang et
al., "Combining Label Propagation and Simple Models Out-performs Graph Neural Networks" (Correct and Smooth, its first half), 2021.
Labels outside the training part have no influence, but on the choice of :math:`\alpha`, for which those of the validation part
stand.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from despina.graph.graph import EdgeType, Graph, Labelled, Target
from despina.learn.configuration import LOWER_IS_BETTER, Evaluation
from despina.learn.metrics import measure
from despina.learn.neighbours import Neighbours, links_among_targets

STRENGTHS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
""":math:`\\alpha`; 0: no correction."""
ROUNDS = 60
"""Of the spreading: what is left after them counts for nothing but with the greatest strengths."""

MOST_LINKS = 4_000_000
"""With more links among the target nodes nothing is corrected: to try all strengths would take longer than it is worth."""

Values = NDArray[np.float32]


def spread(neighbours: Neighbours, known: Values, where: NDArray[np.bool_], strength: float) -> Values:
    """The values ``[nodes, d]`` that are known of some nodes (zeros of others), and what comes of them for the others."""
    fixed, mask = torch.from_numpy(known), torch.from_numpy(where)[:, None]
    values = fixed
    for _ in range(ROUNDS):
        values = torch.where(mask, fixed, strength * neighbours.sum(values))
    found: Values = values.numpy()
    return found


def correct(graph: Graph, values: Values, strength: float, neighbours: Neighbours | None = None) -> Values:
    """Predictions of nodes, corrected.

    Args:
        graph: What they are of.
        values: Probabilities ``[nodes, classes]``, or numbers ``[nodes, 1]``.
        strength: One of ``STRENGTHS``.
        neighbours: Those of the graph, if they are known already.
    """
    if not strength:
        return values
    part = graph.target.nodes
    corrected = values + spread(neighbours or Neighbours(graph), residuals_of(part, values), part.train, strength)
    corrected[part.train] = values[part.train]  # what the model says of those it has learned stays as it is
    return bounded(graph.target, corrected)


def residuals_of(part: Labelled, values: Values) -> Values:
    """What the predictions lack of the labels of the training part; 0 for other nodes."""
    return np.where(part.train[:, None], _truth(part, values.shape[1]) - values, 0).astype(np.float32)


def bounded(target: Target, values: Values) -> Values:
    """Probabilities between 0 and 1, with a sum of 1 where there is one label; numbers as they are."""
    if target.classes:
        values = values.clip(0, 1)
    if target.classes and not target.multilabel:
        values /= np.maximum(values.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(values, dtype=np.float32)


def choose_strength(graph: Graph, values: Values, evaluation: Evaluation) -> float:
    """The strength that is best on the validation part, the least of equals; 0 without such a part, or links, or with too many."""
    part = graph.target.nodes
    if not 0 < links_among_targets(graph) <= MOST_LINKS or not part.valid.any() or part.labels is None:
        return 0.0
    neighbours = Neighbours(graph)
    sign = -1 if evaluation.metric in LOWER_IS_BETTER else 1
    measured = [sign * measure(evaluation.metric, correct(graph, values, strength, neighbours)[part.valid], part.labels[part.valid],
                               topk=evaluation.topk) for strength in STRENGTHS]
    return STRENGTHS[int(np.argmax(measured))]


def is_for(graph: Graph) -> bool:
    """Whether predictions of this graph can be corrected: those of nodes can."""
    return not isinstance(next(iter(graph.target.by_type)), EdgeType)


def _truth(part: Labelled, width: int) -> Values:
    """Labels as the predictions are: one column a class, or one of numbers."""
    assert part.labels is not None  # noqa: S101 - nodes that are predicted have labels
    if part.labels.ndim == 2:
        return np.asarray(part.labels, dtype=np.float32)
    if width == 1 and part.labels.dtype.kind == "f":
        return np.asarray(np.nan_to_num(part.labels)[:, None], dtype=np.float32)
    return np.asarray(part.labels[:, None] == np.arange(width), dtype=np.float32)
