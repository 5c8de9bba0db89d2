"""A request's own nodes and edges, looked up and encoded. Importing this module imports polars."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from despina.graph.continuation import ENCODINGS
from despina.graph.encodings import Encodings
from despina.graph.faults import InputFault
from despina.graph.graph import EdgeType, Features
from despina.graph.json_object import suggestion
from despina.graph.overlay import Overlay, OverlayEdges
from despina.graph.property_values import encode_values
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import RequestFault, Subgraph, SubgraphEdge


@dataclass(frozen=True)
class Subgraphs:
    """Reads the subgraphs of requests."""

    served: Artefacts

    def read(self, given: Subgraph) -> Overlay:
        """The subgraph beside the graph that the model was applied to.

        Raises:
            RequestFault: a type is not known, a node is there twice, an edge leads nowhere, or a property cannot be encoded; the
                text names the node or edge.
        """
        ids, rows, features = self._nodes(given)
        placed: dict[EdgeType, list[tuple[int, int, dict[str, Any]]]] = defaultdict(list)
        for number, edge in enumerate(given.edges, start=1):
            edge_type, source, destination = self._edge(number, edge, ids)
            placed[edge_type].append((source, destination, edge.properties or {}))
        edges = {}
        for edge_type, found in placed.items():
            sources, destinations, properties = zip(*found, strict=True)
            edges[edge_type] = OverlayEdges(
                sources=np.array(sources, dtype=np.int64), destinations=np.array(destinations, dtype=np.int64),
                features=self._encoded_edges(edge_type, list(properties)))
        return Overlay(ids=ids, rows=rows, features=features, edges=edges)

    @cached_property
    def _encodings(self) -> Encodings:
        path = self.served.processed / ENCODINGS
        if not path.is_file():
            raise RequestFault(f"The output of the data-processing job has no file {ENCODINGS}: properties cannot be encoded.")
        return msgspec.json.decode(path.read_bytes(), type=Encodings)

    def _nodes(self, given: Subgraph) -> tuple[dict[str, dict[str, int]], dict[str, dict[int, int]], dict[str, Features]]:
        graph, ids = self.served.graph, defaultdict[str, dict[str, int]](dict)
        told: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        seen: set[tuple[str, str]] = set()
        for number, node in enumerate(given.nodes, start=1):
            if node.type not in graph.node_ids:
                raise RequestFault(f"Node {number} of the subgraph ('{node.id[:100]}') has the type '{node.type[:100]}', which the "
                                   f"model does not know{suggestion(node.type, list(graph.node_ids))}.")
            if (node.type, node.id) in seen:
                raise RequestFault(f"Node {number} of the subgraph: '{node.id[:100]}' of type '{node.type}' is there twice.")
            seen.add((node.type, node.id))
            index = self.served.index(node.type, node.id)
            if index is None:
                index = ids[node.type][node.id] = len(graph.node_ids[node.type]) + len(ids[node.type])
            elif node.properties is None:
                continue  # as it is in the graph
            told[node.type].append((index, node.properties or {}))
        rows, features = {}, {}
        for node_type, nodes in told.items():
            encoded = self._encoded_nodes(node_type, [properties for _, properties in nodes])
            if encoded is not None:
                features[node_type] = encoded
                rows[node_type] = {index: row for row, (index, _) in enumerate(nodes)}
        return dict(ids), rows, features

    def _encoded_nodes(self, node_type: str, properties: list[dict[str, Any]]) -> Features | None:
        if node_type not in self.served.graph.features:
            return None
        known = self._encodings.node_type(node_type)
        return _encoded(known.features if known else {}, properties, f"subgraph, nodes of type '{node_type}'")

    def _encoded_edges(self, edge_type: EdgeType, properties: list[dict[str, Any]]) -> Features | None:
        if edge_type not in self.served.graph.edge_features:
            return None
        known = self._encodings.edge_type(edge_type)
        return _encoded(known.features if known else {}, properties, f"subgraph, edges of type '{edge_type.relation}'")

    def _edge(self, number: int, edge: SubgraphEdge, ids: dict[str, dict[str, int]]) -> tuple[EdgeType, int, int]:
        """The type and the ends of an edge. Where several types have the relation, the nodes tell which is meant."""
        forward = [kind for kind in self.served.graph.edges if not kind.is_reverse_in(self.served.graph.edges)]
        fitting = [kind for kind in forward if edge.type in {kind.relation, ",".join(kind)}
                   and edge.from_type in {None, kind.source} and edge.to_type in {None, kind.destination}]
        where = f"Edge {number} of the subgraph, from '{edge.from_[:100]}' to '{edge.to[:100]}'"
        if not fitting:
            raise RequestFault(f"{where}: the model does not know the relation '{edge.type[:100]}' between such nodes"
                               f"{suggestion(edge.type, [kind.relation for kind in forward])}.")
        found = [(kind, source, destination) for kind in fitting
                 if (source := self._find(kind.source, edge.from_, ids)) is not None
                 and (destination := self._find(kind.destination, edge.to, ids)) is not None]
        if len(found) == 1:
            return found[0]
        types = " or ".join(f"{kind.source} -> {kind.destination}" for kind in fitting)
        if found:
            raise RequestFault(f"{where}: its nodes do not tell which edges are meant: 'fromType' and 'toType' must say it "
                               f"({types}).")
        raise RequestFault(f"{where}: both ends must be nodes of the graph or of the subgraph, of the types {types}.")

    def _find(self, node_type: str, node_id: str, ids: dict[str, dict[str, int]]) -> int | None:
        index = ids.get(node_type, {}).get(node_id)
        return self.served.index(node_type, node_id) if index is None else index


def _encoded(encodings: dict[str, Any], properties: list[dict[str, Any]], source: str) -> Features | None:
    try:
        return encode_values(encodings, properties, source)
    except InputFault as fault:
        raise RequestFault(f"{fault}.") from None
