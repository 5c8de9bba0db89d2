"""How good a trained model is on the parts of a graph that it has not learned from."""

from typing import Any

import numpy as np
import torch

from despina.graph.graph import EdgeType, Graph
from despina.learn.decoders import LinkDecoder
from despina.learn.embedding import Ranker as TripleRanker
from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.link_ranker import Ranker
from despina.learn.metrics import report
from despina.learn.models import Model
from despina.learn.predictor import Predictions
from despina.learn.ranking import report as report_ranks
from despina.learn.triples import Triples


def evaluate(model: Model | KnowledgeGraphEmbedding, graph: Graph, predictions: Predictions, *,
             topk: int = 1) -> dict[str, dict[str, Any]]:
    """All metrics of the task: under ``valid``, and under ``test`` if there is a test part.

    Without a validation part the training part takes its place.
    """
    parts = graph.target.by_type
    valid = "valid" if any(part.valid.any() for part in parts.values()) else "train"
    measured = {"valid": _measured(model, graph, predictions, valid, topk)}
    if any(part.test.any() for part in parts.values()):
        measured["test"] = _measured(model, graph, predictions, "test", topk)
    return measured


def _measured(model: Model | KnowledgeGraphEmbedding, graph: Graph, predictions: Predictions, part: str,
              topk: int) -> dict[str, Any]:
    if isinstance(model, KnowledgeGraphEmbedding):
        triples = Triples.of(graph)
        return report_ranks(TripleRanker(triples).rank(model, triples.test if part == "test" else triples.valid))
    masks = {kind: getattr(labelled, part) for kind, labelled in graph.target.by_type.items()}
    if isinstance(model.decoder, LinkDecoder):
        embeddings = {node_type: torch.from_numpy(vectors) for node_type, vectors in predictions.embeddings.items()}
        rows = {kind: np.flatnonzero(mask) for kind, mask in masks.items() if isinstance(kind, EdgeType) and mask.any()}
        return report_ranks(Ranker(graph).rank(model.decoder, embeddings, rows))
    labels = [labelled.labels[masks[kind]] for kind, labelled in graph.target.by_type.items() if labelled.labels is not None]
    values = [predictions.values[kind][mask] for kind, mask in masks.items()]
    return report(np.concatenate(values), np.concatenate(labels), graph.target.classes, topk=topk)
