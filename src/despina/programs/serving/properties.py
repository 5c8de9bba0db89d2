"""Classes and numbers of nodes and edges, from the predictions that the job has written."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import EdgeType, Graph, Target
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import Item, ItemFault, Parameters, RequestFault

Answer = dict[str, Any]
Scores = NDArray[np.float32]


def check_property(target: Target, given: Parameters) -> None:
    """Raise RequestFault when another property is asked for than the model predicts."""
    if given.property is not None and given.property != target.property_name:
        wanted = f"it must be '{target.property_name}'" if target.property_name else "it predicts links"
        raise RequestFault(f"The model does not predict the property '{given.property[:100]}': {wanted}.")


def ranked(target: Target, scores: Scores, given: Parameters) -> list[Answer]:
    """What is told of one node or edge: its best classes with their scores, or its number."""
    if not target.classes:
        return [{"value": scores.item(0)}]
    numbers = scores.tolist()
    order = sorted(range(len(numbers)), key=numbers.__getitem__, reverse=True)[:given.topk or 1]
    return [{"class": target.classes[i], "score": numbers[i]} for i in order
            if given.threshold is None or numbers[i] >= given.threshold]


def node_of(item: Item) -> str:
    """The id of the node that an item asks for; the toolkit puts it where the head of an edge stands. Raises ItemFault."""
    node_id = item.node_id if item.node_id is not None else item.head_node_id
    if node_id is None:
        raise ItemFault("MissingNodeId", "The item has no 'nodeId'.")
    return node_id


def scores_of_node(served: Artefacts, node_id: str) -> Scores:
    """What was predicted of a node. Raises ItemFault."""
    node_type = served.graph.target.node_type
    scores: Scores = served.values[node_type][known_node(served, node_type, node_id)]
    return scores


def scores_of_edge(served: Artefacts, item: Item, given: Parameters) -> Scores | None:
    """What was predicted of an edge; None if the graph has no such edge between two nodes that it has.

    Of several edges with the same ends it is the mean. Raises ItemFault.
    """
    edge_type = predicted_edge_type(served.graph, given)
    source, destination = ends_of(edge_type, item, partial(known_node, served))
    rows = edges_between(served.graph, edge_type, source, destination)
    if not len(rows):
        return None
    found = served.values[edge_type][rows]
    return found[0] if len(found) == 1 else np.asarray(found.mean(axis=0), dtype=np.float32)


def predicted_edge_type(graph: Graph, given: Parameters) -> EdgeType:
    """The edge type that is predicted and that the request means. Raises RequestFault."""
    return edge_type_of(tuple(kind for kind in graph.target.by_type if isinstance(kind, EdgeType)), given)


def edge_type_of(known: tuple[EdgeType, ...], given: Parameters) -> EdgeType:
    """The one of these edge types that the request means. Raises RequestFault when it names none of them, or several."""
    asked = given.edge_type
    fitting = [kind for kind in known if (asked is None or asked in {kind.relation, ",".join(kind)})
               and given.head_node_type in {None, kind.source} and given.tail_node_type in {None, kind.destination}]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(",".join(kind) for kind in (fitting or known)[:20])
    if not fitting:
        raise RequestFault(f"The model knows no edge type '{asked or ''}' with these node types: 'edgeType', 'headNodeType' and "
                           f"'tailNodeType' must name one of {names}.")
    raise RequestFault(f"The request must say which of several edge types it means, by 'edgeType', 'headNodeType' and "
                       f"'tailNodeType': {names}.")


def ends_of(edge_type: EdgeType, item: Item, find: Callable[[str, str], int]) -> tuple[int, int]:
    """The indices of the ends of an edge, which ``find`` finds by node type and id. Raises ItemFault, as that does."""
    indices = []
    for name, node_id, node_type in (("headNodeId", item.head_node_id, edge_type.source),
                                     ("tailNodeId", item.tail_node_id, edge_type.destination)):
        if node_id is None:
            raise ItemFault("MissingNodeId", f"The item has no '{name}'.")
        indices.append(find(node_type, node_id))
    return indices[0], indices[1]


def edges_between(graph: Graph, edge_type: EdgeType, source: int, destination: int) -> NDArray[np.int32]:
    """The rows of the edges from one node to another."""
    csr = graph.edges[edge_type]
    start, stop = csr.indptr[destination], csr.indptr[destination + 1]
    rows: NDArray[np.int32] = csr.edge_ids[start:stop][csr.indices[start:stop] == source]
    return rows


def known_node(served: Artefacts, node_type: str, node_id: str) -> int:
    """The index of a node of the graph. Raises ItemFault."""
    index = served.index(node_type, node_id)
    if index is None:
        raise unknown_node(node_id, node_type)
    return index


def unknown_node(node_id: str, node_type: str) -> ItemFault:
    """There is no such node."""
    return ItemFault("UnknownNode", f"There is no node '{node_id[:100]}' of type '{node_type}' in the graph that the model is "
                                    "applied to. A 'subgraph' in the request may bring it.")
