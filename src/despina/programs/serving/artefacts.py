"""What an endpoint serves: the artefacts of a training or transform job, and the graph that they are of; all without torch."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph
from despina.learn import link_scores

LAYOUT = "serving.json"
KGE = (*link_scores.PRODUCTS, "transe", "rotate")


class Layout(Frozen, frozen=True, kw_only=True):
    """``serving.json``: how the rows of the arrays are to be read."""

    model: str
    task: Task
    entities: tuple[tuple[str, int], ...]
    """The node types of ``entity.npy``, in order, and how many rows each has."""
    relations: tuple[EdgeType, ...] = ()
    """The rows of ``relation.npy``."""
    predicted: tuple[str | EdgeType, ...] = ()
    """The node type or edge types of ``result.npz``, in order."""
    gamma: float = 0.0
    """Of ``transe`` and ``rotate``."""


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """Everything that answers are made of."""

    folder: Path
    graph: Graph
    processed: Path
    """The folder of the graph, where its encodings lie too."""
    layout: Layout
    embeddings: dict[str, NDArray[np.float32]]
    """Node type → ``[nodes, width]``."""
    values: dict[str | EdgeType, NDArray[np.float32]]
    """What was predicted of the node type or each edge type: ``[n, classes]``, or ``[n, 1]`` numbers. Empty for links."""
    relations: dict[EdgeType, NDArray[np.float32]]
    """Of links: the vector of each edge type."""

    @classmethod
    def load(cls, folder: Path, graph: Graph, processed: Path) -> "Artefacts":
        """The artefacts in a folder, of the graph of a data-processing job whose output is in another.

        Raises:
            WorkFailed: a file is missing, or is not of this graph.
        """
        layout = _layout(folder, graph)
        entities = _array(folder / "embeddings" / "entity.npy")
        starts = np.cumsum([0, *(count for _, count in layout.entities)])
        for node_type, count in layout.entities:
            if graph.node_counts.get(node_type) != count:
                raise WorkFailed(f"the artefacts are of {count} nodes of type '{node_type}', the graph has "
                                 f"{graph.node_counts.get(node_type, 0)}: it has been processed anew")
        if starts[-1] != len(entities):
            raise WorkFailed(f"embeddings/entity.npy has {len(entities)} rows, and should have {starts[-1]}")
        embeddings = {node_type: entities[start:start + count] for start, (node_type, count) in
                      zip(starts, layout.entities, strict=False)}
        vectors = _array(folder / "embeddings" / "relation.npy") if layout.relations else ()
        return cls(folder=folder, graph=graph, processed=processed, layout=layout, embeddings=embeddings,
                   values=_values(folder, graph, layout), relations=dict(zip(layout.relations, vectors, strict=True)))

    def index(self, node_type: str, node_id: str) -> int | None:
        """The index of a node; None: there is no such node."""
        ids = self._indices.get(node_type)
        if ids is None:
            ids = self._indices[node_type] = self.graph.index_by_id(node_type) if node_type in self.graph.node_ids else {}
        return ids.get(node_id)

    def link_query(self, edge_type: EdgeType, vector: NDArray[np.float32], *, tails: bool) -> NDArray[np.float32]:
        """The query vector of a node whose tails (or heads) along edges of this type are asked for, given its own vector."""
        layout = self.layout
        if layout.model not in KGE:  # DistMult on the embeddings of an R-GCN
            return link_scores.query("distmult", vector, self.relations[edge_type])
        number = layout.relations.index(edge_type)
        if layout.model in link_scores.PRODUCTS and not tails:
            number += len(layout.relations)
        return link_scores.query(layout.model, vector, self._relation_weights[number], inverse=not tails)

    def link_scores(self, query: NDArray[np.float32], candidates: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores ``[n]`` of candidates, by their vectors ``[n, numbers]``."""
        model = self.layout.model if self.layout.model in KGE else "distmult"
        return link_scores.scores(model, query, candidates, gamma=self.layout.gamma)

    def norms(self, node_type: str) -> NDArray[np.float32]:
        """The lengths of the embeddings of a type."""
        norms = self._norms.get(node_type)
        if norms is None:
            norms = self._norms[node_type] = np.linalg.norm(self.embeddings[node_type], axis=1).astype(np.float32)
        return norms

    @cached_property
    def _relation_weights(self) -> NDArray[np.float32]:
        """The relations' own weights: ``relation.npy`` lacks those that questions for heads have."""
        from safetensors.numpy import load_file

        path = self.folder / "model.safetensors"
        if not path.is_file():
            raise WorkFailed("the artefacts have no file model.safetensors")
        weights: NDArray[np.float32] = load_file(path)["relations"]
        return weights

    @cached_property
    def _norms(self) -> dict[str, NDArray[np.float32]]:
        return {}

    @cached_property
    def _indices(self) -> dict[str, dict[str, int]]:
        return {}


def _layout(folder: Path, graph: Graph) -> Layout:
    """As the file says; without one, as for models of users' own (the toolkit's forms of arrays)."""
    path = folder / LAYOUT
    if path.is_file():
        return msgspec.json.decode(path.read_bytes(), type=Layout)
    target = graph.target
    forward = tuple(edge_type for edge_type in graph.edges if not edge_type.is_reverse_in(graph.edges))
    links = target.task is Task.LINK_PREDICT
    of_nodes = [kind for kind in target.by_type if isinstance(kind, str)]
    entities = tuple((kind, graph.node_counts[kind]) for kind in (of_nodes or graph.node_ids))
    return Layout(model="custom", task=target.task, entities=entities, relations=forward if links else (),
                  predicted=() if links else tuple(target.by_type))


def _values(folder: Path, graph: Graph, layout: Layout) -> dict[str | EdgeType, NDArray[np.float32]]:
    if not layout.predicted:
        return {}
    path = folder / "predictions" / "result.npz"
    if not path.is_file():
        raise WorkFailed("the artefacts have no file predictions/result.npz")
    with np.load(path, allow_pickle=False) as file:
        together = np.asarray(file["infer_scores"])
    counts = [graph.node_counts[kind] if isinstance(kind, str) else len(graph.edges[kind].indices) for kind in layout.predicted]
    if sum(counts) != len(together):
        raise WorkFailed(f"predictions/result.npz has {len(together)} rows, the graph has {sum(counts)} nodes or edges to predict")
    starts = np.cumsum([0, *counts])
    return {kind: together[starts[i]:starts[i + 1]] for i, kind in enumerate(layout.predicted)}


def _array(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise WorkFailed(f"the artefacts have no file {path.parent.name}/{path.name}")
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
