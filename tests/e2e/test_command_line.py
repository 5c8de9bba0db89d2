"""``despina jobs …`` against a real server: tables for people, ``--json`` for programs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.exports import set_epochs
from tests.serving import PATIENCE_SECONDS, Server

Despina = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def despina(server: Server) -> Despina:
    """Runs a job verb against the module's server."""
    def run(*arguments: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "despina", "jobs", *arguments, "--url", url or server.url],
                              capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    return run


@pytest.fixture(scope="module")
def trained(despina: Despina, export: Path) -> None:
    """A processed graph ``dp`` and a trained model ``tr``, both made by the command line."""
    done = despina("start", "dataprocessing", "--id", "dp", "--input-data-s3-location", f"file://{export}",
                   "--processed-data-s3-location", "s3://test/processed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "dp\n", "")
    done = despina("wait", "dp")
    assert (done.returncode, done.stdout) == (0, "Completed\n")
    done = despina("start", "modeltraining", "--id", "tr", "--data-processing-job-id", "dp", "--train-model-s3-location",
                   "s3://test/models", "--max-hpo-number-of-training-jobs", "2", "--json")
    assert json.loads(done.stdout)["id"] == "tr"
    done = despina("wait", "tr")
    assert (done.returncode, done.stdout) == (0, "Completed\n")
    assert "epoch" in done.stderr, "progress was shown"


@pytest.mark.usefixtures("trained")
def test_list_is_a_table_newest_first_or_json(despina: Despina) -> None:
    lines = despina("list").stdout.splitlines()
    assert lines[0].split()[:3] == ["KIND", "ID", "STATUS"]
    assert lines[1].split()[:3] == ["modeltraining", "tr", "Completed"]
    assert lines[2].split()[:3] == ["dataprocessing", "dp", "Completed"]
    assert [job["id"] for job in json.loads(despina("list", "--json", "--kind", "modeltraining").stdout)] == ["tr"]


@pytest.mark.usefixtures("trained")
def test_show_tells_of_each_run(despina: Despina) -> None:
    text = despina("show", "tr").stdout
    assert "autotrainer-output" in text
    assert text.count("succeeded") == 4
    assert "num-epochs" in text.split("RUN", 1)[1].splitlines()[0], "what differs between the trials has a column"
    assert "batch-size=" in text.split("RUN", 1)[0], "what does not is told once"
    assert json.loads(despina("show", "tr", "--json").stdout)["status"] == "Completed"


@pytest.mark.usefixtures("trained")
def test_logs_of_the_last_run_or_of_a_named_one(despina: Despina) -> None:
    runs = json.loads(despina("show", "tr", "--json").stdout)["details"]["runs"]
    trial = next(run for run in runs if run["kind"] == "trial")
    assert "epoch" in despina("logs", "tr", "--run", trial["name"]).stdout
    assert despina("logs", "tr", "--run", trial["id"], "-f").stdout
    done = despina("logs", "tr", "--run", "nobody")
    assert done.returncode == 1
    assert trial["id"] in done.stderr, "the error names the runs there are"


@pytest.mark.usefixtures("trained")
def test_cancel_with_clean_and_the_exit_status_of_wait(despina: Despina, server: Server) -> None:
    job = server.details("dataprocessing", "dp")
    set_epochs(server.path(job["processingJob"]["outputLocation"]), 10_000_000)
    despina("start", "modeltraining", "--id", "long", "--data-processing-job-id", "dp",
            "--train-model-s3-location", "s3://test/models")
    server.wait_for_run("modeltraining", "long", "trial", step=1)
    assert despina("cancel", "long", "--clean").stdout == "Stopping\n"
    done = despina("wait", "long", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "Stopped"


@pytest.mark.parametrize(("arguments", "text"), [
    (["show", "nobody"], "There is no job 'nobody'"),
    (["cancel", "nobody", "--kind", "modeltraining"], "MLResourceNotFoundException"),
    (["list", "--max-items", "0"], "ConstraintViolationException"),
    (["start", "modeltraining", "--data-processing-job-id", "dp", "--train-model-s3-location", "s3://test/x",
      "--max-hpo-number-of-training-jobs", "two"], "not a whole number"),
])
def test_errors_are_told_in_one_line(despina: Despina, arguments: list[str], text: str) -> None:
    done = despina(*arguments)
    assert done.returncode == 1
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_server(despina: Despina) -> None:
    done = despina("list", url="http://127.0.0.1:1")
    assert done.returncode == 1
    assert "Is 'despina serve' running there?" in done.stderr


@pytest.mark.parametrize(("flags", "text"), [
    (["--iam-auth"], "not offered yet"), (["--port", "99999"], "at most 65535"), (["--config", "/nowhere.toml"], "/nowhere.toml"),
    (["--engine", "ray://head:8265"], "not offered yet"), (["--database-url", "postgresql://db/x"], "not offered yet"),
    (["--host", "203.0.113.1"], "Cannot listen"),
])
def test_serve_refuses_settings_that_it_cannot_keep(tmp_path: Path, flags: list[str], text: str) -> None:
    done = subprocess.run([sys.executable, "-m", "despina", "serve", "--data-dir", str(tmp_path), "--port", "0", *flags],
                          capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 1
    assert text in done.stderr
