"""What an endpoint's model is about: what it predicts, and the types, properties and some ids of the graph that it is applied to.

Importing this module imports polars.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from despina.graph.continuation import ENCODINGS
from despina.graph.encodings import Encodings, TypeEncodings
from despina.graph.features import BucketEncoding, CategoryEncoding, DatetimeEncoding, Encoding, NumericalEncoding, RawEncoding
from despina.graph.graph import EdgeType, Features, Graph, Labelled
from despina.programs.serving.artefacts import KGE, Artefacts
from despina.programs.serving.properties import Answer

SAMPLES = 5
"""Nodes or edges of each type that are named."""
MAX_TYPES = 100
"""Of nodes and of edges each; those that are predicted come first."""
MAX_CLASSES = 1_000
_LOOKED_AT = 10_000
"""Nodes or edges of a type among which those that are named are found."""


def describe(served: Artefacts, *, scripted: bool) -> Answer:
    """The ``description`` of an answer.

    Args:
        served: The artefacts.
        scripted: Whether the user's own script answers what the artefacts do not.
    """
    graph, layout = served.graph, served.layout
    path = served.processed / ENCODINGS
    encodings = msgspec.json.decode(path.read_bytes(), type=Encodings) if path.is_file() else None
    # Of edges that are predicted the ends come first, too.
    ends = [end for kind in graph.target.by_type if isinstance(kind, EdgeType) for end in (kind.source, kind.destination)]
    node_types = [kind for kind in dict.fromkeys((*graph.target.by_type, *ends, *graph.node_ids)) if isinstance(kind, str)]
    edge_types = [kind for kind in dict.fromkeys((*graph.target.by_type, *graph.edges))
                  if isinstance(kind, EdgeType) and not kind.is_reverse_in(graph.edges)]
    own = layout.model != "custom"
    return {
        "model": layout.model,
        "classes": list(graph.target.classes[:MAX_CLASSES]),
        "explains": own and layout.model not in KGE,
        "takesSubgraphs": own or scripted,
        "nodeTypes": [_node_type(graph, kind, encodings.node_type(kind) if encodings else None) for kind in node_types[:MAX_TYPES]],
        "edgeTypes": [_edge_type(graph, kind, encodings.edge_type(kind) if encodings else None) for kind in edge_types[:MAX_TYPES]],
    }


def _node_type(graph: Graph, kind: str, encodings: TypeEncodings | None) -> Answer:
    ids, removed = graph.node_ids[kind], graph.removed.get(kind, np.empty(0, dtype=np.int32))
    candidates = np.setdiff1d(_spread(len(ids)), removed)
    rows = candidates[_chosen(graph.target.by_type.get(kind), candidates)].tolist()
    return {"name": kind, "count": len(ids) - len(removed), "predicted": kind in graph.target.by_type,
            "samples": [ids[row] for row in rows],
            "properties": _properties(graph.features.get(kind), encodings, rows[0] if rows else None)}


def _edge_type(graph: Graph, kind: EdgeType, encodings: TypeEncodings | None) -> Answer:
    csr = graph.edges[kind]
    candidates = _spread(len(csr.indices))
    places = candidates[_chosen(graph.target.by_type.get(kind), csr.edge_ids[candidates])].tolist()
    sources, destinations = graph.node_ids[kind.source], graph.node_ids[kind.destination]
    return {
        "source": kind.source, "relation": kind.relation, "destination": kind.destination, "count": len(csr.indices),
        "predicted": kind in graph.target.by_type,
        "samples": [{"headNodeId": sources[int(csr.indices[place])],
                     "tailNodeId": destinations[int(np.searchsorted(csr.indptr, place, side="right")) - 1]} for place in places],
        "properties": _properties(graph.edge_features.get(kind), encodings, int(csr.edge_ids[places[0]]) if places else None)}


def _spread(count: int) -> NDArray[np.int64]:
    """Some of so many places, as far apart as they can be."""
    return np.arange(count) if count <= _LOOKED_AT else np.linspace(0, count - 1, _LOOKED_AT).astype(np.int64)


def _chosen(part: Labelled | None, rows: NDArray[np.integer[Any]]) -> list[int]:
    """Which of these rows are to be shown: of what is predicted first those that the training was not told of."""
    if part is None:
        return list(range(min(len(rows), SAMPLES)))
    found: dict[int, None] = {}
    for mask in (part.test, part.valid, ~part.train):
        found |= dict.fromkeys(np.flatnonzero(mask[rows])[:SAMPLES].tolist())
    return [*found, *(i for i in range(min(len(rows), SAMPLES)) if i not in found)][:SAMPLES]


def _properties(features: Features | None, encodings: TypeEncodings | None, row: int | None) -> list[Answer]:
    """The properties that a node or edge of a request's own may have, each with the value of one that is there, or one like it."""
    if encodings is None or features is None:
        return []
    return [{"name": name, "kind": encoding.__struct_config__.tag, "example": _example(encoding, features, name, row)}
            for name, encoding in encodings.features.items() if not isinstance(encoding, RawEncoding)]


def _example(encoding: Encoding, features: Features, name: str, row: int | None) -> Any:
    match encoding:
        case NumericalEncoding():
            start, stop = features.columns[name]
            encoded = features.dense[row, start:stop] if row is not None and stop <= features.dense.shape[1] else None
            return _numbers(encoding, encoded)
        case BucketEncoding():
            return (encoding.buckets.low + encoding.buckets.high) / 2
        case CategoryEncoding():
            return encoding.values[0] if encoding.values else ""
        case DatetimeEncoding():
            return "2020-01-31T12:00:00Z"
    return "some words"


def _numbers(encoding: NumericalEncoding, encoded: NDArray[np.float32] | None) -> Any:
    shift, scale = np.array(encoding.shift), np.array(encoding.scale)
    numbers = shift if encoded is None else encoded / np.where(scale == 0, 1, scale) + shift
    rounded = [float(f"{number:.6g}") for number in numbers.tolist()]
    whole = [int(number) if number.is_integer() else number for number in rounded]
    return whole[0] if encoding.separator is None else whole
