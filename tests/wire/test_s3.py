"""A server whose artefacts are on an S3 server, which it shares with boto3, and which dies in the middle of a job."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.exports import set_epochs
from tests.scraping import scrape
from tests.seaweed import Seaweed
from tests.serving import PATIENCE_SECONDS, Server, wait_for
from tests.wire.endpoints import ask, created

INVALID = "Invalid S3 URL or incorrect S3 permissions"
EPOCHS = 200
ENDLESS = 10**6


def upload(client: Any, bucket: str, folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), bucket, f"export/{path.relative_to(folder)}")


def keys(client: Any, location: str) -> list[str]:
    """The keys below a location, relative to it."""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    found = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/").get("Contents", [])
    return sorted(entry["Key"].removeprefix(f"{prefix}/") for entry in found)


def give_epochs(client: Any, location: str, epochs: int, folder: Path) -> None:
    """Fix the number of epochs of a training on the processed graph at a location."""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    name = "model-hpo-configuration.json"
    client.download_file(bucket, f"{prefix}/{name}", str(folder / name))
    set_epochs(folder, epochs)
    client.upload_file(str(folder / name), bucket, f"{prefix}/{name}")


def test_jobs_read_and_write_buckets_and_outlive_the_death_of_their_server(
        start_server: Callable[..., Server], seaweed: Seaweed, export: Path, tmp_path: Path) -> None:
    bucket, s3 = seaweed.new_bucket(), seaweed.client()
    upload(s3, bucket, export)
    server = start_server(environment=dict(seaweed.environment()))
    client = server.boto3()
    locations = {"inputDataS3Location": f"s3://{bucket}/export", "processedDataS3Location": f"s3://{bucket}/processed"}
    for wrong in ({"inputDataS3Location": "s3://no-such-bucket/export"}, {"processedDataS3Location": "s3://no-such-bucket/out"}):
        with pytest.raises(client.exceptions.BadRequestException, match=f"{INVALID}.*there is no bucket 'no-such-bucket' at http"):
            client.start_ml_data_processing_job(id="wrong", **(locations | wrong))
    client.start_ml_data_processing_job(id="dp", **locations)
    processed = server.wait_until_ended("dataprocessing", "dp")
    assert processed["status"] == "Completed", processed
    output = processed["processingJob"]["outputLocation"]
    assert {"graph/graph.json", "info.pkl", "model-hpo-configuration.json"} <= set(keys(s3, output))

    give_epochs(s3, output, EPOCHS, tmp_path)
    wanted = {"dataProcessingJobId": "dp", "trainModelS3Location": f"s3://{bucket}/models", "maxHPONumberOfTrainingJobs": 1}
    client.start_ml_model_training_job(id="tr", **wanted)
    server.wait_for_run("modeltraining", "tr", "trial", step=2)
    seaweed.kill()
    with pytest.raises(client.exceptions.InternalFailureException, match=r"the S3 server at .* gave no answer in 5 s") as raised:
        server.boto3(retries={"max_attempts": 0}).start_ml_data_processing_job(id="late", **locations)
    assert raised.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "5"
    told = scrape(server)
    assert told.total("despina_s3_request_seconds_count", action="s3:ListBucket") > 1
    assert told.total("despina_s3_errors_total") >= 3, "two buckets that there are not, and a server"
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(client.start_ml_data_processing_job, id="late", **locations)  # which asks again of itself
        seaweed.start()
        assert starting.result(PATIENCE_SECONDS)["id"] == "late"
    client.cancel_ml_data_processing_job(id="late")
    trained = server.wait_until_ended("modeltraining", "tr")
    assert trained["status"] == "Completed", trained
    assert {run["attempt"] for run in trained["details"]["runs"]} == {1}
    written = keys(s3, trained["processingJob"]["outputLocation"])
    assert {"embeddings/entity.npy", "mapping.info", "predictions/result.npz", "training-report.json"} <= set(written)
    assert not [key for key in keys(s3, trained["details"]["prefix"]) if "/state/" in key]
    created(server, "ep")
    answer = ask(server, "ep", {"data": {"nodes": [{"nodeId": "item-0"}]}})
    assert answer["output"]["nodes"][0]["predictions"]

    # Clean takes what the job wrote, and nothing of its neighbours: after an outage nobody has to ask again.
    give_epochs(s3, output, ENDLESS, tmp_path)
    client.start_ml_model_training_job(id="cleaned", **wanted)
    prefix = server.details("modeltraining", "cleaned")["details"]["prefix"]
    wait_for("a state in the bucket", lambda: [key for key in keys(s3, prefix) if "/state/" in key])
    s3.put_object(Bucket=bucket, Key=f"{prefix.removeprefix(f's3://{bucket}/')}-2/neighbour", Body=b"")
    seaweed.kill()
    assert client.cancel_ml_model_training_job(id="cleaned", clean=True)["status"] == "Stopping"
    stopped = server.wait_until_ended("modeltraining", "cleaned")
    assert stopped["status"] == "Stopped"
    (note,) = stopped["details"]["notes"]
    assert "tried again" in note
    assert client.cancel_ml_model_training_job(id="cleaned", clean=True)["status"] == "Stopped", "impatient, and in vain"
    seaweed.start()
    wait_for("the bucket to be clean", lambda: not keys(s3, prefix))
    wait_for("the note to go", lambda: not server.details("modeltraining", "cleaned")["details"]["notes"])
    assert keys(s3, f"{prefix}-2") == ["neighbour"]
    assert keys(s3, trained["processingJob"]["outputLocation"]) == written
