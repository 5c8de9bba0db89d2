"""Ranking the edges of a graph by the embeddings that an R-GCN made of its nodes."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import EdgeType, Graph
from despina.learn.batches import predicted_edges
from despina.learn.decoders import LinkDecoder
from despina.learn.ranking import Answers, ranks

SCORES = 1 << 24
"""Scores that are computed at a time."""


class Ranker:
    """Ranks edges among all that are not known to be there."""

    def __init__(self, graph: Graph) -> None:
        self._removed = graph.removed
        self._ends = {edge_type: tuple(end.astype(np.int64) for end in graph.edges[edge_type].ends())
                      for edge_type in predicted_edges(graph)}
        self._known = {edge_type: (Answers.of(sources, destinations), Answers.of(destinations, sources))
                       for edge_type, (sources, destinations) in self._ends.items()}

    def rank(self, decoder: LinkDecoder, embeddings: Mapping[str, Tensor],
             rows: Mapping[EdgeType, NDArray[np.int64]]) -> NDArray[np.float64]:
        """The filtered ranks of these edges' destinations and sources, from 1: ``[2 · edges]``."""
        found = [np.empty(0)]
        for edge_type, some in rows.items():
            relation = decoder.relation(edge_type).detach()
            sources, destinations = (end[some] for end in self._ends[edge_type])
            by_source, by_destination = self._known[edge_type]
            of_sources, of_destinations = embeddings[edge_type.source], embeddings[edge_type.destination]
            found.append(self._rank(of_sources * relation, sources, of_destinations, destinations, by_source,
                                    self._gone(edge_type.destination)))
            found.append(self._rank(of_destinations * relation, destinations, of_sources, sources, by_destination,
                                    self._gone(edge_type.source)))
        return np.concatenate(found)

    def _gone(self, node_type: str) -> Tensor:
        """The nodes that are no candidates."""
        return torch.from_numpy(self._removed.get(node_type, np.empty(0)).astype(np.int64))

    @staticmethod
    def _rank(queries: Tensor, asking: NDArray[np.int64], candidates: Tensor, answers: NDArray[np.int64],  # noqa: PLR0917
              known: Answers, gone: Tensor) -> NDArray[np.float64]:
        """The ranks of the answers of ``asking`` among the candidates, by the products of their vectors."""
        size, found = max(1, SCORES // len(candidates)), []
        for start in range(0, len(asking), size):
            asked = asking[start:start + size]
            scores = queries[torch.from_numpy(asked)] @ candidates.T
            scores[:, gone] = -torch.inf
            places, nodes = known.to(asked)
            found.append(ranks(scores, torch.from_numpy(answers[start:start + size]),
                               (torch.from_numpy(places), torch.from_numpy(nodes))).numpy())
        return np.concatenate(found)
