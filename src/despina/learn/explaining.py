"""What moved a prediction: neighbours, relations and properties, each weighed by what the prediction is without it.

Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 4.2; of graphs the deletions of
Pope et al., "Explainability Methods for Graph Convolutional Neural Networks", 2019): a weight is the score less the score without,
so that what spoke for the prediction has a positive one. Where a node has too many neighbours to leave out one by one, those with
the greatest gradient times input are (Shrikumar et al., "Not Just a Black Box", 2016).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import EdgeType, Graph, Hot, Target
from despina.graph.overlay import Ego
from despina.learn.inductive import InductiveModel

MOST = 24
"""Neighbours that are left out one by one."""
TOLD = 10
"""Neighbours, relations and properties that are told of, each."""

Score = Callable[[Mapping[str, Tensor]], Tensor]
"""From the embeddings of a neighbourhood to the one number that is to be explained."""


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A node that is linked with one that was asked about."""

    edge_type: EdgeType
    """The forward type of the edges between them."""
    inwards: bool
    """Whether the edges lead to the node that was asked about."""
    index: int
    """Of the neighbour, in the graph and its overlay."""
    weight: float


@dataclass(frozen=True, kw_only=True)
class Property:
    """A property of a node that was asked about."""

    node_type: str
    index: int
    name: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What moved a prediction, the greatest weights first."""

    score: float
    neighbours: tuple[Neighbour, ...]
    relations: tuple[tuple[EdgeType, float], ...]
    """All edges of a type that lead to or from the nodes that were asked about."""
    properties: tuple[Property, ...]


def log_odds(scores: Tensor, column: int, target: Target) -> Tensor:
    """How likely a class is, in a form that tells near certainties apart; of numbers the number.

    Args:
        scores: Of one node or edge, ``[classes]``.
        column: The class.
        target: Whether there may be several classes.
    """
    if not target.classes or target.multilabel or len(scores) == 1:
        return scores[column]
    others = torch.cat([scores[:column], scores[column + 1:]])
    return scores[column] - torch.logsumexp(others, dim=0)


def explain(inductive: InductiveModel, ego: Ego, seeds: Mapping[str, int], score: Score) -> Explanation:
    """Why the score is what it is.

    Args:
        inductive: The model.
        ego: The neighbourhood of the nodes that were asked about.
        seeds: Node type → how many of its first nodes these are.
        score: Of the embeddings.
    """
    def scored(changed: Ego) -> float:
        with torch.no_grad():
            return float(score(inductive.embeddings(changed)))

    whole = scored(ego)
    groups = _direct(ego, seeds)
    by_type: dict[EdgeType, NDArray[np.bool_]] = {}
    for (edge_type, _, _), rows in groups.items():
        by_type[edge_type] = by_type.get(edge_type, np.zeros(len(ego.edge_ids[edge_type]), dtype=np.bool_)) | rows
    relations = [(edge_type, whole - scored(ego.without({edge_type: rows}))) for edge_type, rows in by_type.items()]
    chosen = list(groups) if len(groups) <= MOST else _likeliest(inductive, ego, groups, score)
    neighbours = [Neighbour(edge_type=edge_type, inwards=inwards, index=_origin(ego, edge_type, local, inwards=inwards),
                            weight=whole - scored(ego.without({edge_type: groups[edge_type, inwards, local]})))
                  for edge_type, inwards, local in chosen]
    properties = [
        Property(node_type=node_type, index=int(ego.origin[node_type][row]), name=name,
                 weight=whole - scored(_neutral(inductive.graph, ego, node_type, row, span)))
        for node_type, count in seeds.items() if node_type in ego.graph.features
        for row in range(count) for name, span in ego.graph.features[node_type].columns.items() if span[0] < span[1]]
    return Explanation(
        score=whole, neighbours=tuple(sorted(neighbours, key=lambda found: -abs(found.weight))[:TOLD]),
        relations=tuple(sorted(relations, key=lambda found: -abs(found[1]))[:TOLD]),
        properties=tuple(sorted(properties, key=lambda found: -abs(found.weight))[:TOLD]))


_Groups = dict[tuple[EdgeType, bool, int], NDArray[np.bool_]]
"""Forward type, whether inwards, and the neighbour's row → which of the type's edges these are."""


def _direct(ego: Ego, seeds: Mapping[str, int]) -> _Groups:
    """The edges between the nodes that were asked about and their neighbours."""
    groups: _Groups = {}
    for edge_type, ids in ego.edge_ids.items():
        if not len(ids):
            continue
        sources, destinations = ego.graph.edges[edge_type].ends()
        for inwards, own, own_type, other in ((True, destinations, edge_type.destination, sources),
                                              (False, sources, edge_type.source, destinations)):
            for row in np.flatnonzero(own < seeds.get(own_type, 0)).tolist():
                mask = groups.setdefault((edge_type, inwards, int(other[row])), np.zeros(len(ids), dtype=np.bool_))
                mask[row] = True
    return groups


def _likeliest(inductive: InductiveModel, ego: Ego, groups: _Groups, score: Score) -> list[tuple[EdgeType, bool, int]]:
    """The neighbours by whose first vectors the score is moved most, to first order."""
    made: dict[int, Tensor] = {}
    batch = inductive.batch(ego)
    encoders = inductive.model.encoder.encoders

    def keep(module: torch.nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        made[id(module)] = output

    hooks = [encoder.register_forward_hook(keep) for encoder in encoders]
    try:
        score(inductive.model.encoder(batch)).backward()  # type: ignore[no-untyped-call]
    finally:
        for hook in hooks:
            hook.remove()
        inductive.model.zero_grad(set_to_none=True)
    moved = {}
    for node_type in batch.nodes:
        vectors = made.get(id(inductive.encoder_of(node_type)))
        if vectors is not None and vectors.grad is not None:
            moved[node_type] = (vectors.detach() * vectors.grad).sum(dim=1).abs().numpy()

    def weight(group: tuple[EdgeType, bool, int]) -> float:
        edge_type, inwards, local = group
        of_type = moved.get(edge_type.source if inwards else edge_type.destination)
        return 0.0 if of_type is None else float(of_type[local])

    return sorted(groups, key=weight, reverse=True)[:MOST]


def _origin(ego: Ego, edge_type: EdgeType, local: int, *, inwards: bool) -> int:
    return int(ego.origin[edge_type.source if inwards else edge_type.destination][local])


def _neutral(graph: Graph, ego: Ego, node_type: str, row: int, span: tuple[int, int]) -> Ego:
    """The neighbourhood with one property of a node as nodes have it on average; one of zeros and ones it does not have."""
    features, (start, stop) = ego.graph.features[node_type], span
    width = features.dense.shape[1]
    if start < width:
        dense = features.dense.copy()
        dense[row, start:stop] = graph.features[node_type].dense[:, start:stop].mean(axis=0)
        changed = replace(features, dense=dense)
    else:
        assert features.hot is not None  # noqa: S101 - there its columns are
        changed = replace(features, hot=_without(features.hot, row, start - width, stop - width))
    return replace(ego, graph=replace(ego.graph, features={**ego.graph.features, node_type: changed}))


def _without(hot: Hot, row: int, start: int, stop: int) -> Hot:
    rows = np.repeat(np.arange(len(hot)), np.diff(hot.indptr))
    kept = ~((rows == row) & (hot.indices >= start) & (hot.indices < stop))
    counts = np.bincount(rows[kept], minlength=len(hot))
    return Hot(width=hot.width, indptr=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)]), indices=hot.indices[kept])
