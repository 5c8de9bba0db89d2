"""Running a user's own scripts: their files, their Python, their environment, and what they print."""

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import despina
from despina.core.errors import WorkFailed
from despina.programs import confined

PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY",
             "DESPINA_RUN_ID", "DESPINA_RUN_FOLDER")
"""Of our environment. By the last two the run's processes are found; keys of the server are none of a script's business."""
USER_VARIABLE = "DESPINA_CUSTOM_MODELS_USER"
"""Of the environment: the user that scripts run as."""
LAST_LINES = 10
"""Of a script that failed, which its reason quotes."""
QUOTED = 700
"""Characters of them at most: plain answers cut a reason at 1,024."""
LAST_WORDS_SECONDS = 5.0
"""How long the output of a script that has ended is still read."""
GRACE_SECONDS = 10.0
"""Between asking a script to end, when the time is over, and killing it."""


@dataclass(frozen=True, kw_only=True)
class Scripts:
    """A copy of the user's files, and the Python that runs them."""

    folder: Path
    """The working directory of scripts, so that they can import one another."""
    python: str
    room: Path
    """The folder that all of it lies in. It is ours: a script that could rename what is in it could have us read elsewhere."""
    write: tuple[Path, ...]
    """The folders in it that scripts can write to, and nothing else. After the first script has run we do not write to them."""
    read: tuple[Path, ...]
    """What they can read beside these and the system."""
    user: str

    @classmethod
    def prepare(cls, source: Path, run: Path, *, read: Iterable[Path] = (), write: Iterable[Path] = ()) -> "Scripts":
        """Copy the files below ``source``, and install their ``requirements.txt``, if there is one, into an environment of its own.

        It sees our packages (torch among them) behind its own.

        Args:
            source: The user's files; they are only read.
            run: The run's folder; everything is made in it.
            read: Folders that scripts have to read beside it.
            write: Folders in it, with all that is to be there, that scripts have to write to.

        Raises:
            WorkFailed: the requirements cannot be installed; the text has the last lines of what pip said. Or the user that the
                scripts are to run as cannot get to the run's folder.
        """
        folder, environment = run / "code", run / "venv"
        shutil.copytree(source, folder)
        own = (run / "home", run / "tmp", environment)
        for made in own:
            made.mkdir()
        scripts = cls(folder=folder, python=sys.executable, room=run, user=os.environ.get(USER_VARIABLE, ""),
                      write=(folder, *own, *write), read=(run, *_our_packages(), Path(sys.prefix), Path(sys.base_prefix), *read))
        scripts._hand_over()
        if not (folder / "requirements.txt").is_file():
            return scripts
        # Isolated (-I): a venv.py of the user's must not run before we have written our file.
        scripts._said([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment)],
                      "a virtual environment cannot be made")
        python = str(environment / "bin" / "python")
        packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))
        (packages / "despina.pth").write_text("\n".join(map(str, _our_packages())) + "\n", encoding="utf-8")
        # Installing runs code too: that of packages without a wheel.
        scripts._said([sys.executable, "-I", "-m", "pip", "--python", python, "install", "--disable-pip-version-check", "--quiet",
                       "-r", "requirements.txt"], "requirements.txt cannot be installed")
        return replace(scripts, python=python)

    def run(self, script: str, arguments: Sequence[str], *, heard: Callable[[str], None], until: int | None,
            variables: Mapping[str, str]) -> bool:
        """Run a script to its end. What it prints goes into the run's log.

        Args:
            script: Its name.
            arguments: Its command line.
            heard: Is given each line.
            until: The time (ms since 1970) at which it is ended; None: never.
            variables: Of its environment, beside ``PASSED_ON``, ``HOME``, ``TMPDIR`` and ``SM_NUM_GPUS``.

        Returns:
            Whether it came to its own end.

        Raises:
            WorkFailed: it failed; the text has its last lines.
        """
        process = subprocess.Popen(
            self._confined([self.python, script, *arguments]), cwd=self.folder, env={**self._environment(), **variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            **self._as_user())
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        # Read in a thread: processes that the script leaves behind hold the pipe open, and would keep the run from ending.
        reader = _Reader(process.stdout, heard)
        reader.start()
        with _ended_at(until, process) as is_ended:
            status = process.wait()
        reader.join(LAST_WORDS_SECONDS)
        if is_ended():
            return False
        if status:
            how = f"ended with exit status {status}" if status > 0 else f"was killed by {_signal(-status)}"
            raise WorkFailed(f"{script} {how}: {_quoted(reader.last.copy())}")
        return True

    def start(self, program: str, variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start a program of ours that runs the user's code, and talk with it by its standard input and output.

        Args:
            program: The path of a Python file.
            variables: As for ``run``.
        """
        return subprocess.Popen(self._confined([self.python, program]), cwd=self.folder, env={**self._environment(), **variables},
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, **self._as_user())

    def _said(self, command: list[str], failure: str) -> None:
        """Run a command of ours; what it says goes into the log, and its last lines into the error."""
        passed_on = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
        wheels = [path for path in map(Path, os.environ.get("PIP_FIND_LINKS", "").split()) if path.is_absolute()]
        done = subprocess.run(replace(self, read=(*self.read, *wheels))._confined(command), cwd=self.folder,
                              env=passed_on | self._environment(), capture_output=True, text=True, errors="replace", check=False,
                              **self._as_user())
        sys.stderr.write(done.stdout + done.stderr)
        if done.returncode:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            raise WorkFailed(f"{failure}: {_quoted(lines[-LAST_LINES:])}")

    def _confined(self, command: list[str]) -> list[str]:
        """The command, so that it reaches nothing but its folders."""
        given = json.dumps({"read": [str(path) for path in self.read], "write": [str(path) for path in self.write]})
        return [sys.executable, "-I", confined.__file__, given, *command]

    def _environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return passed_on | {"HOME": str(self.room / "home"), "TMPDIR": str(self.room / "tmp"), "PYTHONUNBUFFERED": "1",
                            "SM_NUM_GPUS": "0"}

    def _as_user(self) -> dict[str, Any]:
        return {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": ()} if self.user else {}

    def _hand_over(self) -> None:
        """Give what scripts can write to the user that they run as, if that is another one. None has run yet."""
        if not self.user:
            return
        try:
            known = pwd.getpwnam(self.user)
            for folder in self.write:
                for path in (folder, *folder.rglob("*")):
                    os.chown(path, known.pw_uid, known.pw_gid, follow_symlinks=False)
            self.room.chmod(0o755)
        except KeyError:
            raise WorkFailed(f"{USER_VARIABLE} names the user '{self.user}', whom this system does not know") from None
        except PermissionError:
            raise WorkFailed(f"{USER_VARIABLE} names the user '{self.user}', but only root can run scripts as another user"
                             ) from None
        needed = (*self.room.resolve().parents, *Path(os.path.realpath(sys.executable)).parents)
        shut = next((path for path in needed if not path.stat().st_mode & stat.S_IXOTH), None)
        if shut is not None:
            raise WorkFailed(f"scripts are to run as the user '{self.user}', who cannot get into {shut}: chmod o+x {shut}")


def _our_packages() -> tuple[Path, ...]:
    """Where the packages lie that scripts find behind their own."""
    found = (Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib")), Path(despina.__file__).parents[1])
    return tuple(dict.fromkeys(found))


class _Reader(threading.Thread):
    """Reads what a script prints until nobody can print any more: into the run's log, and line by line to ``heard``."""

    def __init__(self, output: IO[str], heard: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._output, self._heard = output, heard

    def run(self) -> None:
        with self._output:
            for line in self._output:
                sys.stderr.write(line)
                if line.strip():
                    self.last.append(line.rstrip())
                self._heard(line)


@contextmanager
def _ended_at(until: int | None, process: "subprocess.Popen[str]") -> Iterator[Callable[[], bool]]:
    """See to it that a process has no longer than until this time (ms); gives a function that tells whether it was ended."""
    over = threading.Event()

    def end() -> None:
        over.set()
        process.terminate()
        if not closed.wait(GRACE_SECONDS):
            process.kill()

    closed = threading.Event()
    timer = threading.Timer(max(0.0, (until or 0) / 1000 - time.time()), end)
    timer.daemon = True
    if until is not None:
        timer.start()
    try:
        yield over.is_set
    finally:
        closed.set()
        timer.cancel()


def _quoted(lines: Iterable[str]) -> str:
    """Lines of output in a reason. Of too many characters the end: there a traceback has its error."""
    text = " / ".join(lines)
    return text if len(text) <= QUOTED else f"…{text[-QUOTED:]}"


def _signal(number: int) -> str:
    name = signal.Signals(number).name if number in {*signal.Signals} else f"signal {number}"
    return f"{name}, perhaps for lack of memory" if number == signal.SIGKILL else name
