"""Classes and numbers of nodes, by the model itself."""

import numpy as np
import torch

from despina.graph.overlay import Overlay
from despina.learn.explaining import explain, log_odds
from despina.learn.predictor import activated
from despina.programs.serving.bodies import Body
from despina.programs.serving.explaining import told
from despina.programs.serving.live import LiveModel, attempt
from despina.programs.serving.properties import Answer, node_of, ranked


def answer(live: LiveModel, overlay: Overlay, body: Body, items: list[Answer]) -> None:
    """Put the predictions into the items' answers, and explanations if they are wanted."""
    target, given = live.served.graph.target, body.data.global_parameters
    asked = (*body.data.nodes, *body.data.edges)
    found = [attempt(into, lambda item=item: live.find(overlay, target.node_type, node_of(item)))  # type: ignore[misc]
             for into, item in zip(items, asked, strict=True)]
    seeds = np.array(sorted({index for index in found if index is not None}), dtype=np.int64)
    if not len(seeds):
        return
    inductive = live.inductive
    ego = inductive.ego(overlay, {target.node_type: seeds}, fanout=given.most_neighbours())
    with torch.no_grad():
        values = activated(inductive.scores_of_nodes(inductive.embeddings(ego), len(seeds)), target).numpy()
    if live.residuals is not None:
        values = live.residuals.correct(overlay, seeds, values)
    for into, index in zip(items, found, strict=True):
        if index is not None:
            scores = values[np.searchsorted(seeds, index)]
            into["predictions"] = ranked(target, scores, given)
            if body.explain:
                into["explanation"] = _explained(live, overlay, index, int(scores.argmax()), fanout=given.most_neighbours())


def _explained(live: LiveModel, overlay: Overlay, index: int, column: int, *, fanout: int) -> Answer:
    target, inductive = live.served.graph.target, live.inductive
    ego = inductive.ego(overlay, {target.node_type: np.array([index])}, fanout=fanout)
    explanation = explain(inductive, ego, {target.node_type: 1},
                          lambda embeddings: log_odds(inductive.scores_of_nodes(embeddings, 1)[0], column, target))
    return told(explanation, live.served.graph, overlay, {"class": target.classes[column]} if target.classes else {})
