"""The correction of predictions of nodes (``residuals``) for a few nodes, among them new ones.

What was spread over the graph is known; a new node gets of it what the next round of spreading would give it.
"""

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import Graph
from despina.graph.overlay import Indices, Overlay
from despina.learn.neighbours import Neighbours
from despina.learn.residuals import bounded, residuals_of, spread

Values = NDArray[np.float32]


class NewResiduals:
    """Corrects predictions.

    Args:
        graph: What the model was applied to.
        values: Its predictions of all target nodes, uncorrected.
        strength: As ``residuals.choose_strength`` found it.
    """

    def __init__(self, graph: Graph, values: Values, strength: float) -> None:
        self._graph, self._strength = graph, strength
        self._train = graph.target.nodes.train
        node_type = graph.target.node_type
        self._links = [kind for kind in graph.edges if kind.source == kind.destination == node_type]
        """In both directions."""
        self._spread = spread(Neighbours(graph), residuals_of(graph.target.nodes, values), self._train, strength)
        self._degrees = sum((np.diff(graph.edges[kind].indptr) for kind in self._links), np.zeros(len(self._train), dtype=np.int64))

    def correct(self, overlay: Overlay, nodes: Indices, values: Values) -> Values:
        """The predictions ``[n, d]`` of these nodes of the graph and the overlay, corrected; those that were learned from stay."""
        corrected = values.copy()
        for row, node in enumerate(nodes.tolist()):
            if node >= len(self._train) or not self._train[node]:
                corrected[row] += self._of(overlay, node)
        kept = [row for row, node in enumerate(nodes.tolist()) if node < len(self._train) and self._train[node]]
        found = bounded(self._graph.target, corrected)
        found[kept] = values[kept]
        return found

    def _of(self, overlay: Overlay, node: int) -> Values:
        own = [np.empty(0, dtype=np.int64)]
        added: dict[int, int] = {}
        for kind in self._links:
            csr, edges = self._graph.edges[kind], overlay.edges.get(kind)
            if node < len(self._train):
                own.append(csr.indices[csr.indptr[node]:csr.indptr[node + 1]].astype(np.int64))
            if edges is not None:  # of a forward type: both its ends are neighbours
                own += [edges.sources[edges.destinations == node], edges.destinations[edges.sources == node]]
                for end in (*edges.sources.tolist(), *edges.destinations.tolist()):
                    added[end] = added.get(end, 0) + 1
        if node < len(self._train) and node not in added:
            return np.asarray(self._spread[node])
        neighbours = np.concatenate(own)
        known = neighbours[neighbours < len(self._train)]
        degrees = self._degrees[known] + np.array([added.get(other, 0) for other in known.tolist()], dtype=np.int64)
        weights = 1 / np.sqrt(max(1, len(neighbours)) * np.maximum(degrees, 1))
        return np.asarray(self._strength * (weights[:, None] * self._spread[known]).sum(axis=0), dtype=np.float32)
