"""``despina plan``, for which there need be no server."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.exports import write_export
from tests.serving import PATIENCE_SECONDS


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
