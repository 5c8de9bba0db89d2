"""A real Ray cluster on loopback: a head, and nodes that may be added and killed.

It is ended by its processes, which have a mark in their environment: ``ray stop`` would end those of other clusters, too.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from tests.serving import wait_for

from despina.engine.processes import kill_marked
from despina.engine.ray_jobs import RayJobs, RayUnreachable

MARK = "DESPINA_TEST_CLUSTER"
NODE = "DESPINA_TEST_NODE"
START_SECONDS = 90
OBJECT_STORE_BYTES = 80_000_000
"""About the least that Ray takes."""
MEMORY_BYTES = 4_000_000_000

QUICK = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "2000", "RAY_health_check_failure_threshold": "3"}
"""A lost node is noticed after some three seconds instead of fifteen."""


class RayCluster:
    """``cores``: of the head."""

    def __init__(self, *, cores: int) -> None:
        self._cores = cores
        self._mark = uuid.uuid4().hex
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # Ray's sockets need a short path
        self._ports = free_ports(2)
        self._nodes = 0
        self.url = f"ray://127.0.0.1:{self._ports[0]}"
        self._start_head()

    @property
    def address(self) -> str:
        """What ``RAY_ADDRESS`` is to be."""
        return f"127.0.0.1:{self._ports[1]}"

    def _start_head(self) -> None:
        dashboard, gcs = self._ports
        self._ray("head", "--head", f"--port={gcs}", f"--dashboard-port={dashboard}", "--include-dashboard=true",
                  "--dashboard-host=127.0.0.1", f"--temp-dir={self._folder}", f"--num-cpus={self._cores}")
        jobs = RayJobs(self.url)
        wait_for("the cluster's first node", lambda: self._answers(jobs))

    @staticmethod
    def _answers(jobs: RayJobs) -> bool:
        try:
            return bool(jobs.nodes()) and jobs.get("nobody") is None
        except RayUnreachable:
            return False

    def add_node(self, *, cores: int) -> str:
        """Start another node; its name."""
        before = len(RayJobs(self.url).nodes())
        self._nodes += 1
        name = f"node-{self._nodes}"
        self._ray(name, f"--address={self.address}", f"--num-cpus={cores}")
        wait_for("the node", lambda: len(RayJobs(self.url).nodes()) > before)
        return name

    def kill(self, name: str) -> None:
        """End every process of a node at once, runs and all: what a power failure does."""
        self._kill(self._marks(name))

    def restart_head(self) -> None:
        """Kill the head and start another one at its address, which knows nothing of it."""
        self.kill("head")
        self._start_head()

    def close(self) -> None:
        """End every process, and delete all files."""
        self._kill({MARK: self._mark})
        shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def _kill(marks: dict[str, str]) -> None:
        wait_for("the end of Ray's processes", lambda: kill_marked(marks) == 0)

    def _marks(self, name: str) -> dict[str, str]:
        return {MARK: self._mark, NODE: name}

    def _ray(self, name: str, *flags: str) -> None:
        agent_http, agent_grpc, metrics, client = free_ports(4)
        command = [str(Path(sys.executable).with_name("ray")), "start", *flags, f"--dashboard-agent-listen-port={agent_http}",
                   f"--dashboard-agent-grpc-port={agent_grpc}", f"--metrics-export-port={metrics}",
                   "--min-worker-port=0", "--max-worker-port=0", f"--memory={MEMORY_BYTES}",
                   f"--object-store-memory={OBJECT_STORE_BYTES}", "--disable-usage-stats"]
        if "--head" in flags:
            command.append(f"--ray-client-server-port={client}")
        # A node has nothing of ours but what is installed: no variable, and another working directory.
        foreign = {name: value for name, value in os.environ.items() if not name.startswith(("DESPINA_", "AWS_", "PYTHON"))}
        environment = {**foreign, **self._marks(name), **QUICK, "RAY_USAGE_STATS_ENABLED": "0",
                       "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        with (self._folder / f"{name}.log").open("ab") as log:
            done = subprocess.run(command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  timeout=START_SECONDS, check=False)
        assert done.returncode == 0, (self._folder / f"{name}.log").read_text()[-3000:]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


