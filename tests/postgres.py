"""A PostgreSQL server of the tests' own, on a free port of loopback, in a temporary folder.

``postgresql_cluster`` starts it (a fixture in ``tests/conftest.py`` for the whole session); ``Cluster.database`` gives a fresh
database with the schema of Despina, copied from a template. It may be stopped, killed and started again.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from tests.ports import lasting_ports
from tests.serving import PATIENCE_SECONDS, wait_for
from tests.users import NOBODY

from despina.store import open_store

PASSWORD = "s3cret-of-tests"
_GROUP = pwd.getpwuid(NOBODY).pw_gid


def binaries() -> Path | None:
    """Where PostgreSQL's programs are: the newest of Debian's, or what is on the path."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Cluster:
    """A server. ``start`` after ``stop`` or ``kill`` finds everything that was committed."""

    def __init__(self, folder: Path, programs: Path, *, durable: bool) -> None:
        self._folder, self._programs, self._numbers = folder, programs, count()
        self._durable, self._has_template = durable, False
        # The server refuses to run as root.
        as_root = os.geteuid() == 0
        self._user: dict[str, Any] = {"user": NOBODY, "group": _GROUP, "extra_groups": []} if as_root else {}
        (self.port,) = lasting_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make its files: the user ``despina`` owns everything and needs its password."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            for path in (self._folder, password):
                os.chown(path, NOBODY, _GROUP)
        self._run("initdb", "--pgdata", str(self._data), "--username=despina", f"--pwfile={password}", "--auth=scram-sha-256",
                  "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")

    def start(self) -> "Cluster":
        """Start it and wait until it answers."""
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
                   "fsync": "on" if self._durable else "off", "shared_buffers": "64MB", "timezone": "UTC"}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *(f"--{name}={value}" for name, value in options.items())],
                stdout=log, stderr=log, cwd=self._folder, **self._user)
        wait_for("PostgreSQL to answer", self._answers)
        return self

    def stop(self) -> None:
        """End it as an administrator does: what is running is undone, connections are told."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash does: it recovers from its log when it is started again."""
        self._end(signal.SIGQUIT)

    def kill_all(self) -> None:
        """End all its processes with SIGKILL, and wait until they are gone: one that is left keeps it from starting again."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        postmaster.suspend()  # it begins no more of them
        processes = postmaster.children(recursive=True)
        for process in (*processes, postmaster):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(PATIENCE_SECONDS)
        self._process = None
        wait_for("the end of PostgreSQL", lambda: not any(map(_is_alive, processes)))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stopped while the block runs."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database with the schema of Despina in it, which lasts as long as the block."""
        if not self._has_template:
            self._has_template = True
            self._execute("CREATE DATABASE template_despina")
            open_store(self.url("template_despina")).close()
        with self._made("template_despina") as url:
            yield url

    def empty_database(self) -> AbstractContextManager[str]:
        """The same with nothing in it."""
        return self._made("template1")

    def url(self, database: str) -> str:
        return f"postgresql://despina:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def _made(self, template: str) -> Iterator[str]:
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.url(name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            self._execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self._programs / program, *arguments], capture_output=True, text=True, check=False, cwd=self._folder,
                              timeout=PATIENCE_SECONDS, env={**os.environ, "TZ": "UTC"}, **self._user)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def postgresql_cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """A server that runs while the block does. Where there is none the tests are skipped, and fail in CI.

    ``durable``: what is committed outlives a power cut, which no test can make; without it everything is faster.
    """
    programs = binaries()
    if programs is None:
        if os.environ.get("CI"):
            raise AssertionError("PostgreSQL is not installed: run scripts/setup-postgres.")
        pytest.skip("PostgreSQL is not installed: scripts/setup-postgres installs it.")
    with tempfile.TemporaryDirectory(prefix="despina-postgres-") as name:  # pytest's own folders are closed to other users
        cluster = Cluster(Path(name), programs, durable=durable)
        cluster.make()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
