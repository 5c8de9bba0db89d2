"""Links, by the model itself: towards nodes of the request's subgraph, and from them."""

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import EdgeType
from despina.graph.overlay import Indices, Overlay
from despina.learn.decoders import LinkDecoder
from despina.learn.explaining import explain
from despina.learn.models import Model
from despina.programs.serving.bodies import Body, RequestFault
from despina.programs.serving.explaining import told
from despina.programs.serving.links import asked_id, linked, predicted_relation, ranked_links
from despina.programs.serving.live import LiveModel, attempt
from despina.programs.serving.live_edges import ends_of_all, rows_of
from despina.programs.serving.new_entities import NewEntities
from despina.programs.serving.properties import Answer


def answer(live: LiveModel, overlay: Overlay, body: Body, items: list[Answer]) -> None:
    """Put the predictions into the items' answers, and explanations if they are wanted. Raises RequestFault."""
    if body.explain and not isinstance(live.model, Model):
        raise RequestFault("'explain' is for models that pass messages: a knowledge-graph embedding predicts from the vectors of "
                           "two nodes and a relation alone, and no neighbour has a part in it.")
    graph, given, tails = live.served.graph, body.data.global_parameters, body.mode == "predict_tail"
    edge_type = predicted_relation(live.served, given)
    asking, answering = (edge_type.source, edge_type.destination) if tails else (edge_type.destination, edge_type.source)
    found = [attempt(into, lambda item=item: live.find(overlay, asking, asked_id(item, tails=tails)))  # type: ignore[misc]
             for into, item in zip(items, (*body.data.nodes, *body.data.edges), strict=True)]
    known = [index for index in found if index is not None]
    if not known:
        return
    scorer = (EmbeddedLinks(live, overlay, edge_type, known, fanout=given.most_neighbours(), tails=tails)
              if isinstance(live.model, Model) else NewEntities(live.served, overlay, edge_type, tails=tails))
    new = list(overlay.ids.get(answering, {}))
    for into, index in zip(items, found, strict=True):
        if index is None:
            continue
        scores = attempt(into, lambda index=index: scorer.scores(index))  # type: ignore[misc]
        if scores is not None:
            leave_out = _linked(live, overlay, edge_type, index, tails=tails) if given.exclude_flag == "mask" else None
            into["predictions"] = ranked_links(graph, answering, scores, given, leave_out=leave_out, new=new)
            if body.explain and into["predictions"]:
                best = into["predictions"][0]["nodeId"]
                other = live.find(overlay, answering, best)
                pair = (index, other) if tails else (other, index)
                into["explanation"] = _explained(live, overlay, edge_type, pair, of={"nodeId": best, "nodeType": answering},
                                                 fanout=given.most_neighbours())


class EmbeddedLinks:
    """Scores of links by an R-GCN: nodes of the subgraph, and those that its edges touch, are embedded anew."""

    def __init__(self, live: LiveModel, overlay: Overlay, edge_type: EdgeType, asked: list[int], *, fanout: int,
                 tails: bool) -> None:
        self._asking, self._answering = (edge_type.source, edge_type.destination) if tails else (
            edge_type.destination, edge_type.source)
        self._served = live.served
        seeds = {self._asking: set(asked)}
        for node_type in {self._asking, self._answering}:
            touched = [ends for kind, edges in overlay.edges.items() for own, ends in
                       ((kind.source, edges.sources), (kind.destination, edges.destinations)) if own == node_type]
            seeds.setdefault(node_type, set()).update(overlay.ids.get(node_type, {}).values(),
                                                      *(ends.tolist() for ends in touched))
        self._seeds = {node_type: np.array(sorted(nodes), dtype=np.int64) for node_type, nodes in seeds.items()}
        ego = live.inductive.ego(overlay, self._seeds, fanout=fanout)
        self._fresh = {kind: rows.numpy() for kind, rows in live.inductive.embeddings(ego).items()}
        decoder = live.inductive.model.decoder
        assert isinstance(decoder, LinkDecoder)  # noqa: S101 - of links it is
        self._relation = decoder.relation(edge_type).detach().numpy()
        self._count = live.served.graph.node_counts[self._answering]
        self._new = len(overlay.ids.get(self._answering, {}))

    def scores(self, index: int) -> NDArray[np.float32]:
        """Of all candidates, those of the subgraph last."""
        query = self._fresh[self._asking][np.searchsorted(self._seeds[self._asking], index)] * self._relation
        scores = np.empty(self._count + self._new, dtype=np.float32)
        scores[:self._count] = self._served.embeddings[self._answering] @ query
        seeds = self._seeds[self._answering]
        scores[seeds] = self._fresh[self._answering][:len(seeds)] @ query
        return scores


def _linked(live: LiveModel, overlay: Overlay, edge_type: EdgeType, index: int, *, tails: bool) -> Indices:
    """What a node is linked with, in the graph and in the subgraph."""
    found = [linked(live.served.graph, edge_type, index, tails=tails).astype(np.int64)]
    own = overlay.edges.get(edge_type)
    if own is not None:
        near, far = (own.sources, own.destinations) if tails else (own.destinations, own.sources)
        found.append(far[near == index])
    return np.concatenate(found)


def _explained(live: LiveModel, overlay: Overlay, edge_type: EdgeType, pair: tuple[int, int], *, of: Answer,
               fanout: int) -> Answer:
    inductive, seeds = live.inductive, ends_of_all(edge_type, [pair])
    ego, rows = inductive.ego(overlay, seeds, fanout=fanout), rows_of(seeds, edge_type, pair)
    explanation = explain(inductive, ego, {node_type: len(nodes) for node_type, nodes in seeds.items()},
                          lambda embeddings: inductive.score_of_link(embeddings, edge_type, rows))
    return told(explanation, live.served.graph, overlay, of)
