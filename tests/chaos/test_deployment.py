"""The multi-process form, started by the very commands that stand in the systemd units, and what the compose file starts."""

import os
import selectors
import shlex
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import yaml
from tests.postgres import postgresql_cluster
from tests.serving import PATIENCE_SECONDS, Server

from despina.cli import parser

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = {name: DEPLOY / "systemd" / f"despina-{name}@.service" for name in ("api", "reconciler")}


def command(name: str) -> list[str]:
    """The command of a unit."""
    (line,) = [line for line in UNITS[name].read_text(encoding="utf-8").splitlines() if line.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart="))


@pytest.mark.slow
def test_the_units_commands_start_servers_that_work_together(tmp_path: Path, export: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    here = {"/opt/despina/bin/despina": [sys.executable, "-m", "despina"], "%i": ["0"], "/var/lib/despina": [str(data_dir)]}
    with ExitStack() as stack, (data_dir / "server.log").open("w") as log:
        url = stack.enter_context(stack.enter_context(postgresql_cluster()).database())
        servers = []
        for name in ("reconciler", "reconciler", "api", "api", "api"):
            process = stack.enter_context(subprocess.Popen(
                [word for part in command(name) for word in here.get(part, [part])],
                stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | {"DESPINA_DATABASE_URL": url}))
            stack.callback(process.terminate)
            assert process.stdout is not None
            with closing(selectors.DefaultSelector()) as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                assert selector.select(timeout=PATIENCE_SECONDS)
            line = process.stdout.readline()
            assert line.startswith("Despina "), line
            if name == "api":
                servers.append(Server(data_dir))
                servers[-1].url = line.split()[-1]
        servers[0].process(export)
        assert [server.request("GET", "/ml/dataprocessing")[2]["ids"] for server in servers] == [["dp"]] * 3


def test_what_the_files_start_is_understood() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    ours = {name: service["command"] for name, service in services.items() if service.get("image") == "despina"}
    assert sorted(ours) == ["api-1", "api-2", "api-3", "reconciler-1", "reconciler-2"]
    for arguments in (*ours.values(), *(command(name)[1:] for name in UNITS)):
        parser().parse_args(arguments)
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), f"{name} is published on loopback alone"
