"""The application's own tests: it trains, lists and cancels for real."""

import json

import pytest

import scoring


@pytest.fixture(scope="session")
def processed(export):
    """A data-processing job that has completed."""
    job = scoring.process("accounts", export, "bank")
    assert job["status"] == "Completed", job["processingJob"].get("failureReason")
    return job["id"]


@pytest.fixture(scope="session")
def training(processed):
    """A training that has completed."""
    job = scoring.when(scoring.start_training("monday", processed, "bank"), scoring.has_ended)
    assert job["status"] == "Completed", job["processingJob"].get("failureReason")
    return job


def test_a_training_finds_the_fraudsters(training, despina):
    output = despina.s3_path(training["processingJob"]["outputLocation"])
    metrics = json.loads((output / "test_metrics_info.json").read_text())
    assert metrics["acc"] > 0.7


def test_a_training_is_listed(training):
    assert training["id"] in scoring.trainings()


def test_a_training_that_is_given_up_leaves_nothing(processed, despina):
    scoring.start_training("tuesday", processed, "bank")
    job = scoring.when("tuesday", lambda job: "hpoJob" in job)  # it is at work
    output = despina.s3_path(job["processingJob"]["outputLocation"]).parent
    assert scoring.give_up("tuesday")["status"] == "Stopped"
    assert not output.exists()
