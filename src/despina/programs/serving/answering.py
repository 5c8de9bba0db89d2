"""From the bytes of a request to the bytes of its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from despina.graph.graph import EdgeType
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import DESCRIBE, MAX_PREDICTIONS, Body, Item, ItemFault, Parameters, RequestFault, read_body
from despina.programs.serving.links import nearest_nodes, predict_links
from despina.programs.serving.properties import (
    Answer,
    Scores,
    check_property,
    node_of,
    predicted_edge_type,
    ranked,
    scores_of_edge,
    scores_of_node,
)

if TYPE_CHECKING:
    from despina.programs.serving.live import LiveModel
    from despina.programs.serving.scripted import ScriptedModel

_ENCODE = msgspec.json.Encoder().encode


class NeedsModel(Exception):
    """The artefacts do not answer this: the model has to."""


@dataclass(frozen=True)
class Answers:
    """Answers requests from artefacts."""

    served: Artefacts
    scripted: "ScriptedModel | None" = None
    """A model of the user's own, if it answers requests itself."""

    def read(self, content: bytes) -> Body:
        """The request. Raises RequestFault."""
        return read_body(content)

    def answer(self, body: Body, *, with_model: bool) -> bytes:
        """The answer, JSON.

        Args:
            body: The request.
            with_model: Whether it may take the time that the model itself takes.

        Raises:
            RequestFault: the request is at fault.
            NeedsModel: the artefacts do not answer it.
        """
        self._check_size(body)
        if body.mode == DESCRIBE:
            return self._description(with_model=with_model)
        live = body.subgraph is not None or body.explain
        if live and not with_model:
            raise NeedsModel
        items = (*body.data.nodes, *body.data.edges)
        if live:
            found = [echo(item) for item in items]
            self.live.answer(body, found)
        else:
            find = self._finder(body, with_model=with_model)
            found = [_item(item, find) for item in items]
        return _ENCODE(self._begun() | {"output": {"nodes" if body.data.nodes else "edges": found}})

    @cached_property
    def live(self) -> "LiveModel | ScriptedModel":
        """The model itself; torch is imported when it is asked for first. Raises RequestFault if there is none."""
        if self.scripted is not None:
            return self.scripted
        from despina.programs.serving.live import LiveModel

        return LiveModel.load(self.served)

    def _begun(self) -> dict[str, Any]:
        """What every answer begins with."""
        target = self.served.graph.target
        return {"version": "v1", "task": target.task} | ({"property": target.property_name} if target.property_name else {})

    def _description(self, *, with_model: bool) -> bytes:
        if not with_model:
            raise NeedsModel  # no model, but its time
        from despina.programs.serving.describing import describe

        return _ENCODE(self._begun() | {"description": describe(self.served, scripted=self.scripted is not None)})

    def _check_size(self, body: Body) -> None:
        """Raise RequestFault if more predictions are asked for than an answer may have."""
        links = body.mode in {"predict_tail", "predict_head", "embed_knn"}
        most = max((len(rows) for rows in self.served.embeddings.values()), default=0) if links else len(
            self.served.graph.target.classes)
        count = (len(body.data.nodes) + len(body.data.edges)) * min(body.data.global_parameters.topk or 1, most)
        if count > MAX_PREDICTIONS:
            raise RequestFault(f"The request asks for {count} predictions: it may ask for {MAX_PREDICTIONS} at most, items times "
                               "'topk'.")

    def _finder(self, body: Body, *, with_model: bool) -> Callable[[Item], list[Answer]]:
        """What answers one item."""
        given, target = body.data.global_parameters, self.served.graph.target
        match body.mode:
            case "predict_tail" | "predict_head":
                tails = body.mode == "predict_tail"
                return lambda item: predict_links(self.served, item, given, tails=tails)
            case "embed_knn":
                return lambda item: nearest_nodes(self.served, item, given)
        if not self.served.values:
            raise RequestFault("The model predicts links: 'mode' must be predict_tail, predict_head or embed_knn.")
        check_property(target, given)
        if isinstance(next(iter(target.by_type)), EdgeType):
            predicted_edge_type(self.served.graph, given)
            return lambda item: ranked(target, self._edge(item, given, with_model=with_model), given)
        return lambda item: ranked(target, scores_of_node(self.served, node_of(item)), given)

    def _edge(self, item: Item, given: Parameters, *, with_model: bool) -> Scores:
        """Of an edge that the graph has not the ends are decoded."""
        found = scores_of_edge(self.served, item, given)
        if found is not None:
            return found
        if not with_model:
            raise NeedsModel
        return self.live.scores_of_pair(item, given)


def _item(item: Item, find: Callable[[Item], list[Answer]]) -> Answer:
    """An item's ids, and its predictions or its error."""
    answer = echo(item)
    try:
        answer["predictions"] = find(item)
    except ItemFault as fault:
        answer["error"] = {"code": fault.code, "message": str(fault)}
    return answer


def echo(item: Item) -> Answer:
    """The ids of an item, as they were given."""
    ids = {"nodeId": item.node_id, "headNodeId": item.head_node_id, "tailNodeId": item.tail_node_id}
    return {name: node_id for name, node_id in ids.items() if node_id is not None}
