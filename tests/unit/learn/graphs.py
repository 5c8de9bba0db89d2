"""Small graphs to learn from: two communities of users, told apart by what they like and whom they know."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.core.task import Task
from despina.graph.graph import Csr, EdgeType, Features, Graph, Hot, Labelled, Target, both_directions
from despina.graph.ids import Ids

USERS, ITEMS = 80, 13
LIKES = EdgeType("user", "likes", "item")
KNOWS = EdgeType("user", "knows", "user")


def communities(*, multilabel: bool = False, hot: bool = False, seed: int = 0) -> Graph:
    """Users 0-39 like items 0-5 and are of class ``left``, the others of class ``right``; each knows five of their own kind.

    Three users are unlabelled, one knows nobody, and one item is liked by nobody. Features say nothing of the class. With
    ``multilabel`` everybody also has the class ``anyone``, on top. With ``hot`` users and edges of LIKES have wide features too,
    and items have nothing else.
    """
    random = np.random.default_rng(seed)
    side = (np.arange(USERS) >= USERS // 2).astype(np.int64)
    half = (ITEMS - 1) // 2
    users = np.repeat(np.arange(USERS), 5)
    items = side[users] * half + random.integers(0, half, len(users))
    knowers = np.repeat(np.arange(1, USERS), 5)
    known = side[knowers] * (USERS // 2) + random.integers(0, USERS // 2, len(knowers))
    counts = {"user": USERS, "item": ITEMS}
    labels: NDArray[np.generic] = side
    if multilabel:
        labels = np.stack([side == 0, side == 1, np.ones(USERS)], axis=1).astype(np.float32)
        labels[[5, 17, 33]] = 0
    else:
        labels[[5, 17, 33]] = -1
    part = random.permutation(np.setdiff1d(np.arange(USERS), [5, 17, 33]))
    masks = [np.isin(np.arange(USERS), chosen) for chosen in (part[:31], part[31:54], part[54:])]
    features = {"user": Features(columns={"age": (0, 1), "region": (1, 3)}, dense=random.random((USERS, 3)).astype(np.float32))}
    edge_features = {LIKES: Features(columns={"since": (0, 2)}, dense=random.random((len(users), 2)).astype(np.float32))}
    if hot:
        features = {"user": Features(columns={"words": (3, 23), "age": (0, 1), "city": (23, 30), "region": (1, 3)},
                                     dense=features["user"].dense, hot=_some_ones(random, USERS, (20, 7))),
                    "item": Features(columns={"maker": (0, 9)}, dense=np.zeros((ITEMS, 0), dtype=np.float32),
                                     hot=_some_ones(random, ITEMS, (9,)))}
        edge_features = {LIKES: Features(columns={"since": (0, 2), "device": (2, 14)}, dense=edge_features[LIKES].dense,
                                         hot=_some_ones(random, len(users), (12,)))}
    return Graph(
        node_ids={name: Ids.of(f"{name}-{i}" for i in range(count)) for name, count in counts.items()}, features=features,
        edges={**both_directions(LIKES, users.astype(np.int32), items.astype(np.int32), counts),
               **both_directions(KNOWS, knowers.astype(np.int32), known.astype(np.int32), counts)},
        edge_features=edge_features, raw_features={},
        target=Target(task=Task.NODE_CLASS, property_name="side", multilabel=multilabel,
                      classes=("left", "right", "anyone") if multilabel else ("left", "right"),
                      by_type={"user": Labelled(labels=labels, train=masks[0], valid=masks[1], test=masks[2])}))


def _some_ones(random: np.random.Generator, rows: int, widths: tuple[int, ...]) -> Hot:
    """Features of these widths: a row has a few ones of the first and at most one of each other, and sometimes none at all."""
    starts = np.cumsum([0, *widths])
    found = [np.unique(np.concatenate([start + random.integers(0, width, random.integers(0, 4 if start == 0 else 2))
                                       for start, width in zip(starts, widths, strict=False)])) for _ in range(rows)]
    return hot_of(found, int(starts[-1]))


def hot_of(rows: Iterable[Iterable[int]], width: int) -> Hot:
    """The matrix whose rows have ones in these columns, which rise within each row."""
    columns = [list(row) for row in rows]
    indptr = np.cumsum([0, *(len(row) for row in columns)]).astype(np.int64)
    return Hot(width=width, indptr=indptr, indices=np.array([column for row in columns for column in row], dtype=np.int32))


def changed(graph: Graph, **changes: NDArray[Any]) -> Graph:
    """The same with other labels or parts of its target nodes."""
    target = graph.target
    return replace(graph, target=replace(target, by_type={target.node_type: replace(target.nodes, **changes)}))


def labels_of(graph: Graph) -> NDArray[Any]:
    """The labels of the target nodes."""
    labels = graph.target.nodes.labels
    assert labels is not None
    return labels


RATES, REVIEWS = EdgeType("user", "rates", "item"), EdgeType("user", "reviews", "item")


def ratings(task: Task, *, seed: int = 0) -> Graph:
    """Two kinds of edges from users to items. Their number is a level of the user, one of the item, 2 where both are of one side,
    and a feature of the edge; its class says whether that is above 0. One in eight has no label, and one user no edge.
    """
    random = np.random.default_rng(seed)
    counts = {"user": 60, "item": 24}
    levels = {name: random.normal(size=count) for name, count in counts.items()}
    grouped, features, parts = dict[EdgeType, Csr](), dict[EdgeType, Features](), dict[str | EdgeType, Labelled]()
    for edge_type in (RATES, REVIEWS):
        pairs = random.permutation(59 * 24)[:600]
        users, items = (pairs // 24 + 1).astype(np.int32), (pairs % 24).astype(np.int32)
        extra = random.integers(0, 2, len(pairs))
        numbers = levels["user"][users] + levels["item"][items] + 2.0 * (users % 2 == items % 2) + extra - 1.5
        unlabelled = np.arange(len(pairs)) % 8 == 3
        labels = (np.where(unlabelled, -1, numbers > 0) if task is Task.EDGE_CLASS
                  else np.where(unlabelled, np.nan, 10 * numbers + 100).astype(np.float32))
        part = np.where(unlabelled, 3, random.choice(3, len(pairs), p=[0.7, 0.15, 0.15]))
        parts[edge_type] = Labelled(labels=labels, train=part == 0, valid=part == 1, test=part == 2)
        features[edge_type] = Features(columns={"extra": (0, 1)}, dense=extra[:, None].astype(np.float32))
        grouped |= both_directions(edge_type, users, items, counts)
    return Graph(node_ids={name: Ids.of(f"{name}-{i}" for i in range(count)) for name, count in counts.items()}, features={},
                 edges=grouped, edge_features=features, raw_features={}, target=Target(
                     task=task, property_name="stars", classes=("bad", "good") if task is Task.EDGE_CLASS else (), by_type=parts))


def numbers_of_users(*, seed: int = 0) -> Graph:
    """``communities``, of which a number is to be predicted: about 100 of one side, 120 of the other; three users have none."""
    graph = communities(seed=seed)
    fame = (100 + 20 * (np.arange(USERS) >= USERS // 2) + np.random.default_rng(seed).normal(size=USERS)).astype(np.float32)
    fame[[5, 17, 33]] = np.nan
    target = Target(task=Task.NODE_REGRESSION, property_name="fame", by_type={"user": replace(graph.target.nodes, labels=fame)})
    return replace(graph, target=target)


def fan_clubs(*, seed: int = 0) -> Graph:
    """Six clubs of ten users and four items: users like items of their own club, and know users of it. Likes are predicted."""
    random = np.random.default_rng(seed)
    counts = {"user": 60, "item": 24}
    users, items = (np.concatenate(ends) for ends in zip(*(
        np.divmod(random.permutation(40)[:32], 4) + np.array([[10 * club], [4 * club]]) for club in range(6)), strict=True))
    knowers = np.repeat(np.arange(60), 2)
    known = knowers // 10 * 10 + random.integers(0, 10, len(knowers))
    part = random.choice(3, len(users), p=[0.8, 0.1, 0.1])
    ends = [(LIKES, users, items), (KNOWS, knowers, known)]
    grouped: dict[EdgeType, Csr] = {}
    for edge_type, sources, destinations in ends:
        grouped |= both_directions(edge_type, sources.astype(np.int32), destinations.astype(np.int32), counts)
    return Graph(node_ids={name: Ids.of(f"{name}-{i}" for i in range(count)) for name, count in counts.items()}, features={},
                 edges=grouped, edge_features={}, raw_features={}, target=Target(
                     task=Task.LINK_PREDICT, property_name="", by_type={LIKES: Labelled(
                         labels=None, train=part == 0, valid=part == 1, test=part == 2)}))


def random_links(*, nodes: int = 50, edges: int = 200, relations: int = 2, features: bool = False, task: Task = Task.LINK_PREDICT,
                 classes: tuple[str, ...] = (), labels: NDArray[np.generic] | None = None) -> Graph:
    """A graph of one node type with random edges, every one of which is predicted, nine in ten of them in the training part.

    Args:
        edges: of each relation.
        labels: of the edges of each relation, for tasks that have labels.
    """
    random = np.random.default_rng(0)
    types = [EdgeType("node", f"relation-{i}", "node") for i in range(relations)]
    train = np.arange(edges) % 10 > 0
    part = Labelled(labels=labels, train=train, valid=~train, test=np.zeros(edges, dtype=np.bool_))
    grouped: dict[EdgeType, Csr] = {}
    for edge_type in types:
        ends = [random.integers(0, nodes, edges).astype(np.int32) for _ in range(2)]
        grouped |= both_directions(edge_type, ends[0], ends[1], {"node": nodes})
    some = {"node": Features(columns={"size": (0, 2)}, dense=random.random((nodes, 2)).astype(np.float32))}
    return Graph(node_ids={"node": nameless(nodes)}, features=some if features else {}, edges=grouped, edge_features={},
                 raw_features={}, target=Target(task=task, property_name="" if task is Task.LINK_PREDICT else "kind",
                                                classes=classes, by_type=dict.fromkeys(types, part)))


def nameless(count: int) -> Ids:
    """So many ids without letters, of which a large graph can have many in no time."""
    return Ids(np.zeros(0, dtype=np.uint8), np.zeros(count + 1, dtype=np.int64))
