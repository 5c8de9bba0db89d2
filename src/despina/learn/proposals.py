"""What data processing proposes for a graph: the type of model, and which hyperparameters are tuned in which ranges. Free of torch.

Form, names and the choice of the model: Neptune user guide, "Models and model training in Amazon Neptune ML" and "Customizing model
hyperparameter configurations in Neptune ML". Published are the tiers, ranges and defaults of its one sample, an R-GCN that
classifies the nodes of a large graph. What depends on the size of a graph is ours, and so is all that other tasks and models have:

- Knowledge-graph embeddings follow the scripts of DGL-KE, which Neptune ML builds on (github.com/awslabs/dgl-ke, ``examples``:
  ``fb15k``, ``wn18``, ``freebase``). The learning rates are those of Adagrad, its optimiser.
- The R-GCN that predicts links follows Schlichtkrull et al., "Modeling Relational Data with Graph Convolutional Networks", 2018:
  Adam at 0.01, a decoder regularised by 0.01, 40 bases for graphs of a hundred relations. The paper has one negative edge for each
  positive one; more than one is ours.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import Graph, Target
from despina.learn.hyperparameters import KGE_MODELS, RGCN, learns_among_all, training_count, trains_whole

ModelType = Literal["heterogeneous", "kge"]
Configuration = dict[str, Any]
"""The content of ``model-hpo-configuration.json``."""
Parameter = dict[str, Any]
"""An entry of one of its tiers."""

IMBALANCE = 10
"""Labels are imbalanced when the commonest class has more than so many times the training part of the rarest."""

WHOLE_TRAINING = 65_536
"""Up to so many training nodes or edges are proposed to be one batch."""

MANY_NODES = 5_000_000
"""Beyond these the vectors of all nodes fill the memory of an R-GCN: at 64 numbers 1.3 GB a copy, of which there are eleven. They
are narrower then, and nodes that have features have no learnable one beside them."""

MANY_RELATIONS = 50
"""Beyond these the relations' own matrices are too many to be learnt well, and bases are proposed for them."""

FEW = 10
"""Labels are few when there are so many times more nodes than training nodes."""
FEW_JUDGES = 50
"""With fewer nodes or edges in the validation part of a small graph, the best epoch is not chosen by them."""

EMBEDDING_BYTES = 8 * 2**30
"""What the embeddings of a knowledge graph may take at the widest, with their gradients and the state of the optimiser."""

EMBEDDING_PASSES = 24_000_000
"""Training edges seen in a whole training, repetitions counted: DGL-KE's 24 000 steps of 1000. By this rule FB15k has 50 epochs,
WN18 has 170 and Freebase the least, 8; in most of DGL-KE's scripts they have 50, 145 to 290, and 8."""


PASSES_AMONG_ALL = 700_000
"""The same where each answer is learned among all entities."""


MANY_TRIPLES = 100_000
"""Training edges from which on the norm of the vectors is held down more."""


def choose_model_type(graph: Graph, asked: str | None) -> ModelType:
    """The type of model: the one asked for, or the one that fits.

    Published: links of a graph without node properties are predicted by a knowledge-graph embedding, everything else by an R-GCN. A
    property that is not encoded (``none``, ``auto`` that found nothing) is none in this sense. Features that only edges have do not
    count either, since a proposed R-GCN makes no use of them.

    Args:
        graph: the processed graph.
        asked: ``modelType`` of the request; None: choose.

    Raises:
        InputFault: ``kge`` is asked for a task other than link prediction, or there is no such type.
    """
    task = graph.target.task
    check_model_type(task, asked)
    if asked is None:
        return "kge" if task is Task.LINK_PREDICT and not any(part.width for part in graph.features.values()) else "heterogeneous"
    return "kge" if asked == "kge" else "heterogeneous"


def check_model_type(task: Task, asked: str | None) -> None:
    """Raise InputFault if there is no such type of model, or it cannot do the task. None fits any."""
    if asked not in {None, "heterogeneous", "kge"}:
        raise InputFault(Fault.INVALID_CONFIGURATION, f"modelType: '{asked}' is not known; it must be one of heterogeneous, kge",
                         value=asked)
    if asked == "kge" and task is not Task.LINK_PREDICT:
        raise InputFault(Fault.CONTRADICTION, f"modelType 'kge' was asked for, and the task is {task}: knowledge-graph embeddings "
                         "predict links only; leave modelType out, or ask for 'heterogeneous'", value=asked)


def default_configuration(graph: Graph, model_type: ModelType) -> Configuration:
    """The content of ``model-hpo-configuration.json`` that suits the graph: ``rgcn``, or ``transe`` of a knowledge graph."""
    return _configuration(graph, RGCN if model_type == "heterogeneous" else KGE_MODELS[0])


def templates(graph: Graph, model_type: ModelType) -> dict[str, Configuration]:
    """Model → the content of ``hpo-configuration-templates/<model>.json``: of all models that fit the task, the proposed one first.

    Published: the folder is there if several models fit, and a template is pasted over the file to change the model. Ours: the
    proposed model's own template is among them, so that there is a way back. Empty unless links are predicted.
    """
    if graph.target.task is not Task.LINK_PREDICT:
        return {}
    models = (RGCN, *KGE_MODELS) if model_type == "heterogeneous" else (*KGE_MODELS, RGCN)
    return {model: _configuration(graph, model) for model in models}


def _configuration(graph: Graph, model: str) -> Configuration:
    return {"models": [_convolution(graph) if model == RGCN else _embedding(graph, model)]}


def _convolution(graph: Graph) -> dict[str, Any]:
    """An R-GCN. The tiers are those of the user guide's sample.

    A small training part is one batch, so that an epoch is a single step; it needs more epochs, higher learning rates and more
    patience than the guide's ranges for large graphs.
    """
    links, metric = graph.target.task is Task.LINK_PREDICT, _metric(graph.target)
    # Messages carry the labels of other edges: those of the edge's own ends say most, and more of them say more.
    of_edges = graph.target.task in {Task.EDGE_CLASS, Task.EDGE_REGRESSION}
    everything = max(128, 1 << (max(1, training_count(graph)) - 1).bit_length())
    small = everything <= WHOLE_TRAINING and trains_whole(graph, everything)
    if small and _few_labels(graph):
        return _propagation(graph, metric)
    # Among so few every epoch's metric is mostly chance, and the best of hundreds is a lucky one: the last is taken, of fewer.
    unjudged = small and not links and _validation_count(graph) < FEW_JUDGES
    # Vectors of their own learn numbers by heart, and classes where labels are few.
    by_heart = small and ((graph.target.task is Task.NODE_REGRESSION and _described(graph))
                          or (graph.target.task is Task.NODE_CLASS and unjudged))
    wide = sum(graph.node_counts.values()) <= MANY_NODES
    of_links = [_negatives(graph, low=4, high=64, default=16), _log("regularization-coef", 1e-4, 0.1, 0.01)] if links else []
    return {
        **_head(graph, RGCN, metric),
        **({"eval_frequency": {"type": "evaluate_every_pct", "value": 1.0}} if unjudged else {}),
        "1-tier-param": [
            _powers("num-hidden", 32, 128, 64) if wide else _powers("num-hidden", 16, 64, 32),
            _whole("num-epochs", 25, 100, 50) if unjudged else _epochs(small=small),
            _log("lr", 0.005, 0.05, 0.01) if small else _log("lr", 0.001, 0.01, 0.003 if of_edges else 0.01)],
        "2-tier-param": [
            _linear("dropout", 0.0, 0.5, 0.3), _switch("layer-norm", on=True), *of_links,
            # F1 weighs every class alike, the loss by itself every node or edge, so that a rare class hardly counts in it. A larger
            # search may leave the weights away: they let wrong labels of a rare class count more too.
            *([_switch("use-class-weight", on=True)] if metric == "F1" else [])],
        "3-tier-param": [
            _powers("batch-size", everything // 2, everything * 2, everything) if small else _powers("batch-size", 128, 4096, 1024),
            {"param": "fanout", "type": "int", "default": [50] if of_edges else [10, 15, 15],
             "options": [[10, 30], [15, 30], [15, 15], [10, 15, 15], *([[50]] if of_edges else [])]},
            _whole("num-layer", 1, 3, 1 if of_edges else 2),
            _whole("num-bases", 0, 8, 0, 2) if len(graph.edges) // 2 <= MANY_RELATIONS else _whole("num-bases", 0, 40, 40, 10),
            *([_switch("neg-share", on=True)] if links else [])],
        "fixed-param": [
            _switch("concat-node-embed", on=not by_heart and wide),
            _switch("use-self-loop", on=True), _switch("low-mem", on=True),
            {"param": "l2norm", "type": "float", "default": 0.0}, *_stopping(50 if small and not links else 3)],
    }


def _propagation(graph: Graph, metric: str) -> dict[str, Any]:
    """APPNP (``neighbours.Neighbours.propagate``): the features of nodes, and ten steps along the links among them.

    With few labels, and links that are alike in kind, the weights of convolutions are hardly learned. The values are those of the
    paper, but for a stronger dropout: here it acts on the hidden vectors alone, and not on the features too.
    """
    everything = max(128, 1 << (max(1, training_count(graph)) - 1).bit_length())
    return {
        **_head(graph, RGCN, metric),
        "1-tier-param": [_powers("num-hidden", 32, 128, 64), _whole("num-epochs", 100, 400, 300), _log("lr", 0.005, 0.05, 0.02)],
        "2-tier-param": [_linear("dropout", 0.4, 0.8, 0.7), _log("l2norm", 1e-4, 5e-3, 5e-4),
                         *([_switch("use-class-weight", on=True)] if metric == "F1" else [])],
        "3-tier-param": [_powers("batch-size", everything, everything * 2, everything), _whole("num-propagation", 5, 20, 10)],
        "fixed-param": [{"param": "num-layer", "type": "int", "default": 0}, _switch("concat-node-embed", on=False),
                        _switch("layer-norm", on=False), *_stopping(100)],
    }


def _few_labels(graph: Graph) -> bool:
    """Whether nodes are classified that have features and are linked to each other, and few of them are in the training part."""
    kind = next(iter(graph.target.by_type))
    linked = any(edge_type.source == edge_type.destination == kind and len(csr.indices) for edge_type, csr in graph.edges.items())
    return (graph.target.task is Task.NODE_CLASS and isinstance(kind, str) and _described(graph)
            and linked and training_count(graph) * FEW <= graph.node_counts[kind])


def _validation_count(graph: Graph) -> int:
    return sum(int(part.valid.sum()) for part in graph.target.by_type.values())


def _described(graph: Graph) -> bool:
    """Whether nodes are predicted, and have features."""
    return any(isinstance(kind, str) and kind in graph.features for kind in graph.target.by_type)


def _epochs(*, small: bool) -> Parameter:
    """``num-epochs`` of an R-GCN. An epoch of a large graph has many steps, one of a small graph a single step."""
    if not small:
        return _whole("num-epochs", 3, 30, 15)
    return _whole("num-epochs", 100, 300, 200)


@dataclass(frozen=True, kw_only=True)
class _Practice:
    """Ranges for a model, each as low end, high end and our choice."""

    lr: tuple[float, float, float]
    hidden: tuple[int, int, int]
    gamma: tuple[float, float, float] | None = None
    """The margin; None: the score has none, and the norm of the vectors is held down instead."""


# The ranges of the first two hold the values of DGL-KE's scripts; the others learn by another loss than theirs, and what is good
# for that was found on umls and codex-s. Widths of rotate and complex are in complex numbers, which take two numbers each.
_PRACTICE = {
    "transe": _Practice(gamma=(6.0, 20.0, 9.0), lr=(0.005, 0.25, 0.05), hidden=(128, 512, 256)),
    "rotate": _Practice(gamma=(6.0, 20.0, 6.0), lr=(0.001, 0.1, 0.05), hidden=(64, 256, 128)),
    "distmult": _Practice(lr=(0.02, 0.3, 0.1), hidden=(128, 512, 256)),
    "complex": _Practice(lr=(0.02, 0.3, 0.1), hidden=(128, 512, 256)),
}


def _embedding(graph: Graph, model: str) -> dict[str, Any]:
    """A knowledge-graph embedding.

    Widths are halved until all embeddings find room. A model that learns each answer among all entities needs far fewer passes, and
    smaller batches, than one that has random entities. Of those batches are DGL-KE's 1024 edges, fewer if there would be less than
    16 of them an epoch, and each positive edge has DGL-KE's 256 negative ones, but not more than there are nodes.
    """
    practice = _PRACTICE[model]
    nodes, training = max(1, sum(graph.node_counts.values())), max(1, training_count(graph))
    low, high, width = practice.hidden
    numbers = 3 * nodes * (2 if model in {"rotate", "complex"} else 1)
    while low > 32 and numbers * 4 * high > EMBEDDING_BYTES:
        low, high, width = low // 2, high // 2, width // 2
    among_all = learns_among_all(model, nodes)
    passes, fewest, most, batches = (PASSES_AMONG_ALL, 20, 100, 256) if among_all else (EMBEDDING_PASSES, 8, 300, 16)
    epochs = min(max(round(passes / training), fewest), most)
    batch = min(max(_power_below(training // batches), 64), 1024)
    return {
        **_head(graph, model, "mrr"),
        "1-tier-param": [_powers("num-hidden", low, high, width), _whole("num-epochs", epochs // 2, epochs * 2, epochs),
                         _log("lr", *practice.lr)],
        "2-tier-param": [
            *([_linear("gamma", *practice.gamma)] if practice.gamma else []),
            *([] if among_all else [_negatives(graph, low=16, high=256, default=256)]),
            # Lacroix et al. 2018 have 0.05 for FB15k-237; umls and codex-s, which are far smaller, do better with less.
            *([] if practice.gamma else [_log("regularization-coef", 1e-3, 0.1, 0.05 if training >= MANY_TRIPLES else 0.01)])],
        "3-tier-param": [_powers("batch-size", batch // 4, batch * 4, batch)],
        # Negatives that a batch shares are what makes its scores one product of matrices; without them training takes far longer.
        "fixed-param": [*([] if among_all else [_switch("neg-share", on=True)]), *_stopping(3)],
    }


def _head(graph: Graph, model: str, metric: str) -> dict[str, Any]:
    """What comes before the tiers. Ranking all validation edges is dear, so links are evaluated ten times in a training."""
    every_tenth = {"type": "evaluate_every_pct", "value": 0.1}
    return {"model": model, "task_type": str(graph.target.task), "eval_metric": {"metric": metric},
            "eval_frequency": every_tenth if metric == "mrr" else {"type": "evaluate_every_epoch", "value": 1}}


def _negatives(graph: Graph, *, low: int, high: int, default: int) -> Parameter:
    """``num-negs``, of which there are not more than nodes."""
    most = _power_below(max(1, sum(graph.node_counts.values())))
    return _powers("num-negs", min(low, most), min(high, most), min(default, most))



def _stopping(window: int) -> list[Parameter]:
    return [_switch("enable-early-stop", on=True), {"param": "window-for-early-stop", "type": "int", "default": window}]


def _metric(target: Target) -> str:
    """The guide's default metric: ``mrr`` of links, ``mse`` of a regression; of classes ``roc_auc`` when there may be several at a
    time, ``F1`` when the labels are imbalanced, else ``acc``.
    """
    if target.task is Task.LINK_PREDICT:
        return "mrr"
    if target.task in {Task.NODE_REGRESSION, Task.EDGE_REGRESSION}:
        return "mse"
    if target.multilabel:
        return "roc_auc"
    labels = np.concatenate([part.labels[part.train] for part in target.by_type.values() if part.labels is not None])
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    return "F1" if len(counts) and counts.max() > IMBALANCE * counts.min() else "acc"


def _power_below(number: int) -> int:
    """The greatest power of two that is not above a number from 1 on; 1 for less."""
    return 1 << (max(1, number).bit_length() - 1)


def _powers(name: str, low: int, high: int, default: int) -> Parameter:
    return {"param": name, "range": [low, high], "type": "int", "inc_strategy": "power2", "default": default}


def _whole(name: str, low: int, high: int, default: int, step: int = 1) -> Parameter:
    return {"param": name, "range": [low, high], "type": "int", "inc_strategy": "linear", "inc_val": step, "default": default}


def _linear(name: str, low: float, high: float, default: float) -> Parameter:
    return {"param": name, "range": [low, high], "type": "float", "inc_strategy": "linear", "default": default}


def _log(name: str, low: float, high: float, default: float) -> Parameter:
    return {"param": name, "range": [low, high], "type": "float", "inc_strategy": "log", "default": default}


def _switch(name: str, *, on: bool) -> Parameter:
    return {"param": name, "type": "bool", "default": on}
