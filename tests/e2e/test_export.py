"""A training job in MLflow, read back by MLflow's own client."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.serving import PATIENCE_SECONDS, Server

SCRIPT = """
import json, sys, warnings
from despina.cli import export, main
uri, before, *arguments = sys.argv[1:]
# as it was while it trained
job = json.loads(before)
experiment = export._Experiment(uri, "colours")
(trial,) = [run for run in job["details"]["runs"] if run["kind"] == "trial"]
experiment.export_trial(job, trial, None, experiment.export_job(job))
for _ in range(2):
    assert main(["export", "mlflow", "tr", "--tracking-uri", uri, "--experiment", "colours", *arguments]) == 0
from mlflow.tracking import MlflowClient
client = MlflowClient(uri)
experiment = client.get_experiment_by_name("colours")
print(json.dumps([
    {"id": run.info.run_id, "name": run.info.run_name, "status": run.info.status, "start": run.info.start_time,
     "end": run.info.end_time, "params": run.data.params, "tags": run.data.tags,
     "metrics": {name: [[point.step, point.value, point.timestamp] for point in client.get_metric_history(run.info.run_id, name)]
                 for name in run.data.metrics}}
    for run in client.search_runs([experiment.experiment_id])]))
"""


def test_a_training_job_is_exported_and_exported_again(start_server: Callable[..., Server], trained_data: Path,
                                                       tmp_path: Path) -> None:
    server = start_server(data=trained_data)
    before = server.details("modeltraining", "tr")
    before["status"], before["mlModels"] = "InProgress", []
    for run in before["details"]["runs"]:
        if run["kind"] == "trial":
            run["state"] = "running"
            del run["finishedAt"], run["objective"]
    arguments = [json.dumps(before), "--endpoint-url", server.url, "--data-dir", str(server.data_dir)]
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT, f"sqlite:///{tmp_path}/mlflow.db", *arguments],
                          cwd=tmp_path, text=True, capture_output=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second, found = done.stdout.strip().split("\n")
    assert first == second
    assert first.startswith("1 trials, 1 with curves, are in the experiment 'colours' under the run ")
    runs = {run["name"]: run for run in json.loads(found)}
    job = server.details("modeltraining", "tr")
    (trial,) = [run for run in job["details"]["runs"] if run["kind"] == "trial"]
    assert set(runs) == {"tr", trial["name"]}, "twice is once"

    above, below = runs["tr"], runs[trial["name"]]
    assert above["tags"]["despina.output"] == job["processingJob"]["outputLocation"]
    assert (above["tags"]["despina.job"], above["tags"]["despina.status"]) == ("tr", "Completed")
    assert (above["status"], above["start"]) == ("FINISHED", job["details"]["createdAt"])
    assert below["tags"]["mlflow.parentRunId"] == above["id"]
    place = f"{job['details']['prefix']}/trials/{trial['name']}"
    assert below["tags"]["despina.output"] == place
    assert (below["status"], below["start"], below["end"]) == ("FINISHED", trial["startedAt"], trial["finishedAt"])
    assert below["params"].items() >= {name: value if isinstance(value, str) else json.dumps(value)
                                       for name, value in trial["parameters"].items()}.items()

    report = json.loads((server.path(place) / "training-report.json").read_bytes())
    loss = sorted(below["metrics"]["train/loss"])
    assert [[step, value] for step, value, _ in loss] == [[point["epoch"], point["loss"]] for point in report["curve"]]
    assert [at for _, _, at in loss] == sorted(at for _, _, at in loss)
    assert loss[-1][2] == trial["finishedAt"]
    assert [[step, value] for step, value, _ in sorted(below["metrics"]["valid/acc"])] == [
        [point["epoch"], point["value"]] for point in report["curve"] if point["value"] is not None]
    assert below["metrics"]["model/test/acc"][0][:2] == [report["epoch"], report["metrics"]["test"]["acc"]]
    assert below["metrics"]["objective"][0][1] == trial["objective"]


def test_what_cannot_be_exported_is_said(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server()
    arguments = ["nobody", "--tracking-uri", "sqlite:///x.db", "--endpoint-url", server.url]
    done = subprocess.run([sys.executable, "-m", "despina", "export", "mlflow", *arguments], cwd=tmp_path, text=True,
                          capture_output=True, check=False, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("despina: MLResourceNotFoundException: ")
    assert not (tmp_path / "x.db").exists()
