"""Links that may be, and nodes that are alike: candidates are scored and ranked when they are asked for, all of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import Item, ItemFault, Parameters, RequestFault
from despina.programs.serving.properties import Answer, edge_type_of, known_node, node_of, unknown_node

Scores = NDArray[np.floating[Any]]


def predict_links(served: Artefacts, item: Item, given: Parameters, *, tails: bool) -> list[Answer]:
    """The best tails of a head, or heads of a tail. Raises RequestFault, ItemFault."""
    edge_type = predicted_relation(served, given)
    asking, answering = (edge_type.source, edge_type.destination) if tails else (edge_type.destination, edge_type.source)
    index = known_node(served, asking, asked_id(item, tails=tails))
    query = served.link_query(edge_type, served.embeddings[asking][index], tails=tails)
    scores = served.link_scores(query, served.embeddings[answering])
    there = linked(served.graph, edge_type, index, tails=tails) if given.exclude_flag == "mask" else None
    return ranked_links(served.graph, answering, scores, given, leave_out=there)


def predicted_relation(served: Artefacts, given: Parameters) -> EdgeType:
    """The edge type that the request means. Raises RequestFault."""
    if served.layout.task is not Task.LINK_PREDICT:
        raise RequestFault(f"The model does not predict links: it predicts the property '{served.graph.target.property_name}'.")
    return edge_type_of(tuple(served.relations), given)


def asked_id(item: Item, *, tails: bool) -> str:
    """The id of the node whose tails or heads are asked for. Raises ItemFault."""
    node_id = item.head_node_id if tails else item.tail_node_id
    node_id = item.node_id if node_id is None else node_id
    if node_id is None:
        raise ItemFault("MissingNodeId", f"The item has no '{'headNodeId' if tails else 'tailNodeId'}'.")
    return node_id


def linked(graph: Graph, edge_type: EdgeType, index: int, *, tails: bool) -> NDArray[np.int32]:
    """The tails that a head has in the graph, or the heads of a tail; none of a node that the graph has not."""
    csr = graph.edges[edge_type.reverse if tails else edge_type]
    if index >= len(csr.indptr) - 1:
        return np.empty(0, dtype=np.int32)
    found: NDArray[np.int32] = csr.indices[csr.indptr[index]:csr.indptr[index + 1]]
    return found


def ranked_links(graph: Graph, node_type: str, scores: Scores, given: Parameters, *, leave_out: NDArray[np.integer[Any]] | None,
                 new: Sequence[str] = ()) -> list[Answer]:
    """What is told of the candidates with the highest scores; nodes that are gone, and those to be left out, are none.

    Args:
        graph: That they are nodes of.
        node_type: Their type.
        scores: By index, those of ``new`` last.
        given: How many are wanted.
        leave_out: Indices.
        new: The ids of candidates that the graph has not.
    """
    ranked = scores.astype(np.float64)
    for indices in (graph.removed.get(node_type), leave_out):
        if indices is not None:
            ranked[indices] = -np.inf
    ids, answers = graph.node_ids[node_type], []
    for i in top(ranked, given.topk or 1):
        raw = float(ranked[i])
        probability = logistic(raw)
        if raw == -np.inf or (given.threshold is not None and probability < given.threshold):
            break
        answers.append({"nodeId": ids[i] if i < len(ids) else new[i - len(ids)], "nodeType": node_type, "score": probability,
                        "rawScore": raw})
    return answers


def nearest_nodes(served: Artefacts, item: Item, given: Parameters) -> list[Answer]:
    """The nodes of one type whose embeddings have the smallest angles to that of a node, itself left out. Raises RequestFault,
    ItemFault.
    """
    node_id, wanted = node_of(item), _embedded_type(served, given.tail_node_type, "tailNodeType")
    own_type, index = _embedded_node(served, node_id, given, wanted)
    vector = np.asarray(served.embeddings[own_type][index], dtype=np.float32)
    lengths = served.norms(wanted) * float(np.linalg.norm(vector))
    scores = ((served.embeddings[wanted] @ vector) / np.maximum(lengths, 1e-12)).astype(np.float64)
    if own_type == wanted:
        scores[index] = -np.inf
    if given.exclude_flag == "mask":
        scores[_neighbours(served.graph, own_type, index, wanted)] = -np.inf
    scores[served.graph.removed.get(wanted, np.empty(0, dtype=np.int32))] = -np.inf
    ids = served.graph.node_ids[wanted]
    return [{"nodeId": ids[i], "nodeType": wanted, "score": float(scores[i])} for i in top(scores, given.topk or 1)
            if scores[i] > -np.inf and (given.threshold is None or scores[i] >= given.threshold)]


def _embedded_type(served: Artefacts, given: str | None, member: str) -> str:
    known = served.embeddings
    if given is None and len(known) == 1:
        return next(iter(known))
    if given is None or given not in known:
        raise RequestFault(f"The value '{given or ''}' of '{member}' is not a node type with embeddings: it must be one of "
                           f"{', '.join(known)}.")
    return given


def _embedded_node(served: Artefacts, node_id: str, given: Parameters, wanted: str) -> tuple[str, int]:
    types = [_embedded_type(served, given.node_type, "nodeType")] if given.node_type else [
        wanted, *(node_type for node_type in served.embeddings if node_type != wanted)]
    for node_type in types:
        index = served.index(node_type, node_id)
        if index is not None:
            return node_type, index
    raise unknown_node(node_id, " or ".join(types))


def _neighbours(graph: Graph, own_type: str, index: int, wanted: str) -> NDArray[np.int32]:
    """The nodes that a node is linked with, in either direction."""
    found = [np.empty(0, dtype=np.int32)]
    for edge_type, csr in graph.edges.items():
        if edge_type.destination == own_type and edge_type.source == wanted:
            found.append(csr.indices[csr.indptr[index]:csr.indptr[index + 1]])
    return np.concatenate(found)


def top(scores: NDArray[np.float64], count: int) -> list[int]:
    """The places of the highest scores, the highest first; of equals the first."""
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        above = np.flatnonzero(scores > least)
        among = np.concatenate([above, np.flatnonzero(scores == least)[:count - len(above)]])
    else:
        among = np.arange(len(scores))
    order: list[int] = among[np.lexsort((among, -scores[among]))].tolist()
    return order


def logistic(score: float) -> float:
    """1 / (1 + exp(-score)): between 0 and 1, as thresholds are."""
    return float(1 / (1 + np.exp(-score))) if score > -700 else 0.0
