"""The programs of small jobs: they read their spec, put real artefacts, and leave a result, without the libraries that learn.

``python -m tests.chaos.small_programs SPEC.json``, where the server starts ``despina.programs``. The work of an export that has a
file ``endless`` puts its artefacts and then goes on until it is stopped.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from despina.artifacts import open_artifacts
from despina.core.hyperparameters import Strategy, TrialResult
from despina.core.job import ProcessWork, RunSpec, ServeWork, StrategyWork, TrainWork
from despina.core.location import Location

FILES = ("a.bin", "inner/b.bin")
"""What each run puts."""
DONE = "done"
"""What each says when its result is there: its output tells if it was done twice."""


def run(spec: RunSpec) -> Any:
    """Do the work; the result."""
    work = spec.work
    if isinstance(work, StrategyWork):
        return Strategy(metric="accuracy", maximize=True, tunable=(), fixed={}, memory_mib=256)
    for name in FILES:
        path = Path("output", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(spec.run_id.encode())
    assert not isinstance(work, ServeWork)
    open_artifacts().put(Path("output"), Location.parse(work.output))
    if isinstance(work, ProcessWork) and Path(work.input.removeprefix("file://"), "endless").exists():
        while True:
            signal.pause()
    return TrialResult(objective=0.5, epoch=1) if isinstance(work, TrainWork) else {}


def write_result(content: bytes) -> None:
    """As ``despina.programs`` does: whole and durable, or not there."""
    with Path("result.json.unfinished").open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path("result.json.unfinished").replace("result.json")


if __name__ == "__main__":
    result = run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=RunSpec))
    write_result(json.dumps({"result": msgspec.to_builtins(result)}).encode())
    print(DONE)
