"""Libraries that a process is given before all others (``LD_PRELOAD``), compiled from a file of C."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def compiled(source: Path, folder: Path) -> Path:
    """The library of a file, in this folder. Without a compiler the test is skipped, and fails in CI."""
    compiler = shutil.which("cc")
    if compiler is None:
        assert not os.environ.get("CI"), f"{source.name} needs a C compiler"
        pytest.skip("no C compiler here")
    library = folder / f"{source.stem}.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
