"""``python -m despina.programs.check SPEC.json``: a run that does nothing but find out whether programs can work where it is.

``despina doctor`` has an engine run it. Its result says what there is; an import that fails is its failure.
"""

import os
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from despina.engine.machine import cores_allowed
from despina.programs.confined import landlock_version
from despina.programs.machine import available_memory, free_disk

NEEDED = ("numpy", "polars", "safetensors", "tensorboardX", "torch")
"""What programs import (the extra ``train``)."""


def main(arguments: list[str]) -> int:
    """Find out, and write ``result.json`` beside the specification; the exit status."""
    path = Path(arguments[0]).with_name("result.json")
    try:
        outcome: dict[str, Any] = {"result": look()}
    except ImportError as error:
        outcome = {"failure_reason": f"a program cannot import {error.name or error}: {error}"}
    unfinished = path.with_name("result.json.unfinished")
    unfinished.write_bytes(msgspec.json.encode(outcome))
    unfinished.replace(path)
    return 0 if "result" in outcome else 1


def look() -> dict[str, Any]:
    """What there is: ``versions``, ``seconds`` of importing them, ``cores``, ``coresAllowed`` by control groups (null: all),
    ``memoryBytes`` and ``diskBytes`` that are free, ``landlock`` (its version; null if the system has none). Raises ImportError."""
    began = time.monotonic()
    modules = {name: import_module(name) for name in NEEDED}
    seconds = time.monotonic() - began
    modules["torch"].ones(3).sum()  # a build for another processor dies here, and not at the import
    try:
        landlock: int | None = landlock_version()
    except OSError:
        landlock = None
    return {"versions": {"python": sys.version.split()[0], **{name: version(name) for name in ("despina", "torch", "polars")}},
            "seconds": round(seconds, 1), "cores": len(os.sched_getaffinity(0)), "coresAllowed": cores_allowed(),
            "memoryBytes": available_memory(), "diskBytes": free_disk(Path.cwd()), "landlock": landlock}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
