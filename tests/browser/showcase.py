"""Jobs that really ran, for the pages of single jobs: two trials on the air routes, and a faulty export."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.browser.sites import Site
from tests.exports import set_epochs
from tests.serving import Server

AIR_ROUTES = Path(__file__).parents[2] / "examples" / "air-routes"
EPOCHS = 12
FOR_EVER = 100_000
"""Epochs of a training that is to be looked at while it goes on."""


def show(folder: Path, trained: Path) -> Site:
    """A server that everybody may use, on a copy of the data of another one that has trained, with these jobs beside."""
    shutil.copytree(trained, folder / "data")
    server = Server(folder / "data").start()
    client = server.boto3()
    client.start_ml_data_processing_job(
        id="bad-rows", inputDataS3Location=f"file://{_faulty(folder / 'faulty')}", processedDataS3Location="s3://test/processed")
    server.process(AIR_ROUTES, "air")
    start(server, "air-1", trials=2, epochs=EPOCHS)
    assert server.wait_until_ended("modeltraining", "air-1")["status"] == "Completed"
    return Site(mode="open", server=server, keys={}, reader={})


def start(server: Server, job: str, *, trials: int, epochs: int) -> None:
    """Start a training on the air routes."""
    processed = server.path(server.details("dataprocessing", "air")["processingJob"]["outputLocation"])
    set_epochs(processed, epochs)
    server.boto3().start_ml_model_training_job(
        id=job, dataProcessingJobId="air", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=trials)


def _faulty(folder: Path) -> Path:
    """The air routes with two airports that have words for numbers."""
    shutil.copytree(AIR_ROUTES, folder)
    nodes = folder / "nodes" / "airport.consolidated.csv"
    lines = nodes.read_text(encoding="utf-8").splitlines()
    for line, cell in ((4, "high"), (6, "<b>low</b>")):
        cells = lines[line].split(",")
        cells[4] = cell
        lines[line] = ",".join(cells)
    nodes.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def written(server: Server, kind: str, job: str, name: str) -> Any:
    """A file at the output location of a job."""
    place = server.details(kind, job)["processingJob"]["outputLocation"]
    return json.loads((server.path(place) / name).read_text(encoding="utf-8"))
