"""What the body of an invocation may say.

The form is that of the only public client of Neptune ML's endpoints (neptuneml-toolkit, ``NeptuneMLClient.invoke_endpoint``);
``explain``, ``threshold``, ``subgraph`` and the mode ``describe`` are Despina's own. Members that are not known are ignored.
"""

from typing import Any

import msgspec

from despina.core.errors import DespinaError
from despina.graph.overlay import ALL

DESCRIBE = "describe"
"""The mode that asks for nothing but what the model is about."""
MODES = ("predict_tail", "predict_head", "embed_knn", "node_predict", "edge_predict", DESCRIBE)
MAX_ITEMS, MAX_PREDICTIONS = 10_000, 1_000_000
"""In one request, and in its answer."""


class RequestFault(DespinaError):
    """The request cannot be answered; the text names the member, its value and what would be right."""


class ItemFault(DespinaError):
    """One item of a request cannot be answered; the others are. ``code`` is a name for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Parameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``globalParameters``: what holds for all items."""

    topk: int | None = None
    """Predictions for each item, the best first."""
    threshold: float | None = None
    """Predictions with a lower score are left out."""
    property: str | None = None
    edge_type: str | None = None
    """A relation, or source type, relation and destination type with commas between."""
    head_node_type: str | None = None
    tail_node_type: str | None = None
    node_type: str | None = None
    fanout: int | None = None
    """Of a request with a subgraph: neighbours in the graph, of each edge type and node, that are looked at; all if not said."""
    exclude_flag: str | None = msgspec.field(default=None, name="exclude_flag")
    """``mask``: what is linked in the graph already is left out."""

    def most_neighbours(self) -> int:
        """``fanout`` as a number that a graph can have."""
        return min(self.fanout or ALL, ALL)


class Item(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A node, or the ends of an edge."""

    node_id: str | None = None
    head_node_id: str | None = None
    tail_node_id: str | None = None


class Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``data``: what is asked for."""

    global_parameters: Parameters = Parameters()
    nodes: tuple[Item, ...] = ()
    edges: tuple[Item, ...] = ()


class SubgraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the request's own: one that the model has never seen, or new properties of one that it has."""

    id: str
    type: str
    properties: dict[str, Any] | None = None


class SubgraphEdge(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An edge of the request's own."""

    from_: str = msgspec.field(name="from")
    to: str
    type: str
    """A relation."""
    from_type: str | None = None
    to_type: str | None = None
    properties: dict[str, Any] | None = None


class Subgraph(msgspec.Struct, frozen=True, kw_only=True):
    """``subgraph``: nodes and edges that are there beside those of the graph that was processed."""

    nodes: tuple[SubgraphNode, ...] = ()
    edges: tuple[SubgraphEdge, ...] = ()


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A request."""

    version: str = "v1"
    mode: str | None = None
    data: Data = Data()
    subgraph: Subgraph | None = None
    explain: bool = False


_DECODER = msgspec.json.Decoder(Body)


def read_body(content: bytes) -> Body:
    """The request in the body of an invocation.

    Raises:
        RequestFault: it is not JSON, a member has the wrong type or a value that is not known, or there is nothing in it to answer.
    """
    try:
        body = _DECODER.decode(content)
    except msgspec.ValidationError as error:
        raise RequestFault(f"The request cannot be understood: {error}.") from None
    except msgspec.DecodeError as error:
        raise RequestFault(f"The request is not JSON: {error}.") from None
    given, data = body.data.global_parameters, body.data
    if body.version != "v1":
        raise RequestFault(f"The value '{body.version[:100]}' of 'version' is not known: it must be 'v1'.")
    if body.mode is not None and body.mode not in MODES:
        raise RequestFault(f"The value '{body.mode[:100]}' of 'mode' is not known: it must be one of {', '.join(MODES)}, or left "
                           "out.")
    for name, value in (("topk", given.topk), ("fanout", given.fanout)):
        if value is not None and value < 1:
            raise RequestFault(f"The value {value} of '{name}' is out of range: it must be 1 or more.")
    if given.exclude_flag not in {None, "", "mask"}:
        raise RequestFault(f"The value '{given.exclude_flag}' of 'exclude_flag' is not known: it must be 'mask', or left out.")
    items = len(data.nodes) + len(data.edges)
    if body.mode == DESCRIBE:
        return body
    if not items:
        raise RequestFault("The request asks for nothing: 'data' must have 'nodes' or 'edges'.")
    if data.nodes and data.edges:
        raise RequestFault("'nodes' and 'edges' may not stand together: a request asks for one of them.")
    if items > MAX_ITEMS:
        raise RequestFault(f"The request has {items} items: it may have {MAX_ITEMS} at most.")
    return body
