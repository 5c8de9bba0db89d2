"""A user's own model: running the training and transform scripts of ``customModelTrainingParameters``.

Source: Neptune user guide, "Custom models in Neptune ML", and neptuneml-toolkit (``train_utils.py``, ``transform_utils.py``), which
says what scripts find in their environment. Design page 13 has what is ours.
"""

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from despina.core.errors import WorkFailed
from despina.core.hyperparameters import End, TrialResult
from despina.core.job import CustomCode, ParameterValue, StrategyWork, TrainWork, TransformWork
from despina.core.location import Location
from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType, Target
from despina.learn import custom_configuration
from despina.programs.context import Context
from despina.programs.course import Course
from despina.programs.inputs import processed_graph
from despina.programs.json_files import write_json
from despina.programs.scripts import Scripts

log = logging.getLogger(__name__)

REPORT = "training-report.json"
DETAILS = "tuning_job_details.json"
MEMORY_MIB = 1024
"""Set aside for a script, beside what the graph takes on disk twice over: nobody knows what it needs."""


def run(work: StrategyWork | TrainWork | TransformWork, context: Context) -> dict[str, Any]:
    """Do the part of a training job with a user's own model that this work is."""
    assert work.custom is not None  # noqa: S101 - the caller has looked
    # What was made for the scripts goes when they have ended: an environment may have gigabytes.
    with TemporaryDirectory(dir=context.folder, ignore_cleanup_errors=True) as room:
        context = replace(context, folder=Path(room))
        match work:
            case StrategyWork():
                return strategy(work, work.custom, context)
            case TrainWork():
                return train(work, work.custom, context)
            case TransformWork():
                return transform(work, work.custom, context)


def strategy(work: StrategyWork, code: CustomCode, context: Context) -> dict[str, Any]:
    """Read the hyperparameter file beside the scripts. Returns a ``Strategy``.

    Raises:
        WorkFailed: a script or the file is missing, or the file is wrong.
        ArtifactError: a location cannot be read.
    """
    source = Path(context.store.get(Location.parse(code.source)))
    for name, member in ((code.training, "trainingEntryPointScript"), (code.transform, "transformEntryPointScript")):
        if not (source / name).is_file():
            raise InputFault(Fault.MISSING_FILE, f"there is no file {name} at {code.source}, the sourceS3DirectoryPath; {member} "
                                                 "names it")
    given = custom_configuration.load(source, code.source)
    folder, _ = processed_graph(context, work.processed)
    size = sum(path.stat().st_size for path in (folder / "graph").rglob("*") if path.is_file())
    result: dict[str, Any] = msgspec.to_builtins(given.strategy(work.trials, memory_mib=MEMORY_MIB + 2 * size // 2**20))
    return result


def train(work: TrainWork, code: CustomCode, context: Context) -> dict[str, Any]:
    """Run the training script and put what it left in its model folder at ``work.output``. Returns a ``TrialResult``.

    Raises:
        WorkFailed: the requirements cannot be installed, the script failed, it never told the metric, or it left no model.
        ArtifactError: a location cannot be read or written.
    """
    source = Path(context.store.get(Location.parse(code.source)))
    given = custom_configuration.load(source, code.source)
    processed, graph = processed_graph(context, work.processed)
    model = context.folder / "model"
    model.mkdir()
    data = _linked(processed, context)
    scripts = Scripts.prepare(source, context.folder, read=[processed], write=[data, model])
    course = Course(context, epochs=0, metric=given.metric, until=work.until)
    values: list[float] = []

    def heard(line: str) -> None:
        value = given.last_value([line])
        if value is not None:
            values.append(value)
            course.epoch(len(values), value, max(values) if given.maximize else min(values))
        course.step()

    whole = scripts.run(code.training, arguments(work.parameters or {}, graph.target), heard=heard, until=work.until,
                        variables={"SM_CHANNEL_TRAIN": str(data), "SM_MODEL_DIR": str(model)})
    if not values:
        raise WorkFailed(f"{code.training} never printed the metric {given.metric}: nothing in its output matches the Regex "
                         f"'{given.pattern}' with a number in its first group")
    if not any(model.iterdir()):
        raise WorkFailed(f"{code.training} left no model: it has to write one into the folder that the environment variable "
                         "SM_MODEL_DIR names, which takes the place of Neptune ML's /opt/ml/checkpoints")
    # A file of ours in a folder of ours: in the script's a link could stand under its name.
    report = context.folder / "report"
    report.mkdir()
    write_json(report / REPORT, {"model": "custom", "metric": given.metric, "value": values[-1], "values": values,
                                 "hyperparameters": work.parameters})
    for folder in (model, report):
        context.store.put(folder, Location.parse(work.output))
    result: dict[str, Any] = msgspec.to_builtins(TrialResult(objective=values[-1], epoch=len(values),
                                                             ended=End.EPOCHS if whole else End.TIME))
    return result


def transform(work: TransformWork, code: CustomCode, context: Context) -> dict[str, Any]:
    """Run the transform script, and put what it left in its model and output folders at ``work.output``.

    Raises:
        WorkFailed: the requirements cannot be installed, or the script failed.
        ArtifactError: a location cannot be read or written.
    """
    source = Path(context.store.get(Location.parse(code.source)))
    processed, graph = processed_graph(context, work.processed)
    model, output = context.folder / "model", context.folder / "output"
    shutil.copytree(context.store.get(Location.parse(work.model)), model)
    output.mkdir()
    # Both spellings of a name: scripts of the toolkit ask for it with underscores.
    parameters = dict(work.parameters or {})
    told = {name.replace("-", "_"): value for name, value in parameters.items()} | parameters | internal(graph.target)
    write_json(output / DETAILS, {"BestTrainingJob": {"TrainingJobParameters": told}})
    report = msgspec.json.decode((model / REPORT).read_bytes())
    write_json(model / REPORT, report | {"trials": work.trials})
    context.report(0, 1, "script")
    data = _linked(processed, context)
    Scripts.prepare(source, context.folder, read=[processed], write=[data, model, output]).run(
        code.transform, [], heard=lambda _: None, until=None,
        variables={"SM_DATA_DIR": str(data), "SM_MODEL_DIR": str(model), "SM_OUTPUT_DIR": str(output)})
    # The store refuses links: what they point at need not be the script's to show.
    for folder in (model, output):
        context.store.put(folder, Location.parse(work.output))
    context.report(1, 1, "script")
    return {"metric": report["metric"], "valid": report["value"]}


def _linked(processed: Path, context: Context) -> Path:
    """A folder of the run's own with links to the files of the processed data: other jobs read those, and must not find what a
    script puts beside them.
    """
    folder = context.folder / "data"
    shutil.copytree(processed.absolute(), folder, copy_function=os.symlink)
    return folder


def arguments(parameters: dict[str, ParameterValue], target: Target) -> list[str]:
    """The command line of a training script: hyperparameters by their names in the file, then what Neptune ML adds.

    Booleans are ``True`` and ``False``, lists are JSON.
    """
    told: dict[str, Any] = parameters | internal(target)
    return [word for name, value in told.items()
            for word in (f"--{name}", msgspec.json.encode(value).decode() if isinstance(value, list) else str(value))]


def internal(target: Target) -> dict[str, str]:
    """What Neptune ML tells a script beside its hyperparameters.

    The form of an edge type is not documented; ours has commas, and semicolons between several types.
    """
    told = {"task": str(target.task), "model": "custom", "name": f"{target.task}-custom"}
    if target.task is Task.LINK_PREDICT:
        return told
    types = [",".join(kind) for kind in target.by_type if isinstance(kind, EdgeType)]
    named = {"target_etype": ";".join(types)} if types else {"target_ntype": target.node_type}
    return told | named | {"property": target.property_name}
