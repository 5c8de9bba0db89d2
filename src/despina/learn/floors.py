"""What can be predicted without a graph: a model that is no better has learned nothing from it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import EdgeType, Graph
from despina.learn.labels import Members
from despina.learn.metrics import report
from despina.learn.ranking import Answers
from despina.learn.ranking import report as report_ranks

ROUNDS = 20
"""In which the levels of the bias model settle."""
PULL = 5.0
"""Towards 0, on the levels of the bias model: as much as so many edges without any deviation."""
ROWS = 1 << 12
"""Links that are ranked at a time."""


def floor(graph: Graph) -> tuple[str, dict[str, dict[str, Any]]]:
    """The name of the plainest model for the task, and its metrics under ``valid`` and, if there is a test part, ``test``.

    Classes: each as often as in the training part (``majority``). Numbers of nodes: their mean (``mean``). Numbers of edges: their
    mean, and a level for each end (``bias``; Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems",
    2009). Links: the nodes with most edges first (``popularity``). Without a validation part the training part takes its place.
    """
    masks = {"valid": "valid" if any(part.valid.any() for part in graph.target.by_type.values()) else "train", "test": "test"}
    parts = {part: np.flatnonzero(np.concatenate([getattr(labelled, mask) for labelled in graph.target.by_type.values()]))
             for part, mask in masks.items()}
    members = Members.of(graph)
    if members.labels is None:
        return "popularity", {part: report_ranks(_by_popularity(graph, members, some)) for part, some in parts.items() if len(some)}
    if graph.target.classes:
        name, scores = "majority", _majority(members, len(graph.target.classes))
    elif isinstance(members.kinds[0], EdgeType):
        name, scores = "bias", _bias(graph, members)
    else:
        name, scores = "mean", np.full((members.count, 1), members.labels[members.train].mean())
    return name, {part: report(scores[some].astype(np.float32), members.labels[some], graph.target.classes)
                  for part, some in parts.items() if len(some)}


def _majority(members: Members, classes: int) -> NDArray[np.float64]:
    """The share of each class in the training part, for every member."""
    assert members.labels is not None  # noqa: S101 - the caller has looked
    labels = members.labels[members.train]
    shares = labels.mean(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=classes) / len(labels)
    return np.tile(shares, (members.count, 1))


def _bias(graph: Graph, members: Members) -> NDArray[np.float64]:
    r"""The mean, and the levels of both ends: :math:`\mu_r + b_u + b_v`, by turns."""
    assert members.labels is not None  # noqa: S101 - the caller has looked
    values = np.empty((members.count, 1))
    for kind, (places, rows) in members.rows(np.arange(members.count)).items():
        assert isinstance(kind, EdgeType)  # noqa: S101 - the caller has looked
        sources, destinations = (end[rows] for end in graph.edges[kind].ends())
        train = np.isin(places, members.train)
        labels = members.labels[places].astype(np.float64)
        mean = labels[train].mean() if train.any() else members.labels[members.train].mean()
        levels = [np.zeros(graph.node_counts[kind.source]), np.zeros(graph.node_counts[kind.destination])]
        ends = sources, destinations
        for _ in range(ROUNDS):
            for own, other in ((0, 1), (1, 0)):
                rest = labels[train] - mean - levels[other][ends[other][train]]
                counts = np.bincount(ends[own][train], minlength=len(levels[own]))
                levels[own] = np.bincount(ends[own][train], weights=rest, minlength=len(levels[own])) / (counts + PULL)
        values[places, 0] = mean + levels[0][sources] + levels[1][destinations]
    return values


def _by_popularity(graph: Graph, members: Members, some: NDArray[np.int64]) -> NDArray[np.float64]:
    """The filtered ranks of both ends of some links, when nodes are ranked by their training edges."""
    found = [np.empty(0)]
    for kind, (_, rows) in members.rows(some).items():
        assert isinstance(kind, EdgeType)  # noqa: S101 - the caller has looked
        ends = [end.astype(np.int64) for end in graph.edges[kind].ends()]
        train = graph.target.by_type[kind].train
        for asked, answered, node_type in ((ends[0], ends[1], kind.destination), (ends[1], ends[0], kind.source)):
            degrees = np.bincount(answered[train], minlength=graph.node_counts[node_type]).astype(np.float64)
            degrees[graph.removed.get(node_type, np.empty(0, dtype=np.int64))] = -np.inf
            known = Answers.of(asked, answered)
            for start in range(0, len(rows), ROWS):
                part = rows[start:start + ROWS]
                found.append(_ranks(degrees, answered[part], known.to(asked[part])))
    return np.concatenate(found)


def _ranks(degrees: NDArray[np.float64], answers: NDArray[np.int64], known: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[
        np.float64]:
    """Ranks, from 1, ties counting half: of all nodes, less those that are known answers."""
    in_order = np.sort(degrees)
    own = degrees[answers]
    above = len(degrees) - np.searchsorted(in_order, own, side="right")
    equal = np.searchsorted(in_order, own, side="right") - np.searchsorted(in_order, own, side="left")
    places, nodes = known
    above = above - np.bincount(places, weights=degrees[nodes] > own[places], minlength=len(answers))
    equal = equal - np.bincount(places, weights=degrees[nodes] == own[places], minlength=len(answers))
    return np.asarray(1 + above + equal / 2)
