"""How the properties of a graph were encoded: what later data have to be encoded with (``encoding.json``)."""

from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.graph.features import Encoding
from despina.graph.graph import EdgeType


class TypeEncodings(Frozen, frozen=True, kw_only=True):
    """The features of one node type."""

    features: dict[str, Encoding]
    """By feature name."""
    dropped: dict[str, str]
    """Feature name → why it has no part in the graph."""


class EdgeEncodings(Frozen, frozen=True, kw_only=True):
    """The features of one edge type."""

    type: EdgeType
    features: dict[str, Encoding]
    dropped: dict[str, str]


class Encodings(Frozen, frozen=True, kw_only=True):
    """All encodings of a graph, and what its labels mean."""

    nodes: dict[str, TypeEncodings]
    """Of the node types that have files."""
    edges: tuple[EdgeEncodings, ...]
    task: Task
    property_name: str
    """What is predicted; ``""`` for link prediction."""
    classes: tuple[str, ...]

    def node_type(self, node_type: str) -> TypeEncodings | None:
        """The encodings of a node type, or None."""
        return self.nodes.get(node_type)

    def edge_type(self, edge_type: EdgeType) -> TypeEncodings | None:
        """The encodings of an edge type, or None."""
        return next((TypeEncodings(features=edges.features, dropped=edges.dropped) for edges in self.edges
                     if edges.type == edge_type), None)
