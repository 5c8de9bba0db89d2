"""Learning a knowledge-graph embedding."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from despina.core.errors import WorkFailed
from despina.graph.graph import Graph
from despina.learn.adagrad import Adagrad
from despina.learn.cross_entropy import cross_entropy
from despina.learn.hyperparameters import PRODUCTS, EmbeddingHyperparameters, learns_among_all
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.ranking import Answers, ranks, report
from despina.learn.triples import Ids, Questions, Triples
from despina.learn.workers import ALONE, Workers

SCORES = 1 << 24
"""Scores that are computed at a time: the temporaries of a step."""
JUDGED = 2_000
"""Triples at most that are ranked when a model is judged while it trains; the same ones each time."""


class Embedding:
    r"""A knowledge-graph embedding learns the links of a graph (an ``Objective``).

    Every question is asked in both directions. Where scores are products and there are few entities, a step asks ``batch-size``
    different questions, each with all its answers in the training part, and the loss is the cross-entropy of each answer among all
    entities of its type (1-vs-all), with the N3 norm weighed by ``regularization-coef`` (Lacroix et al. 2018). Else a step asks
    ``batch-size`` questions of one answer each, beside ``num-negs`` random entities. The loss is their cross-entropy where scores
    are products, and else self-adversarial (Sun et al. 2019). Beside the answers the relation itself may be predicted
    (``relation-prediction-coef``; Chen et al., "Relation Prediction as an Auxiliary Training Objective for Improving
    Multi-Relational Graph Representations", 2021):

    .. math:: -\log \sigma(s) - \sum_i p_i \log \sigma(-s_i), \qquad p_i = \mathrm{softmax}(s)_i \text{ as a constant}

    Raises:
        WorkFailed: there is nothing to learn from.
    """

    is_divided = False

    def __init__(self, graph: Graph, name: str, given: EmbeddingHyperparameters, *, seed: int,
                 workers: Workers = ALONE) -> None:
        self.triples, self.given, self._seed, self.workers = Triples.of(graph), given, seed, workers
        if given.relation_prediction_coef and name not in PRODUCTS:
            raise WorkFailed(f"relation-prediction-coef is {given.relation_prediction_coef}, and the model {name}; it must be 0, "
                             f"since relations are predicted by {' and '.join(PRODUCTS)} only")
        if not len(self.triples.train):
            raise WorkFailed("there is no edge in the training part: nothing to learn from")
        self.model = KnowledgeGraphEmbedding(name, entities=self.triples.entities, relations=len(self.triples.edge_types),
                                             width=given.num_hidden, gamma=given.gamma, kept=workers.part(self.triples.entities))
        self.optimisers = [Adagrad(self.model.parameters(), lr=given.lr)]
        self.random = np.random.default_rng(seed)
        train = self.triples.train
        self.groups: Answers | None = None
        if learns_among_all(name, self.triples.entities):
            self.groups = Answers.of(self.triples.numbers(train), train.answers)
        self.examples = asked = len(train) if self.groups is None else len(self.groups.questions)
        self._size = min(given.batch_size, max(1, SCORES // self.triples.entities) if self.groups else given.batch_size)
        self.per_epoch = math.ceil(asked / self._size)
        judged = self.random.permutation(len(self.triples.valid) // 2)[:JUDGED]
        self.judged = self.triples.valid.take(np.concatenate([judged, judged + len(self.triples.valid) // 2]))
        self.ranker = Ranker(self.triples)

    @property
    def shared(self) -> Sequence[Tensor]:
        """All parameters."""
        return list(self.model.parameters())

    def begin(self, epoch: int) -> None:
        """Draw the random numbers of an epoch."""
        self.random = np.random.default_rng((self._seed, epoch))

    def steps(self) -> Iterator[Callable[[], Tensor]]:
        """The steps of an epoch."""
        asked = len(self.triples.train) if self.groups is None else len(self.groups.questions)
        order = self.random.permutation(asked)
        for start in range(0, asked, self._size):
            rows = order[start:start + self._size]
            yield partial(self.against_all, rows) if self.groups is not None else partial(self.against_some, rows)

    def measure(self) -> float:
        """The filtered mean reciprocal rank on the validation part, both directions; of some of it if it is large."""
        return float(report(self.ranker.rank(self.model, self.judged))["mrr"])

    def against_all(self, rows: Ids) -> Tensor:
        """The loss of different questions, each answer among all candidates."""
        assert self.groups is not None  # noqa: S101 - the caller has looked
        numbers = self.groups.questions[rows]
        entities, relations = np.divmod(numbers, 2 * len(self.triples.edge_types))
        places, answers = self.groups.to(numbers)
        queries = self.model.query(torch.from_numpy(entities), torch.from_numpy(relations))
        losses = []
        for (start, stop), some in by_candidates(self.triples, relations):
            own = np.isin(places, some) if len(some) < len(rows) else np.ones(len(places), dtype=np.bool_)
            at = np.searchsorted(some, places[own])
            asking = queries[torch.from_numpy(some)] if len(some) < len(rows) else queries
            # The gradient of a part is copied into one of the whole: not where there is but one part.
            candidates = self.model.entities[start:stop] if stop - start < self.triples.entities else self.model.entities
            losses.append(cross_entropy(asking, candidates, torch.from_numpy(at), torch.from_numpy(answers[own] - start)))
        loss = torch.stack(losses).sum() / len(answers)
        asked = (torch.from_numpy(entities[places]), torch.from_numpy(relations[places]), torch.from_numpy(answers))
        return loss + self._beside(asked)

    def _beside(self, asked: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """What the loss of products has beside the answers: the norm of the vectors, and the prediction of the relations."""
        beside = self.given.regularization_coef * self.model.penalty(asked)
        if not self.given.relation_prediction_coef:
            return beside
        entities, relations, answers = asked
        pairs = self.model.relation_query(entities, answers)
        places = torch.arange(len(pairs))
        return beside + self.given.relation_prediction_coef * cross_entropy(
            pairs, self.model.relations, places, relations) / len(pairs)

    def against_some(self, rows: Ids) -> Tensor:
        """The loss of questions with one answer each, beside random candidates."""
        asked = self.triples.train.take(rows)
        entities, relations, answers = (torch.from_numpy(part) for part in (asked.entities, asked.relations, asked.answers))
        queries, vectors = self.model.query(entities, relations), self.model.entities
        right, losses = self.model.own_scores(queries, vectors[answers]), []
        for (start, stop), some in by_candidates(self.triples, asked.relations):
            of = torch.from_numpy(some)
            shape = (self.given.num_negs,) if self.given.neg_share else (len(some), self.given.num_negs)
            wrong = torch.from_numpy(self.random.integers(start, stop, shape))
            scores = (self.model.scores(queries[of], vectors[wrong]) if self.given.neg_share
                      else self.model.own_scores(queries[of][:, None], vectors[wrong]))
            scores = scores.masked_fill(wrong == answers[of][:, None], -torch.inf)  # a random entity may be the right one
            losses.append(self.loss(right[of], scores))
        loss = torch.cat(losses).mean()
        if self.model.name in PRODUCTS:
            loss = loss + self._beside((entities, relations, answers))
        return loss

    def loss(self, right: Tensor, wrong: Tensor) -> Tensor:
        """Of each question: ``[n]``."""
        if self.model.name in PRODUCTS:
            return -F.log_softmax(torch.cat([right[:, None], wrong], dim=1), dim=1)[:, 0]
        weights = torch.softmax(wrong, dim=1).detach()
        away = F.logsigmoid(-wrong).masked_fill(wrong == -torch.inf, 0.0)
        return -(F.logsigmoid(right) + (weights * away).sum(dim=1)) / 2


class Ranker:
    """Ranks the answers of questions among all candidates that are not known to answer them."""

    def __init__(self, triples: Triples) -> None:
        self._triples = triples
        everything = [triples.train, triples.valid, triples.test]
        self.known = Answers.of(np.concatenate([triples.numbers(part) for part in everything]),
                                np.concatenate([part.answers for part in everything]))

    @torch.no_grad()
    def rank(self, model: KnowledgeGraphEmbedding, questions: Questions) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The filtered ranks, from 1, ties counting half: ``[questions]``, in another order."""
        found = [np.empty(0)]
        for (start, stop), rows in by_candidates(self._triples, questions.relations):
            candidates = model.entities[start:stop]
            gone = self._triples.removed[(self._triples.removed >= start) & (self._triples.removed < stop)] - start
            size = max(1, SCORES // ((stop - start) * (model.entities.shape[1] if model.name == "rotate" else 1)))
            for first in range(0, len(rows), size):
                asked = questions.take(rows[first:first + size])
                queries = model.query(torch.from_numpy(asked.entities), torch.from_numpy(asked.relations))
                scores = model.scores(queries, candidates)
                scores[:, torch.from_numpy(gone)] = -torch.inf
                places, nodes = self.known.to(self._triples.numbers(asked))
                found.append(ranks(scores, torch.from_numpy(asked.answers - start),
                                   (torch.from_numpy(places), torch.from_numpy(nodes - start))).numpy())
        return np.concatenate(found)


def by_candidates(triples: Triples, relations: Ids) -> Iterator[tuple[tuple[int, int], Ids]]:
    """The spans of candidates that questions with these relations have, and which questions have each."""
    spans = triples.candidates[relations]
    for start, stop in np.unique(spans, axis=0).tolist():
        yield (start, stop), np.flatnonzero((spans[:, 0] == start) & (spans[:, 1] == stop))
