"""Beginning a training with the weights of an earlier one (``previousModelTrainingJobId``).

Source: Neptune user guide, "Incremental model training". Nodes are known by their raw ids: those that the earlier model had take
its vectors, new ones begin at random as all do.
"""

from dataclasses import dataclass

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.graph import Graph
from despina.learn.checkpoint import AnyModel
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.models import GraphShape, Model


class WarmStart(Frozen, frozen=True, kw_only=True):
    """What came of it; part of ``training-report.json``."""

    tensors: int
    """Of the model that begin as they ended; 0: the training begins at random."""
    of: int
    """All tensors that the model learns."""
    known_nodes: dict[str, int]
    """Node type → how many of the graph's nodes the earlier model knew."""
    reason: str | None = None
    """Why tensors were left out."""


@dataclass(frozen=True)
class Rows:
    """Rows of a table of node vectors: ``old[i]`` of the earlier table belongs to ``new[i]``."""

    old: NDArray[np.int64]
    new: NDArray[np.int64]


@torch.no_grad()
def begin_with(model: AnyModel, graph: Graph, earlier: AnyModel, before: Graph) -> WarmStart:
    """Copy what fits of an earlier model into a new one.

    Args:
        model: Of ``graph``, about to be trained.
        graph: What it will learn from.
        earlier: A trained model.
        before: The graph that it learned from.
    """
    rows = _rows(graph, before)
    learned = dict(model.named_parameters())
    done = WarmStart(tensors=0, of=len(learned), known_nodes={kind: len(of_type.new) for kind, of_type in rows.items()})
    reason = difference(GraphShape.of(graph), GraphShape.of(before)) or _other_model(model, earlier)
    if reason:
        return replace(done, reason=reason)
    of_nodes, theirs = tables(model, graph, before), dict(earlier.named_parameters())
    left = []
    for name, weights in learned.items():
        other = theirs.get(name)
        if other is not None and name in of_nodes and other.shape[1:] == weights.shape[1:]:
            weights[torch.from_numpy(of_nodes[name].new)] = other[torch.from_numpy(of_nodes[name].old)]
        elif other is not None and other.shape == weights.shape:
            weights.copy_(other)
        else:
            left.append(name)
    if left:
        reason = f"{len(left)} tensors have no counterpart of the same shape, since hyperparameters differ: {', '.join(left[:5])}"
    return replace(done, tensors=len(learned) - len(left), reason=reason)


def _rows(graph: Graph, before: Graph) -> dict[str, Rows]:
    return {node_type: _common(graph, before, node_type) for node_type in graph.node_ids}


def _common(graph: Graph, before: Graph, node_type: str) -> Rows:
    old = before.index_by_id(node_type) if node_type in before.node_ids else {}
    pairs = [(old[name], index) for name, index in graph.index_by_id(node_type).items() if name in old]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Rows(both[:, 0], both[:, 1])


def difference(shape: GraphShape, before: GraphShape) -> str | None:
    """Why weights of a model for one shape mean nothing in a model for the other; they may differ in their numbers of nodes."""
    for name in shape.__struct_fields__:
        mine, its = getattr(shape, name), getattr(before, name)
        if name == "node_counts":
            mine, its = list(mine), list(its)
        if mine != its:
            return f"the earlier model was trained for another graph: its {name} was {its}, that of the processed data is {mine}"
    return None


def _other_model(model: AnyModel, earlier: AnyModel) -> str | None:
    mine, its = (one.name if isinstance(one, KnowledgeGraphEmbedding) else "rgcn" for one in (model, earlier))
    return None if mine == its else f"the earlier model was {its}, this one is {mine}"


def tables(model: AnyModel, graph: Graph, before: Graph) -> dict[str, Rows]:
    """The tables of node vectors that a model has or may have, by the names of their tensors.

    Args:
        model: Of ``graph``.
        graph: Its nodes are the new rows.
        before: Its nodes are the old rows.
    """
    rows = _rows(graph, before)
    if isinstance(model, Model):
        return {f"encoder.encoders.{i}.embedding": rows[node_type] for i, node_type in enumerate(graph.node_counts)}
    starts, theirs = _starts(graph), _starts(before)
    return {"entities": Rows(np.concatenate([of_type.old + theirs[node_type] for node_type, of_type in rows.items()]),
                              np.concatenate([of_type.new + starts[node_type] for node_type, of_type in rows.items()]))}


def _starts(graph: Graph) -> dict[str, int]:
    """Node type → its first entity."""
    return dict(zip(graph.node_counts, np.cumsum([0, *graph.node_counts.values()]).tolist(), strict=False))
