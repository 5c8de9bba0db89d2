"""A Ray cluster's HTTP server, as far as the engine needs it: the Jobs API, files in the log folders of nodes, and what nodes have.

Only the standard library; Ray itself is never imported. Every call is a connection of its own, and is answered or given up within
``TIMEOUT_SECONDS``.
"""

import http.client
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from despina.core.errors import NotOffered
from despina.engine.slots import Slots

TIMEOUT_SECONDS = 5.0
NODE_SECONDS = 3
"""How long the cluster's server waits for one of its nodes."""
_URL = re.compile(r"(ray|ray\+https)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})/?")
_T = TypeVar("_T")


class RayUnreachable(ConnectionError):
    """The cluster does not answer, or not as Ray does. Nothing is known of its jobs then."""


class NodeSilent(ConnectionError):
    """The cluster answers, and the node does not, for the moment."""


class NodeGone(Exception):
    """The node is no member of the cluster any more."""


class RayJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the Jobs API describes it (``JobDetails``). Times are ms since 1970."""

    submission_id: str | None = None
    """None: a job that was not submitted, but began by itself on a node."""
    status: str
    """``PENDING``, ``RUNNING``, ``STOPPED``, ``SUCCEEDED`` or ``FAILED``."""
    message: str | None = None
    error_type: str | None = None
    start_time: int | None = None
    """When it was submitted."""
    end_time: int | None = None
    metadata: dict[str, str] | None = None
    driver_node_id: str | None = None
    """Where its entrypoint was started, if it was."""
    driver_exit_code: int | None = None


class _Node(msgspec.Struct, frozen=True, kw_only=True):
    state: str
    resources_total: dict[str, float] = {}


class RayJobs:
    """The HTTP server at one address. May be used by several threads at once."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        """``url``: ``ray://HOST:PORT`` or ``ray+https://HOST:PORT``, the address of the cluster's dashboard; ``token``: what Ray's
        own clients take from ``RAY_AUTH_TOKEN``."""
        address = _URL.fullmatch(url)
        if address is None or not 0 < int(address[3]) < 65536:
            raise NotOffered(f"The value '{url}' of the setting 'engine' is no address of a Ray cluster: it has to be "
                             "ray://HOST:PORT, where the cluster's dashboard listens (its port is 8265 by default).")
        self._connection = http.client.HTTPSConnection if address[1] == "ray+https" else http.client.HTTPConnection
        self.host, self.port = address[2].strip("[]"), int(address[3])
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def submit(self, submission_id: str, *, entrypoint: str, env_vars: Mapping[str, str] | None = None,
               metadata: Mapping[str, str] | None = None, slots: Slots | None = None) -> bool:
        """Submit a job; False, and nothing is done, when there is one with this id. A job without ``slots`` runs on the head."""
        job: dict[str, Any] = {"submission_id": submission_id, "entrypoint": entrypoint, "metadata": metadata or {},
                               "runtime_env": {"env_vars": dict(env_vars or {})}}
        if slots is not None:
            job |= {"entrypoint_num_cpus": slots.cores, "entrypoint_memory": slots.memory_mib * 2**20}
        status, answer = self._call("POST", "/api/jobs/", msgspec.json.encode(job))
        if status != 200 and f"{submission_id} already exists".encode() not in answer:
            raise self._refusal("POST /api/jobs/", status, answer)
        return status == 200

    def get(self, submission_id: str) -> RayJob | None:
        """The job, or None when Ray knows none of this id."""
        path = f"/api/jobs/{quote(submission_id)}"
        status, answer = self._call("GET", path)
        if status == 404:
            return None
        return self._read(path, status, answer, RayJob)

    def all(self) -> list[RayJob]:
        """All jobs that Ray knows, whoever submitted them."""
        status, answer = self._call("GET", "/api/jobs/")
        return self._read("/api/jobs/", status, answer, list[RayJob])

    def stop(self, submission_id: str) -> None:
        """Have Ray stop the job: one that runs at once, one that waits when it has started, and none if there is none."""
        path = f"/api/jobs/{quote(submission_id)}/stop"
        status, answer = self._call("POST", path)
        if status not in {200, 404}:
            raise self._refusal(f"POST {path}", status, answer)

    def delete(self, submission_id: str) -> bool:
        """Delete what Ray knows of a job that has ended; whether it is gone. False: it has not ended."""
        path = f"/api/jobs/{quote(submission_id)}"
        status, answer = self._call("DELETE", path)
        if status not in {200, 404} and b"non-terminal state" not in answer:
            raise self._refusal(f"DELETE {path}", status, answer)
        return status in {200, 404}

    def read_log_file(self, node_id: str, name: str) -> bytes | None:
        """A file in the log folder of a node's Ray session; None: there is none of this name. Raises NodeGone, NodeSilent."""
        query = {"node_id": node_id, "filename": name, "lines": -1, "timeout": NODE_SECONDS}
        path = f"/api/v0/logs/file?{urlencode(query)}"
        status, answer = self._call("GET", path)
        if status == 200:
            return answer
        if b"file is not found" in answer:
            return None
        if answer.startswith(b"Agent for node id"):
            raise NodeGone(node_id)
        raise NodeSilent(f"The node {node_id} does not answer: {answer[:500].decode(errors='replace')}")

    def nodes(self) -> list[Slots]:
        """The cores and the memory of each node that is alive and has a core to give."""
        path = "/api/v0/nodes?detail=1"
        status, answer = self._call("GET", path)
        found = self._read(path, status, answer, dict[str, Any])
        nodes = msgspec.convert(found["data"]["result"]["result"], list[_Node])
        return [Slots(cores=int(node.resources_total["CPU"]), memory_mib=int(node.resources_total.get("memory", 0)) // 2**20)
                for node in nodes if node.state == "ALIVE" and node.resources_total.get("CPU", 0) >= 1]

    def version(self) -> str:
        """Ray's version there."""
        status, answer = self._call("GET", "/api/version")
        found = self._read("/api/version", status, answer, dict[str, Any])
        return str(found.get("ray_version"))

    def _read(self, path: str, status: int, answer: bytes, kind: type[_T]) -> _T:
        if status == 200:
            try:
                return msgspec.json.decode(answer, type=kind)
            except msgspec.DecodeError as error:
                answer = f"{error}".encode()
        raise self._refusal(f"GET {path}", status, answer)

    def _call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = self._connection(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, {**self._headers, **({"Content-Type": "application/json"} if body else {})})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise RayUnreachable(f"The Ray cluster at {self.host}:{self.port} does not answer: {why}.") from error
        finally:
            connection.close()

    def _refusal(self, call: str, status: int, answer: bytes) -> RayUnreachable:
        last = answer.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        return RayUnreachable(f"The Ray cluster at {self.host}:{self.port} answers {call} with {status}: {last[0][:500]}")
