"""Training one model: one trial of a training job."""

import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from despina.core.errors import WorkFailed
from despina.core.hyperparameters import TrialResult
from despina.core.job import Earlier, TrainWork
from despina.core.location import Location
from despina.core.pruning import running_averages
from despina.graph.graph import Graph
from despina.learn import checkpoint, configuration
from despina.learn.backoff import halved, is_out_of_memory
from despina.learn.configuration import Configuration
from despina.learn.correction import choose
from despina.learn.evaluation import evaluate
from despina.learn.hyperparameters import (
    Parameters,
    computed_at_once,
    parameters_of,
    read_parameters,
    workers_for,
    write_parameters,
)
from despina.learn.models import GraphShape
from despina.learn.predictor import predict_graph
from despina.learn.resume import Epoch
from despina.learn.sharded import ShardedEmbedding
from despina.learn.tasks import AnyObjective, objective_of
from despina.learn.trainer import OnEpoch, Trained, train
from despina.learn.warm_start import WarmStart, begin_with
from despina.learn.workers import find, join, leave
from despina.programs.context import Context
from despina.programs.course import Course
from despina.programs.event_file import write_events
from despina.programs.inputs import processed_graph
from despina.programs.json_files import write_json
from despina.programs.outputs import write_metrics
from despina.programs.peers import Order, together
from despina.programs.states import STATE, PartStates, keep, kept
from despina.programs.training_report import FILE, training_report

log = logging.getLogger(__name__)

Metrics = dict[str, dict[str, Any]]
OUT = "out"
"""The subfolder of the run's own with what becomes the output."""
SEED = 0
"""Of all random numbers: the same trial on the same machine gives the same model."""
_Trained = tuple[AnyObjective, Parameters, WarmStart | None, Trained, Metrics | None]
"""The last are the metrics of a model that is divided, which is not there any more as a whole; its weights are in ``out``."""


def run(work: TrainWork, context: Context) -> dict[str, Any]:
    """Train on the graph at ``work.processed`` and put the model at ``work.output``. Returns a ``TrialResult``.

    Raises:
        WorkFailed: the processed data, the hyperparameter file or a parameter is wrong, or asks for what this version cannot train,
            or training diverged, or there is not enough memory for the smallest batch.
        ArtifactError: a location cannot be read or written.
    """
    begun = time.monotonic()
    with context.stage("load"):
        folder, graph = processed_graph(context, work.processed)
    of_file = configuration.load(folder)
    configuration.check_target(of_file, graph.target)
    given = read_parameters(work.parameters or {}, parameters_of(of_file.model, of_file.task))
    for _ in range(work.halvings):
        given = halved(graph, given)
    loaded = time.monotonic()
    out = context.folder / OUT
    out.mkdir()
    with context.stage("train"):
        objective, given, warm_start, trained, measured = _trained(graph, of_file, given, work, context)
    ended, correction, value = time.monotonic(), 0.0, trained.value
    if measured is None:
        with context.stage("evaluate"):
            correction, measured = _measured(objective, graph, given, of_file)
        value = float(measured["valid"][of_file.evaluation.metric]) if correction or not computed_at_once(graph) else trained.value
    description = checkpoint.Description(
        model=of_file.model, hyperparameters=write_parameters(given), evaluation=of_file.evaluation, correction=correction,
        epoch=trained.epoch, value=value, shape=GraphShape.of(graph))
    if isinstance(objective, ShardedEmbedding):
        checkpoint.describe(out, description)
    else:
        checkpoint.save(out, objective.model, description)
    write_metrics(out, measured)
    write_events(out, trained.curve, of_file.evaluation.metric, parameters=write_parameters(given),
                 seconds_ago=time.monotonic() - ended)
    write_json(out / FILE, training_report(
        graph, trained, value=value, correction=correction, model=of_file.model, metric=of_file.evaluation.metric, metrics=measured,
        hyperparameters=write_parameters(given), seed=SEED, warm_start=warm_start,
        instance_count=workers_for(graph, given, work.instance_count),
        seconds={"load": loaded - begun, "train": ended - loaded, "evaluate": time.monotonic() - ended}))
    with context.stage("put"):
        context.store.put(out, Location.parse(work.output))
    shutil.rmtree(out)
    context.store.delete(Location.parse(work.output) / STATE)
    result: dict[str, Any] = msgspec.to_builtins(TrialResult(
        objective=value, epoch=trained.epoch, ended=trained.ended,
        averages=running_averages([epoch.value for epoch in trained.curve])))
    return result


def _measured(objective: AnyObjective, graph: Graph, given: Parameters, of_file: Configuration) -> tuple[float, Metrics]:
    """By how much the model's predictions are corrected, and how good they are then."""
    predictions = predict_graph(objective.model, graph, given)
    correction, values = choose(graph, predictions.values, of_file.evaluation)
    return correction, evaluate(objective.model, graph, replace(predictions, values=values), topk=of_file.evaluation.topk)


def _trained(graph: Graph, of_file: Configuration, given: Parameters, work: TrainWork, context: Context) -> _Trained:
    """Train, with half the batch each time that there is not enough memory. Goes on from the newest state that was kept."""
    log.info("training on %d nodes and %d edges", sum(graph.node_counts.values()),
             sum(len(csr.indices) for csr in graph.edges.values()) // 2)
    outputs = work.attempts
    while True:
        try:
            return _attempt(graph, of_file, given, work, context, outputs=outputs)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Here the error is gone, and with its traceback everything that the step held.
        given, outputs = halved(graph, given), (work.output, *work.attempts)
        log.warning("out of memory: going on with batch-size %d", given.batch_size)


def _attempt(graph: Graph, of_file: Configuration, given: Parameters, work: TrainWork, context: Context, *,
             outputs: tuple[str, ...]) -> _Trained:
    log.info("hyperparameters: %s", write_parameters(given))
    course = Course(context, epochs=given.num_epochs, metric=of_file.evaluation.metric, until=work.until)
    shared = msgspec.structs.replace(work, parameters=write_parameters(given), halvings=0, attempts=outputs)
    count = workers_for(graph, given, work.instance_count)
    if count < work.instance_count:
        log.warning("one worker trains, though instance_count is %d: an epoch is one step over the whole graph, which "
                    "several would not speed up; a batch-size below the training nodes or edges divides it", work.instance_count)
    with together(shared, context, count=count) as workers:
        objective = objective_of(graph, of_file.model, given, of_file.evaluation, seed=SEED, workers=workers)
        if isinstance(objective, ShardedEmbedding):
            trained, metrics = _train_part(objective, of_file, shared, context, course=course)
            course.end()
            return objective, given, None, trained, metrics
        warm_start = _warm(objective, graph, work.earlier, context) if work.earlier else None
        trained = train(objective, given, of_file.evaluation, on_epoch=_told(course, objective.examples), on_step=course.step,
                        thresholds=work.thresholds, kept=kept(outputs, context),
                        keep=lambda state: keep(state, Location.parse(work.output) / STATE, context))
        course.end()
    return objective, given, warm_start, trained, None


def _train_part(objective: ShardedEmbedding, of_file: Configuration, work: TrainWork, context: Context, *,
                course: Course | None = None) -> tuple[Trained, Metrics]:
    """What each worker does for a model that is divided, up to its weights in the first one's ``out``, who alone has a course."""
    if work.earlier:
        raise WorkFailed("instance_count must be 1 for a knowledge-graph embedding that begins with the model of an earlier job: "
                         f"its table would have to be as a whole in one worker's memory, and {objective.workers.count} divide it")
    states = PartStates(objective.workers, work.output, context)
    trained = train(objective, objective.given, of_file.evaluation,
                    on_epoch=_told(course, objective.examples) if course else lambda *_: None,
                    on_step=course.step if course else lambda: False, thresholds=work.thresholds,
                    kept=states.kept(work.attempts), keep=states.keep)
    metrics = objective.evaluate()
    objective.save(context.folder / OUT / checkpoint.WEIGHTS if objective.workers.is_first else None)
    return trained, metrics


def _told(course: Course, examples: int) -> OnEpoch:
    """Tells the course of each epoch, which goes through so many examples."""
    last = 0.0

    def told(point: Epoch, best: float | None) -> None:
        nonlocal last
        took, last = point.seconds - last, point.seconds
        course.epoch(point.epoch, point.value, best, point.loss, round(examples / took, 1) if took > 0 else None)

    return told


def accompany(order: Order, context: Context) -> None:
    """Take part in a training as one of its other workers, to its end.

    Raises:
        WorkerLost: another worker does not answer any more.
    """
    workers = join(find(order.host, order.port), rank=order.rank, count=order.work.instance_count)
    folder, graph = processed_graph(context, order.work.processed)
    of_file = configuration.load(folder)
    given = read_parameters(order.work.parameters or {}, parameters_of(of_file.model, of_file.task))
    objective = objective_of(graph, of_file.model, given, of_file.evaluation, seed=SEED, workers=workers)
    if isinstance(objective, ShardedEmbedding):
        _train_part(objective, of_file, order.work, context)
    else:
        train(objective, given, of_file.evaluation, on_epoch=lambda *_: None, thresholds=order.work.thresholds)
    leave()


def _warm(objective: AnyObjective, graph: Graph, earlier: Earlier, context: Context) -> WarmStart:
    model, _ = checkpoint.load(Path(context.store.get(Location.parse(earlier.model))))
    _, before = processed_graph(context, earlier.processed)
    found = begin_with(objective.model, graph, model, before)
    log.info("warm start from %s: %s", earlier.model, found)
    return found

