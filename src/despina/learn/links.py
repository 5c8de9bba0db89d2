"""Learning which links there are: an R-GCN tells true edges from random ones.

Edges that are to be predicted carry no messages while they are: those of the validation and test part never do, and a training edge
does not in the step that asks for it, since it would be its own answer.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from despina.graph.graph import EdgeType, Graph
from despina.graph.sampling import NeighbourSampler
from despina.learn.batches import predicted_edges, sampled, training_graph, whole_graph, without
from despina.learn.decoders import LinkDecoder
from despina.learn.hyperparameters import LinkHyperparameters, computed_at_once, trains_whole
from despina.learn.labels import Members
from despina.learn.layerwise import embed_by_layers
from despina.learn.link_ranker import Ranker
from despina.learn.models import GraphShape, Model, optimisers
from despina.learn.predictor import embed
from despina.learn.ranking import report
from despina.learn.workers import ALONE, Workers, nothing

ASKED = 0.5
"""The share of the training edges that a step on the whole graph asks for. The others carry messages."""
JUDGED = 2_000
"""Edges at most that are ranked when a model is judged while it trains; the same ones each time."""


_Negatives = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Random nodes in the place of the sources, and of the destinations, of some edges."""


@dataclass(frozen=True, kw_only=True)
class _Edges:
    """Some edges of one type, by node index."""

    rows: NDArray[np.int64]
    sources: NDArray[np.int64]
    destinations: NDArray[np.int64]

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "_Edges":
        return _Edges(rows=self.rows[chosen], sources=self.sources[chosen], destinations=self.destinations[chosen])


class Links:
    """An R-GCN with a DistMult decoder learns the links of a graph (an ``Objective``).

    Of each edge asked for, the true destination is to score above ``num-negs`` random nodes of its type, and the true source too,
    by cross-entropy over the scores.

    Raises:
        WorkFailed: there is nothing to learn from.
    """

    is_divided = False

    def __init__(self, graph: Graph, given: LinkHyperparameters, *, seed: int, workers: Workers = ALONE) -> None:
        self._given, self._members, self._seed, self.workers = given, Members.of(graph), seed, workers
        self._members.check(graph)
        self._graph = training_graph(graph)
        self.model = Model(GraphShape.of(graph), given)
        self.optimisers = optimisers(self.model, given)
        self._random = np.random.default_rng(seed)
        self._ends = {edge_type: graph.edges[edge_type].ends() for edge_type in predicted_edges(graph)}
        self._whole = trains_whole(graph, given.batch_size)
        self.examples = len(self._members.train)
        self.per_epoch = 1 if self._whole else math.ceil(self.examples / given.batch_size)
        self._sampler = NeighbourSampler(self._graph, tuple(given.fanout_of(layer) for layer in range(given.num_layer)), seed=seed)
        self._everything = whole_graph(self._graph, layers=given.num_layer,
                                       edge_features=given.use_edge_features) if computed_at_once(graph) else None
        judged = self._random.permutation(self._members.judged)[:JUDGED]
        self._ranker = Ranker(graph)
        self._judged = {kind: rows for kind, (_, rows) in self._members.rows(judged).items() if isinstance(kind, EdgeType)}

    @property
    def shared(self) -> Sequence[Tensor]:
        """All parameters."""
        return list(self.model.parameters())

    def begin(self, epoch: int) -> None:
        """Draw the random numbers of an epoch."""
        self._random = np.random.default_rng((self._seed, epoch))
        self._sampler.begin(self.workers.seed(self._seed, epoch))
        torch.manual_seed((self._seed << 32) + (self.workers.rank << 24) + epoch)

    def steps(self) -> Iterator[Callable[[], Tensor]]:
        """The steps of an epoch."""
        order = self._random.permutation(self._members.train)
        if self._whole:
            yield partial(self._descend, order[:max(1, round(ASKED * len(order)))])
            return
        for start in range(0, len(order), self._given.batch_size):
            yield partial(self._descend, order[start:start + self._given.batch_size])

    def measure(self) -> float:
        """The filtered mean reciprocal rank on the validation part, both directions; of some of it if it is large."""
        return self.workers.first(self._measured)

    def _measured(self) -> float:
        assert isinstance(self.model.decoder, LinkDecoder)  # noqa: S101 - of links it is
        return float(report(self._ranker.rank(self.model.decoder, self._embeddings(), self._judged))["mrr"])

    def _embeddings(self) -> dict[str, Tensor]:
        if self._everything is not None:
            return embed(self.model, self._everything)
        found = embed_by_layers(self.model, self._graph, self._given, labels={})
        return {node_type: torch.from_numpy(vectors) for node_type, vectors in found.items()}

    def _chosen(self, members: NDArray[np.int64]) -> dict[EdgeType, tuple[NDArray[np.int64], _Edges]]:
        """Some edges, by type, and their places among them."""
        return {kind: (places, _Edges(rows=rows, sources=self._ends[kind][0][rows].astype(np.int64),
                                      destinations=self._ends[kind][1][rows].astype(np.int64)))
                for kind, (places, rows) in self._members.rows(members).items() if isinstance(kind, EdgeType)}

    def _descend(self, members: NDArray[np.int64]) -> Tensor:
        """What this worker's part of some edges has in the loss of all of them."""
        asked, negatives, silent = self._asked(members)
        if not asked:
            return nothing()
        if self._whole:
            batch = whole_graph(without(self._graph, silent), layers=self._given.num_layer,
                                edge_features=self._given.use_edge_features)
            places: dict[str, NDArray[np.int64]] | None = None
        else:
            places = _named(asked, negatives)
            batch = sampled(self._graph, self._sampler.sample(places, silent), edge_features=self._given.use_edge_features)
        embeddings = self.model.encoder(batch)
        losses = [self._loss(edge_type, edges, negatives[edge_type], embeddings, places) for edge_type, edges in asked.items()]
        assert isinstance(self.model.decoder, LinkDecoder)  # noqa: S101 - of links it is
        penalty = self._given.regularization_coef * self.model.decoder.relations.square().mean()
        total: Tensor = torch.stack(losses).sum() / len(members) + penalty * (sum(len(edges.rows) for edges in asked.values()) /
                                                                              len(members))
        return total

    def _asked(self, members: NDArray[np.int64]) -> tuple[dict[EdgeType, _Edges], dict[EdgeType, _Negatives],
                                                          dict[EdgeType, NDArray[np.int64]]]:
        """Of edges that a step asks for, by type: this worker's, beside which random nodes, and the rows of all, which are silent.

        Random nodes are drawn for all edges, so that all workers draw alike.
        """
        asked, negatives, silent = dict[EdgeType, _Edges](), dict[EdgeType, _Negatives](), dict[EdgeType, NDArray[np.int64]]()
        own = self.workers.part(len(members))
        for edge_type, (places, edges) in self._chosen(members).items():
            wrong = self._negatives(edge_type.source, edges), self._negatives(edge_type.destination, edges)
            mine = (places >= own.start) & (places < own.stop)
            silent[edge_type] = edges.rows
            if mine.any():
                asked[edge_type] = edges[mine]
                negatives[edge_type] = wrong if self._given.neg_share else (wrong[0][mine], wrong[1][mine])
        return asked, negatives, silent

    def _negatives(self, node_type: str, edges: _Edges) -> NDArray[np.int64]:
        """Random nodes: ``[num-negs]`` for all edges, or ``[edges, num-negs]`` without ``neg-share``."""
        shape = (self._given.num_negs,) if self._given.neg_share else (len(edges.rows), self._given.num_negs)
        return self._random.integers(0, self._graph.node_counts[node_type], shape)

    def _loss(self, edge_type: EdgeType, edges: _Edges, negatives: _Negatives,
              embeddings: dict[str, Tensor], places: dict[str, NDArray[np.int64]] | None) -> Tensor:
        """The sum over the edges of a type, both directions."""
        decoder = self.model.decoder
        assert isinstance(decoder, LinkDecoder)  # noqa: S101 - of links it is
        relation, total = decoder.relation(edge_type), torch.zeros(())
        ends = (edge_type.source, edges.sources), (edge_type.destination, edges.destinations)
        for ((kind, asking), (other, true)), wrong in zip((ends, ends[::-1]), negatives[::-1], strict=True):
            query = embeddings[kind][_at(places, kind, asking)] * relation
            right = (query * embeddings[other][_at(places, other, true)]).sum(dim=1)
            vectors = embeddings[other][_at(places, other, wrong)]
            scores = query @ vectors.T if self._given.neg_share else torch.einsum("nd,nkd->nk", query, vectors)
            scores = scores.masked_fill(torch.from_numpy(wrong == true[:, None]), -torch.inf)  # a random node may be the true one
            total = total - F.log_softmax(torch.cat([right[:, None], scores], dim=1), dim=1)[:, 0].sum()
        return total / 2


def _named(asked: dict[EdgeType, _Edges], negatives: dict[EdgeType, _Negatives]) -> dict[str, NDArray[np.int64]]:
    """All nodes whose embeddings a step needs, by type, in rising order."""
    named: dict[str, list[NDArray[np.int64]]] = {}
    for edge_type, edges in asked.items():
        named.setdefault(edge_type.source, []).extend([edges.sources, negatives[edge_type][0].ravel()])
        named.setdefault(edge_type.destination, []).extend([edges.destinations, negatives[edge_type][1].ravel()])
    return {node_type: np.unique(np.concatenate(nodes)) for node_type, nodes in named.items()}


def _at(places: dict[str, NDArray[np.int64]] | None, node_type: str, nodes: NDArray[np.int64]) -> Tensor:
    """Where the embeddings of nodes are: at their index, or at their place among those that were computed."""
    return torch.from_numpy(nodes if places is None else np.searchsorted(places[node_type], nodes))
