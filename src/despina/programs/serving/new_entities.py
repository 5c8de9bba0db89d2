"""Entities that a knowledge-graph embedding has never seen: they get the vector that their edges with known ones ask for, as in
incremental inference (``learn.incremental``).
"""

from collections import defaultdict
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import EdgeType
from despina.graph.overlay import Overlay
from despina.learn import link_scores
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import ItemFault


class NewEntities:
    """Scores of links of one type, with entities of a request's own among both questions and candidates.

    Args:
        served: The embedding, and the graph that it is of.
        overlay: The request's subgraph.
        edge_type: That is asked for.
        tails: Whether tails are, not heads.
    """

    def __init__(self, served: Artefacts, overlay: Overlay, edge_type: EdgeType, *, tails: bool) -> None:
        self._served, self._overlay, self._edge_type, self._tails = served, overlay, edge_type, tails
        self._asking, self._answering = (edge_type.source, edge_type.destination) if tails else (
            edge_type.destination, edge_type.source)

    def scores(self, index: int) -> NDArray[np.float32]:
        """Of all candidates, those of the subgraph last. Raises ItemFault: the entity is new, and no edge leads to a known one."""
        count = len(self._served.embeddings[self._asking])
        vector = self._served.embeddings[self._asking][index] if index < count else self._vectors.get((self._asking, index))
        if vector is None:
            raise ItemFault("NoKnownNeighbour", "No edge of the subgraph leads from this node to one that the embedding knows: "
                            "nothing tells where it lies.")
        query = self._served.link_query(self._edge_type, vector, tails=self._tails)
        new = [self._vectors.get((self._answering, other)) for other in self._overlay.ids.get(self._answering, {}).values()]
        known = self._served.link_scores(query, self._served.embeddings[self._answering])
        scores = np.full(len(known) + len(new), -np.inf, dtype=np.float32)
        scores[:len(known)] = known
        placed = [i for i, found in enumerate(new) if found is not None]
        if placed:
            scores[len(known) + np.array(placed)] = self._served.link_scores(query, np.stack([
                found for found in new if found is not None]))
        return scores

    @cached_property
    def _vectors(self) -> dict[tuple[str, int], NDArray[np.float32]]:
        """By type and index: the mean of the queries whose answer the entity is."""
        served, asked = self._served, defaultdict[tuple[str, int], list[NDArray[np.float32]]](list)
        for kind, edges in self._overlay.edges.items():
            of_sources, of_destinations = served.embeddings[kind.source], served.embeddings[kind.destination]
            for source, destination in zip(edges.sources.tolist(), edges.destinations.tolist(), strict=True):
                if source < len(of_sources) and destination >= len(of_destinations):
                    asked[kind.destination, destination].append(served.link_query(kind, of_sources[source], tails=True))
                if source >= len(of_sources) and destination < len(of_destinations):
                    asked[kind.source, source].append(served.link_query(kind, of_destinations[destination], tails=False))
        return {key: self._scaled(np.mean(queries, axis=0), key[0]) for key, queries in asked.items()}

    def _scaled(self, vector: NDArray[np.float32], node_type: str) -> NDArray[np.float32]:
        """A product grows with the vector's length, which says nothing here: it gets that of known ones."""
        if self._served.layout.model not in link_scores.PRODUCTS:
            return vector
        length = self._served.norms(node_type).mean()
        return np.asarray(vector * (length / max(float(np.linalg.norm(vector)), 1e-12)), dtype=np.float32)
