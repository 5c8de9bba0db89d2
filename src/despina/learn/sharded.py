"""Learning a knowledge-graph embedding whose table of entities no worker has as a whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from despina.graph.graph import Graph
from despina.learn.collecting import collect
from despina.learn.cross_entropy import cross_entropy
from despina.learn.embedding import SCORES, Embedding, by_candidates
from despina.learn.hyperparameters import PRODUCTS, EmbeddingHyperparameters
from despina.learn.ranking import report
from despina.learn.shards import Shard
from despina.learn.triples import Ids, Questions
from despina.learn.workers import Workers


class ShardedEmbedding(Embedding):
    """The same training as that of ``Embedding``, by workers that each have a stretch of the entities, with their gradients and
    what the optimiser remembers of them.

    All workers ask the same questions, and make the query vectors of all of them from rows that they fetch from each other. Among
    all entities each scores its own; among random ones each scores its part of the questions. Relations are everybody's.
    """

    is_divided = True

    def __init__(self, graph: Graph, name: str, given: EmbeddingHyperparameters, *, seed: int, workers: Workers) -> None:
        super().__init__(graph, name, given, seed=seed, workers=workers)
        self.shard = Shard.of(self.triples.entities, workers)

    @property
    def shared(self) -> Sequence[Tensor]:
        """The relations."""
        return [self.model.relations]

    def measure(self) -> float:
        """As of one worker, up to rounding."""
        found = float(report(self.rank(self.judged))["mrr"])
        return self.workers.first(lambda: found)

    def evaluate(self) -> dict[str, dict[str, Any]]:
        """All metrics, under ``valid``, and under ``test`` if there is a test part. All workers have to ask for them."""
        parts = {"valid": self.triples.valid} | ({"test": self.triples.test} if len(self.triples.test) else {})
        return {name: report(self.rank(part)) for name, part in parts.items()}

    def against_all(self, rows: Ids) -> Tensor:
        """This worker's part of the loss of different questions, each answer among all candidates."""
        assert self.groups is not None  # noqa: S101 - the caller has looked
        numbers = self.groups.questions[rows]
        entities, relations = np.divmod(numbers, 2 * len(self.triples.edge_types))
        places, answers = self.groups.to(numbers)
        ids = np.unique(np.concatenate([entities, answers]) if self.given.relation_prediction_coef else entities)
        vectors = self.shard.fetch(self.model.entities, torch.from_numpy(ids))
        queries = self.model.query_of(_rows(vectors, ids, entities), torch.from_numpy(relations))
        losses = []
        for (start, stop), some in by_candidates(self.triples, relations):
            first, last = self.shard.within(start, stop)
            counts = np.bincount(places, minlength=len(rows))[some]
            own = np.isin(places, some) & (answers >= first) & (answers < last)
            losses.append(cross_entropy(
                queries[torch.from_numpy(some)], self.model.entities[first - self.shard.start:last - self.shard.start],
                torch.from_numpy(np.searchsorted(some, places[own])), torch.from_numpy(answers[own] - first),
                counts=torch.from_numpy(counts).to(queries.dtype), workers=self.workers))
        asked = Questions(entities=entities[places], relations=relations[places], answers=answers)
        return torch.stack(losses).sum() / len(answers) + self._part_beside(asked, vectors, ids)

    def against_some(self, rows: Ids) -> Tensor:
        """This worker's part of the loss of questions with one answer each, beside random candidates."""
        asked = self.triples.train.take(rows)
        spans = [(some, self.random.integers(start, stop, (self.given.num_negs,) if self.given.neg_share else (
            len(some), self.given.num_negs))) for (start, stop), some in by_candidates(self.triples, asked.relations)]
        ids = np.unique(np.concatenate([asked.entities, asked.answers, *(wrong.ravel() for _, wrong in spans)]))
        vectors = self.shard.fetch(self.model.entities, torch.from_numpy(ids))
        queries = self.model.query_of(_rows(vectors, ids, asked.entities), torch.from_numpy(asked.relations))
        right, losses = self.model.own_scores(queries, _rows(vectors, ids, asked.answers)), []
        own = self.workers.part(len(rows))
        for some, drawn in spans:
            mine = (some >= own.start) & (some < own.stop)
            of, wrong = some[mine], drawn if self.given.neg_share else drawn[mine]
            others = _rows(vectors, ids, wrong)
            scores = (self.model.scores(queries[of], others) if self.given.neg_share
                      else self.model.own_scores(queries[of][:, None], others))
            scores = scores.masked_fill(torch.from_numpy(wrong == asked.answers[of][:, None]), -torch.inf)
            losses.append(self.loss(right[of], scores))
        loss = torch.cat(losses).sum() / len(rows)
        return loss + self._part_beside(asked, vectors, ids) if self.model.name in PRODUCTS else loss

    def _part_beside(self, asked: Questions, vectors: Tensor, ids: Ids) -> Tensor:
        """What this worker has of the norm (that of its own entities, and of a part of the relations), and of the prediction of the
        relations of a part of the triples.
        """
        model, own, total = self.model, self.workers.part(len(asked)), torch.zeros(())
        if self.given.regularization_coef:
            for entities in (asked.entities, asked.answers):
                here = entities[(entities >= self.shard.start) & (entities < self.shard.stop)] - self.shard.start
                total = total + model.cubes(F.embedding(torch.from_numpy(here), model.entities))
            total = self.given.regularization_coef * (total + model.cubes(model.relations[asked.relations[own]]))
        if self.given.relation_prediction_coef:
            pairs = model.relation_query_of(_rows(vectors, ids, asked.entities[own]), _rows(vectors, ids, asked.answers[own]))
            total = total + self.given.relation_prediction_coef * cross_entropy(
                pairs, model.relations, torch.arange(len(pairs)), torch.from_numpy(asked.relations[own]))
        return total / len(asked)

    def save(self, path: Path | None) -> None:
        """Write the weights as ``checkpoint.save`` would, at the first worker; the others give None. All have to call it."""
        collect(self.model, self.shard, self.triples.entities, path)

    @torch.no_grad()
    def rank(self, questions: Questions) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """As ``embedding.Ranker.rank``: each worker counts which of its own entities score higher."""
        found = [np.empty(0)]
        for (start, stop), rows in by_candidates(self.triples, questions.relations):
            size = max(1, SCORES // ((stop - start) * (self.given.num_hidden * 2 if self.model.name == "rotate" else 1)))
            found += [self._ranks(questions.take(rows[begin:begin + size]), start, stop) for begin in range(0, len(rows), size)]
        return np.concatenate(found)

    def _ranks(self, asked: Questions, start: int, stop: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        first, last = self.shard.within(start, stop)
        ids = np.unique(asked.entities)
        vectors = self.shard.fetch(self.model.entities, torch.from_numpy(ids))
        queries = self.model.query_of(_rows(vectors, ids, asked.entities), torch.from_numpy(asked.relations))
        scores = self.model.scores(queries, self.model.entities[first - self.shard.start:last - self.shard.start])
        gone = self.triples.removed[(self.triples.removed >= first) & (self.triples.removed < last)] - first
        scores[:, torch.from_numpy(gone)] = -torch.inf
        mine = np.flatnonzero((asked.answers >= first) & (asked.answers < last))
        at = torch.from_numpy(mine), torch.from_numpy(asked.answers[mine] - first)
        own = torch.zeros(len(asked))
        own[at[0]] = scores[at]
        self.workers.sum(own)
        places, nodes = self.ranker.known.to(self.triples.numbers(asked))
        here = (nodes >= first) & (nodes < last)
        scores[torch.from_numpy(places[here]), torch.from_numpy(nodes[here] - first)] = -torch.inf
        scores[at] = -torch.inf
        better, equal = self.workers.sum(torch.stack([(scores > own[:, None]).sum(dim=1), (scores == own[:, None]).sum(dim=1)]))
        ranks = 1 + better.double() + equal.double() / 2
        return torch.where(own.isfinite(), ranks, float(stop - start)).numpy()


def _rows(vectors: Tensor, ids: Ids, wanted: Ids) -> Tensor:
    """Of vectors with these ids, rising, those that are wanted: ``[*wanted, width]``."""
    return F.embedding(torch.from_numpy(np.searchsorted(ids, wanted)), vectors)
