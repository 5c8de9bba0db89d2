"""``despina jobs …`` against a real server: tables for people, ``--json`` for programs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.exports import configuration, set_epochs, write_export
from tests.serving import PATIENCE_SECONDS, Server

Despina = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def despina(server: Server) -> Despina:
    """Runs a job verb against the module's server."""
    def run(*arguments: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "despina", "jobs", *arguments, "--endpoint-url", url or server.url],
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
def test_cancel_with_clean_and_the_exit_status_of_wait(despina: Despina, server: Server) -> None:
    job = server.details("dataprocessing", "dp")
    set_epochs(server.path(job["processingJob"]["outputLocation"]), 10_000_000)
    despina("start", "modeltraining", "--id", "long", "--data-processing-job-id", "dp",
            "--train-model-s3-location", "s3://test/models")
    server.wait_for_run("modeltraining", "long", "trial", step=1)
    assert despina("cancel", "long", "--clean").stdout == "Stopping\n"
    done = despina("wait", "long", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["status"] == "Stopped"


@pytest.mark.parametrize(("arguments", "text"), [
    (["show", "nobody"], "There is no job 'nobody'"),
    (["cancel", "nobody", "--kind", "modeltraining"], "MLResourceNotFoundException"),
    (["list", "--max-items", "0"], "ConstraintViolationException"),
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


def plan(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs ``despina plan``, for which there need be no server."""
    return subprocess.run([sys.executable, "-m", "despina", "plan", *map(str, arguments)], capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS, check=False, env=os.environ | {"DESPINA_S3_FOLDER": ""})


def test_plan_tells_what_an_export_holds_and_takes(export: Path, tmp_path: Path) -> None:
    done = plan(export, "--data-dir", tmp_path / "not" / "there")
    assert (done.returncode, done.stderr) == (0, "")
    facts, types = done.stdout.split("\n\n")
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in facts.splitlines()}
    assert shown.keys() == {"export", "rows", "nodes", "edges", "memory", "disk", "processing", "training"}
    assert (shown["rows"], shown["nodes"], shown["edges"]) == ("300", "60", "240")
    assert "are available" in shown["memory"]
    assert types.splitlines()[1].split() == ["60", "1", "item"]


def test_plan_as_json_from_a_location(export: Path, tmp_path: Path) -> None:
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    (tmp_path / "s3" / "bucket" / "export").symlink_to(export)
    answers = [json.loads(plan(location, "--json", "--data-dir", tmp_path).stdout)
               for location in (f"file://{export}", "s3://bucket/export")]
    assert answers[0]["estimate"] == answers[1]["estimate"]
    assert (answers[0]["estimate"]["rows"], answers[0]["findings"]) == (300, [])
    assert answers[0]["available"]["memoryBytes"] > answers[0]["estimate"]["peakMemoryBytes"]


def test_plan_names_everything_for_which_the_work_would_be_refused(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "export")
    nodes = folder / "nodes" / "item.consolidated.csv"
    nodes.write_text(nodes.read_text(encoding="utf-8").replace("blue", "red"), encoding="utf-8")
    done = plan(folder)
    assert done.returncode == 1
    assert done.stdout.startswith("export")
    assert done.stderr.startswith("MissingLabels: nodes/item.consolidated.csv, column 'colour': all labels are 'red'")
    nodes.unlink()
    (folder / "edges" / "link.csv").unlink()
    done = plan(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["MissingFile", "MissingFile"]
    done = plan(folder, "--config-file-name", "other.json", "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert (answer["estimate"], answer["findings"][0]["name"]) == (None, "MissingConfiguration")
    done = plan(tmp_path / "nowhere")
    assert (done.returncode, done.stderr) == (1, f"despina: There is no folder {tmp_path / 'nowhere'}.\n")


def test_plan_of_files_without_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("~id,~label,age:int\na,person,3\nb,person,4\n", encoding="utf-8")
    done = plan(tmp_path)
    assert (done.returncode, done.stderr.split(":")[0]) == (1, "MissingLabels")
    (tmp_path / "knows.csv").write_text("~id,~from,~to,~label\n1,a,b,knows\n", encoding="utf-8")
    done = plan(tmp_path)
    assert done.returncode == 0
    assert "derives from the CSV files" in done.stderr
    assert "(person)-knows-(person)" in done.stdout


def test_plan_of_triples(tmp_path: Path) -> None:
    triples = "".join(f"<http://example.org/{i}> <http://example.org/knows> <http://example.org/{i + 1}> .\n" for i in range(50))
    (tmp_path / "a.nt").write_text(triples, encoding="utf-8")
    (tmp_path / "one.json").write_text(json.dumps({"graph": {"rdfs": [{"file_name": "a.nt"}]}}), encoding="utf-8")
    done = plan(tmp_path, "--config-file-name", "one.json", "--json")
    assert (done.returncode, json.loads(done.stdout)["estimate"]["edges"]) == (0, 50)
    files = [{"file_name": name} for name in ("a.nt", "b.nt", "c.nt")]
    (tmp_path / "three.json").write_text(json.dumps({"graph": {"rdfs": files}}), encoding="utf-8")
    done = plan(tmp_path, "--config-file-name", "three.json")
    assert (done.returncode, [line[:17] for line in done.stderr.splitlines()]) == (1, ["MissingFile: b.nt", "MissingFile: c.nt"])
