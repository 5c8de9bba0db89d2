"""What a trained model is helped by, without being trained anew: of nodes their neighbours' residuals, of numbers of edges a
factorisation. How strongly is chosen on the validation part, and may be not at all."""

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import EdgeType, Graph
from despina.learn import factorisation, residuals
from despina.learn.configuration import LOWER_IS_BETTER, Evaluation
from despina.learn.metrics import measure

SHARES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of the factorisation in predictions of numbers of edges."""

Values = dict[str | EdgeType, NDArray[np.float32]]


def corrected(graph: Graph, values: Values, strength: float) -> Values:
    """Predictions, corrected.

    Args:
        graph: What they are of.
        values: By node type or edge type; empty for links.
        strength: As ``choose`` found it: one of ``residuals.STRENGTHS`` or of ``SHARES``; 0 changes nothing.
    """
    if not strength:
        return values
    if factorisation.is_for(graph):
        return _blended(values, _factorised(graph, values), strength)
    return {kind: residuals.correct(graph, part, strength) for kind, part in values.items()}


def choose(graph: Graph, values: Values, evaluation: Evaluation) -> tuple[float, Values]:
    """The strength that is best on the validation part, the least of equals, and the predictions corrected by it.

    It is 0 without a validation part, and where nothing is known that would help.
    """
    parts = graph.target.by_type
    if not values or not any(part.valid.any() for part in parts.values()):
        return 0.0, values
    if residuals.is_for(graph):
        strength = residuals.choose_strength(graph, values[graph.target.node_type], evaluation)
        return strength, corrected(graph, values, strength)
    if not factorisation.is_for(graph):
        return 0.0, values
    others = _factorised(graph, values)
    labels = np.concatenate([part.labels[part.valid] for part in parts.values() if part.labels is not None])
    sign = -1 if evaluation.metric in LOWER_IS_BETTER else 1
    measured = [sign * measure(evaluation.metric, np.concatenate([found[kind][part.valid] for kind, part in parts.items()]), labels,
                               topk=evaluation.topk) for found in (_blended(values, others, share) for share in SHARES)]
    share = SHARES[int(np.argmax(measured))]
    return share, _blended(values, others, share)


def _factorised(graph: Graph, values: Values) -> Values:
    return {kind: factorisation.factorised(graph, kind) for kind in values if isinstance(kind, EdgeType)}


def _blended(values: Values, others: Values, share: float) -> Values:
    return {kind: np.asarray((1 - share) * part + share * others[kind], dtype=np.float32) for kind, part in values.items()}
