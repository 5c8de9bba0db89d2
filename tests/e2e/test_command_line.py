"""``despina jobs …`` and ``despina endpoints …`` against a real server: tables for people, ``--json`` for programs."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.exports import configuration, set_epochs, write_export
from tests.serving import PATIENCE_SECONDS, Server
from tests.wire.guarded import grant, issued

Despina = Callable[..., subprocess.CompletedProcess[str]]
BODY = {"data": {"globalParameters": {"topk": 2}, "nodes": [{"nodeId": "item-1"}, {"nodeId": "nobody"}]}}


@pytest.fixture(scope="module")
def despina(server: Server) -> Despina:
    """Runs a job verb against the module's server."""
    def run(*arguments: str, url: str | None = None, group: str = "jobs", **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(url or server.url, group, *arguments), capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS, check=False, **more)
    return run


def command(url: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "despina", *arguments, "--endpoint-url", url]


@pytest.fixture(scope="module")
def endless(despina: Despina, server: Server, trained: None) -> Iterator[str]:
    """A training that goes on until it is cancelled."""
    job = server.details("dataprocessing", "dp")
    set_epochs(server.path(job["processingJob"]["outputLocation"]), 10_000_000)
    done = despina("start", "modeltraining", "--id", "long", "--data-processing-job-id", "dp",
                   "--train-model-s3-location", "s3://test/models", "--max-hpo-parallel-training-jobs", "1")
    assert done.returncode == 0, done.stderr
    server.wait_for_run("modeltraining", "long", "trial", step=1)
    yield "long"
    despina("cancel", "long")


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
    assert [job["id"] for job in json.loads(despina("list", "--json", "--kind", "modeltraining").stdout)["jobs"]] == ["tr"]


@pytest.mark.usefixtures("trained")
def test_show_tells_of_each_run(despina: Despina) -> None:
    text = despina("show", "tr").stdout
    assert "autotrainer-output" in text
    assert text.count("succeeded") == 4
    assert "num-epochs" in text.split("RUN", 1)[1].splitlines()[0], "what differs between the trials has a column"
    assert "batch-size=" in text.split("RUN", 1)[0], "what does not is told once"
    assert json.loads(despina("show", "tr", "--json").stdout)["status"] == "Completed"


def test_show_tells_what_was_expected_of_data_processing_and_its_warnings(despina: Despina, tmp_path: Path) -> None:
    folder = write_export(tmp_path / "twins")
    nodes = folder / "nodes" / "item.consolidated.csv"
    header, *rows = nodes.read_text(encoding="utf-8").splitlines()
    nodes.write_text("\n".join([f"{header},shade", *(f"{row},dark {row.rsplit(',', 1)[1]}" for row in rows)]), encoding="utf-8")
    document = configuration()
    document["graph"]["nodes"][0]["features"].append({"feature": ["shade", "shade", "category"]})
    (folder / "training-data-configuration.json").write_text(json.dumps(document), encoding="utf-8")
    despina("start", "dataprocessing", "--id", "twins", "--input-data-s3-location", f"file://{folder}",
            "--processed-data-s3-location", "s3://test/twins")
    assert despina("wait", "twins").stdout == "Completed\n"
    shown = {line.split()[0]: line for line in despina("show", "twins").stdout.splitlines() if line.strip()}
    assert "60 nodes, 240 edges" in shown["estimate"]
    assert "shade" in shown["warning"]


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
def test_a_start_from_a_file_or_standard_input_with_options_before_it(despina: Despina, tmp_path: Path) -> None:
    document = {"id": "from-file", "dataProcessingJobId": "dp", "mlModelTrainingJobId": "tr",
                "modelTransformOutputS3Location": "s3://test/transformed", "subnets": ["subnet-1"]}
    file = tmp_path / "request.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    done = despina("start", "modeltransform", "--from-file", str(file), "--id", "from-option")
    assert (done.returncode, done.stdout) == (0, "from-option\n")
    done = despina("wait", "from-option", "tr", "tr")
    assert (done.returncode, sorted(done.stdout.splitlines())) == (0, ["from-option Completed", "tr Completed"])
    done = despina("start", "modeltransform", "--from-file", "-", input=json.dumps({**document, "dataProcesingJobId": "dp"}))
    assert done.returncode == 2
    assert "has an unknown member 'dataProcesingJobId': did you mean 'dataProcessingJobId'?" in done.stderr


@pytest.mark.usefixtures("trained")
def test_wait_fails_with_a_job_that_fails_and_prints_the_end_of_each(despina: Despina, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
    despina("start", "dataprocessing", "--id", "bad", "--input-data-s3-location", f"file://{tmp_path}",
            "--processed-data-s3-location", "s3://test/bad")
    done = despina("wait", "bad", "tr", "--json")
    ends = {job["id"]: job["status"] for job in map(json.loads, done.stdout.splitlines())}
    assert (done.returncode, ends, done.stderr) == (3, {"tr": "Completed", "bad": "Failed"}, "")
    done = despina("wait", "bad")
    assert done.returncode == 3
    assert done.stdout.startswith("Failed: MissingConfiguration")


@pytest.mark.usefixtures("interruptible")
def test_wait_gives_up_in_time_survives_a_restart_and_leaves_on_ctrl_c(despina: Despina, server: Server, endless: str) -> None:
    done = despina("wait", endless, "--timeout", "0")
    assert (done.returncode, done.stdout) == (124, "")
    assert "1 of 1 have not ended" in done.stderr
    with subprocess.Popen(command(server.url, "jobs", "wait", endless), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as waiting:
        assert waiting.stderr is not None
        assert "trials 0/2" in waiting.stderr.readline()
        server.stop()
        again = Server(server.data_dir, "--port", server.url.rpartition(":")[2]).start()
        try:
            assert waiting.poll() is None
            again.wait_for_run("modeltraining", endless, "trial")
            waiting.send_signal(signal.SIGINT)
            _, said = waiting.communicate(timeout=PATIENCE_SECONDS)
        finally:
            again.stop()
            server.start()
    assert waiting.returncode == 130
    assert said.splitlines()[-1] == "despina: no longer waiting; the work goes on."
    assert "Traceback" not in said


def test_wait_on_a_terminal_shows_bars_in_place(server: Server, endless: str) -> None:
    done, screen = on_terminal(command(server.url, "jobs", "wait", endless, "--timeout", "1.2"))
    assert done == 124
    assert f"{endless} (modeltraining) InProgress; trials 0/2" in screen
    assert "░ epoch " in screen
    assert "\x1b[2A\x1b[J" in screen, "the two lines are replaced"
    lines = [line for line in re.sub(r"\x1b\[\d*[AJ]", "", screen).splitlines() if not line.startswith("despina:")]
    assert max(map(len, lines)) < 60


def on_terminal(arguments: list[str]) -> tuple[int, str]:
    """The exit status of a program that has a terminal of 60 columns, and all that it writes there."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    with subprocess.Popen(arguments, stdin=its, stdout=its, stderr=its, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(its)
        written = b""
        with suppress(OSError):  # the end of a terminal that nobody has open any more
            while piece := os.read(ours, 65_536):
                written += piece
    os.close(ours)
    return process.returncode, written.decode()


@pytest.mark.usefixtures("interruptible")
def test_logs_follow_until_ctrl_c(server: Server, endless: str) -> None:
    with subprocess.Popen(command(server.url, "jobs", "logs", "-f", endless), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as following:
        assert following.stdout is not None
        while "epoch" not in (line := following.stdout.readline()):
            assert line, "the log ended"
        following.send_signal(signal.SIGINT)
        _, said = following.communicate(timeout=PATIENCE_SECONDS)
    assert (following.returncode, said) == (130, "")


def test_cancel_with_clean_and_the_exit_status_of_wait(despina: Despina, endless: str) -> None:
    assert despina("cancel", endless, "--clean").stdout == "Stopping\n"
    done = despina("wait", endless, "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["status"] == "Stopped"


@pytest.mark.usefixtures("trained")
def test_lists_by_page_and_by_time(despina: Despina) -> None:
    first = json.loads(despina("list", "--kind", "dataprocessing", "--max-items", "1", "--json").stdout)
    second = json.loads(despina("list", "--kind", "dataprocessing", "--next-token", first["nextToken"], "--json").stdout)
    ids = [job["id"] for job in (*first["jobs"], *second["jobs"])]
    assert (len(first["jobs"]), ids[-1]) == (1, "dp")
    assert len(set(ids)) == len(ids) > 1
    assert "--next-token" in despina("list", "--kind", "dataprocessing", "--max-items", "1").stdout
    created = str(second["jobs"][-1]["details"]["createdAt"])
    assert json.loads(despina("list", "--created-before", created, "--json").stdout) == {"jobs": []}
    assert json.loads(despina("list", "--created-after", "2200-01-01T00:00:00Z", "--json").stdout) == {"jobs": []}


@pytest.mark.usefixtures("trained")
def test_the_life_of_an_endpoint(despina: Despina, tmp_path: Path) -> None:
    def endpoints(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return despina(*arguments, group="endpoints", **more)

    done = endpoints("create", "--id", "colours", "--ml-model-training-job-id", "tr", "--json")
    assert json.loads(done.stdout)["id"] == "colours"
    done = endpoints("wait", "colours", "--timeout", "60")
    assert (done.returncode, done.stdout) == (0, "InService\n")
    lines = endpoints("list").stdout.splitlines()
    assert lines[1].split()[:2] == ["colours", "InService"]
    assert lines[1].rstrip().endswith("modeltraining tr")
    found = json.loads(endpoints("list", "--status", "InService", "--json").stdout)["endpoints"]
    assert [endpoint["id"] for endpoint in found] == ["colours"]

    done = endpoints("invoke", "colours", json.dumps(BODY))
    assert (done.returncode, done.stdout.splitlines()[0].split()) == (0, ["ITEM", "CLASS", "SCORE"])
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["item-1", "item-1", "nobody:"]
    done = endpoints("invoke", "colours", "--from-file", "-", "--json", input=json.dumps(BODY))
    assert json.loads(done.stdout)["output"]["nodes"][1]["error"]["code"] == "UnknownNode"
    done = endpoints("invoke", "colours", "{}")
    assert done.returncode == 1
    assert done.stderr.startswith("despina: ModelError")

    assert endpoints("update", "colours", "--ml-model-transform-job-id", "from-option").returncode == 0
    assert endpoints("wait", "colours").returncode == 0
    shown = endpoints("show", "colours").stdout
    assert "modeltransform from-option" in shown
    assert "ready" in shown
    assert json.loads(endpoints("show", "colours", "--json").stdout)["status"] == "InService"
    assert endpoints("logs", "colours").returncode == 0
    assert endpoints("delete", "colours").stdout == "Deleting\n"
    done = endpoints("wait", "colours", "--deleted", "--timeout", "60")
    assert (done.returncode, done.stdout) == (0, "Deleted\n")
    for verb in ("show", "wait", "delete", "logs"):
        assert endpoints(verb, "colours").returncode == 1


def test_requests_are_signed_with_the_key_of_the_environment(tmp_path: Path, start_server: Callable[..., Server],
                                                             despina: Despina) -> None:
    guarded = start_server("--iam-auth", "--tls-self-signed")
    grant(guarded, "alice", "*")
    keys = issued(guarded, "alice", "--seconds", "900")
    certificate = {"AWS_CA_BUNDLE": str(guarded.data_dir / "tls" / "cert.pem")}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = despina("list", "--json", url=guarded.url, env={**plain, **certificate, **keys})
    assert (done.returncode, done.stdout) == (0, '{"jobs": []}\n')
    done = despina("list", url=guarded.url, env={**plain, **certificate})
    assert done.returncode == 1
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which are not set" in done.stderr
    done = despina("list", url=guarded.url, env={**plain, **keys})
    assert done.returncode == 1
    assert "Name the authority's certificate in AWS_CA_BUNDLE" in done.stderr


@pytest.mark.parametrize(("arguments", "text"), [
    (["show", "nobody"], "There is no job 'nobody'"),
    (["cancel", "nobody", "--kind", "modeltraining"], "MLResourceNotFoundException"),
    (["list", "--max-items", "0"], "ConstraintViolationException"),
    (["list", "--neptune-iam-role-arn", "nobody"], "is not the ARN of an IAM role"),
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
    (["--tls-cert", "c.pem"], "tls_cert and tls_key must be given together"), (["--port", "99999"], "at most 65535"),
    (["--config", "/nowhere.toml"], "/nowhere.toml"),
    (["--engine", "dask://head:8265"], "it has to be 'local' or 'ray://HOST:PORT'"),
    (["--database-url", "mysql://db/x"], "'mysql://', which is not offered"),
    (["--database-url", "postgresql://127.0.0.1:1/x"], "cannot be used"),
    (["--host", "203.0.113.1"], "Cannot listen"),
])
def test_serve_refuses_settings_that_it_cannot_keep(tmp_path: Path, flags: list[str], text: str) -> None:
    done = subprocess.run([sys.executable, "-m", "despina", "serve", "--data-dir", str(tmp_path), "--port", "0", *flags],
                          capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 1
    assert text in done.stderr
