"""What the code's shape promises: sizes, imports, and what the server does not load."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "despina"
FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"
    assert path.stem not in {"utils", "helpers", "common", "misc"}


def loaded_by(module: str) -> set[str]:
    """The modules that importing ``module`` loads, in a fresh interpreter."""
    script = f"import json, sys; import {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_the_server_loads_nothing_heavy() -> None:
    loaded = {module.partition(".")[0] for module in loaded_by("despina.app")}
    assert not loaded & {"torch", "ray", "optuna", "polars", "numpy", "boto3", "botocore", "safetensors", "sqlalchemy",
                         "jinja2"}
    assert "uvicorn" in loaded, "the check sees what is loaded"


def test_the_command_line_loads_no_server_for_a_job_verb() -> None:
    assert "uvicorn" not in loaded_by("despina.cli.jobs")
