"""Training one model: one trial of a training job."""

import logging
import shutil
from typing import Any

import msgspec

from despina.core.hyperparameters import TrialResult
from despina.core.job import TrainWork
from despina.core.location import Location
from despina.learn import checkpoint, configuration
from despina.learn.hyperparameters import read_parameters, write_parameters
from despina.learn.predictor import predict_graph
from despina.learn.trainer import train
from despina.programs.context import Context
from despina.programs.inputs import processed_graph
from despina.programs.outputs import write_metrics

log = logging.getLogger(__name__)


def run(work: TrainWork, context: Context) -> dict[str, Any]:
    """Train on the graph at ``work.processed`` and put the model at ``work.output``. Returns a ``TrialResult``.

    Raises:
        WorkFailed: the processed data, the hyperparameter file or a parameter is wrong, or asks for what this version cannot train,
            or training diverged.
        ArtifactError: a location cannot be read or written.
    """
    folder, graph = processed_graph(context, work.processed)
    configuration.check_offered(graph.target.task)
    of_file = configuration.load(folder)
    configuration.check_target(of_file, graph.target)
    evaluation = of_file.evaluation
    given = read_parameters(work.parameters or {})
    log.info("training on %d nodes and %d edges: %s", sum(graph.node_counts.values()),
             sum(len(csr.indices) for csr in graph.edges.values()) // 2, write_parameters(given))
    context.report(0, given.num_epochs, "epoch", metric=evaluation.metric)
    trained = train(graph, given, evaluation, on_epoch=lambda epoch, value, best: context.report(
        epoch, given.num_epochs, "epoch", metric=evaluation.metric, value=value, best=best))
    out = context.folder / "out"
    out.mkdir()
    checkpoint.save(out, trained.model, checkpoint.Description(
        hyperparameters=write_parameters(given), evaluation=evaluation, epoch=trained.epoch, value=trained.value,
        shape=trained.shape))
    write_metrics(out, graph, predict_graph(trained.model, graph, given), topk=evaluation.topk)
    context.store.put(out, Location.parse(work.output))
    shutil.rmtree(out)
    result: dict[str, Any] = msgspec.to_builtins(TrialResult(objective=trained.value, epoch=trained.epoch))
    return result
