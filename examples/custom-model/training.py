"""Trains GraphSAGE on a processed graph and keeps the model that is best on the validation part."""

import argparse
import os
from pathlib import Path

import torch
from model import GraphSage, inputs
from torch.nn import functional as F

from despina.learn.tensors import load


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--epochs", type=int, default=100)
    for name in ("--task", "--model", "--name", "--target_ntype", "--property"):  # what Neptune ML adds
        parser.add_argument(name)
    train(parser.parse_args())


def train(given):
    torch.manual_seed(0)
    graph = load(os.environ["SM_CHANNEL_TRAIN"])
    kind = given.target_ntype
    labels, training, validation = graph.labels[kind], graph.train[kind], graph.valid[kind]
    features, neighbours = inputs(graph, kind)
    model = GraphSage(len(labels), features.shape[1], given.hidden_size, len(graph.classes))
    optimiser, best = torch.optim.Adam(model.parameters(), lr=given.lr), -1.0
    for epoch in range(given.epochs):
        loss = F.cross_entropy(model(features, neighbours)[training], labels[training])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            accuracy = (model(features, neighbours)[validation].argmax(dim=1) == labels[validation]).float().mean().item()
        if accuracy > best:
            best = accuracy
            torch.save(model.state_dict(), Path(os.environ["SM_MODEL_DIR"]) / "model.pt")
            print(f"epoch {epoch}: loss {loss.item():.4f}, validation accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
