"""Writes the embeddings, predictions and metrics of the best model, as Neptune ML's tools read them."""

import json
import os
from pathlib import Path

import torch
from model import GraphSage, inputs

from despina.learn.tensors import load
from despina.programs.saving import save_artifacts


def main():
    models, output = Path(os.environ["SM_MODEL_DIR"]), Path(os.environ["SM_OUTPUT_DIR"])
    given = json.loads((output / "tuning_job_details.json").read_text())["BestTrainingJob"]["TrainingJobParameters"]
    graph, kind = load(os.environ["SM_DATA_DIR"]), given["target_ntype"]
    features, neighbours = inputs(graph, kind)
    model = GraphSage(len(graph.labels[kind]), features.shape[1], given["hidden-size"], len(graph.classes))
    model.load_state_dict(torch.load(models / "model.pt", weights_only=True))
    with torch.no_grad():
        embeddings = model.embed(features, neighbours)
        scores = torch.softmax(model.out(embeddings), dim=1)
    save_artifacts(output, os.environ["SM_DATA_DIR"], embeddings={kind: embeddings}, predictions={kind: scores})
    for name, part in (("eval_metrics_info.json", graph.valid[kind]), ("test_metrics_info.json", graph.test[kind])):
        accuracy = (scores[part].argmax(dim=1) == graph.labels[kind][part]).float().mean().item()
        (output / name).write_text(json.dumps({"acc": accuracy}))


if __name__ == "__main__":
    main()
