"""Embeddings of all nodes of a graph that is too large to be computed at once: layer by layer, some nodes at a time.

Each layer computes its nodes from all their neighbours, as it would at once, and its vectors lie in a file that the next layer
reads: Hamilton et al., "Inductive Representation Learning on Large Graphs", 2017, algorithm 1, over whole types instead of a batch.
What is in memory at a time depends on ``CHUNK_EDGES``, not on the graph.
"""

import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import Graph
from despina.graph.sampling import NeighbourSampler
from despina.learn.batches import Batch, EdgeLabels, predicted_from, sampled
from despina.learn.hyperparameters import CHUNK_EDGES, Hyperparameters
from despina.learn.models import Model

CHUNK_NODES = 1 << 17
"""Nodes that are computed at a time, at most."""
ALL_NEIGHBOURS = 2**62

Vectors = NDArray[np.float32]


def embed_by_layers(model: Model, graph: Graph, given: Hyperparameters, *, labels: EdgeLabels) -> dict[str, Vectors]:
    """The embeddings ``[nodes, num-hidden]`` of the node types that predictions are made from, without dropout.

    They are mapped from files without names in the temporary folder (``tempfile``), as are those of the layers before.

    Args:
        model: A model with convolutions.
        graph: What to apply it to; all edges carry messages.
        given: The model's hyperparameters.
        labels: What messages carry beside features.
    """
    training = model.training
    model.eval()
    with torch.no_grad():
        vectors = _Layers(model, graph, given, labels).embed()
    model.train(training)
    return vectors


class _Layers:
    """The layers of one model over one graph."""

    def __init__(self, model: Model, graph: Graph, given: Hyperparameters, labels: EdgeLabels) -> None:
        self._encoder, self._graph, self._given, self._labels = model.encoder, graph, given, labels
        self._sampler = NeighbourSampler(graph, (ALL_NEIGHBOURS,) if given.num_layer else (), seed=0)

    def embed(self) -> dict[str, Vectors]:
        """The vectors of the last layer."""
        needed = [predicted_from(self._graph)]
        for _ in range(1, self._given.num_layer):
            needed.append(needed[-1] | {edge_type.source for edge_type, csr in self._graph.edges.items()
                                        if edge_type.destination in needed[-1] and len(csr.indices)})
        vectors: dict[str, Vectors] | None = None
        for layer, node_types in enumerate(reversed(needed)):
            vectors = {node_type: self._layer(layer, node_type, vectors) for node_type in sorted(node_types)}
        return vectors or {}

    def _layer(self, layer: int, node_type: str, before: dict[str, Vectors] | None) -> Vectors:
        """What a layer computes of all nodes of a type; of a model without layers, what its encoders do."""
        computed = room(self._graph.node_counts[node_type], self._given.num_hidden)
        for start, stop in self._chunks(node_type):
            neighbourhood = self._sampler.sample({node_type: np.arange(start, stop)})
            batch = sampled(self._graph, neighbourhood, edge_features=self._given.use_edge_features, labels=self._labels,
                            node_features=before is None)
            nodes = self._encoder.encode(batch) if before is None else _rows(before, batch)
            if batch.blocks:
                nodes = self._encoder.convolve(layer, batch.blocks[0], nodes)
            else:
                nodes = {name: torch.relu(found) for name, found in nodes.items()}
            computed[start:stop] = nodes[node_type].numpy()
        return computed

    def _chunks(self, node_type: str) -> Iterator[tuple[int, int]]:
        """Stretches of a type's nodes with at most ``CHUNK_EDGES`` edges, or with one node."""
        count, start = self._graph.node_counts[node_type], 0
        indptrs = [csr.indptr for edge_type, csr in self._graph.edges.items() if edge_type.destination == node_type]
        while start < count:
            stop = min(start + CHUNK_NODES, count)
            edges = sum((indptr[start:stop + 1] - indptr[start] for indptr in indptrs), np.zeros(stop - start + 1, dtype=np.int64))
            stop = start + max(1, int(np.searchsorted(edges, CHUNK_EDGES, side="right")) - 1)
            yield start, stop
            start = stop


def room(count: int, width: int) -> Vectors:
    """Vectors ``[count, width]`` of zeros, mapped from a file that is gone when they are."""
    if not count * width:
        return np.zeros((count, width), dtype=np.float32)
    with tempfile.TemporaryFile() as file:
        file.truncate(count * width * 4)
        return np.asarray(np.memmap(file, dtype=np.float32, mode="r+", shape=(count, width)))


def _rows(vectors: dict[str, Vectors], batch: Batch) -> dict[str, Tensor]:
    return {node_type: torch.from_numpy(vectors[node_type][indices.numpy()]) for node_type, indices in batch.nodes.items()
            if indices is not None}
