"""The model itself, for what its artefacts do not answer: subgraphs, explanations, and edges that are not there. Importing this
module imports torch.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from despina.core.errors import WorkFailed
from despina.core.task import Task
from despina.graph.graph import EdgeType
from despina.graph.overlay import Overlay
from despina.learn import checkpoint, factorisation
from despina.learn.checkpoint import Description
from despina.learn.decoders import EdgeRows
from despina.learn.factorisation import Factorisation
from despina.learn.hyperparameters import Hyperparameters
from despina.learn.inductive import InductiveModel
from despina.learn.models import Model
from despina.learn.new_residuals import NewResiduals
from despina.learn.predictor import predict_graph, values_of
from despina.learn.questions import Question
from despina.programs.serving.artefacts import Artefacts
from despina.programs.serving.bodies import Body, Item, ItemFault, Parameters, RequestFault
from despina.programs.serving.properties import Answer, check_property, ends_of, known_node, predicted_edge_type
from despina.programs.serving.subgraphs import Subgraphs

T = TypeVar("T")


@dataclass(frozen=True)
class LiveModel:
    """A model of Despina's own, with the artefacts that it has written."""

    served: Artefacts
    model: checkpoint.AnyModel
    description: Description
    _factorisations: dict[EdgeType, Factorisation] = field(default_factory=dict)

    @classmethod
    def load(cls, served: Artefacts) -> "LiveModel":
        """Read the model beside the artefacts. Raises RequestFault: there is none, as of models of users' own."""
        try:
            model, description = checkpoint.load(served.folder)
        except WorkFailed as error:
            raise RequestFault("This endpoint answers from what was predicted before, and this request needs the model itself: "
                               f"{error}.") from None
        return cls(served, model, description)

    def scores_of_pair(self, item: Item, given: Parameters) -> NDArray[np.float32]:
        """What is predicted of an edge that the graph has not, between two nodes that it has. Raises RequestFault, ItemFault."""
        assert isinstance(self.model, Model)  # noqa: S101 - embeddings predict links only
        edge_type = predicted_edge_type(self.served.graph, given)
        source, destination = ends_of(edge_type, item, partial(known_node, self.served))
        vectors = [np.array(self.served.embeddings[edge_type.source][source]),
                   np.array(self.served.embeddings[edge_type.destination][destination])]
        same = edge_type.source == edge_type.destination
        embeddings = {edge_type.source: torch.from_numpy(np.stack(vectors if same else vectors[:1]))}
        if not same:
            embeddings[edge_type.destination] = torch.from_numpy(np.stack(vectors[1:]))
        rows = EdgeRows(sources=torch.tensor([0]), destinations=torch.tensor([1 if same else 0]), features=None)
        question = Question(members=np.arange(1), nodes={}, edges={edge_type: rows})
        values = values_of(self.model, embeddings, question, self.served.graph.target)[0]
        return self.blended(edge_type, (source, destination), values)

    def blended(self, edge_type: EdgeType, ends: tuple[int, int], values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the model predicts of an edge, with the share of the factorisation, if the training gave it one."""
        share = self.description.correction
        if not share or not factorisation.is_for(self.served.graph):
            return values
        if edge_type not in self._factorisations:
            self._factorisations[edge_type] = Factorisation(self.served.graph, edge_type)
        return np.asarray((1 - share) * values + share * self._factorisations[edge_type].predict(*ends), dtype=np.float32)

    def answer(self, body: Body, items: list[Answer]) -> None:
        """Put the predictions of each item of a request with a subgraph, or that is to be explained, into its answer.

        Raises RequestFault.
        """
        # Each of them knows one kind of task.
        from despina.programs.serving import live_edges, live_links, live_nodes

        target, task = self.served.graph.target, self.served.layout.task
        if body.mode == "embed_knn":
            raise RequestFault("'embed_knn' stands neither beside 'subgraph' nor beside 'explain': embeddings are compared as they "
                               "were written.")
        if (body.mode in {"predict_tail", "predict_head"}) != (task is Task.LINK_PREDICT):
            raise RequestFault(f"The value '{body.mode or ''}' of 'mode' does not fit this model, which predicts "
                               f"{'links' if task is Task.LINK_PREDICT else repr(target.property_name)}.")
        check_property(target, body.data.global_parameters)
        overlay = self.subgraphs.read(body.subgraph) if body.subgraph else Overlay()
        if task is Task.LINK_PREDICT:
            live_links.answer(self, overlay, body, items)
        elif isinstance(next(iter(target.by_type)), EdgeType):
            live_edges.answer(self, overlay, body, items)
        else:
            live_nodes.answer(self, overlay, body, items)

    @cached_property
    def subgraphs(self) -> Subgraphs:
        """Reads those of requests."""
        return Subgraphs(self.served)

    @cached_property
    def inductive(self) -> InductiveModel:
        """Of an R-GCN."""
        model, description = checkpoint.load(self.served.folder)  # its tables get a row more
        assert isinstance(model, Model)  # noqa: S101 - the callers have looked
        given = description.given
        assert isinstance(given, Hyperparameters)  # noqa: S101 - of a model with convolutions they are
        return InductiveModel(model, self.served.graph, given)

    @cached_property
    def residuals(self) -> NewResiduals | None:
        """What corrects predictions of nodes; None if nothing does."""
        strength, given = self.description.correction, self.description.given
        if not strength or not isinstance(given, Hyperparameters):
            return None
        values = predict_graph(self.model, self.served.graph, given).values[self.served.graph.target.node_type]
        return NewResiduals(self.served.graph, values, strength)

    def find(self, overlay: Overlay, node_type: str, node_id: str) -> int:
        """The index of a node of the graph or the subgraph. Raises ItemFault."""
        index = overlay.ids.get(node_type, {}).get(node_id)
        return known_node(self.served, node_type, node_id) if index is None else index


def attempt(answer: Answer, find: Callable[[], T]) -> T | None:
    """What is found, or None with the error in the answer."""
    try:
        return find()
    except ItemFault as fault:
        answer["error"] = {"code": fault.code, "message": str(fault)}
        return None
