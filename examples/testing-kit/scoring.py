"""An application that has accounts scored by Neptune ML. It knows boto3 and nothing else; in production it talks to a cluster."""

import time

import boto3


def process(job_id: str, export: str, bucket: str) -> dict:
    """Prepare an export for training; the job once it has ended."""
    client = boto3.client("neptunedata")
    client.start_ml_data_processing_job(id=job_id, inputDataS3Location=export, processedDataS3Location=f"s3://{bucket}/processed")
    while not has_ended(job := client.get_ml_data_processing_job(id=job_id)):
        time.sleep(0.1)
    return job


def start_training(job_id: str, processing_job_id: str, bucket: str) -> str:
    """Start a training; its id."""
    answer = boto3.client("neptunedata").start_ml_model_training_job(
        id=job_id, dataProcessingJobId=processing_job_id, trainModelS3Location=f"s3://{bucket}/models",
        maxHPONumberOfTrainingJobs=1)
    return answer["id"]


def when(job_id: str, condition) -> dict:
    """A training as soon as the condition holds for it, or it has ended."""
    client = boto3.client("neptunedata")
    while not (condition(job := client.get_ml_model_training_job(id=job_id)) or has_ended(job)):
        time.sleep(0.1)
    return job


def give_up(job_id: str) -> dict:
    """Stop a training and delete what it wrote; the job once it has stopped."""
    boto3.client("neptunedata").cancel_ml_model_training_job(id=job_id, clean=True)
    return when(job_id, has_ended)


def trainings() -> list[str]:
    """The ids of all trainings, the newest first."""
    return boto3.client("neptunedata").list_ml_model_training_jobs()["ids"]


def has_ended(job: dict) -> bool:
    return job["status"] not in {"InProgress", "Stopping"}
