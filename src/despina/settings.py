"""Settings: one frozen object, built from flags, the environment and a file, in this order of precedence."""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from despina.core.errors import DespinaError, NotOffered
from despina.core.frozen import Frozen


class SettingsError(DespinaError):
    """A setting is unknown or its value cannot be used; the text names the setting, where it stands and what would be right."""


class Settings(Frozen, frozen=True, kw_only=True):
    """Everything that can be configured. Every field can be given as ``DESPINA_<NAME>``; most also as a flag or in the file."""

    host: str = "127.0.0.1"
    """The address the server listens on."""
    port: int = 8182
    """The port it listens on; 0 for any free one."""
    data_dir: Path = Path("despina-data")
    """Where jobs, runs and, while no S3 server is configured, the stand-in for S3 are kept."""
    database_url: str = ""
    """Where jobs are kept; empty for an SQLite file in ``data_dir``."""
    engine: str = "local"
    """What runs the programs."""
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
    neptune_ml_iam_role: str = ""
    """The cluster's default role, shown in ``/status``; roles are not enforced yet."""
    max_active_jobs: int = 100
    """Jobs of all kinds that may be in progress at a time."""
    max_in_flight: int = 64
    """Requests that may be answered at a time."""
    requests_per_second: int = 200
    """Requests that one principal may send a second, on average."""
    max_body_bytes: int = 1_048_576
    """The largest request body."""
    body_timeout_seconds: float = 30
    """How long a request body may take to arrive."""
    stop_grace_seconds: float = 5
    """How long a run that is stopped has between SIGTERM and SIGKILL."""
    stalled_after_seconds: float = 3600
    """How long a training may give no sign of life (a step of its own, or an evaluation) before it is ended and tried again."""


_SECTIONS = {
    "cluster": ("region", "account_id", "resource_id", "ml_enabled", "custom_models", "neptune_ml_iam_role"),
    "limits": ("max_active_jobs", "max_in_flight", "requests_per_second", "max_body_bytes", "body_timeout_seconds"),
}
_TOP = ("host", "port", "iam_auth", "data_dir", "database_url", "engine", "stop_grace_seconds", "stalled_after_seconds")
_LATER = {
    "tls_cert": "TLS", "tls_key": "TLS", "roles": "enforced roles", "principals": "principals",
}
"""Settings of the design whose part is not built yet: refused, so that nobody believes himself protected."""
_AT_LEAST = {"port": 0, "max_active_jobs": 1, "max_in_flight": 1, "requests_per_second": 1, "max_body_bytes": 1,
             "body_timeout_seconds": 0.001, "stop_grace_seconds": 0, "stalled_after_seconds": 1}


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings from ``flags`` (None where not given), ``DESPINA_*`` of the environment and the file named by ``config``.

    Raises:
        SettingsError: an unknown setting, or a value that is not of its type or range.
        NotOffered: a setting whose part this version does not have.
    """
    values: dict[str, tuple[str, Any]] = {}
    config = flags.get("config") or environ.get("DESPINA_CONFIG")
    if config:
        values.update(_from_file(Path(config)))
    for name in (*get_type_hints(Settings), *_LATER):
        variable = f"DESPINA_{name.upper()}"
        if environ.get(variable):
            values[name] = (variable, environ[variable])
        if flags.get(name) not in (None, False):
            values[name] = (f"--{name.replace('_', '-')}", flags[name])
    for name, (where, _) in values.items():
        if name in _LATER:
            raise NotOffered(f"{where}: {_LATER[name]} are not offered yet by this version of Despina; remove the setting.")
    return Settings(**{name: _converted(name, where, value) for name, (where, value) in values.items()})


def _from_file(path: Path) -> dict[str, tuple[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The configuration file {path} cannot be read: {error}") from None
    values: dict[str, tuple[str, Any]] = {}
    for key, value in document.items():
        if key in _SECTIONS and isinstance(value, dict):
            for name, inner in value.items():
                values[_known(name, (*_SECTIONS[key], *_LATER), f"{path}: [{key}]")] = (f"{path}: {key}.{name}", inner)
        else:
            values[_known(key, (*_TOP, *_SECTIONS, *_LATER), str(path))] = (f"{path}: {key}", value)
    return values


def _known(name: str, names: tuple[str, ...], where: str) -> str:
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names)}."
        raise SettingsError(f"{where} has an unknown key '{name}': {hint}")
    return name


def _converted(name: str, where: str, value: Any) -> Any:
    wanted = get_type_hints(Settings)[name]
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
    if name == "port" and result > 65_535:
        raise SettingsError(f"{where} has the value {value!r}, which must be at most 65535.")
    return result


def _boolean(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]
