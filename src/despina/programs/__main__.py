"""``python -m despina.programs SPEC.json``: do one run's work.

The outcome is written to ``result.json`` beside the specification, whole or not at all: ``{"result": {…}}`` or
``{"failure_reason": "…"}``. Progress goes to standard output, one JSON line each, and the log to standard error. Exit status 0
tells success and 1 failure. SIGTERM ends the program at once.
"""

import gc
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from despina.artifacts import open_artifacts
from despina.core.errors import DespinaError, WorkFailed
from despina.core.frozen import unknown_fields
from despina.core.job import CustomCode, ProcessWork, RunSpec, ServeWork, StrategyWork, TrainWork, TransformWork
from despina.core.telemetry import SILENCE
from despina.graph.faults import InputFault
from despina.programs import allocator
from despina.programs.context import Context
from despina.telemetry.traces import open_traces
from despina.telemetry.watch import ProgramWatch

log = logging.getLogger(__name__)

THREAD_SETTINGS = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")
"""What the numerical libraries read, once, when they are imported."""


def main(arguments: list[str]) -> int:
    """Run the program; returns the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m despina.programs SPEC.json\n")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    path = Path(arguments[0])
    with ExitStack() as afterwards:
        outcome = _outcome(path, afterwards)
        _write(path.with_name("result.json"), msgspec.json.encode(outcome))
    return 0 if "result" in outcome else 1


def _outcome(path: Path, afterwards: ExitStack) -> dict[str, Any]:
    """What ``result.json`` is to say; ``afterwards`` is left what has time until that is written."""
    try:
        spec = _spec(path.read_bytes())
        for name in THREAD_SETTINGS:
            os.environ.setdefault(name, str(max(1, len(os.sched_getaffinity(0)) // spec.share)) if spec.share else "1")
        # Threads that wait are to sleep: beside other work spinning ones make training slower (bench/train.py).
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        tempfile.tempdir = str(Path.cwd())  # large files that are needed meanwhile belong to the data's disk
        traces = open_traces(os.environ, service="despina") if spec.traceparent is not None else None
        if traces is not None:
            traces.belong_to(spec.traceparent)
            afterwards.callback(traces.close)
        store = open_artifacts(telemetry=SILENCE if traces is None else ProgramWatch(traces))
        return {"result": _run(spec, Context(folder=Path.cwd(), store=store, traces=traces))}
    except InputFault as fault:
        log.error("%s", fault.reason)  # noqa: TRY400 - the input is at fault; where we noticed says nothing
        return {"failure_reason": fault.reason}
    except DespinaError as error:
        log.error("%s", error)  # noqa: TRY400 - the same
        return {"failure_reason": str(error)}
    except MemoryError:
        traceback.print_exc()
        return {"failure_reason": "There was not enough memory for this work. Run fewer trials at a time "
                                  "(maxHPOParallelTrainingJobs), lower batch-size, fanout or num-hidden, or use a larger machine."}
    except Exception as error:  # noqa: BLE001 - whatever happens, the job has to learn of it
        traceback.print_exc()
        return {"failure_reason": f"InternalError: {type(error).__name__}: {error}"}


def _spec(content: bytes) -> RunSpec:
    """The specification. Raises WorkFailed: whoever wrote it is newer than this program, which would do something else."""
    spec = msgspec.json.decode(content, type=RunSpec)
    unknown = unknown_fields(msgspec.json.decode(content), msgspec.to_builtins(spec))
    if unknown:
        raise WorkFailed(f"spec.json has {', '.join(unknown)}, which this version of Despina does not know: the reconciler is of a "
                         "newer version than the programs.")
    return spec


def _run(spec: RunSpec, context: Context) -> dict[str, Any]:
    # Nothing that is loaded is garbage: to look for some, again and again, takes a tenth of the time that torch takes.
    gc.disable()
    run = _program(spec)
    gc.freeze()
    gc.enable()
    return run(spec.work, context)


def _program(spec: RunSpec) -> Callable[[Any, Context], dict[str, Any]]:
    """Each program is imported only when it is the one to run: the strategy and a server need no torch, and training no polars."""
    match spec.work:
        case ProcessWork():
            from despina.programs import process
            return process.run
        case StrategyWork(custom=CustomCode()) | TrainWork(custom=CustomCode()) | TransformWork(custom=CustomCode()):
            from despina.programs import custom
            return custom.run
        case StrategyWork():
            from despina.programs import strategy
            return strategy.run
        case TrainWork():
            allocator.keep_freed_memory()
            from despina.programs import train
            return train.run
        case ServeWork():
            from despina.programs import serve
            return serve.run
        case TransformWork():
            from despina.programs import transform
            return transform.run


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    # The outcome is on the disk, and nothing else is to be kept: to take torch apart would take a third of the time of loading it.
    os._exit(status)
