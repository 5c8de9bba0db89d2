"""A process that holds an engine until it is killed: ``python -m tests.contract.engine_holder FOLDER SPEC``."""

import os
import signal
import sys
from pathlib import Path

import msgspec

from despina.core.job import RunSpec
from despina.engine import open_local

if __name__ == "__main__":
    engine = open_local(folder=Path(sys.argv[1]), module="tests.contract.engine_programs",
                        environment={"PYTHONPATH": os.environ["PYTHONPATH"]}, on_change=lambda _: None)
    engine.submit(msgspec.json.decode(sys.argv[2], type=RunSpec))
    while True:
        signal.pause()
