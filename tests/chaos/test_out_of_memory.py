"""The kernel kills a training for lack of memory: it goes on with half the batch until it fits."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serving import Server
from tests.unit.learn.graphs import random_links

from despina.learn.proposals import choose_model_type, default_configuration

LIMIT = 900 << 20
"""Bytes of all processes together: a training with a batch of 2,048 needs more than a gigabyte for a single tensor."""
PARAMETERS = {"num-hidden": 128, "num-epochs": 2, "batch-size": 2048, "num-negs": 1024, "neg-share": False}


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group of processes that together may have ``LIMIT``."""
    first, name = Path("/sys/fs/cgroup/memory"), f"despina-test-{os.getpid()}"
    group, limit = (first / name, "memory.limit_in_bytes") if first.is_dir() else (first.parent / name, "memory.max")
    try:
        group.mkdir()
        (group / limit).write_text(str(LIMIT), encoding="ascii")
    except OSError as error:
        shutil.rmtree(group, ignore_errors=True)
        pytest.skip(f"a control group cannot be made here: {error}")
    yield group
    for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
        (group.parent / "cgroup.procs").write_text(pid, encoding="ascii")
    group.rmdir()


def test_the_batch_is_halved_until_a_training_fits(small_memory: Path, start_server: Callable[..., Server], export: Path) -> None:
    server = start_server()
    processed = server.path(server.process(export)["processingJob"]["outputLocation"])
    graph = random_links(nodes=1_000, edges=600)
    configuration = default_configuration(graph, choose_model_type(graph, "kge"))
    fixed = [{"param": name, "type": "bool" if isinstance(value, bool) else "int", "default": value}
             for name, value in PARAMETERS.items()]
    configuration["models"][0] |= {"1-tier-param": [], "2-tier-param": [], "3-tier-param": [], "fixed-param": fixed}
    shutil.rmtree(processed / "graph")
    graph.save(processed / "graph")
    (processed / "model-hpo-configuration.json").write_text(json.dumps(configuration), encoding="utf-8")

    (small_memory / "cgroup.procs").write_text(str(server.pid), encoding="ascii")
    server.boto3().start_ml_model_training_job(
        id="tr", dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=1)
    job = server.wait_until_ended("modeltraining", "tr")
    assert job["status"] == "Completed", job
    attempts = sorted((server.data_dir / "runs").glob("modeltraining-tr-*-trial001-*"))
    ends = [json.loads((attempt / "exit.json").read_bytes()) for attempt in attempts]
    assert len(attempts) > 1
    assert [end["out_of_memory"] for end in ends] == [True] * (len(attempts) - 1) + [False]
    report = json.loads((server.path(job["processingJob"]["outputLocation"]) / "training-report.json").read_bytes())
    assert report["hyperparameters"]["batch-size"] == 1080 >> (len(attempts) - 1), "of 1,080 training edges, halved once an attempt"
