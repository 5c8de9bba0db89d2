"""The address that the server listens on, and its certificate."""

import argparse
import http.client
import ipaddress
import json
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from despina.app.http_server import listen
from despina.app.tls import RENEWED_DAYS, Certificate
from despina.cli.doctor.check import Check, error, ok, warning
from despina.core.errors import DespinaError
from despina.settings import Settings

if TYPE_CHECKING:
    from cryptography import x509

TIMEOUT_SECONDS = 3.0


def examine(settings: Settings, _options: argparse.Namespace) -> Iterator[Check]:
    """All of it."""
    yield _port(settings)
    if settings.tls_cert is not None and settings.tls_key is not None:
        yield from _certificate(settings.tls_cert, settings.tls_key, settings.host)
    elif settings.tls_self_signed:
        yield ok("certificate", f"one is made for development in {settings.data_dir.absolute() / 'tls'}; clients have to trust it")
    elif not _is_loopback(settings.host):
        yield warning("certificate", f"none: whoever is between can read what goes to {settings.host}",
                      "--tls-cert and --tls-key, or a reverse proxy that speaks TLS.")
    if not _is_loopback(settings.host) and not settings.iam_auth:
        yield warning("address", f"whoever reaches {settings.host} may do everything", "demand signatures: --iam-auth.")


def _port(settings: Settings) -> Check:
    name: Final = "port"
    place = f"{settings.host} port {settings.port}"
    if settings.port == 0:
        return ok(name, f"any free port of {settings.host}")
    try:
        listen(settings.host, settings.port).close()
    except DespinaError as refusal:
        there = _who_answers(settings)
        if there is None:
            return error(name, refusal, "end what listens there, or choose another port or address with --port and --host.")
        if there != version("despina"):
            return warning(name, f"Despina {there} serves at {place} already, and this is {version('despina')}",
                           "stop it, and start this version (see 'Upgrade' in docs/operations.md).")
        return ok(name, f"Despina {there} serves at {place} already")
    return ok(name, f"{place} is free")


def _who_answers(settings: Settings) -> str | None:
    """The version of the Despina that serves there; None if it is something else, or nothing."""
    host = settings.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - it is only looked at
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE  # a version is asked for, and nothing is told
    for connection in (http.client.HTTPConnection(host, settings.port, timeout=TIMEOUT_SECONDS),
                       http.client.HTTPSConnection(host, settings.port, timeout=TIMEOUT_SECONDS, context=anyone)):
        with closing(connection):
            try:
                connection.request("GET", "/openapi.json")
                told = json.loads(connection.getresponse().read(1 << 22))["info"]
                return str(told["version"]) if told["title"] == "Despina" else None
            except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
                continue
    return None


def _certificate(path: Path, key: Path, host: str) -> Iterator[Check]:
    from cryptography import x509

    name: Final = "certificate"
    try:
        Certificate(path, key)
        known = x509.load_pem_x509_certificate(path.read_bytes())
    except (DespinaError, OSError, ValueError) as refusal:
        yield error(name, refusal, "name a certificate and its own key, both PEM, with --tls-cert and --tls-key.")
        return
    now, until = datetime.now(UTC), known.not_valid_after_utc
    days = (until - now).days
    text = f"{path} holds until {until:%Y-%m-%d}"
    renew = "renew it, and SIGHUP has a running server read it anew."
    if known.not_valid_before_utc > now:
        yield error(name, f"{path} holds only from {known.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on",
                    "use another one, or set this machine's clock.")
    elif until <= now:
        yield error(name, f"{path} has expired on {until:%Y-%m-%d}", renew)
    elif days < RENEWED_DAYS:
        yield warning(name, f"{text}, {days} days", renew)
    else:
        yield ok(name, f"{text}, {days} days")
    names = _names(known)
    if host not in {*names, "0.0.0.0", "::"} and not _matches(host, names):  # noqa: S104
        yield warning(name, f"it is for {', '.join(sorted(names)) or 'no name'}, and not for {host}",
                      "clients refuse it unless they use one of those names.")
    if key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:
        yield warning(name, f"the key {key} can be read by others", f"chmod 600 {key}")


def _names(certificate: "x509.Certificate") -> set[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _matches(host: str, names: set[str]) -> bool:
    """Whether one of the names has a wildcard that stands for the host's first label."""
    return f"*.{host.partition('.')[2]}" in names


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in socket.getaddrinfo(host, None))
    except (OSError, ValueError):
        return False
