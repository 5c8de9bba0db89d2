"""Entries of the log, as programs and as people read them."""

import json
import logging
import subprocess
import sys

import pytest

from despina.core.errors import DespinaError
from despina.telemetry import logs


def record(message: str, **extra: str) -> logging.LogRecord:
    made = logging.LogRecord("despina.test", logging.INFO, "file.py", 1, message, (), None)
    vars(made).update(extra)
    return made


def test_an_entry_belongs_to_what_is_being_worked_on_and_to_what_is_given_with_it() -> None:
    class Work:
        def told(self) -> dict[str, str | None]:
            return {"job_id": "tr", "job_kind": "modeltraining", "principal": None}

    token = logs.about.set(Work())
    try:
        entry = json.loads(logs.Json().format(record("naïve \ud800\nline", run_id="r-1")))
        assert logs.Text().format(record("said", run_id="r-1")).endswith(
            "INFO despina.test: said [job_kind=modeltraining job_id=tr run_id=r-1]")
    finally:
        logs.about.reset(token)
    del entry["time"]
    assert entry == {"level": "INFO", "logger": "despina.test", "message": "naïve \\ud800\nline", "job_kind": "modeltraining",
                     "job_id": "tr", "run_id": "r-1"}
    assert logs.Text().format(record("said")).endswith("INFO despina.test: said")


SCRIPT = """
import logging, os, threading, warnings
from despina.telemetry.logs import log_to_stderr
log_to_stderr(os.environ)
warnings.warn("careful", stacklevel=1)
def fail(): raise KeyError("in a thread")
thread = threading.Thread(target=fail); thread.start(); thread.join()
logging.getLogger("despina.access").debug("not told")
raise ValueError("at the end")
"""


def test_warnings_and_what_nobody_caught_are_entries() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60,
                          env={"DESPINA_LOG_FORMAT": "json"})
    assert done.returncode == 1
    warned, thread, end = [json.loads(line) for line in done.stderr.splitlines()]
    assert (warned["level"], warned["logger"]) == ("WARNING", "py.warnings")
    assert "careful" in warned["message"]
    assert thread["error"].splitlines()[0] == "Traceback (most recent call last):"
    assert thread["error"].endswith("KeyError: 'in a thread'")
    assert end["error"].endswith("ValueError: at the end")
    assert end["level"] == "CRITICAL"


@pytest.mark.parametrize("name", ["DESPINA_LOG_FORMAT", "DESPINA_LOG_LEVEL"])
def test_another_value_is_refused(name: str) -> None:
    with pytest.raises(DespinaError, match=f"{name} is 'loud': it must be one of "):
        logs.log_to_stderr({name: "loud"})


def test_an_error_at_the_start_is_an_entry_too() -> None:
    done = subprocess.run([sys.executable, "-m", "despina", "serve", "--port", "high"], capture_output=True, text=True, check=False,
                          timeout=60, env={"DESPINA_LOG_FORMAT": "json"})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["message"] == "--port has the value 'high', which is not a valid int."
