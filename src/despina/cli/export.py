"""``despina export mlflow JOB``: a training job as runs of MLflow, one for the job and below it one for each trial.

What there is already is found by the tag ``KEY`` and brought up to date, so that a job may be exported while it runs, and again.
"""

import argparse
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from despina.artifacts import open_artifacts
from despina.cli import exits
from despina.cli.client import Client, role_option, server_options
from despina.cli.parsing import add_verb, add_verbs
from despina.core.errors import ArtifactError, DespinaError
from despina.core.location import Location
from despina.core.ports import ArtifactStore

KEY = "despina.key"
"""The tag that says what a run of MLflow is of."""
MOST = 1000
"""Metrics in one request (MLflow REST API, "Log Batch")."""
_STATES = {"InProgress": "RUNNING", "Stopping": "RUNNING", "Completed": "FINISHED", "Stopped": "KILLED", "Failed": "FAILED",
           "pending": "SCHEDULED", "running": "RUNNING", "succeeded": "FINISHED", "stopped": "KILLED", "failed": "FAILED",
           "lost": "FAILED"}

Point = tuple[str, float, int, int]
"""A metric's name, value, time (ms) and step."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs to the ``export`` command."""
    mlflow = add_verb(add_verbs(parser), "mlflow", "export a training job's trials, parameters, curves and metrics to MLflow",
                      parents=[server_options()], example="despina export mlflow tr --tracking-uri http://127.0.0.1:5000",
                      description="Export a training job to MLflow: a run for the job, and below it one for each trial. What was "
                                  "exported before is brought up to date.")
    mlflow.add_argument("id", metavar="ID", help="the training job's id")
    mlflow.add_argument("--tracking-uri", required=True, metavar="URI", help="http://host:5000, or sqlite:///mlflow.db")
    mlflow.add_argument("--experiment", default="despina", metavar="NAME", help="the experiment, made if it is missing (despina)")
    mlflow.add_argument("--data-dir", metavar="DIR", help="where the server keeps artefacts that are on no S3 server "
                                                          "(./despina-data)")
    role_option(mlflow)
    mlflow.set_defaults(perform=_mlflow)


def _mlflow(options: argparse.Namespace) -> int:
    job = Client.of(options).call("GET", "ml", "modeltraining", options.id, query={"details": "true"})
    data = Path(options.data_dir or os.environ.get("DESPINA_DATA_DIR") or "despina-data").absolute()
    store = open_artifacts(None if os.environ.get("DESPINA_S3_FOLDER") else data / "s3", cache=data / "cache")
    experiment = _Experiment(options.tracking_uri, options.experiment)
    try:
        above = experiment.export_job(job)
        trials = [run for run in job["details"]["runs"] if run["kind"] == "trial"]
        reports = [_report(job, trial, store) for trial in trials]
        for trial, report in zip(trials, reports, strict=True):
            experiment.export_trial(job, trial, report, above)
    except experiment.errors as error:
        raise DespinaError(f"MLflow at {options.tracking_uri}: {error}") from None
    told = sum(report is not None for report in reports)
    answer = {"experiment": options.experiment, "run": above, "trials": len(trials), "curves": told}
    print(json.dumps(answer) if options.json else
          f"{len(trials)} trials, {told} with curves, are in the experiment '{options.experiment}' under the run {above}")
    return exits.DONE


def _report(job: Mapping[str, Any], trial: Mapping[str, Any], store: ArtifactStore) -> dict[str, Any] | None:
    """The ``training-report.json`` of a trial; None while there is none, and of models that write none."""
    if trial["state"] != "succeeded":
        return None
    place = Location.parse(job["details"]["prefix"]) / "trials" / trial["name"]
    try:
        report: dict[str, Any] = json.loads(Path(store.get(place / "training-report.json")).read_bytes())
    except ArtifactError as error:
        raise DespinaError(f"The report of the trial {trial['name']} cannot be read: {error} (--data-dir must be the server's, or "
                           "AWS_ENDPOINT_URL_S3 its S3 server.)") from None
    return report


class _Experiment:
    """An experiment of MLflow."""

    def __init__(self, uri: str, name: str) -> None:
        # MLflow would tell its makers who uses what of it.
        os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise DespinaError("To export to MLflow its client must be installed: pip install 'despina[mlflow]'.") from None
        self.errors: type[Exception] = MlflowException
        try:
            self._client = MlflowClient(uri)
            known = self._client.get_experiment_by_name(name)
            self._id: str = known.experiment_id if known else self._client.create_experiment(name)
        except MlflowException as error:
            raise DespinaError(f"MLflow at {uri} cannot be used: {error}. It must be the URI of a tracking server, as "
                               "http://127.0.0.1:5000, or of a database, as sqlite:///mlflow.db.") from None

    def export_job(self, job: Mapping[str, Any]) -> str:
        """Bring the run of a job up to date; its id."""
        details = job["details"]
        ended = [run["finishedAt"] for run in details["runs"] if run.get("finishedAt")]
        key = f"modeltraining/{job['id']}/{details['createdAt']}"
        tags = {"despina.kind": "modeltraining", "despina.job": job["id"], "despina.status": job["status"],
                "despina.output": job.get("processingJob", {}).get("outputLocation"), "despina.prefix": details["prefix"],
                "despina.started_by": details.get("startedBy"), "despina.failure_reason": details.get("failureReason"),
                "despina.model": ", ".join(model["name"] for model in job.get("mlModels", []))}
        run_id = self._run(key, job["id"], details["createdAt"], tags)
        self._end(run_id, job["status"], max(ended, default=None))
        return run_id

    def export_trial(self, job: Mapping[str, Any], trial: Mapping[str, Any], report: Mapping[str, Any] | None, above: str) -> None:
        """Bring the run of a trial up to date, below that of its job."""
        began = trial.get("startedAt") or job["details"]["createdAt"]
        tags = {"mlflow.parentRunId": above, "despina.kind": "trial", "despina.job": job["id"], "despina.state": trial["state"],
                "despina.attempt": str(trial["attempt"]), "despina.output": f"{job['details']['prefix']}/trials/{trial['name']}",
                "despina.failure_reason": trial.get("failureReason"), **({} if report is None else {
                    "despina.task": report["task"], "despina.model": report["model"], "despina.ended": report["ended"]})}
        # A trial that is tried again has another name, and is the same trial.
        key = f"modeltraining/{job['id']}/{job['details']['createdAt']}/trial/{trial['number']}"
        run_id = self._run(key, trial["name"], began, tags)
        parameters = {**(trial.get("parameters") or {}), **(report["hyperparameters"] if report else {})}
        self._log_parameters(run_id, {name: _text(value) for name, value in parameters.items()})
        self._log_metrics(run_id, _points(trial, report))
        self._end(run_id, trial["state"], trial.get("finishedAt"))

    def _run(self, key: str, name: str, began: int, tags: Mapping[str, str | None]) -> str:
        from mlflow.entities import RunTag

        given = {name: value for name, value in tags.items() if value}
        found = self._client.search_runs([self._id], filter_string=f"tags.`{KEY}` = '{key}'", max_results=1)
        if not found:
            return str(self._client.create_run(self._id, start_time=began, run_name=name, tags={KEY: key, **given}).info.run_id)
        run_id = str(found[0].info.run_id)
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in given.items()])
        self._client.update_run(run_id, name=name)
        return run_id

    def _log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """MLflow never changes a parameter. What a training had to change (the batch, for lack of memory) is a tag beside it."""
        from mlflow.entities import Param, RunTag

        known = self._client.get_run(run_id).data.params
        new = [Param(name, value) for name, value in parameters.items() if name not in known]
        changed = [RunTag(f"despina.changed.{name}", value) for name, value in parameters.items()
                   if known.get(name, value) != value]
        self._client.log_batch(run_id, params=new, tags=changed)

    def _log_metrics(self, run_id: str, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        known = {name: {point.step for point in self._client.get_metric_history(run_id, name)}
                 for name in {name for name, _, _, _ in points}}
        new = [Metric(name, value, at, step) for name, value, at, step in points
               if step not in known[name] and math.isfinite(value)]
        for start in range(0, len(new), MOST):
            self._client.log_batch(run_id, metrics=new[start:start + MOST])

    def _end(self, run_id: str, state: str, at: int | None) -> None:
        status = _STATES[state]
        if status in {"RUNNING", "SCHEDULED"}:
            self._client.update_run(run_id, status=status)
        else:
            self._client.set_terminated(run_id, status, at)


def _points(trial: Mapping[str, Any], report: Mapping[str, Any] | None) -> list[Point]:
    """The curves by epoch, and at the epoch that was kept all metrics of the model."""
    objective = trial.get("objective")
    if report is None:
        return [] if objective is None else [("objective", float(objective), trial["finishedAt"], 0)]
    curve, ended, metric = report["curve"], trial["finishedAt"], f"valid/{report['metric'].replace('@', '_at_')}"
    last = curve[-1]["seconds"] if curve else 0.0
    points: list[Point] = []
    for epoch in curve:
        at = ended - round((last - epoch["seconds"]) * 1000)
        points.append(("train/loss", epoch["loss"], at, epoch["epoch"]))
        if epoch["value"] is not None:
            points.append((metric, epoch["value"], at, epoch["epoch"]))
    kept = report["epoch"]
    # MLflow has no '@' in names, as hits@10 has.
    points += [(f"model/{part}/{name.replace('@', '_at_')}", float(value), ended, kept)
               for part, metrics in report["metrics"].items() for name, value in metrics.items() if _is_number(value)]
    return [*points, ("objective", report["value"], ended, kept)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
