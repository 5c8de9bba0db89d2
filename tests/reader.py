"""A reader of a page of the documentation, who types each of its blocks in order, in one folder."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from despina.engine.ending import end_runs

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 180
_BLOCK = re.compile(r"^```(sh|bash|python)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
_SERVE = re.compile(r"^(\w+=\S+ )*\S*despina serve( |$)", flags=re.MULTILINE)
_PYTHON = """
import json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    try:
        exec(compile(json.loads(line), "<block>", "exec"), names)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        break
    print("\\0", flush=True)
"""


class Block(NamedTuple):
    """A block of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def starts_server(self) -> bool:
        """Whether it leaves a server running, as in a terminal of its own."""
        return self.language != "python" and _SERVE.search(self.text) is not None


def blocks(page: str) -> list[Block]:
    """All blocks of shell and Python of a page, by its path in the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in _BLOCK.finditer(text)]


class Reader:
    """Types blocks. The port of the pages, 8182, is another one here, since others may use it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        (folder / "examples").symlink_to(ROOT / "examples")
        (folder / ".venv").symlink_to(sys.prefix)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = str(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        known = {name: value for name, value in os.environ.items() if not name.startswith(("DESPINA_", "AWS_"))}
        self._environment = {**known, "DESPINA_PORT": self._port, "DESPINA_URL": self.url, **environment}
        self._server: subprocess.Popen[str] | None = None
        self._session: subprocess.Popen[str] | None = None

    def type(self, block: Block) -> str:
        """Run a block as a whole; what it printed. Fails the test if it fails."""
        text = block.text.replace("8182", self._port)
        if block.language == "python":
            return self._python(text, block)
        if block.starts_server:
            self._stop_server()
            return self._serve(text, block)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, env=self._environment,
                              timeout=PATIENCE_SECONDS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block.page}:{block.line}: {text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def close(self) -> None:
        """End what still runs, endpoints that outlive their server included."""
        self._stop_server()
        end_runs(self.folder / "despina-data" / "runs")
        if self._session is not None:
            self._session.kill()
            _let_go(self._session)

    def _serve(self, text: str, block: Block) -> str:
        with (self.folder / "server.log").open("a", encoding="utf-8") as log:
            self._server = subprocess.Popen(["bash", "-c", text.replace("\n", " ").strip()], cwd=self.folder, env=self._environment,
                                            stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        line = _line(self._server)
        assert line.startswith("Despina serves at http"), f"{block.page}:{block.line}: {line!r}"
        return line

    def _stop_server(self) -> None:
        """As Ctrl-C in its terminal."""
        if self._server is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGINT)
            _let_go(self._server)
            self._server = None

    def _python(self, text: str, block: Block) -> str:
        """One session for all blocks of Python, so that later ones know the names of earlier ones."""
        if self._session is None:
            self._session = subprocess.Popen([sys.executable, "-c", _PYTHON], cwd=self.folder, env=self._environment, text=True,
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self._session.stdin is not None
        self._session.stdin.write(json.dumps(text) + "\n")
        self._session.stdin.flush()
        printed = ""
        while not (line := _line(self._session)).startswith("\0"):
            assert line, f"{block.page}:{block.line}: {printed}"
            printed += line
        return printed


def _line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints; empty once it has ended, and it is ended if it says nothing for long."""
    assert process.stdout is not None
    late = threading.Timer(PATIENCE_SECONDS, process.kill)
    late.start()
    try:
        return process.stdout.readline()
    finally:
        late.cancel()


def _let_go(process: subprocess.Popen[str]) -> None:
    process.wait(timeout=PATIENCE_SECONDS)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@contextmanager
def reading(folder: Path, environment: Mapping[str, str]) -> Iterator[Reader]:
    """A reader in an empty folder."""
    reader = Reader(folder, environment)
    try:
        yield reader
    finally:
        reader.close()
