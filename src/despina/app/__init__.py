"""The composition root: Settings in, running server out. The only file that knows every part."""

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from despina.api.asgi import Api
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.app.http_server import ConnectionLimits, listen, run_http
from despina.app.tls import Certificate, self_signed
from despina.artifacts import ENDPOINTS, open_artifacts
from despina.auth.audit import AuditLog
from despina.auth.gate import Gate
from despina.auth.principals import Policies, Principals
from despina.auth.role_bounds import PolicyRoleBounds
from despina.auth.secrets import load_box
from despina.auth.sessions import Sessions
from despina.control.basis import JobRules
from despina.control.endpoint_reconciler import EndpointReconciler
from despina.control.endpoints import Endpoints
from despina.control.hints import Hints
from despina.control.jobs import Jobs
from despina.control.reconciler import Reconciler
from despina.control.retention import Retention
from despina.core import plans
from despina.core.endpoint import endpoint_of_run, is_endpoint_run
from despina.core.errors import DespinaError
from despina.core.job import JobKind
from despina.core.names import Cluster
from despina.core.ports import KeyStore, WholeEngine
from despina.core.principal import AccessKey, Principal
from despina.core.roles import ParameterGroup
from despina.engine import open_engine
from despina.settings import Settings
from despina.store import is_networked, open_key_store, open_stores
from despina.telemetry.logs import log_to_stderr
from despina.telemetry.metrics import Metrics
from despina.telemetry.traces import open_traces
from despina.telemetry.watch import Watch

__all__ = ["Parts", "SystemClock", "api", "reconcile", "run", "serve"]

if TYPE_CHECKING:
    from despina.api.traced import TracedApi

log = logging.getLogger("despina.app")

PROGRAMS = "despina.programs"
"""The module that an engine starts."""
_NOT_FOR_RUNS = ("DESPINA_DATABASE_URL", "PGPASSWORD")
"""Variables of the environment that no run is to see: a program, possibly of a user's own, has no business in the database."""
PROGRAM_VARIABLES = frozenset({"DESPINA_SENTENCE_MODEL", "DESPINA_WORD_VECTORS"})
"""What is configured for programs alone."""
ARTIFACT_PATIENCE_SECONDS = 5.0
"""How long a request waits for an S3 server that gives no answer; the programs of jobs have more time."""


def _next_turn(call: Callable[[], None]) -> None:
    """Have something called in the next turn of the event loop."""
    asyncio.get_running_loop().call_soon(call)


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
        self.metrics = Metrics({"engine": settings.engine.partition(":")[0],
                                "store": "postgresql" if is_networked(settings.database_url) else "sqlite"})
        self.traces = open_traces(os.environ, service="despina")
        watch = Watch(self.metrics, self.traces)
        artifacts = open_artifacts(self.folders["s3"], cache=data / "cache", patience_seconds=ARTIFACT_PATIENCE_SECONDS,
                                   telemetry=watch)
        self.stores = open_stores(settings.database_url or data / "despina.db", watch)
        self.hints, self.endpoint_hints = hints, endpoint_hints = Hints[tuple[JobKind, str]](), Hints[str]()

        def on_change(run_id: str) -> None:
            if is_endpoint_run(run_id):
                endpoint_hints.wake(endpoint_of_run(run_id))
            else:
                hints.wake(plans.job_of_run(run_id))

        self.engine: WholeEngine = open_engine(
            settings.engine, folder=self.folders["runs"], module=PROGRAMS, grace_seconds=settings.stop_grace_seconds,
            environment={"DESPINA_CUSTOM_MODELS_USER": settings.custom_models_user, **passed_on(os.environ, self.folders["s3"]),
                         **dict.fromkeys(_NOT_FOR_RUNS, "")},
            folders={"DESPINA_S3_FOLDER": str(self.folders["s3"]), "DESPINA_CACHE_FOLDER": str(data / "cache")},
            on_change=on_change, deployment=cluster(settings).fingerprint, is_service=is_endpoint_run)
        if settings.engine == "local" and os.environ.get("RAY_ADDRESS"):
            log.warning("RAY_ADDRESS is set, and the engine is 'local': runs stay on this machine and do not see it. "
                        "--engine ray://HOST:PORT has a cluster run them.")
        principals = Principals(configured_principals(settings, data), self.stores.keys)
        self.gate: Gate | None = None
        self.audit: AuditLog | None = None
        self.sessions: Sessions | None = None
        if settings.iam_auth:
            self.gate = Gate(principals=principals, open_box=lambda: load_box(data, os.environ), cluster=cluster(settings),
                             clock=clock, soon=_next_turn)
            self.audit = AuditLog(data / "audit", soon=_next_turn)
            self.sessions = Sessions(lambda: load_box(data, os.environ))
        rules, bounds = job_rules(settings), PolicyRoleBounds(principals)
        self.jobs = Jobs(store=self.stores.jobs, engine=self.engine, logs=self.engine, artifacts=artifacts, clock=clock,
                         hints=hints, rules=rules, bounds=bounds, telemetry=watch)
        self.endpoints = Endpoints(store=self.stores.endpoints, jobs=self.stores.jobs, serving=self.engine, logs=self.engine,
                                   artifacts=artifacts, clock=clock, hints=endpoint_hints, rules=rules, bounds=bounds)
        self.reconciler = Reconciler(store=self.stores.jobs, engine=self.engine, artifacts=artifacts, clock=clock, hints=hints,
                                     stalled_after=round(settings.stalled_after_seconds * 1000), telemetry=watch)
        self.endpoint_reconciler = EndpointReconciler(store=self.stores.endpoints, engine=self.engine, clock=clock,
                                                      hints=endpoint_hints)
        self._work: dict[str, Reconciler | EndpointReconciler | Retention] = {
            "despina-reconciler": self.reconciler, "despina-endpoints": self.endpoint_reconciler}
        if settings.run_retention_days:
            self._work["despina-retention"] = Retention(
                jobs=self.stores.jobs, endpoints=self.stores.endpoints, engine=self.engine, clock=clock,
                keep_ms=round(settings.run_retention_days * 86_400_000))
        self._threads = [threading.Thread(target=work.run, name=name, daemon=True) for name, work in self._work.items()]

    def start(self) -> None:
        """Begin to reconcile, and to forget old runs, in threads."""
        self.stores.listen(self.hints.wake, self.endpoint_hints.wake)
        for thread in self._threads:
            thread.start()

    def leave_to_others(self) -> None:
        """Do not reconcile: nobody takes hints here."""
        self.hints.close()
        self.endpoint_hints.close()

    def close(self) -> None:
        """End reconciling and let go of everything."""
        for work in self._work.values():
            work.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)
        self.engine.close()
        self.stores.close()
        if self.audit is not None:
            self.audit.close()
        if self.traces is not None:
            self.traces.close()


def api(settings: Settings, parts: Parts) -> "Api | TracedApi":
    """The ASGI application over these parts."""
    application = Api(
        ControlPlane(parts.jobs, parts.endpoints),
        gate=parts.gate,
        audit=parts.audit,
        sessions=parts.sessions,
        networked=is_networked(settings.database_url),
        settings=ApiSettings(
            max_in_flight=settings.max_in_flight, requests_per_second=settings.requests_per_second,
            max_body_bytes=settings.max_body_bytes, body_timeout_seconds=settings.body_timeout_seconds,
            ml_enabled=settings.ml_enabled, iam_auth=settings.iam_auth, parameter_group=parameter_group(settings),
            own_hosts=frozenset({settings.host.lower(), socket.gethostname().lower()})),
        cluster=cluster(settings),
        metrics=parts.metrics)
    if parts.traces is None:
        return application
    from despina.api.traced import TracedApi
    return TracedApi(application, parts.traces)


def parameter_group(settings: Settings) -> ParameterGroup:
    """The roles that requests may name."""
    return ParameterGroup(roles=settings.roles, default=settings.neptune_ml_iam_role)


def passed_on(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What programs have to know on other machines, too: the S3 server and its keys, or the folder that stands in for it; and the
    variables of this process that they read, but for those that name files of this machine."""
    named = {name: value for name, value in environ.items()
             if name in PROGRAM_VARIABLES or (name.startswith(("AWS_", "OTEL_")) and not name.endswith(("_FILE", "_BUNDLE")))}
    return named if any(environ.get(name) for name in ENDPOINTS) else {**named, "DESPINA_S3_FOLDER": str(folder)}


def job_rules(settings: Settings) -> JobRules:
    """What jobs may do. Who has to sign comes from elsewhere, and has no business with the files of this machine."""
    return JobRules(
        max_active_jobs=settings.max_active_jobs, max_active_jobs_per_principal=settings.max_active_jobs_per_principal,
        max_endpoints=settings.max_endpoints, endpoint_idle_seconds=settings.endpoint_idle_seconds,
        custom_models=settings.custom_models, file_locations=not settings.iam_auth, parameter_group=parameter_group(settings))


def configured_principals(settings: Settings, data: Path) -> KeyStore:
    """The principals of the configuration file, in memory.

    Raises:
        InvalidPolicy: a policy that is not understood; the text names principal and place.
        IdTaken: two of them have an ARN or an access key in common.
    """
    store = open_key_store(":memory:")
    for given in settings.principals:
        arn = given.arn or f"arn:aws:iam::{settings.account_id}:user/{given.name}"
        principal = Principal(name=given.name, arn=arn, policies=given.policies, boundary=given.boundary)
        Policies(principal)
        store.put_principal(principal)
        if given.access_key_id:
            sealed = load_box(data, os.environ).seal(given.secret_access_key, given.access_key_id)
            store.add_key(AccessKey(id=given.access_key_id, principal=given.name, sealed=sealed, created_at=0))
    return store


def cluster(settings: Settings) -> Cluster:
    """Where ARNs say that things are."""
    return Cluster(region=settings.region, account_id=settings.account_id, resource_id=settings.resource_id)


def run(work: Callable[[], None], environ: Mapping[str, str]) -> int:
    """Do the work of a server, with a log as the environment asks for it; the exit status.

    Raises:
        DespinaError: the work has; but where the log is JSON the error is an entry of it instead.
    """
    shape = log_to_stderr(environ)
    try:
        work()
    except DespinaError as error:
        if shape == "text":
            raise
        log.critical("%s", error)
        return 1
    return 0


def serve(settings: Settings, *, ready: Callable[[str], None], reconciling: bool = True) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is called with the server's URL once it accepts connections.

    ``reconciling``: whether the jobs are run here, too; if not, some process must ``reconcile``.

    Raises:
        DespinaError: the address or the data directory cannot be used.
    """
    listener = listen(settings.host, settings.port)
    parts = Parts(settings)
    _tell_metrics(settings, parts)
    certificate = _certificate(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{'https' if certificate else 'http'}://{host}:{listener.getsockname()[1]}"
    limits = ConnectionLimits(max_connections=settings.max_connections, timeout_seconds=settings.connection_timeout_seconds,
                              max_header_bytes=settings.max_header_bytes)
    if reconciling:
        parts.start()
    else:
        parts.leave_to_others()
    try:
        run_http(api(settings, parts), listener, ready=lambda: ready(url), limits=limits, certificate=certificate,
                 metrics=parts.metrics)
    finally:
        parts.close()


def _tell_metrics(settings: Settings, parts: Parts) -> None:
    if settings.metrics_port is not None:
        port = parts.metrics.listen(settings.host, settings.metrics_port)
        log.info("Metrics are at http://%s:%d/metrics.", settings.host, port)


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_self_signed:
        return self_signed(settings.data_dir.absolute() / "tls", settings.host)
    if settings.tls_cert is not None and settings.tls_key is not None:
        return Certificate(settings.tls_cert, settings.tls_key)
    return None


def reconcile(settings: Settings, *, ready: Callable[[], None]) -> None:
    """Run the jobs until SIGTERM or SIGINT, without an API."""
    parts = Parts(settings)
    _tell_metrics(settings, parts)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    parts.start()
    ready()
    ended.wait()
    parts.close()
