"""AWS's graph-notebook, as it is, in an environment of its own: the example notebook, executed from its first cell to its last."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.seaweed import Seaweed
from tests.serving import Server

from despina.testing.server import running

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebook" / "despina.ipynb"
PROGRAMS = ROOT / ".venv-notebook" / "bin"
TIMEOUT_SECONDS = 240


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter that has graph-notebook."""
    if not (PROGRAMS / "python").exists():
        message = "graph-notebook is not installed: scripts/setup-notebook"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return PROGRAMS / "python"


CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in json.load(open("despina.ipynb"))["cells"]:
    if cell["cell_type"] == "code":
        shell.run_cell("".join(cell["source"]), store_history=False).raise_error()
        sys.stdout.flush()
"""
"""Runs the cells as a kernel does, without one: in whole runs of the tests nbclient waited for ever for the reply of an idle
kernel."""


def execute(python: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Execute ``despina.ipynb`` in a folder, which is the home of its user too."""
    return subprocess.run(
        [python, "-c", CELLS],
        cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
        env={**os.environ, "HOME": str(folder), "AWS_DEFAULT_REGION": "us-east-1", "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
             "PYTHONWARNINGS": "ignore", **environment})


SIGNED = """
import json
from urllib.parse import urlsplit

from botocore.session import get_session
from graph_notebook.neptune.client import ClientBuilder

guarded = json.loads({guarded!r})
os.environ.update(guarded)
parts = urlsplit(guarded["AWS_ENDPOINT_URL_NEPTUNEDATA"])

def builder():
    return (ClientBuilder().with_host(parts.hostname).with_port(parts.port).with_tls(False).with_region("us-east-1")
            .with_custom_neptune_hosts([parts.hostname]))

for client in (builder().with_iam(get_session()).build(), builder().build()):
    print("guarded", client.modeltraining_list().status_code)
"""
"""A last cell, which signs as the magic does for hosts of its allow list with ``auth_mode`` IAM. In the same kernel, because
importing graph-notebook takes five seconds."""


def test_the_example_notebook(python: Path, start_server: Callable[..., Server], seaweed: Seaweed, tmp_path: Path) -> None:
    keys = dict(seaweed.environment())
    server = start_server("--tls-self-signed", environment=keys)
    port = server.url.rpartition(":")[2]
    source = NOTEBOOK.read_text(encoding="utf-8")
    assert source.count('\\"port\\": 8182') == 1
    notebook = json.loads(source.replace("8182", port))
    with running({"iam_auth": True}) as guarded:
        notebook["cells"].append({"cell_type": "code", "id": "signed", "metadata": {}, "execution_count": None, "outputs": [],
                                  "source": SIGNED.format(guarded=json.dumps(guarded.environment))})
        (tmp_path / "despina.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        try:
            done = execute(python, tmp_path, AIR_ROUTES=str(ROOT / "examples" / "air-routes"),
                           REQUESTS_CA_BUNDLE=str(server.data_dir / "tls" / "cert.pem"), **keys)
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"{late}; standard error: {late.stderr!r}; the server's log: {server.log()[-5000:]}")
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout.splitlines()
    for line in ("This Neptune cluster is configured to use Neptune ML", "Completed 1 model",
                 "3504 airports, 3504 embeddings, scores (3504, 6) and classes (3504,)", "the same indices: True",
                 "Endpoint continents has been deleted", "again", "['again']", "{'status': 'Stopping'}"):
        assert line in said, said
    assert said.count("InService") == 2
    assert [line for line in said if line.startswith("Completed s3://notebook/processed/airports-")]
    assert [line for line in said if line in {"Stopping", "Stopped"}], "of the transform job"
    assert [line for line in said if line.startswith("['airports'] ['continents'] [")], "the lists of the client"
    [accuracy] = [float(line.split()[1]) for line in said if line.startswith("accuracy ")]
    assert accuracy >= 0.9
    assert [line for line in said if line.startswith("guarded")] == ["guarded 200", "guarded 403"], "with a signature, and without"
