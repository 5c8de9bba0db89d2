"""Fixtures that several suites share: real servers on loopback."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.exports import write_export
from tests.serving import Server


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small export."""
    return write_export(tmp_path_factory.mktemp("exports") / "colours")


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, each on a data directory of its own, and ends what is left of them and of their runs."""
    servers: list[Server] = []

    def start(*flags: str, environment: dict[str, str] | None = None) -> Server:
        servers.append(Server(tmp_path / f"data-{len(servers)}", *flags, environment=environment))
        return servers[-1].start()

    yield start
    for server in servers:
        _end(server)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module."""
    server = Server(tmp_path_factory.mktemp("server") / "data").start()
    yield server
    _end(server)


def _end(server: Server) -> None:
    server.stop()
    for pid in server.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
