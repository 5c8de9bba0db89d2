"""Computing the artefacts of a trained model: embeddings, predictions, metrics, and what tools need to read them."""

import logging
import shutil
from pathlib import Path
from typing import Any

import msgspec

from despina.core.job import TransformWork
from despina.core.location import Location
from despina.learn import checkpoint
from despina.learn.evaluation import evaluate
from despina.learn.incremental import carried_over, narrowed
from despina.learn.predictor import predict_graph
from despina.programs.context import Context
from despina.programs.inputs import processed_graph
from despina.programs.json_files import write_json
from despina.programs.outputs import write_artifacts, write_metrics
from despina.programs.training_report import FILE, TrainingReport

log = logging.getLogger(__name__)


def run(work: TransformWork, context: Context) -> dict[str, Any]:
    """Apply the model at ``work.model`` to the graph at ``work.processed`` and put the artefacts at ``work.output``.

    Returns:
        How many nodes or edges were ``predicted``, the ``metric`` of the job, and its value on the ``valid`` and ``test`` part.

    Raises:
        WorkFailed: there is no such graph or model, or they do not belong together.
        ArtifactError: a location cannot be read or written.
    """
    with context.stage("load"):
        _, graph = processed_graph(context, work.processed)
        trial = Path(context.store.get(Location.parse(work.model)))
        model, description = checkpoint.load(trial)
    if work.learned_from not in {None, work.processed}:
        _, before = processed_graph(context, work.learned_from or "")
        graph = narrowed(graph, description.shape.classes)
        model, description = carried_over(model, description, graph, before)
    description.shape.check(graph)
    context.report(0, 2, "file")
    with context.stage("predict"):
        predictions = predict_graph(model, graph, description.given, correction=description.correction)
    out = context.folder / "out"
    out.mkdir()
    write_artifacts(out, graph, predictions, model=description.model, gamma=getattr(description.given, "gamma", 0.0))
    with context.stage("evaluate"):
        measured = evaluate(model, graph, predictions, topk=description.evaluation.topk)
    write_metrics(out, measured)
    checkpoint.save(out, model, description)
    if (trial / FILE).is_file():
        report = msgspec.json.decode((trial / FILE).read_bytes(), type=TrainingReport)
        write_json(out / FILE, msgspec.structs.replace(report, trials=work.trials))
    context.report(1, 2, "file")
    with context.stage("put"):
        context.store.put(out, Location.parse(work.output))
    shutil.rmtree(out)
    context.report(2, 2, "file")
    metric = description.evaluation.metric
    values = {part: metrics[metric] for part, metrics in measured.items()}
    log.info("%s: %s", metric, values)
    return {"predicted": sum(map(len, predictions.values.values())), "metric": metric, **values}
