"""The server as a test sees it, and the environment in which boto3 finds it."""

import json
import os
import secrets
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from despina.artifacts import ENDPOINTS
from despina.core.errors import DespinaError
from despina.core.location import Location
from despina.engine.ending import end_runs
from despina.settings import Settings

if TYPE_CHECKING:
    import pytest

PATIENCE_SECONDS = 60
"""How long a server may take to start or to end: it takes some 0.3 s, on a machine that is not overloaded."""
_EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
_OURS = ("host", "port", "data_dir", "database_url", "engine", "tls_cert", "tls_key", "tls_self_signed")
"""Settings that the kit makes itself."""
_NO_MORE = ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
"""Variables that would lead boto3 elsewhere."""


class Despina:
    """A server with everything in a temporary folder, which ends with the test run.

    Attributes:
        url: Its URL, as in ``http://127.0.0.1:40123``.
        data_dir: Its data directory; ``server.log`` in it is its log.
        environment: The variables by which boto3, the AWS CLI and the AWS SDKs find it: its URL for the services ``neptunedata``
            and ``sagemaker-runtime``, the region, and credentials of a principal who may do everything.
    """

    def __init__(self, *, url: str, data_dir: Path, environment: Mapping[str, str], s3_server: str | None) -> None:
        self.url = url
        self.data_dir = data_dir
        self.environment = dict(environment)
        self._s3_server = s3_server

    def __repr__(self) -> str:
        return f"<Despina at {self.url}>"

    def s3_path(self, location: str) -> Path:
        """The file or folder that stands for ``s3://bucket/key``; it need not exist.

        Raises:
            DespinaError: not of that form, or no folder stands in for S3, as the environment names an S3 server.
        """
        if self._s3_server is not None:
            raise DespinaError(f"'{location}' is on the S3 server {self._s3_server}, which the environment names, not in a folder.")
        parsed = Location.parse(location)
        if parsed.scheme != "s3":
            raise DespinaError(f"'{location}' is not of the form s3://bucket/key.")
        return self.data_dir / "s3" / parsed.bucket / parsed.key

    def client(self, service: str = "neptunedata", **more: Any) -> Any:
        """A boto3 client of the server, whatever the environment says; ``more`` goes to ``boto3.client``."""
        import boto3

        session = boto3.Session(aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
                                aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
                                region_name=self.environment["AWS_DEFAULT_REGION"])
        return session.client(service, **{"endpoint_url": self.url, **more})


def lead_here(server: Despina, patch: "pytest.MonkeyPatch") -> None:
    """Have AWS clients that this process makes from now on find the server, by their environment alone."""
    for name in _NO_MORE:
        patch.delenv(name, raising=False)
    for name, value in server.environment.items():
        patch.setenv(name, value)
    with suppress(ModuleNotFoundError):
        import boto3

        # It keeps the credentials of its first client. Those of the environment are to be looked up now, and again afterwards.
        patch.setattr(boto3, "DEFAULT_SESSION", None)


@contextmanager
def running(settings: Mapping[str, Any]) -> Iterator[Despina]:
    """A server with these settings, until the end of the block.

    Raises:
        DespinaError: a setting is unknown, is the kit's own or has a value that will not do, or the server did not start.
    """
    _check(settings)
    s3_server = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
    key, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    if s3_server is not None:  # it knows its own keys, and both have to do with one pair
        key, secret = os.environ.get("AWS_ACCESS_KEY_ID", key), os.environ.get("AWS_SECRET_ACCESS_KEY", secret)
    tester = {"name": "tester", "access_key_id": key, "secret_access_key": secret, "policies": [_EVERYTHING]}
    data = Path(tempfile.mkdtemp(prefix="despina-"))
    process = _start(data)
    try:
        url = _url(process, {
            "requests_per_second": 1_000_000,  # nobody else is to be protected from who polls without a pause
            # As text, for a flag that is False is one that was not given.
            **{name: str(value) if isinstance(value, bool) else value for name, value in settings.items()},
            "host": "127.0.0.1", "port": 0, "data_dir": str(data),
            "principals": [tester, *settings.get("principals", ())]}, data / "server.log")
        yield Despina(url=url, data_dir=data, s3_server=s3_server, environment={
            "AWS_ENDPOINT_URL_NEPTUNEDATA": url, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url,
            "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
            **dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), settings.get("region", Settings().region)),
            # No profile of the user's: it could lead elsewhere, and to real credentials.
            **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)})
    finally:
        _end(process)
        end_runs(data / "runs")  # they have ended, unless somebody has killed the server
        shutil.rmtree(data, ignore_errors=True)


def _check(settings: Mapping[str, Any]) -> None:
    known = [name for name in get_type_hints(Settings) if name not in _OURS]
    for name in settings:
        if name in _OURS:
            raise DespinaError(f"despina_settings has '{name}', which the testing kit sets itself.")
        if name not in known:
            close = get_close_matches(name, known, n=1)
            raise DespinaError(f"despina_settings has an unknown setting '{name}': "
                               + (f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}."))


def _start(data: Path) -> subprocess.Popen[str]:
    with (data / "server.log").open("w", encoding="utf-8") as log:
        # In a session of its own: what is sent to the whole test run, as by Ctrl-C, must not end it before the tests are over.
        return subprocess.Popen([sys.executable, "-m", "despina.testing.keeper", str(os.getpid())], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)


def _url(process: subprocess.Popen[str], settings: Mapping[str, Any], log: Path) -> str:
    assert process.stdin is not None  # noqa: S101 - they are pipes
    assert process.stdout is not None  # noqa: S101
    with suppress(BrokenPipeError), process.stdin as pipe:  # if it has ended already, its log says why
        json.dump(settings, pipe)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        ready = selector.select(timeout=PATIENCE_SECONDS)
    line = process.stdout.readline().strip() if ready else ""
    if not line:
        why = log.read_text(encoding="utf-8").strip().rpartition("\n")[2] or f"it said nothing for {PATIENCE_SECONDS} s."
        raise DespinaError(f"The server of the testing kit did not start: {why}")
    return line


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    process.stdout.close()
