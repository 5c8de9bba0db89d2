"""Trainings that workers do together: ``python -m tests.unit.learn.two_workers PORT RANK COUNT FOLDER``.

Without dropout, and with all neighbours, nothing is drawn by one worker alone: what comes of it has to be what one worker makes.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file
from tests.unit.learn.graphs import communities, fan_clubs, numbers_of_users, ratings

from despina.core.task import Task
from despina.graph.graph import Graph
from despina.learn.configuration import Evaluation
from despina.learn.gradients import add_up
from despina.learn.hyperparameters import parameters_of, read_parameters
from despina.learn.resume import TrainingState
from despina.learn.tasks import AnyObjective, objective_of
from despina.learn.trainer import train
from despina.learn.workers import Workers, find, join, leave

COUNT = 2
EPOCHS = 3
COMMON: dict[str, Any] = {"num-hidden": 8, "num-epochs": EPOCHS, "enable-early-stop": False}
EXACT: dict[str, Any] = COMMON | {"dropout": 0.0, "fanout": [1000], "batch-size": 10}
TABLE: dict[str, Any] = COMMON | {"batch-size": 64, "num-negs": 16, "gamma": 6.0}
ACCURACY, ERROR, RANKS = (Evaluation(metric=metric) for metric in ("acc", "mse", "mrr"))
CASES: dict[str, tuple[Graph, str, dict[str, Any], Evaluation]] = {
    "classes": (communities(hot=True), "rgcn", EXACT | {"use-class-weight": True}, ACCURACY),  # the last of 31 is a batch by itself
    "classes, several": (communities(multilabel=True), "rgcn", EXACT | {"use-class-weight": True}, Evaluation(metric="F1")),
    "numbers": (numbers_of_users(), "rgcn", EXACT, ERROR),
    "classes of edges": (ratings(Task.EDGE_CLASS), "rgcn", EXACT | {"batch-size": 200, "use-edge-features": True}, ACCURACY),
    "links": (fan_clubs(), "rgcn", EXACT | {"batch-size": 64, "num-negs": 8}, RANKS),
    "links, own negatives": (fan_clubs(), "rgcn", EXACT | {"batch-size": 64, "num-negs": 8, "neg-share": False}, RANKS),
    "whole": (communities(), "rgcn", EXACT | {"batch-size": 128}, ACCURACY),
    "distmult": (fan_clubs(), "distmult", TABLE, RANKS),
    "complex": (fan_clubs(), "complex", TABLE | {"relation-prediction-coef": 0.5}, RANKS),
    "transe": (fan_clubs(), "transe", TABLE, RANKS),
    "rotate": (fan_clubs(), "rotate", TABLE | {"neg-share": False}, RANKS),
}
SHARDED = ("distmult", "complex", "transe", "rotate")


def trained(name: str, workers: Workers, *, kept: TrainingState | None = None, keep: Path | None = None) -> dict[str, Any]:
    """The model that comes of a case, and the points of its curve."""
    graph, model, parameters, evaluation = CASES[name]
    given = read_parameters(parameters, parameters_of(model, graph.target.task))
    objective = objective_of(graph, model, given, evaluation, seed=0, workers=workers)
    gradients = _gradients(objective)
    result = train(objective, given, evaluation, on_epoch=lambda *_: None, kept=kept,
                   keep=(lambda state: _keep(state, keep)) if keep else None)
    return {"curve": [[point.loss, point.value] for point in result.curve], "value": result.value, "epoch": result.epoch,
            "model": {name: weights.clone() for name, weights in objective.model.state_dict().items()} | {
                f"gradient of {name}": gradient for name, gradient in gradients.items()}}


def _gradients(objective: AnyObjective) -> dict[str, torch.Tensor]:
    """Of the first step, all workers' together; afterwards they are forgotten."""
    objective.begin(1)
    loss = next(objective.steps())()
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    add_up(objective.workers, objective.shared)
    found = {name: parameter.grad.to_dense().clone() for name, parameter in objective.model.named_parameters()
             if parameter.grad is not None}
    objective.model.zero_grad()
    return found


def _keep(state: TrainingState, folder: Path) -> None:
    if len(state.progress.curve) == 1:  # the time that keeping takes decides about later ones
        state.save(folder)


def main(port: int, rank: int, count: int, folder: Path) -> None:
    torch.set_num_threads(1)
    workers = join(find("127.0.0.1", port), rank=rank, count=count)
    found = {}
    for name in CASES:
        made = trained(name, workers)
        save_file(made.pop("model"), folder / f"{name}-{rank}.safetensors")
        found[name] = made
    # The first worker alone knows the state to go on from.
    kept = TrainingState.load(folder) if workers.is_first else None
    made = trained("classes", workers, kept=kept)
    save_file(made.pop("model"), folder / f"resumed-{rank}.safetensors")
    found["resumed"] = made
    (folder / f"{rank}.json").write_bytes(msgspec.json.encode(found))
    leave()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
