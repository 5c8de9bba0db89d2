"""Scores of links in plain NumPy, from stored vectors: what ``kge`` and ``decoders`` compute, for who has no torch at hand.

See ``kge.KnowledgeGraphEmbedding`` for the models and their sources.
"""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
PRODUCTS = ("distmult", "complex")


def query(model: str, entity: Vectors, relation: Vectors, *, inverse: bool = False) -> Vectors:
    """The query vector ``[numbers]`` of a question.

    Args:
        model: ``distmult``, ``complex``, ``transe`` or ``rotate``.
        entity: The vector of the node that is asked about.
        relation: That of the relation; of ``rotate`` its phases.
        inverse: Whether it is to be walked backwards, of models whose scores are distances. Products have other vectors for that.
    """
    match model:
        case "distmult":
            return entity * relation
        case "complex":
            return _product(entity, relation)
        case "transe":
            return entity - relation if inverse else entity + relation
    phases = -relation if inverse else relation
    return _product(entity, np.concatenate([np.cos(phases), np.sin(phases)]))


def scores(model: str, asked: Vectors, candidates: Vectors, *, gamma: float) -> Vectors:
    """The scores ``[n]`` of a query with candidates ``[n, numbers]``."""
    if model in PRODUCTS:
        return candidates @ asked
    differences = candidates - asked
    if model == "transe":
        return np.asarray(gamma - np.abs(differences, out=differences).sum(axis=1))
    real, imaginary = np.split(np.square(differences, out=differences), 2, axis=1)
    return np.asarray(gamma - np.sqrt(real + imaginary + 1e-20).sum(axis=1))


def _product(left: Vectors, right: Vectors) -> Vectors:
    """The product of complex numbers, all real parts before all imaginary ones."""
    a, b = np.split(left, 2)
    c, d = np.split(right, 2)
    return np.concatenate([a * c - b * d, a * d + b * c])
