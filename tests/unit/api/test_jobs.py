"""The operations on jobs, from the request to the answer."""

import pytest
from msgspec.structs import replace
from tests.unit.api.fakes import GENERATED, NOW, Client, FakeJobs, processing_job, training_job

from despina.core import plans
from despina.core.job import (
    Job,
    JobKind,
    Model,
    Progress,
    Run,
    RunKind,
    RunSpec,
    RunState,
    Status,
    Step,
    StepName,
    TrainWork,
)
from despina.core.requests import CustomTraining, StartDataProcessing, StartModelTraining

PROCESSING = {"inputDataS3Location": "s3://bucket/in", "processedDataS3Location": "s3://bucket/processed"}
TRAINING = {"dataProcessingJobId": "dp-1", "trainModelS3Location": "s3://bucket/models"}


def with_trials(job: Job, *states: RunState) -> Job:
    """A training job whose tuning step has trials in these states."""
    trials = tuple(
        Run(id=f"run-{number}", kind=RunKind.TRIAL, number=number, name=f"trial-{number}", state=state,
            spec=RunSpec(run_id=f"run-{number}", work=TrainWork(processed="s3://b/p", output="s3://b/t", parameters={"lr": 0.01})),
            progress=Progress(at=NOW, step=3, of=10, unit="epoch", metric="acc", value=0.5, best=0.6),
            result={"objective": 0.6, "epoch": 2} if state is RunState.SUCCEEDED else None, started_at=NOW + 1)
        for number, state in enumerate(states))
    return plans.with_step(job, Step(name=StepName.TUNING, resource_name="tuning-1", runs=trials))


def test_start_answers_id_arn_and_creation_time() -> None:
    client = Client()
    answer = client.call("POST", "/ml/dataprocessing", {"id": "dp-1", **PROCESSING})
    name = processing_job().steps[0].resource_name
    assert answer.status == 200
    assert answer.json == {"id": "dp-1", "arn": f"arn:aws:sagemaker:us-east-1:123456789012:processing-job/{name}",
                           "creationTimeInMillis": NOW}
    assert client.jobs.requests == [StartDataProcessing(id="dp-1", input_data_s3_location="s3://bucket/in",
                                                        processed_data_s3_location="s3://bucket/processed")]


def test_start_reads_every_type_of_member() -> None:
    client = Client()
    body = {**TRAINING, "maxHPONumberOfTrainingJobs": 4, "enableManagedSpotTraining": True, "subnets": ["subnet-1", "subnet-2"],
            "enableInterContainerTrafficEncryption": "FALSE",
            "customModelTrainingParameters": {"sourceS3DirectoryPath": "s3://bucket/code"}}
    assert client.call("POST", "/ml/modeltraining/", body).status == 200
    assert client.jobs.requests == [StartModelTraining(
        data_processing_job_id="dp-1", train_model_s3_location="s3://bucket/models", max_hpo_number_of_training_jobs=4,
        enable_managed_spot_training=True, subnets=("subnet-1", "subnet-2"), enable_inter_container_traffic_encryption=False,
        custom_model_training_parameters=CustomTraining(source_s3_directory_path="s3://bucket/code"))]


def test_start_takes_empty_strings_and_nulls_for_absent() -> None:
    client = Client()
    body = {**TRAINING, "id": "", "trainingInstanceType": "", "modelName": None, "maxHPONumberOfTrainingJobs": "", "subnets": [""]}
    assert client.call("POST", "/ml/modeltraining", body).json["id"] == GENERATED
    assert client.jobs.requests == [StartModelTraining(data_processing_job_id="dp-1", train_model_s3_location="s3://bucket/models")]


@pytest.mark.parametrize(("value", "known"), [
    ("0f0f0f0f-1111-4222-8333-444444444444", True), ("a" * 64, True),
    ("a" * 65, False), ("", False), ("two words", False), ("é", False),
])
def test_start_passes_on_the_invocation_id(value: str, known: bool) -> None:
    client = Client()
    client.call("POST", "/ml/dataprocessing", PROCESSING, [("amz-sdk-invocation-id", value)])
    assert client.jobs.invocations == [value if known else None]


def test_start_with_a_taken_id() -> None:
    client = Client()
    client.jobs.add(processing_job())
    status, code, text = client.call("POST", "/ml/dataprocessing", {"id": "dp-1", **PROCESSING}).error
    assert (status, code) == (400, "InvalidParameterException")
    assert text == "Another resource with same ID already exists. Please use a new ID."


def test_get_data_processing() -> None:
    client = Client()
    job = client.jobs.add(processing_job())
    name = job.steps[0].resource_name
    assert client.get("/ml/dataprocessing/dp-1").json == {
        "id": "dp-1", "status": "InProgress",
        "processingJob": {"name": name, "arn": f"arn:aws:sagemaker:us-east-1:123456789012:processing-job/{name}",
                          "status": "InProgress", "outputLocation": f"s3://bucket/processed/{name}/preloading-output"}}


def test_get_model_training_completed() -> None:
    client = Client()
    job = with_trials(training_job(), RunState.SUCCEEDED)
    steps = tuple(replace(step, status=Status.COMPLETED) for step in job.steps)
    client.jobs.add(replace(job, status=Status.COMPLETED, steps=steps, models=(Model(name="model-1", trial="trial-0"),)))
    answer = client.get("/ml/modeltraining/tr-1").json
    assert answer.keys() == {"id", "status", "processingJob", "hpoJob", "mlModels"}
    assert answer["hpoJob"] == {
        "name": "tuning-1", "arn": "arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/tuning-1",
        "status": "Completed"}
    assert answer["mlModels"] == [{"name": "model-1", "arn": "arn:aws:sagemaker:us-east-1:123456789012:model/model-1"}]


def test_get_shows_stopping_on_the_steps_that_still_run() -> None:
    client = Client()
    job = with_trials(training_job(), RunState.RUNNING)
    tuned = replace(job.steps[1], status=Status.COMPLETED)
    client.jobs.add(replace(plans.with_step(job, tuned), stop_requested=True))
    answer = client.get("/ml/modeltraining/tr-1").json
    shown = answer["status"], answer["processingJob"]["status"], answer["hpoJob"]["status"]
    assert shown == ("Stopping", "Stopping", "Completed")


def test_get_failed_names_the_reason_and_the_log() -> None:
    client = Client()
    job = processing_job()
    reason = "nodes.csv, row 7: " + "x" * 2000
    client.jobs.add(replace(job, status=Status.FAILED, failure_reason=reason, steps=(
        replace(job.steps[0], status=Status.FAILED, failure_reason=reason),)))
    step = client.get("/ml/dataprocessing/dp-1").json["processingJob"]
    assert step["failureReason"] == reason[:1024]
    assert step["cloudwatchLogUrl"] == "http://localhost:8182/ml/dataprocessing/dp-1/logs"
    assert client.get("/ml/dataprocessing/dp-1?details=true").json["details"]["failureReason"] == reason


def test_a_job_that_is_failing_says_so_on_its_processing_step() -> None:
    client = Client()
    client.jobs.add(replace(with_trials(training_job(), RunState.RUNNING), failure_reason="too slow"))
    answer = client.get("/ml/modeltraining/tr-1").json
    assert (answer["status"], answer["processingJob"]["failureReason"]) == ("InProgress", "too slow")
    assert "failureReason" not in answer["hpoJob"]


def test_details_show_the_runs() -> None:
    client = Client()
    job = client.jobs.add(replace(with_trials(training_job(), RunState.SUCCEEDED, RunState.RUNNING), notes=("a note",)))
    details = client.get("/ml/modeltraining/tr-1?details=true").json["details"]
    assert (details["createdAt"], details["prefix"], details["notes"]) == (NOW, job.prefix, ["a note"])
    strategy, first, second = details["runs"]
    assert strategy == {"id": job.runs[0].id, "kind": "strategy", "number": 0, "attempt": 1, "state": "pending"}
    assert first["objective"] == 0.6
    assert second == {"id": "run-1", "kind": "trial", "name": "trial-1", "number": 1, "attempt": 1, "state": "running",
                      "progress": {"at": NOW, "step": 3, "of": 10, "unit": "epoch", "metric": "acc", "value": 0.5, "best": 0.6},
                      "startedAt": NOW + 1, "parameters": {"lr": 0.01}}


def test_details_show_what_data_processing_was_expected_to_take_and_what_came_out() -> None:
    client = Client()
    job = processing_job()
    run = replace(job.runs[0], state=RunState.RUNNING,
                  progress=Progress(at=NOW, step=1, of=2, unit="file", estimate={"rows": 7}))
    client.jobs.add(plans.with_step(job, replace(job.steps[0], runs=(run,))))
    shown, = client.get("/ml/dataprocessing/dp-1?details=true").json["details"]["runs"]
    assert shown["progress"] == {"at": NOW, "step": 1, "of": 2, "unit": "file", "estimate": {"rows": 7}}
    assert not shown.keys() & {"estimate", "warnings", "result"}
    ended = replace(run, state=RunState.SUCCEEDED, result={"estimate": {"rows": 7}, "warnings": ["twins"], "nodes": 3, "rows": 8})
    client.jobs.add(plans.with_step(job, replace(job.steps[0], runs=(ended,))))
    shown, = client.get("/ml/dataprocessing/dp-1?details=true").json["details"]["runs"]
    assert (shown["estimate"], shown["warnings"], shown["result"]) == ({"rows": 7}, ["twins"], {"nodes": 3, "rows": 8})
    assert "estimate" not in shown["progress"], "it is told once"
    client.jobs.add(plans.with_step(job, replace(job.steps[0], runs=(replace(ended, result={"nodes": 3, "warnings": []}),))))
    shown, = client.get("/ml/dataprocessing/dp-1?details=true").json["details"]["runs"]
    assert shown["progress"]["estimate"] == {"rows": 7}
    assert "warnings" not in shown


def test_list_is_plain_for_plain_clients() -> None:
    client = Client(FakeJobs(next_token="further"))
    for job_id in ("tr-1", "tr-2"):
        client.jobs.add(training_job(job_id))
    client.jobs.add(processing_job())
    for target in ("/ml/modeltraining", "/ml/modeltraining/", "/ml/modeltraining?maxItems=10", "/ml/modeltraining?maxItems="):
        assert client.get(target).json == {"ids": ["tr-2", "tr-1"]}
    assert client.get("/ml/modeltraining?maxItems=1").json == {"ids": ["tr-2"]}


@pytest.mark.parametrize("extra", ["status=InProgress", "nameContains=tr", "createdAfter=5", "createdBefore=%35", "nextToken=x",
                                   "details=TRUE"])
def test_list_gives_a_next_token_to_those_who_know_it(extra: str) -> None:
    client = Client(FakeJobs(next_token="further"))
    assert client.get(f"/ml/modeltraining?{extra}").json["nextToken"] == "further"
    client.jobs.next_token = None
    assert "nextToken" not in client.get(f"/ml/modeltraining?{extra}").json


def test_list_with_details_has_the_jobs_as_get_gives_them() -> None:
    client = Client()
    client.jobs.add(training_job())
    answer = client.get("/ml/modeltraining?details=true").json
    assert answer == {"ids": ["tr-1"], "jobs": [client.get("/ml/modeltraining/tr-1?details=true").json]}


@pytest.mark.parametrize(("query", "clean"), [("", False), ("?clean=TRUE", True), ("?clean=True", True), ("?clean=false", False)])
def test_cancel(query: str, clean: bool) -> None:
    client = Client()
    client.jobs.add(training_job())
    answer = client.call("DELETE", f"/ml/modeltraining/tr-1{query}")
    assert (answer.status, answer.json) == (200, {"status": "Stopping"})
    assert client.jobs.get(JobKind.MODEL_TRAINING, "tr-1").clean is clean


def test_cancel_of_a_stopped_job_and_of_an_ended_one() -> None:
    client = Client()
    client.jobs.add(replace(training_job("tr-1"), status=Status.STOPPED, stop_requested=True))
    client.jobs.add(replace(training_job("tr-2"), status=Status.COMPLETED))
    assert client.call("DELETE", "/ml/modeltraining/tr-1").json == {"status": "Stopped"}
    assert client.call("DELETE", "/ml/modeltraining/tr-2").error == (
        400, "InvalidParameterException", "Failed to stop the job because it has already completed or failed.")


@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("GET", "?details=true"), ("DELETE", ""), ("GET", "/logs")])
def test_unknown_ids(method: str, suffix: str) -> None:
    client = Client()
    client.jobs.add(processing_job("tr-1"))
    assert client.call(method, f"/ml/modeltraining/tr-1{suffix}").error == (
        404, "MLResourceNotFoundException", "Invalid ID provided. Please check whether a resource with the given ID exists.")


def test_logs() -> None:
    client = Client(FakeJobs(log=("run-7", "épochs 1\n\nepoch 2\n".encode() + b"\xff\n", 42)))
    client.jobs.add(training_job())
    assert client.get("/ml/modeltraining/tr-1/logs?run=run-7&nextToken=12").json == {
        "run": "run-7", "events": [{"message": "épochs 1"}, {"message": ""}, {"message": "epoch 2"}, {"message": "�"}],
        "nextForwardToken": "42"}
    assert (client.jobs.requests[0].run, client.jobs.requests[0].next_token) == ("run-7", 12)
    client.jobs.log = ("run-7", b"", 42)
    assert client.get("/ml/modeltraining/tr-1/logs").json["events"] == []
