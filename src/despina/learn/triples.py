"""A graph as triples (head, relation, tail), which is what knowledge-graph embeddings learn from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import EdgeType, Graph
from despina.learn.batches import predicted_edges

Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Triples as questions with one answer each, ``(entity, relation, ?)``: each triple is asked in both directions.

    The relation that is asked for the tail is that of the triple; for the head it is ``relations`` further on.
    """

    entities: Ids
    relations: Ids
    answers: Ids

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, rows: Ids) -> "Questions":
        """Some of them."""
        return Questions(entities=self.entities[rows], relations=self.relations[rows], answers=self.answers[rows])


@dataclass(frozen=True, kw_only=True)
class Triples:
    """All triples of a graph. Entities are its nodes, type by type; relations its forward edge types."""

    starts: dict[str, int]
    """Node type → its first entity."""
    entities: int
    edge_types: tuple[EdgeType, ...]
    candidates: NDArray[np.int64]
    """``[2 · relations, 2]``: the first entity that may answer a question with this relation, and the first that may not again."""
    removed: Ids
    """Entities that are not there any more."""
    train: Questions
    """Edges that are not predicted are among them."""
    valid: Questions
    """Those of the training part that are predicted, if there is no validation part."""
    test: Questions

    @classmethod
    def of(cls, graph: Graph) -> "Triples":
        """The triples of a graph whose links are predicted."""
        counts = graph.node_counts
        starts = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
        edge_types = tuple(edge_type for edge_type in graph.edges if not edge_type.is_reverse_in(graph.edges))
        spans = {node_type: (start, start + counts[node_type]) for node_type, start in starts.items()}
        candidates = np.array([spans[kind.destination] for kind in edge_types] + [spans[kind.source] for kind in edge_types])
        parts: dict[str, list[NDArray[np.int64]]] = {"train": [], "valid": [], "test": []}
        targets = {kind: graph.target.by_type[kind] for kind in predicted_edges(graph)}
        judged = "valid" if any(part.valid.any() for part in targets.values()) else "train"
        for relation, edge_type in enumerate(edge_types):
            sources, destinations = graph.edges[edge_type].ends()
            rows = np.stack([sources + np.int64(starts[edge_type.source]), np.full(len(sources), relation),
                             destinations + np.int64(starts[edge_type.destination])], axis=1)
            part = targets.get(edge_type)
            parts["train"].append(rows if part is None else rows[part.train])
            for name, mask in (("valid", judged), ("test", "test")):
                if part is not None:
                    parts[name].append(rows[getattr(part, mask)])
        removed = [indices.astype(np.int64) + starts[node_type] for node_type, indices in graph.removed.items()]
        return cls(starts=starts, entities=sum(counts.values()), edge_types=edge_types, candidates=candidates,
                   removed=np.concatenate([np.empty(0, dtype=np.int64), *removed]),
                   **{name: _questions(rows, len(edge_types)) for name, rows in parts.items()})

    def numbers(self, questions: Questions) -> Ids:
        """A number for each pair of entity and relation."""
        return questions.entities * (2 * len(self.edge_types)) + questions.relations


def _questions(parts: list[NDArray[np.int64]], relations: int) -> Questions:
    rows = np.concatenate([np.empty((0, 3), dtype=np.int64), *parts])
    heads, kinds, tails = rows.T
    return Questions(entities=np.concatenate([heads, tails]), relations=np.concatenate([kinds, kinds + relations]),
                     answers=np.concatenate([tails, heads]))
