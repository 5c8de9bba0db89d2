"""The composition root: Settings in, running server out. The only file that knows every part, and that knows uvicorn."""

import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from despina.api.asgi import Api, ApiSettings, malformed_http_answer
from despina.artifacts import open_artifacts
from despina.auth.gate import Gate
from despina.auth.secrets import load_box
from despina.control.hints import Hints
from despina.control.jobs import Jobs
from despina.control.reconciler import Reconciler
from despina.core.errors import DespinaError
from despina.core.names import Cluster
from despina.core.ports import JobStore, KeyStore
from despina.engine import open_engine
from despina.engine.local import LocalEngine
from despina.settings import Settings
from despina.store import open_key_store, open_store

PROGRAMS = "despina.programs"
"""The module that an engine starts."""


class SystemClock:
    """The machine's time of day."""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000


class Parts:
    """A control plane: store, engine, jobs and the reconciler that moves them. ``close`` ends it; running jobs go on."""

    def __init__(self, settings: Settings) -> None:
        data = settings.data_dir.absolute()
        self.folders = {"runs": data / "runs", "s3": data / "s3"}
        try:
            for folder in self.folders.values():
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DespinaError(f"The data directory {data} cannot be used: {error.strerror}.") from None
        clock = SystemClock()
        artifacts = open_artifacts(self.folders["s3"])
        self.store: JobStore = open_store(settings.database_url or data / "despina.db")
        hints = Hints()
        self.engine: LocalEngine = open_engine(
            settings.engine, folder=self.folders["runs"], module=PROGRAMS, grace_seconds=settings.stop_grace_seconds,
            environment={"DESPINA_S3_FOLDER": str(self.folders["s3"])}, on_change=hints.wake_run)
        self.keys: KeyStore | None = None
        self.gate: Gate | None = None
        if settings.iam_auth:
            self.keys = open_key_store(settings.database_url or data / "despina.db")
            self.gate = Gate(store=self.keys, open_box=lambda: load_box(data, os.environ), cluster=cluster(settings), clock=clock)
        self.jobs = Jobs(store=self.store, engine=self.engine, logs=self.engine, artifacts=artifacts, clock=clock,
                         max_active_jobs=settings.max_active_jobs, hints=hints, custom_models=settings.custom_models)
        self.reconciler = Reconciler(store=self.store, engine=self.engine, artifacts=artifacts, clock=clock, hints=hints,
                                     stalled_after=round(settings.stalled_after_seconds * 1000))
        self._thread = threading.Thread(target=self.reconciler.run, name="despina-reconciler", daemon=True)

    def start(self) -> None:
        """Begin to reconcile, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """End reconciling and let go of everything."""
        self.reconciler.close()
        self._thread.join(timeout=10)
        self.engine.close()
        self.store.close()
        if self.keys is not None:
            self.keys.close()


class _Protocol(HttpToolsProtocol):
    """HTTP as the API promises it: what is not even HTTP gets the four members and two headers as well."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the answer says it in the API's words
        self.transport.write(malformed_http_answer(str(uuid.uuid4())))
        self.transport.close()


class _Server(uvicorn.Server):
    """A server that calls back once it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def api(settings: Settings, jobs: Jobs, gate: Gate | None) -> Api:
    """The ASGI application over these jobs."""
    return Api(
        jobs,
        gate=gate,
        settings=ApiSettings(
            max_in_flight=settings.max_in_flight, requests_per_second=settings.requests_per_second,
            max_body_bytes=settings.max_body_bytes, body_timeout_seconds=settings.body_timeout_seconds,
            ml_enabled=settings.ml_enabled, neptune_ml_iam_role=settings.neptune_ml_iam_role),
        cluster=cluster(settings))


def cluster(settings: Settings) -> Cluster:
    """Where ARNs say that things are."""
    return Cluster(region=settings.region, account_id=settings.account_id, resource_id=settings.resource_id)


def serve(settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is called with the server's URL once it accepts connections.

    Raises:
        DespinaError: the address or the data directory cannot be used.
    """
    listener = listen(settings.host, settings.port)
    parts = Parts(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{listener.getsockname()[1]}"
    parts.start()
    try:
        run_http(api(settings, parts.jobs, parts.gate), listener, ready=lambda: ready(url))
    finally:
        parts.close()


def reconcile(settings: Settings, *, ready: Callable[[], None]) -> None:
    """Run the jobs until SIGTERM or SIGINT, without an API."""
    parts = Parts(settings)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    parts.start()
    ready()
    ended.wait()
    parts.close()


def run_http(application: Any, listener: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serve an ASGI application on a listening socket until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        application, http=_Protocol, ws="none", loop="uvloop", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=5)
    # uvicorn shuts down on SIGTERM and then raises it again for whoever was there before: here that is nobody, the exit is clean.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    with suppress(KeyboardInterrupt):
        _Server(config, ready).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises DespinaError with the address and the reason."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or error
        raise DespinaError(f"Cannot listen on {host} port {port}: {reason}. Choose another with --host and --port.") from None


def log_to_stderr(environ: Mapping[str, str]) -> None:
    """Send the program's log to standard error; ``DESPINA_LOG_LEVEL`` sets the level (INFO)."""
    logging.basicConfig(stream=sys.stderr, level=environ.get("DESPINA_LOG_LEVEL", "INFO").upper(),
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
