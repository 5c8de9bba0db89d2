"""The hyperparameters of a relational graph convolutional network, and the configuration proposed for a graph. Free of torch.

Names and meanings: Neptune user guide, "Customizing model hyperparameter configurations in Neptune ML". Defaults are those of the
guide where it states one.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from despina.core.errors import WorkFailed
from despina.core.job import ParameterValue
from despina.graph.graph import Graph, Target
from despina.graph.json_object import suggestion

WHOLE_GRAPH_EDGES = 4_000_000
"""A graph of at most so many edges (both directions counted) whose training nodes fit into one batch is trained as a whole."""

IMBALANCE = 10
"""Labels are imbalanced when the commonest class has more than so many times the training nodes of the rarest."""

_Count = Annotated[int, Meta(ge=1)]
_Width = Annotated[int, Meta(ge=1, le=4096)]
_Rate = Annotated[float, Meta(gt=0.0, le=10.0)]


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """How a model is built and trained. On the wire the names have hyphens: ``batch-size``."""

    batch_size: _Count = 1024
    """Training nodes a step."""
    concat_node_embed: bool = True
    """Whether nodes with features have a learnable embedding beside them."""
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.3
    edge_num_hidden: _Width = 16
    """Width of the edge feature module; acts with ``use-edge-features``."""
    enable_early_stop: bool = True
    fanout: Annotated[tuple[_Count, ...], Meta(min_length=1)] = (10, 15, 15)
    """Neighbours sampled of each edge type, one number a layer, first layer first; the last one repeats, surplus ones are unused.
    A graph that is trained as a whole is not sampled (``WHOLE_GRAPH_EDGES``)."""
    l2norm: Annotated[float, Meta(ge=0.0)] = 0.0
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
    num_layer: Annotated[int, Meta(ge=1, le=8)] = 2
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


def read_parameters(parameters: Mapping[str, Any]) -> Hyperparameters:
    """The hyperparameters with these wire names and values; others have their defaults.

    Raises:
        WorkFailed: an unknown name, or a value that is of the wrong type or out of range.
    """
    names = Hyperparameters.__struct_encode_fields__
    for name in parameters:
        if name not in names:
            raise WorkFailed(f"unknown hyperparameter '{name}'{suggestion(name, names)}; known are {', '.join(names)}")
    for name, value in parameters.items():
        try:
            msgspec.convert({name: value}, Hyperparameters)
        except msgspec.ValidationError as error:
            raise WorkFailed(f"the value {msgspec.json.encode(value).decode()} of hyperparameter '{name}' is not allowed: "
                             f"{str(error).partition(' - at ')[0].replace('`', '')}") from error
    return msgspec.convert(dict(parameters), Hyperparameters)


def write_parameters(hyperparameters: Hyperparameters) -> dict[str, ParameterValue]:
    """All hyperparameters by wire name; those that are None are left out."""
    values = {**msgspec.to_builtins(hyperparameters), "fanout": list(hyperparameters.fanout)}
    return {name: value for name, value in values.items() if value is not None}


def trains_whole(graph: Graph, batch_size: int) -> bool:
    """Whether each epoch is one step over the whole graph, rather than steps over batches with sampled neighbours."""
    edges = sum(len(csr.indices) for csr in graph.edges.values())
    return int(graph.target.train.sum()) <= batch_size and edges <= WHOLE_GRAPH_EDGES


def default_configuration(graph: Graph) -> dict[str, Any]:
    """The content of ``model-hpo-configuration.json`` that suits the graph: an R-GCN for its node classification.

    The tiers are those of the user guide's sample. A small graph gets batches of all its training nodes, so that an epoch is a
    single step; it needs more epochs, higher learning rates and more patience than the guide's ranges for large graphs.
    """
    training = max(1, int(graph.target.train.sum()))
    everything = max(128, 1 << (training - 1).bit_length())
    small = everything <= 65_536 and trains_whole(graph, everything)
    epochs = {"range": [50, 150], "default": 100} if small else {"range": [3, 30], "default": 15}
    rate = {"range": [0.005, 0.05]} if small else {"range": [0.001, 0.01]}
    batch = {"range": [everything // 2, everything * 2]} if small else {"range": [128, 4096]}
    return {"models": [{
        "model": "rgcn", "task_type": str(graph.target.task),
        "eval_metric": {"metric": _metric(graph.target)},
        "eval_frequency": {"type": "evaluate_every_epoch", "value": 1},
        "1-tier-param": [
            {"param": "num-hidden", "range": [32, 128], "type": "int", "inc_strategy": "power2", "default": 64},
            {"param": "num-epochs", **epochs, "type": "int", "inc_strategy": "linear", "inc_val": 1},
            {"param": "lr", **rate, "type": "float", "inc_strategy": "log", "default": 0.01},
        ],
        "2-tier-param": [
            {"param": "dropout", "range": [0.0, 0.5], "type": "float", "inc_strategy": "linear", "default": 0.3},
            {"param": "layer-norm", "type": "bool", "default": True},
        ],
        "3-tier-param": [
            {"param": "batch-size", **batch, "type": "int", "inc_strategy": "power2", "default": everything if small else 1024},
            {"param": "fanout", "type": "int", "options": [[10, 30], [15, 30], [15, 15], [10, 15, 15]], "default": [10, 15, 15]},
            {"param": "num-layer", "range": [1, 3], "type": "int", "inc_strategy": "linear", "inc_val": 1, "default": 2},
            {"param": "num-bases", "range": [0, 8], "type": "int", "inc_strategy": "linear", "inc_val": 2, "default": 0},
        ],
        "fixed-param": [
            {"param": "concat-node-embed", "type": "bool", "default": True},
            {"param": "use-self-loop", "type": "bool", "default": True},
            {"param": "low-mem", "type": "bool", "default": True},
            {"param": "l2norm", "type": "float", "default": 0.0},
            {"param": "enable-early-stop", "type": "bool", "default": True},
            {"param": "window-for-early-stop", "type": "int", "default": 10 if small else 3},
        ],
    }]}


def _metric(target: Target) -> str:
    """The guide's default metric: ``acc``, ``F1`` when the labels are imbalanced, ``roc_auc`` when nodes have several labels."""
    if target.multilabel:
        return "roc_auc"
    counts = np.bincount(target.labels[target.train], minlength=len(target.classes))
    counts = counts[counts > 0]
    return "F1" if len(counts) and counts.max() > IMBALANCE * counts.min() else "acc"
