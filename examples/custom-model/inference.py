"""Answers requests about nodes that the model has never seen: by their properties, and the nodes that their edges lead to."""

import os
from pathlib import Path

import msgspec
import torch
from model import GraphSage, inputs

from despina.graph.encodings import Encodings
from despina.graph.property_values import encode_values
from despina.learn.tensors import load


class Inductive:
    """The model with what it computed of each node, layer by layer."""

    def __init__(self, model_dir, data_dir):
        self.graph, weights = load(data_dir), torch.load(Path(model_dir) / "model.pt", weights_only=True)
        self.kind = next(iter(self.graph.labels))
        self.encodings = msgspec.json.decode(Path(data_dir, "encoding.json").read_bytes(), type=Encodings).nodes[self.kind].features
        features, neighbours = inputs(self.graph, self.kind)
        self.model = GraphSage(len(features), features.shape[1], weights["own"].shape[1], len(self.graph.classes))
        self.model.load_state_dict(weights)
        self.rows = {name: row for row, name in enumerate(self.graph.node_ids[self.kind])}
        hidden = torch.cat([features, self.model.own], dim=1)
        self.hidden = [hidden]
        for layer in self.model.layers:
            self.hidden.append(torch.relu(layer(torch.cat([self.hidden[-1], neighbours @ self.hidden[-1]], dim=1))))

    def scores(self, node, neighbours):
        """Probabilities of a new node with these neighbours."""
        encoded = torch.from_numpy(encode_values(self.encodings, [node.get("properties") or {}], "subgraph").to_dense())[0]
        vector = torch.cat([encoded, self.model.own.mean(dim=0)])
        for layer, known in zip(self.model.layers, self.hidden, strict=False):
            around = known[neighbours].mean(dim=0) if neighbours else torch.zeros_like(vector)
            vector = torch.relu(layer(torch.cat([vector, around])))
        return torch.softmax(self.model.out(vector), dim=0)


@torch.no_grad()
def model_fn(model_dir):
    """Called once."""
    return Inductive(model_dir, os.environ["SM_DATA_DIR"])


@torch.no_grad()
def predict_fn(request, model):
    """Called for each request; an element for each of its items."""
    subgraph, answers = request["subgraph"] or {"nodes": [], "edges": []}, []
    nodes = {node["id"]: node for node in subgraph["nodes"]}
    topk = request["data"]["globalParameters"].get("topk") or 1
    for item in request["data"]["nodes"]:
        node = nodes.get(item["nodeId"])
        if node is None:
            answers.append({"error": {"code": "UnknownNode", "message": "The subgraph has no such node."}})
            continue
        ends = [edge["to"] if edge["from"] == node["id"] else edge["from"] for edge in subgraph["edges"]
                if node["id"] in (edge["from"], edge["to"])]
        scores = model.scores(node, [model.rows[end] for end in ends if end in model.rows])
        best = scores.argsort(descending=True)[:topk].tolist()
        answers.append([{"class": model.graph.classes[i], "score": scores[i].item()} for i in best])
    return answers
