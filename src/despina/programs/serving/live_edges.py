"""Classes and numbers of edges, by the model itself."""

from functools import partial

import numpy as np
import torch

from despina.graph.graph import EdgeType
from despina.graph.overlay import Indices, Overlay, take_rows
from despina.learn.batches import features_of_edges
from despina.learn.explaining import explain, log_odds
from despina.learn.linear import FeatureRows
from despina.learn.predictor import activated
from despina.programs.serving.bodies import Body
from despina.programs.serving.explaining import told
from despina.programs.serving.live import LiveModel, attempt
from despina.programs.serving.properties import Answer, edges_between, ends_of, predicted_edge_type, ranked


def answer(live: LiveModel, overlay: Overlay, body: Body, items: list[Answer]) -> None:
    """Put the predictions into the items' answers, and explanations if they are wanted. Raises RequestFault."""
    graph, given, inductive = live.served.graph, body.data.global_parameters, live.inductive
    edge_type = predicted_edge_type(graph, given)
    found = [attempt(into, lambda item=item: ends_of(edge_type, item, partial(live.find, overlay)))  # type: ignore[misc]
             for into, item in zip(items, (*body.data.nodes, *body.data.edges), strict=True)]
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        return
    seeds = ends_of_all(edge_type, pairs)
    with torch.no_grad():
        embeddings = inductive.embeddings(inductive.ego(overlay, seeds, fanout=given.most_neighbours()))
        for into, pair in zip(items, found, strict=True):
            if pair is None:
                continue
            features = features_of(live, overlay, edge_type, pair)
            scores = inductive.scores_of_edge(embeddings, edge_type, rows_of(seeds, edge_type, pair), features)
            values = live.blended(edge_type, pair, activated(scores, graph.target)[0].numpy())
            into["predictions"] = ranked(graph.target, values, given)
            if body.explain:
                with torch.enable_grad():
                    into["explanation"] = _explained(live, overlay, edge_type, pair, column=int(values.argmax()),
                                                     fanout=given.most_neighbours())


def ends_of_all(edge_type: EdgeType, pairs: list[tuple[int, int]]) -> dict[str, Indices]:
    """The nodes at the ends of edges, by type, each once and in rising order."""
    ends: dict[str, set[int]] = {}
    for source, destination in pairs:
        ends.setdefault(edge_type.source, set()).add(source)
        ends.setdefault(edge_type.destination, set()).add(destination)
    return {node_type: np.array(sorted(nodes), dtype=np.int64) for node_type, nodes in ends.items()}


def rows_of(seeds: dict[str, Indices], edge_type: EdgeType, pair: tuple[int, int]) -> tuple[int, int]:
    """Where the ends of an edge are among these nodes."""
    return (int(np.searchsorted(seeds[edge_type.source], pair[0])), int(np.searchsorted(seeds[edge_type.destination], pair[1])))


def features_of(live: LiveModel, overlay: Overlay, edge_type: EdgeType, ends: tuple[int, int]) -> FeatureRows | None:
    """The features of an edge: as the subgraph has it, else as the graph has it, else none."""
    graph = live.served.graph
    known, own = features_of_edges(graph, edge_type), overlay.edges.get(edge_type)
    if known is None:
        return None
    there = np.flatnonzero((own.sources == ends[0]) & (own.destinations == ends[1])) if own else np.empty(0, dtype=np.int64)
    if own and len(there):
        return FeatureRows.of(take_rows(known, own.features, there[:1] + len(known.dense)), few=True)
    if ends[0] < graph.node_counts[edge_type.source] and ends[1] < graph.node_counts[edge_type.destination]:
        rows = edges_between(graph, edge_type, *ends)
        return FeatureRows.of(known, rows[:1], few=True) if len(rows) else None
    return None


def _explained(live: LiveModel, overlay: Overlay, edge_type: EdgeType, pair: tuple[int, int], *, column: int,
               fanout: int) -> Answer:
    target, inductive = live.served.graph.target, live.inductive
    seeds = ends_of_all(edge_type, [pair])
    ego, features = inductive.ego(overlay, seeds, fanout=fanout), features_of(live, overlay, edge_type, pair)
    rows = rows_of(seeds, edge_type, pair)
    explanation = explain(inductive, ego, {node_type: len(nodes) for node_type, nodes in seeds.items()},
                          lambda embeddings: log_odds(inductive.scores_of_edge(embeddings, edge_type, rows, features)[0], column,
                                                      target))
    return told(explanation, live.served.graph, overlay, {"class": target.classes[column]} if target.classes else {})
