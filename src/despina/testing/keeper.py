"""Serves for as long as the process that started it lives: ``python -m despina.testing.keeper PARENT``, settings on standard input.

The settings are a JSON object by the names of ``despina.settings.Settings``. It answers with one line, the server's URL. It ends on
SIGTERM, and when its parent has died, however that came about; then it ends every run, and deletes the data directory if there is
no parent that will do so. So nothing is left of a test run that was killed.
"""

import json
import os
import select
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from despina import app, settings
from despina.core.errors import DespinaError
from despina.engine.ending import end_runs
from despina.telemetry.logs import log_to_stderr


def keep(parent: int, given: Mapping[str, Any]) -> None:
    """Serve until SIGTERM, or the end of the process ``parent``."""
    _end_with(parent)
    try:
        # No setting of the environment: neither the database nor the engine of a server in use belongs into a test.
        app.serve(settings.load(given, environ={}), ready=lambda url: print(url, flush=True))
    finally:
        end_runs(Path(given["data_dir"]) / "runs")
        if os.getppid() != parent:
            shutil.rmtree(given["data_dir"], ignore_errors=True)


def _end_with(parent: int) -> None:
    pidfd = os.pidfd_open(parent)
    if os.getppid() != parent:  # it died before the line above, and its id may be another's by now
        raise DespinaError(f"The process {parent}, for which this server is, has ended.")

    def watch() -> None:
        select.select([pidfd], [], [])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="despina-parent", daemon=True).start()


def main() -> int:
    """Run the program; the exit status."""
    log_to_stderr(os.environ)
    try:
        keep(int(sys.argv[1]), json.load(sys.stdin))
    except DespinaError as error:
        print(f"despina: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
