"""Training one model: one trial of a training job."""

import logging
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from despina.core.errors import ArtifactError
from despina.core.hyperparameters import TrialResult
from despina.core.job import TrainWork
from despina.core.location import Location
from despina.learn import checkpoint, configuration
from despina.learn.evaluation import evaluate
from despina.learn.hyperparameters import parameters_of, read_parameters, write_parameters
from despina.learn.models import GraphShape
from despina.learn.predictor import predict_graph
from despina.learn.residuals import choose_strength, is_for
from despina.learn.resume import TrainingState
from despina.learn.tasks import objective_of
from despina.learn.trainer import train
from despina.programs.context import Context
from despina.programs.inputs import processed_graph
from despina.programs.json_files import write_json
from despina.programs.outputs import write_metrics
from despina.programs.training_report import FILE, training_report

log = logging.getLogger(__name__)

STATE = "state"
"""The subfolder of the output with the state of a training that goes on."""
SEED = 0
"""Of all random numbers: the same trial on the same machine gives the same model."""


def run(work: TrainWork, context: Context) -> dict[str, Any]:
    """Train on the graph at ``work.processed`` and put the model at ``work.output``. Returns a ``TrialResult``.

    Raises:
        WorkFailed: the processed data, the hyperparameter file or a parameter is wrong, or asks for what this version cannot train,
            or training diverged.
        ArtifactError: a location cannot be read or written.
    """
    begun = time.monotonic()
    folder, graph = processed_graph(context, work.processed)
    of_file = configuration.load(folder)
    configuration.check_target(of_file, graph.target)
    evaluation = of_file.evaluation
    given = read_parameters(work.parameters or {}, parameters_of(of_file.model, of_file.task))
    log.info("training on %d nodes and %d edges: %s", sum(graph.node_counts.values()),
             sum(len(csr.indices) for csr in graph.edges.values()) // 2, write_parameters(given))
    context.report(0, given.num_epochs, "epoch", metric=evaluation.metric)
    objective = objective_of(graph, of_file.model, given, evaluation, seed=SEED)
    loaded = time.monotonic()
    state = Location.parse(work.output) / STATE
    trained = train(
        objective, given, evaluation, keep=lambda kept: _keep(kept, context, state), kept=_kept(work, context),
        on_epoch=lambda epoch, value, best: context.report(epoch, given.num_epochs, "epoch", metric=evaluation.metric, value=value,
                                                           best=best))
    ended = time.monotonic()
    predictions, correction = predict_graph(objective.model, graph, given), 0.0
    if is_for(graph):
        correction = choose_strength(graph, predictions.values[graph.target.node_type], evaluation)
        predictions = predict_graph(objective.model, graph, given, correction=correction)
    measured = evaluate(objective.model, graph, predictions, topk=evaluation.topk)
    value = float(measured["valid"][evaluation.metric]) if correction else trained.value
    out = context.folder / "out"
    out.mkdir()
    checkpoint.save(out, objective.model, checkpoint.Description(
        model=of_file.model, hyperparameters=write_parameters(given), evaluation=evaluation, correction=correction,
        epoch=trained.epoch, value=value, shape=GraphShape.of(graph)))
    write_metrics(out, measured)
    write_json(out / FILE, training_report(
        graph, trained, value=value, correction=correction, model=of_file.model, metric=evaluation.metric, metrics=measured,
        hyperparameters=write_parameters(given), seed=SEED,
        seconds={"load": loaded - begun, "train": ended - loaded, "evaluate": time.monotonic() - ended}))
    context.store.put(out, Location.parse(work.output))
    shutil.rmtree(out)
    context.store.delete(state)
    result: dict[str, Any] = msgspec.to_builtins(TrialResult(objective=value, epoch=trained.epoch))
    return result


def _keep(kept: TrainingState, context: Context, location: Location) -> None:
    with TemporaryDirectory(dir=context.folder) as folder:
        kept.save(Path(folder))
        context.store.put(Path(folder), location)


def _kept(work: TrainWork, context: Context) -> TrainingState | None:
    """The newest state that an earlier attempt at this training has kept."""
    for output in work.attempts:
        try:
            folder = Path(context.store.get(Location.parse(output) / STATE))
        except ArtifactError:
            continue  # it was lost before it kept any
        state = TrainingState.load(folder)
        if state is not None:
            return state
    return None
