"""Data processing that builds on an earlier job, through boto3 against a real server."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.exports import configuration, write_export
from tests.serving import Server

from despina.graph.graph import Graph

Json = dict[str, Any]
NODES, EDGES, CONFIGURATION = "nodes/item.consolidated.csv", "edges/link.csv", "training-data-configuration.json"
GONE, NEW = ["item-3", "item-7"], ["item-new-1", "item-new-2", "item-new-3"]


def configure(folder: Path, **node: Any) -> None:
    """Write the configuration of the export with changes to its node type."""
    document = configuration()
    document["graph"]["nodes"][0] |= node
    (folder / CONFIGURATION).write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture(scope="module")
def first(server: Server, export: Path) -> Json:
    """The completed job ``dp`` of the small export."""
    return server.process(export)


@pytest.fixture
def changed(export: Path, tmp_path: Path) -> Path:
    """The small export a week later: two items are gone, and three are new, which link to one another."""
    folder = write_export(tmp_path / "changed")
    header, *rows = (folder / NODES).read_text(encoding="utf-8").splitlines()
    left = [row for row in rows if row.split(",")[0] not in GONE]
    assert len(left) == len(rows) - len(GONE)
    rows = [f"{NEW[0]},item,0.5,green", *reversed(left), *(f"{name},item,-0.5,red" for name in NEW[1:])]
    (folder / NODES).write_text("".join(f"{line}\n" for line in (header, *rows)), encoding="utf-8")
    header, *rows = (folder / EDGES).read_text(encoding="utf-8").splitlines()
    rows = [row for row in rows if not {*row.split(",")[2:]} & {*GONE}]
    rows += [f"new-1,link,{NEW[0]},{NEW[1]}", f"new-2,link,{NEW[1]},{NEW[2]}"]
    (folder / EDGES).write_text("".join(f"{line}\n" for line in (header, *rows)), encoding="utf-8")
    return folder


@pytest.fixture
def start(server: Server) -> Callable[..., Json]:
    """Starts a data-processing job, by boto3, and waits for its end."""
    def start(export: Path, previous: str, job_id: str) -> Json:
        started = server.boto3().start_ml_data_processing_job(
            id=job_id, inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed",
            previousDataProcessingJobId=previous)
        assert started["id"] == job_id
        return server.wait_until_ended("dataprocessing", job_id)

    return start


def graph_of(server: Server, job: Json) -> Graph:
    return Graph.load(server.path(job["processingJob"]["outputLocation"]) / "graph")


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_a_changed_export_continues_the_graph_of_an_earlier_job(server: Server, first: Json, changed: Path,
                                                                start: Callable[..., Json]) -> None:
    job = start(changed, "dp", "second")
    assert job["status"] == "Completed", job
    run, = job["details"]["runs"]
    edges = lines(changed / EDGES) - 1
    assert {name: run["result"][name] for name in ("nodes", "edges", "rows", "added", "removed")} == {
        "nodes": 61, "edges": edges, "rows": 61 + edges, "added": 3, "removed": 2}
    # Of 61 labelled items the parts have 36.6, 12.2 and 12.2: the first two end at 37 and 49.
    assert [run["result"][part] for part in ("train", "valid", "test")] == [37, 12, 12]
    assert "warnings" not in run
    estimate = run["estimate"]
    assert (estimate["nodes"], estimate["edges"], estimate["rows"], estimate["files"]) == (61, edges, 61 + edges, 2)
    assert estimate["nodeTypes"] == [{"name": "item", "count": 61, "width": 1}]
    assert estimate["peakMemoryBytes"] > estimate["arrayBytes"] > 0
    before, after = graph_of(server, first), graph_of(server, job)
    ids = [f"item-{i}" for i in range(60)]
    assert before.node_ids == {"item": ids}
    assert after.node_ids == {"item": [*ids, *NEW]}
    assert after.index_by_id("item") == {name: i for i, name in enumerate([*ids, *NEW]) if name not in GONE}
    assert after.removed["item"].tolist() == [3, 7]
    assert (before.target.classes, after.target.classes) == (("blue", "red"), ("blue", "red", "green"))
    kept = [i for i, name in enumerate(ids) if name not in GONE]
    assert after.features["item"].dense[kept].tolist() == before.features["item"].dense[kept].tolist(), "scaled as before"


def test_a_plain_answer_has_no_more_than_the_documented_members(server: Server, first: Json, changed: Path,
                                                                start: Callable[..., Json]) -> None:
    start(changed, "dp", "plain")
    answer = server.boto3().get_ml_data_processing_job(id="plain")
    assert set(answer) == {"id", "status", "processingJob", "ResponseMetadata"}
    assert set(answer["processingJob"]) == {"name", "arn", "status", "outputLocation"}


def test_what_was_gone_comes_back_in_a_third_job(server: Server, first: Json, export: Path, changed: Path,
                                                 start: Callable[..., Json]) -> None:
    start(changed, "dp", "two")
    third = start(export, "two", "three")
    assert third["status"] == "Completed", third
    run, = third["details"]["runs"]
    assert (run["result"]["nodes"], run["result"]["removed"]) == (60, 3)
    assert graph_of(server, third).index_by_id("item") == {f"item-{i}": i for i in range(60)}


def test_an_export_without_a_configuration_takes_that_of_the_earlier_job_and_says_so(first: Json, changed: Path,
                                                                                     start: Callable[..., Json]) -> None:
    (changed / CONFIGURATION).unlink()
    job = start(changed, "dp", "without")
    assert job["status"] == "Completed", job
    run, = job["details"]["runs"]
    assert run["warnings"] == [f"there is no file '{CONFIGURATION}' at file://{changed}; that of the earlier job was taken"]


def test_a_changed_schema_is_the_failure_reason(server: Server, first: Json, changed: Path, start: Callable[..., Json]) -> None:
    configure(changed, features=[])
    job = start(changed, "dp", "otherwise")
    assert job["status"] == job["processingJob"]["status"] == "Failed"
    reason = server.boto3().get_ml_data_processing_job(id="otherwise")["processingJob"]["failureReason"]
    assert reason.startswith("SchemaChanged: the node type 'item' lacks the feature 'size', and in the data-processing job that "
                             "this one builds on it had it; incremental processing needs the same types, features and target")


def test_a_job_whose_output_was_deleted_cannot_be_built_on(server: Server, export: Path, start: Callable[..., Json]) -> None:
    job = server.process(export, "deleted")
    output = server.path(job["processingJob"]["outputLocation"])
    (output / "encoding.json").unlink()
    ended = start(export, "deleted", "on-a-part")
    assert (ended["status"], ended["details"]["failureReason"]) == ("Failed", (
        "MissingFile: the output of the earlier job has no file encoding.json; it may have been deleted, and this job cannot build "
        "on it"))
    shutil.rmtree(output)
    ended = start(export, "deleted", "on-nothing")
    assert ended["status"] == "Failed"
    assert ended["details"]["failureReason"].startswith(f"{job['processingJob']['outputLocation']} does not exist")


def refusal(server: Server, export: Path, previous: str) -> Json:
    """What boto3 raises when a job is to build on this one. No job is made."""
    client = server.boto3()
    before = client.list_ml_data_processing_jobs(maxItems=1024)["ids"]
    with pytest.raises(client.exceptions.BadRequestException) as caught:
        client.start_ml_data_processing_job(inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed",
                                            previousDataProcessingJobId=previous)
    assert client.list_ml_data_processing_jobs(maxItems=1024)["ids"] == before
    response: Json = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return {"code": response["Error"]["Code"], "message": response["Error"]["Message"]}


def test_an_earlier_job_that_does_not_exist(server: Server, export: Path) -> None:
    assert refusal(server, export, "nobody") == {
        "code": "BadRequestException", "message": "Provided MLDataProcessing job doesn't exist."}


def test_an_earlier_job_that_failed(server: Server, export: Path, tmp_path: Path) -> None:
    (tmp_path / CONFIGURATION).write_text("{}", encoding="utf-8")
    server.boto3().start_ml_data_processing_job(
        id="failed", inputDataS3Location=f"file://{tmp_path}", processedDataS3Location="s3://test/processed")
    assert server.wait_until_ended("dataprocessing", "failed")["status"] == "Failed"
    assert refusal(server, export, "failed") == {
        "code": "BadRequestException", "message": "Provided MLDataProcessing job is not completed."}


def test_a_training_job_is_no_job_to_build_on(server: Server, first: Json, export: Path) -> None:
    server.boto3().start_ml_model_training_job(
        id="training", dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=1)
    assert refusal(server, export, "training")["message"] == "Provided MLDataProcessing job doesn't exist."
