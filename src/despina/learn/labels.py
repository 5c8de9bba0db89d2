"""What is known of the nodes or edges that are predicted, in one order: those of the first type, then those of the next."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.core.errors import WorkFailed
from despina.graph.graph import EdgeType, Graph, Labelled


@dataclass(frozen=True, kw_only=True)
class Members:
    """All nodes or edges of the types that are predicted. A member is a row of these arrays."""

    kinds: tuple[str | EdgeType, ...]
    starts: NDArray[np.int64]
    """``[kinds + 1]``: the first member of each kind, and the number of all."""
    labels: NDArray[Any] | None
    """None for link prediction."""
    train: NDArray[np.int64]
    """The members of the training part."""
    judged: NDArray[np.int64]
    """Those of the validation part; without any (a split rate may have none), those of the training part."""

    @classmethod
    def of(cls, graph: Graph) -> "Members":
        """Those of a graph."""
        parts = list(graph.target.by_type.values())
        train = np.flatnonzero(np.concatenate([part.train for part in parts]))
        valid = np.flatnonzero(np.concatenate([part.valid for part in parts]))
        return cls(kinds=tuple(graph.target.by_type), starts=np.cumsum([0, *(len(part.train) for part in parts)]),
                   labels=_together(parts), train=train, judged=valid if len(valid) else train)

    def check(self, graph: Graph) -> None:
        """Raise WorkFailed when none of the graph's is in the training part."""
        if not len(self.train):
            name = graph.target.property_name
            kinds = ", ".join(f"'{kind}'" for kind in self.kinds)
            raise WorkFailed(f"no {kinds}{f' with a {name!r}' if name else ''} is in the training part: nothing to learn from")

    @property
    def count(self) -> int:
        """Of all members."""
        return int(self.starts[-1])

    def rows(self, members: NDArray[np.int64]) -> "dict[str | EdgeType, tuple[NDArray[np.int64], NDArray[np.int64]]]":
        """Of each kind that some members are of: their places among them, and the nodes or edges that they are."""
        kinds = np.searchsorted(self.starts, members, side="right") - 1
        found = {}
        for i, kind in enumerate(self.kinds):
            places = np.flatnonzero(kinds == i)
            if len(places):
                found[kind] = places, members[places] - self.starts[i]
        return found


def carried_labels(graph: Graph, members: Members) -> dict[EdgeType, NDArray[np.float32]]:
    """The labels of training edges, as messages carry them: whether there is one, and what it is, a column for each class, or the
    number in units of its deviation around its mean. Nothing where nodes or links are predicted.
    """
    if members.labels is None or not isinstance(members.kinds[0], EdgeType):
        return {}
    labels = members.labels
    if graph.target.classes:
        columns = labels if labels.ndim == 2 else labels[:, None] == np.arange(len(graph.target.classes))
    else:
        known = labels[members.train].astype(np.float64)
        columns = np.nan_to_num((labels - known.mean()) / (known.std() or 1.0))[:, None]
    carried = np.zeros((members.count, columns.shape[1] + 1), dtype=np.float32)
    carried[members.train, 0] = 1
    carried[members.train, 1:] = columns[members.train]
    return {kind: carried[members.starts[i]:members.starts[i + 1]] for i, kind in enumerate(members.kinds)
            if isinstance(kind, EdgeType)}


def _together(parts: list[Labelled]) -> NDArray[Any] | None:
    labels = [part.labels for part in parts if part.labels is not None]
    return np.concatenate(labels) if labels else None
