"""The real clients, each as its users run it, against one server with one completed job of each kind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving import PATIENCE_SECONDS, Server
from tests.wire.guarded import Keys, grant, issued

JavaScript = Callable[[str, dict[str, Any]], dict[str, Any]]
CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(server: Server, trained_data: Path) -> Server:
    """The module's server, begun again with a completed data-processing job ``dp`` and training job ``tr``."""
    server.stop()
    shutil.rmtree(server.data_dir)
    shutil.copytree(trained_data, server.data_dir)
    return server.start()


@pytest.fixture(scope="module")
def alice(guarded: Server) -> Keys:
    """The keys of a principal who may do everything at the module's own server ``guarded``."""
    grant(guarded, "alice", "*")
    return issued(guarded, "alice")


@pytest.fixture(scope="module")
def javascript(server: Server) -> Iterator[JavaScript]:
    """Calls a command of ``@aws-sdk/client-neptunedata``."""
    folder = Path(__file__).parent / "js"
    if not shutil.which("node") or not (folder / "node_modules").is_dir():
        message = "the JavaScript client is not installed: scripts/setup-js"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with subprocess.Popen(["node", "call.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def call(command: str, parameters: dict[str, Any]) -> dict[str, Any]:
            stdin.write(json.dumps({"url": server.url, "command": command, "input": parameters}) + "\n")
            stdin.flush()
            answer = json.loads(stdout.readline())
            assert isinstance(answer, dict)
            return answer

        yield call
        stdin.close()


@pytest.fixture(scope="module")
def command_line(server: Server) -> CommandLine:
    """Runs the AWS CLI (version 1)."""
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
                   "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull}

    def call(*arguments: str) -> tuple[int, str, str]:
        aws = Path(sys.executable).with_name("aws")
        done = subprocess.run([sys.executable, str(aws), "neptunedata", *arguments, "--endpoint-url", server.url],
                              capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS, check=False)
        return done.returncode, done.stdout, done.stderr

    return call
