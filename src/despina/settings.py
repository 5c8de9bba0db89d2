"""Settings: one frozen object, built from flags, the environment and a file, in this order of precedence."""

import logging
import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import msgspec

from despina.core import rules
from despina.core.errors import DespinaError, RequestError
from despina.core.frozen import Frozen

logger = logging.getLogger(__name__)


class SettingsError(DespinaError):
    """A setting is unknown or its value cannot be used; the text names the setting, where it stands and what would be right."""


class ConfiguredPrincipal(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A principal of the configuration file, with its access key if it signs."""

    name: str
    arn: str = ""
    """Empty: a user of the cluster's account."""
    access_key_id: str = ""
    secret_access_key: str = ""
    policies: tuple[str, ...] = ()
    """IAM policy documents."""
    boundary: str | None = None

    def __repr__(self) -> str:  # a secret must not come into a message or a log
        return f"ConfiguredPrincipal({self.name!r})"


class Settings(Frozen, frozen=True, kw_only=True):
    """Everything that can be configured. Every field can be given as ``DESPINA_<NAME>``; most also as a flag or in the file."""

    host: str = "127.0.0.1"
    """The address the server listens on."""
    port: int = 8182
    """The port it listens on; 0 for any free one."""
    metrics_port: int | None = None
    """The port at which ``/metrics`` is told to everybody; 0 for any free one. None: only at the API's, to who may ask there."""
    data_dir: Path = Path("despina-data")
    """Where jobs, runs and, while no S3 server is configured, the stand-in for S3 are kept."""
    database_url: str = ""
    """Where jobs are kept; empty for an SQLite file in ``data_dir``."""
    engine: str = "local"
    """What runs the programs: ``local``, or a Ray cluster, ``ray://HOST:PORT``."""
    region: str = "us-east-1"
    """The region that ARNs name."""
    account_id: str = "123456789012"
    """The account that ARNs name."""
    resource_id: str = "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    """The cluster's resource id."""
    ml_enabled: bool = True
    """Whether the ML operations are offered."""
    iam_auth: bool = False
    """Whether requests must be signed by a principal whose policies allow them."""
    custom_models: bool = False
    """Whether training jobs may run code that a client names (``customModelTrainingParameters``)."""
    custom_models_user: str = ""
    """The user of this machine that such code runs as, if the server is root; empty: the server's own."""
    neptune_ml_iam_role: str = ""
    """The cluster's default role, shown in ``/status``: that of requests that name none."""
    roles: tuple[str, ...] | None = None
    """The ARNs of the roles that requests may name; None: any, and none is needed."""
    principals: tuple[ConfiguredPrincipal, ...] = ()
    """Principals beside those that ``despina keys`` keeps; only in the file."""
    tls_cert: Path | None = None
    """The certificate, with those that lead to its authority, as PEM."""
    tls_key: Path | None = None
    """Its key."""
    tls_self_signed: bool = False
    """Whether a certificate is made for development."""
    max_active_jobs: int = 100
    """Jobs of all kinds that may be in progress at a time."""
    max_active_jobs_per_principal: int = 50
    """Of these, those that one principal may have started."""
    max_endpoints: int = 20
    """Inference endpoints that there may be."""
    endpoint_idle_seconds: float = 0
    """Endpoints that nobody has asked for so long end their replicas, and start them for the next invocation; 0: they never do."""
    max_in_flight: int = 64
    """Requests that may be answered at a time."""
    requests_per_second: int = 200
    """Requests that one principal may send a second, on average; without signatures, one address."""
    max_connections: int = 1024
    """Connections that may be open at a time."""
    connection_timeout_seconds: float = 20
    """How long the headers of a request may take to arrive, and how long a connection may rest between two requests."""
    max_header_bytes: int = 32_768
    """The most bytes of a request's first line and headers."""
    max_body_bytes: int = 1_048_576
    """The largest request body."""
    body_timeout_seconds: float = 30
    """How long a request body may take to arrive."""
    stop_grace_seconds: float = 5
    """How long a run that is stopped has between SIGTERM and SIGKILL."""
    run_retention_days: float = 30
    """How long the folders of ended runs (logs and scratch files) are kept that their job has no more use for; 0: for ever."""
    stalled_after_seconds: float = 3600
    """How long a training may give no sign of life (a step of its own, or an evaluation) before it is ended and tried again."""


_SECTIONS = {
    "cluster": ("region", "account_id", "resource_id", "ml_enabled", "custom_models", "custom_models_user",
                "neptune_ml_iam_role", "roles"),
    "limits": ("max_active_jobs", "max_active_jobs_per_principal", "max_endpoints", "endpoint_idle_seconds", "max_in_flight",
               "requests_per_second", "max_connections", "connection_timeout_seconds", "max_header_bytes",
               "max_body_bytes", "body_timeout_seconds"),
}
_TOP = ("host", "port", "metrics_port", "iam_auth", "tls_cert", "tls_key", "tls_self_signed", "principals", "data_dir",
        "database_url", "engine", "stop_grace_seconds", "run_retention_days", "stalled_after_seconds")
_AT_LEAST = {"port": 0, "metrics_port": 0, "max_active_jobs": 1, "max_active_jobs_per_principal": 1, "max_endpoints": 0,
             "endpoint_idle_seconds": 0, "max_in_flight": 1, "requests_per_second": 1,
             "max_connections": 1, "connection_timeout_seconds": 0.001, "max_header_bytes": 1024, "max_body_bytes": 1,
             "body_timeout_seconds": 0.001, "stop_grace_seconds": 0, "run_retention_days": 0, "stalled_after_seconds": 1}


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings from ``flags`` (None where not given), ``DESPINA_*`` of the environment and the file named by ``config``.

    Raises:
        SettingsError: an unknown setting, a value that is not of its type or range, or values that do not go together.
    """
    values: dict[str, tuple[str, Any]] = {}
    config = flags.get("config") or environ.get("DESPINA_CONFIG")
    if config:
        values.update(_from_file(Path(config)))
    for name in get_type_hints(Settings):
        variable = f"DESPINA_{name.upper()}"
        if environ.get(variable):
            values[name] = (variable, environ[variable])
        if flags.get(name) is not None and flags[name] is not False:  # 0 is a value
            values[name] = (f"--{name.replace('_', '-')}", flags[name])
    settings = Settings(**{name: _converted(name, where, value) for name, (where, value) in values.items()})
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingsError("tls_cert and tls_key must be given together: a certificate is of no use without its key.")
    if settings.tls_cert is not None and settings.tls_self_signed:
        raise SettingsError("tls_cert and tls_self_signed must not be given together: one certificate is enough.")
    if settings.roles is not None and settings.neptune_ml_iam_role and settings.neptune_ml_iam_role not in settings.roles:
        raise SettingsError(f"cluster.neptune_ml_iam_role is '{settings.neptune_ml_iam_role}', which cluster.roles does not list.")


def _from_file(path: Path) -> dict[str, tuple[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The configuration file {path} cannot be read: {error}") from None
    values: dict[str, tuple[str, Any]] = {}
    for key, value in document.items():
        if key in _SECTIONS and isinstance(value, dict):
            for name, inner in value.items():
                values[_known(name, _SECTIONS[key], f"{path}: [{key}]")] = (f"{path}: {key}.{name}", inner)
        else:
            values[_known(key, (*_TOP, *_SECTIONS), str(path))] = (f"{path}: {key}", value)
    if "principals" in values and path.stat().st_mode & 0o077:
        logger.warning("%s has secrets in it and can be read by others: chmod 600 %s", path, path)
    return values


def _known(name: str, names: tuple[str, ...], where: str) -> str:
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names)}."
        raise SettingsError(f"{where} has an unknown key '{name}': {hint}")
    return name


def _converted(name: str, where: str, value: Any) -> Any:
    if name == "roles":
        return _roles(where, value)
    if name == "principals":
        return _principals(where, value)
    hint = get_type_hints(Settings)[name]
    wanted: Any = next((option for option in get_args(hint) if option is not NoneType), hint)
    try:
        if wanted is bool:
            return _boolean(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float | Path):
            raise ValueError
        result = wanted(value)
    except ValueError:
        raise SettingsError(f"{where} has the value {value!r}, which is not a valid {wanted.__name__}.") from None
    if name in _AT_LEAST and not result >= _AT_LEAST[name]:
        raise SettingsError(f"{where} has the value {value!r}, which must be at least {_AT_LEAST[name]}.")
    if name in {"port", "metrics_port"} and result > 65_535:
        raise SettingsError(f"{where} has the value {value!r}, which must be at most 65535.")
    return result


def _roles(where: str, value: object) -> tuple[str, ...]:
    """A list of ARNs; in the environment with commas between them."""
    arns = [part for part in value.split(",") if part] if isinstance(value, str) else value
    if not isinstance(arns, list) or not all(isinstance(arn, str) for arn in arns):
        raise SettingsError(f"{where} has the value {value!r}, which is not a list of ARNs.")
    for arn in arns:
        try:
            rules.role_arn(where, arn)
        except RequestError as error:
            raise SettingsError(str(error)) from None
    return tuple(arns)


def _principals(where: str, value: object) -> tuple[ConfiguredPrincipal, ...]:
    if isinstance(value, str):
        raise SettingsError(f"{where}: principals can only stand in the configuration file, as [[principals]].")
    try:
        principals = msgspec.convert(value, tuple[ConfiguredPrincipal, ...])
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where} cannot be understood: {error}.") from None
    for number, principal in enumerate(principals):
        if bool(principal.access_key_id) != bool(principal.secret_access_key):
            raise SettingsError(f"{where}[{number}] ('{principal.name}') must have both access_key_id and secret_access_key, or "
                                "neither.")
    return principals


def _boolean(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]
