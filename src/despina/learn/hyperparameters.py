"""The hyperparameters of all models, by the names that Neptune ML gives them. Free of torch.

Names and meanings: Neptune user guide, "Customizing model hyperparameter configurations in Neptune ML". Defaults are those of the
guide where it states one: of an R-GCN that classifies nodes. What it does not state, all of knowledge-graph embeddings among it, is
ours; ``proposals`` says where our values come from.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, overload

import msgspec
from msgspec import Meta

from despina.core.errors import WorkFailed
from despina.core.job import ParameterValue
from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph
from despina.graph.json_object import suggestion

RGCN = "rgcn"
KGE_MODELS = ("transe", "distmult", "rotate", "complex")
"""Knowledge-graph embeddings. ``complex`` (ComplEx) is ours; the guide has the other three."""

PRODUCTS = ("distmult", "complex")
"""The knowledge-graph embeddings whose scores are products of vectors."""
ALL_ENTITIES = 50_000
"""Up to so many entities, these learn each answer among all of them, and not among ``num-negs`` random ones."""

WHOLE_GRAPH_EDGES = 4_000_000
"""A graph of at most so many edges (both directions counted) whose training part fits into one batch is trained as a whole."""
AT_ONCE_EDGES = 20_000_000
"""A graph of more edges (both directions counted) is never computed as a whole, not even to measure or apply a model."""
CHUNK_EDGES = 2_000_000
"""Edges of such a graph that are read at a time when a model is applied (``layerwise``)."""

_Count = Annotated[int, Meta(ge=1)]
_Width = Annotated[int, Meta(ge=1, le=4096)]
_Rate = Annotated[float, Meta(gt=0.0, le=10.0)]
_Coefficient = Annotated[float, Meta(ge=0.0)]


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """How an R-GCN is built and trained. On the wire the names have hyphens: ``batch-size``."""

    batch_size: _Count = 1024
    """Training nodes or edges a step."""
    concat_node_embed: bool = True
    """Whether nodes with features have a learnable embedding beside them."""
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.3
    edge_num_hidden: _Width = 16
    """Width of the edge feature module; acts with ``use-edge-features``."""
    enable_early_stop: bool = True
    fanout: Annotated[tuple[_Count, ...], Meta(min_length=1)] = (10, 15, 15)
    """Neighbours sampled of each edge type, one number a layer, first layer first; the last one repeats, surplus ones are unused.
    A graph that is trained as a whole is not sampled (``WHOLE_GRAPH_EDGES``)."""
    l2norm: _Coefficient = 0.0
    """Weight decay: its product with a weight is added to the weight's gradient."""
    layer_norm: bool = True
    low_mem: bool = True
    """Accepted for compatibility. Messages are never held edge by edge here, which is what it asks for."""
    lr: _Rate = 0.01
    num_bases: Annotated[int, Meta(ge=0)] = 0
    """Basis matrices that the weights of all relations are made of; 0: each relation has weights of its own."""
    num_epochs: _Count = 30
    num_hidden: _Width = 64
    """Width of every layer, and of the embeddings."""
    num_layer: Annotated[int, Meta(ge=0, le=8)] = 2
    """Convolutions; 0: the nodes' own features alone, of which each row is divided by the number of its ones."""
    num_propagation: Annotated[int, Meta(ge=0, le=100)] = 0
    """Steps by which embeddings are propagated among linked nodes of the target type, when nodes are predicted and the graph is
    trained as a whole (``neighbours``). Ours; the guide has none."""
    per_feat_name_embed: bool = False
    """Whether each feature is projected by itself before all are put together."""
    sparse_lr: _Rate | None = None
    """Learning rate of the learnable embeddings; None: that of everything else."""
    use_class_weight: bool = False
    use_edge_features: bool = False
    use_self_loop: bool = True
    window_for_early_stop: _Count = 3

    def fanout_of(self, layer: int) -> int:
        """The fanout of a layer, from 0."""
        return self.fanout[min(layer, len(self.fanout) - 1)]


class LinkHyperparameters(Hyperparameters, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """How an R-GCN that predicts links is built and trained."""

    neg_share: bool = True
    """Whether the positive edges of a batch share their negative ones."""
    num_negs: _Count = 16
    """Negative edges for each positive one."""
    regularization_coef: _Coefficient = 0.01
    """Weight of the squares of the relations' vectors in the loss."""


class EmbeddingHyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """How a knowledge-graph embedding is built and trained."""

    batch_size: _Count = 1024
    """Questions a step: the tails of a head and a relation, or the heads of a tail and a relation. Where answers are learned among
    all entities a question has all its answers, else one."""
    enable_early_stop: bool = True
    gamma: Annotated[float, Meta(gt=0.0)] = 12.0
    """The margin of the score, and the width of the first random embeddings, of ``transe`` and ``rotate``."""
    lr: _Rate = 0.1
    neg_share: bool = True
    num_epochs: _Count = 50
    num_hidden: _Width = 256
    """Width of the embeddings; of ``rotate`` and ``complex`` the complex numbers in one."""
    num_negs: _Count = 256
    regularization_coef: _Coefficient = 0.01
    """Weight of the N3 norm of the embeddings in the loss of ``distmult`` and ``complex``."""
    rel_part: bool = False
    """Accepted for compatibility. It divides the relations among the processes of one training; here a training is one process."""
    relation_prediction_coef: _Coefficient = 0.0
    """Weight of the prediction of relations from both their ends in the loss of ``distmult`` and ``complex``; ours, the guide has
    none."""
    window_for_early_stop: _Count = 3


Parameters = Hyperparameters | EmbeddingHyperparameters
_Kind = TypeVar("_Kind", bound=Parameters)


def parameters_of(model: str, task: Task) -> type[Parameters]:
    """The hyperparameters that a model has when it is trained for this task."""
    if model in KGE_MODELS:
        return EmbeddingHyperparameters
    return LinkHyperparameters if task is Task.LINK_PREDICT else Hyperparameters


def names_of(kind: type[Parameters]) -> tuple[str, ...]:
    """The wire names of these hyperparameters, in alphabetical order."""
    return tuple(sorted(kind.__struct_encode_fields__))


@overload
def read_parameters(parameters: Mapping[str, Any]) -> Hyperparameters: ...
@overload
def read_parameters(parameters: Mapping[str, Any], kind: type[_Kind]) -> _Kind: ...
def read_parameters(parameters: Mapping[str, Any], kind: type[Any] = Hyperparameters) -> Any:
    """The hyperparameters of a kind with these wire names and values; others have their defaults.

    Raises:
        WorkFailed: an unknown name, or a value that is of the wrong type or out of range.
    """
    names = names_of(kind)
    for name in parameters:
        if name not in names:
            raise WorkFailed(f"unknown hyperparameter '{name}'{suggestion(name, names)}; known are {', '.join(names)}")
    for name, value in parameters.items():
        try:
            msgspec.convert({name: value}, kind)
        except msgspec.ValidationError as error:
            raise WorkFailed(f"the value {msgspec.json.encode(value).decode()} of hyperparameter '{name}' is not allowed: "
                             f"{str(error).partition(' - at ')[0].replace('`', '')}") from error
    return msgspec.convert(dict(parameters), kind)


def write_parameters(hyperparameters: Parameters) -> dict[str, ParameterValue]:
    """All hyperparameters by wire name; those that are None are left out."""
    values: dict[str, Any] = msgspec.to_builtins(hyperparameters)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None}


def learns_among_all(model: str, entities: int) -> bool:
    """Whether a knowledge-graph embedding learns each answer among all entities, rather than among random ones."""
    return model in PRODUCTS and entities <= ALL_ENTITIES


def training_count(graph: Graph) -> int:
    """Nodes or edges in the training part."""
    return sum(int(part.train.sum()) for part in graph.target.by_type.values())


def trains_whole(graph: Graph, batch_size: int) -> bool:
    """Whether each epoch is one step over the whole graph, rather than steps over batches with sampled neighbours."""
    return training_count(graph) <= batch_size and edge_count(graph) <= WHOLE_GRAPH_EDGES


def computed_at_once(graph: Graph) -> bool:
    """Whether a model is measured on, and applied to, the whole graph at once, rather than some nodes at a time."""
    return edge_count(graph) <= AT_ONCE_EDGES


def edge_count(graph: Graph) -> int:
    """The edges, both directions counted."""
    return sum(len(csr.indices) for csr in graph.edges.values())


def workers_for(graph: Graph, given: Parameters, wanted: int) -> int:
    """How many workers train together when so many are wanted: one where an epoch is a single step over the whole graph, whose work
    is not less when it asks for less.
    """
    whole = isinstance(given, Hyperparameters) and trains_whole(graph, given.batch_size)
    return 1 if whole else wanted


def propagates(graph: Graph, given: Hyperparameters) -> bool:
    """Whether embeddings are propagated. Raises WorkFailed if they were to be and cannot."""
    if not given.num_propagation:
        return False
    if any(isinstance(kind, EdgeType) for kind in graph.target.by_type):
        raise WorkFailed(f"num-propagation is {given.num_propagation}, and edges are predicted; it must be 0, since embeddings are "
                         "propagated among the nodes that are predicted")
    if not trains_whole(graph, given.batch_size):
        raise WorkFailed(f"num-propagation is {given.num_propagation}, and the graph is trained in batches; it must be 0, or the "
                         f"graph have at most {WHOLE_GRAPH_EDGES} edges, both directions counted, and batch-size be at least its "
                         f"{training_count(graph)} training nodes")
    return True
