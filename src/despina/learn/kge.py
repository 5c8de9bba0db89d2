"""Knowledge-graph embeddings: vectors of entities and relations, whose agreement is the score of a triple.

All models answer a question ``(u, r, ?)`` by a query vector made of u and r, and score each candidate v by its product with it, or
by its distance from it. Questions for heads have relations of their own: the inverse translation or rotation, and where scores are
products vectors of their own (Lacroix et al., "Canonical Tensor Decomposition for Knowledge Base Completion", 2018).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from despina.learn.hyperparameters import PRODUCTS

FIRST = 1e-2
"""The deviation of the first random vectors of these."""
BLOCK = 1 << 16
"""Entities whose first vectors are drawn at a time, of which a worker may keep some: a multiple of 16, as torch draws."""


class KnowledgeGraphEmbedding(nn.Module):
    r"""One of four models; :math:`\circ` is the product of complex numbers, one by one.

    - ``transe``: :math:`s = \gamma - \lVert u + w_r - v \rVert_1`. Bordes et al., "Translating Embeddings for Modeling
      Multi-relational Data", 2013.
    - ``rotate``: :math:`s = \gamma - \sum_i |u_i e^{i \theta_{ri}} - v_i|`. Sun et al., "RotatE: Knowledge Graph Embedding by
      Relational Rotation in Complex Space", 2019.
    - ``distmult``: :math:`s = \sum_i u_i w_{ri} v_i`. Yang et al., "Embedding Entities and Relations for Learning and Inference in
      Knowledge Bases", 2015.
    - ``complex``: :math:`s = \mathrm{Re} \sum_i (u \circ w_r)_i \bar{v}_i`. Trouillon et al., "Complex Embeddings for Simple Link
      Prediction", 2016.

    Args:
        name: The model.
        entities: Their number.
        relations: Their number, in one direction.
        width: Of the vectors; of ``rotate`` and ``complex`` the complex numbers in one, which are kept as all real parts and then
            all imaginary ones.
        gamma: The margin, of ``transe`` and ``rotate``.
        kept: The entities whose vectors this model has, in a row of its table each; None: all. What is asked by entity needs all.
    """

    def __init__(self, name: str, *, entities: int, relations: int, width: int, gamma: float, kept: slice | None = None) -> None:
        super().__init__()
        self.name, self.gamma, self._relations = name, gamma, relations
        numbers = width if name in {"transe", "distmult"} else 2 * width
        kept = kept or slice(0, entities)
        if name in PRODUCTS:
            self.entities = nn.Parameter(_drawn(lambda rows: FIRST * torch.randn(rows, numbers), entities, numbers, kept))
            self.relations = nn.Parameter(FIRST * torch.randn(2 * relations, numbers))
        else:
            bound = (gamma + 2) / width  # as DGL-KE begins
            self.entities = nn.Parameter(_drawn(lambda rows: (2 * torch.rand(rows, numbers) - 1) * bound, entities, numbers, kept))
            turns = torch.pi / bound if name == "rotate" else 1.0
            self.relations = nn.Parameter((2 * torch.rand(relations, width) - 1) * bound * turns)

    def query(self, entities: Tensor, relations: Tensor) -> Tensor:
        """The query vectors ``[n, numbers]`` of questions, by entity and relation, int64 ``[n]`` each."""
        # Unlike with indices, the gradient is no scatter element by element.
        return self.query_of(F.embedding(entities, self.entities), relations)

    def query_of(self, vectors: Tensor, relations: Tensor) -> Tensor:
        """The same, by the vectors ``[n, numbers]`` of the entities."""
        if self.name in PRODUCTS:
            weights = F.embedding(relations, self.relations)
            return vectors * weights if self.name == "distmult" else _product(vectors, weights)
        backwards = (relations >= self._relations)[:, None]
        weights = self.relations[relations % self._relations]
        weights = torch.where(backwards, -weights, weights)
        return vectors + weights if self.name == "transe" else _product(vectors, torch.cat([weights.cos(), weights.sin()], dim=1))

    def scores(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """The scores ``[n, candidates]`` of queries ``[n, numbers]`` with the vectors of candidates, ``[candidates, numbers]``."""
        if self.name in PRODUCTS:
            return queries @ candidates.T
        if self.name == "transe":
            return self.gamma - torch.cdist(queries, candidates, p=1)
        return self.gamma - _moduli(queries[:, None] - candidates).sum(dim=-1)

    def own_scores(self, queries: Tensor, answers: Tensor) -> Tensor:
        """The score ``[...]`` of each query with the vector of its own candidate, ``[..., numbers]`` each."""
        if self.name in PRODUCTS:
            return (queries * answers).sum(dim=-1)
        differences = queries - answers
        return self.gamma - (differences.abs() if self.name == "transe" else _moduli(differences)).sum(dim=-1)

    def relation_vectors(self) -> Tensor:
        """The vectors ``[relations, numbers]`` of relations in their own direction; of ``rotate`` the complex numbers."""
        vectors = self.relations[:self._relations]
        return torch.cat([vectors.cos(), vectors.sin()], dim=1) if self.name == "rotate" else vectors

    def relation_query(self, entities: Tensor, answers: Tensor) -> Tensor:
        r"""What relations are scored by, given both their ends: ``[n, numbers]``, whose product with the relation's vector is the
        score of the triple. Of models whose scores are products: :math:`u_i v_i`, or :math:`\bar{u}_i v_i`.
        """
        return self.relation_query_of(F.embedding(entities, self.entities), F.embedding(answers, self.entities))

    def relation_query_of(self, left: Tensor, right: Tensor) -> Tensor:
        """The same, by the vectors of both ends."""
        if self.name == "distmult":
            return left * right
        real, imaginary = left.chunk(2, dim=1)
        return _product(torch.cat([real, -imaginary], dim=1), right)

    def penalty(self, questions: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        r"""The N3 norm :math:`\sum_i |u_i|^3 + |w_{ri}|^3 + |v_i|^3`, the mean over questions, given as entities, relations and
        answers; of models whose scores are products (Lacroix et al. 2018).
        """
        entities, relations, answers = questions
        parts = (F.embedding(entities, self.entities), F.embedding(relations, self.relations), F.embedding(answers, self.entities))
        total: Any = sum(self.cubes(part) for part in parts)
        return torch.as_tensor(total / len(entities))

    def cubes(self, vectors: Tensor) -> Tensor:
        """The sum of the cubes of the moduli of some vectors; of models whose scores are products."""
        return ((_moduli(vectors) if self.name == "complex" else vectors.abs()) ** 3).sum()


def _drawn(draw: Callable[[int], Tensor], rows: int, width: int, kept: slice) -> Tensor:
    """Some rows of a random table, which are the same whichever others are kept."""
    table = torch.empty(kept.stop - kept.start, width)
    for start in range(0, rows, BLOCK):
        block = draw(min(BLOCK, rows - start))
        first, last = max(kept.start, start), min(kept.stop, start + len(block))
        if first < last:
            table[first - kept.start:last - kept.start] = block[first - start:last - start]
    return table


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Products of complex numbers."""
    a, b = left.chunk(2, dim=1)
    c, d = right.chunk(2, dim=1)
    return torch.cat([a * c - b * d, a * d + b * c], dim=1)


def _moduli(numbers: Tensor) -> Tensor:
    real, imaginary = numbers.chunk(2, dim=-1)
    return (real.square() + imaginary.square() + 1e-20).sqrt()
