"""Small graphs to learn from: two communities of users, told apart by what they like and whom they know."""

import numpy as np
from numpy.typing import NDArray

from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph, Target, both_directions

USERS, ITEMS = 80, 13
LIKES = EdgeType("user", "likes", "item")
KNOWS = EdgeType("user", "knows", "user")


def communities(*, multilabel: bool = False, seed: int = 0) -> Graph:
    """Users 0-39 like items 0-5 and are of class ``left``, the others of class ``right``; each knows five of their own kind.

    Three users are unlabelled, one knows nobody, and one item is liked by nobody. Features say nothing of the class. With
    ``multilabel`` everybody also has the class ``anyone``, on top.
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
    return Graph(
        node_counts=counts, node_ids={name: [f"{name}-{i}" for i in range(count)] for name, count in counts.items()},
        features={"user": random.random((USERS, 3)).astype(np.float32)},
        feature_columns={"user": {"age": (0, 1), "region": (1, 3)}},
        edges={**both_directions(LIKES, users.astype(np.int32), items.astype(np.int32), counts),
               **both_directions(KNOWS, knowers.astype(np.int32), known.astype(np.int32), counts)},
        edge_features={LIKES: random.random((len(users), 2)).astype(np.float32)}, raw_features={},
        target=Target(node_type="user", property="side", task=Task.NODE_CLASS, multilabel=multilabel, labels=labels,
                      classes=("left", "right", "anyone") if multilabel else ("left", "right"),
                      train=masks[0], valid=masks[1], test=masks[2]))
