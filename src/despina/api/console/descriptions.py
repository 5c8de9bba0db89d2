"""What models that are served say of themselves: the answer to the mode ``describe`` (``docs/inference.md``)."""

from collections import OrderedDict
from threading import Lock
from typing import Any

import msgspec

from despina.core.endpoint import Endpoint
from despina.core.task import Task

_KEPT = 64


class _Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Part of an answer; members that are not known are ignored."""


class Property(_Told, frozen=True, kw_only=True):
    """What a new node or edge may have, with a value that one of the graph has, or one like it."""

    name: str
    kind: str
    example: Any = None


class NodeType(_Told, frozen=True, kw_only=True):
    """A node type, with the ids of some nodes."""

    name: str
    count: int
    predicted: bool
    samples: tuple[str, ...]
    properties: tuple[Property, ...]


class Pair(_Told, frozen=True, kw_only=True):
    """The ends of an edge."""

    head_node_id: str
    tail_node_id: str


class EdgeType(_Told, frozen=True, kw_only=True):
    """An edge type, with some edges."""

    source: str
    relation: str
    destination: str
    count: int
    predicted: bool
    samples: tuple[Pair, ...]
    properties: tuple[Property, ...]

    @property
    def key(self) -> str:
        """As a request names it."""
        return f"{self.source},{self.relation},{self.destination}"


class Description(_Told, frozen=True, kw_only=True):
    """What a model is about."""

    model: str
    classes: tuple[str, ...]
    explains: bool
    takes_subgraphs: bool
    node_types: tuple[NodeType, ...]
    edge_types: tuple[EdgeType, ...]


class Described(_Told, frozen=True, kw_only=True):
    """The answer."""

    task: Task
    target: str = msgspec.field(default="", name="property")
    """The property that is predicted; empty: links are."""
    description: Description

    @property
    def predicted_edges(self) -> tuple[EdgeType, ...]:
        """The edge types that are predicted."""
        return tuple(kind for kind in self.description.edge_types if kind.predicted)

    @property
    def predicted_nodes(self) -> NodeType | None:
        """The node type whose nodes are predicted."""
        return next((kind for kind in self.description.node_types if kind.predicted), None)


class Descriptions:
    """Those that have been asked for, by endpoint and version: a model does not change. Calls may come from several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], Described] = OrderedDict()
        self._lock = Lock()

    def get(self, endpoint: Endpoint) -> Described | None:
        """What the model in service is about, if it has been asked for."""
        with self._lock:
            return self._known.get(_key(endpoint))

    def put(self, endpoint: Endpoint, answer: bytes) -> Described:
        """Keep an answer of the model in service."""
        described = msgspec.json.decode(answer, type=Described)
        with self._lock:
            self._known[_key(endpoint)] = described
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return described


def _key(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.resource_name, endpoint.serving.number if endpoint.serving else 0
