"""A model of the user's own, for what its artefacts do not answer: the functions of ``inference.py`` beside its scripts.

Source: the SageMaker Inference Toolkit, which calls ``model_fn(model_dir)`` once and ``predict_fn(data, model)`` for each request;
``docs/inference.md`` says what they are given here. They run in a process of their own, confined as all scripts are.
"""

import logging
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from despina.programs import inference_host
from despina.programs.scripts import Scripts
from despina.programs.serving.bodies import Body, RequestFault
from despina.programs.serving.properties import Answer

log = logging.getLogger(__name__)

SCRIPT = "inference.py"
SECONDS = 60.0
"""That the script has to load its model, and for an answer, as in SageMaker."""


class ScriptedModel:
    """Asks ``inference.py``; its process is started with the first request, and again when it has died.

    Args:
        scripts: The user's files, one of them ``inference.py``.
        model: The folder of the model.
        data: The processed graph's folder.
    """

    def __init__(self, scripts: Scripts, *, model: Path, data: Path) -> None:
        self._scripts, self._model, self._data = scripts, model, data
        self._process: subprocess.Popen[bytes] | None = None

    def answer(self, body: Body, items: list[Answer]) -> None:
        """Put what the script predicts of each item into its answer. Raises RequestFault."""
        found = self._ask({"mode": body.mode, "data": body.data, "subgraph": body.subgraph, "explain": body.explain})
        if not isinstance(found, list) or len(found) != len(items):
            raise RequestFault(f"predict_fn of {SCRIPT} must return a list with an element for each of the {len(items)} items.")
        for into, predictions in zip(items, found, strict=True):
            into.update(predictions if isinstance(predictions, dict) else {"predictions": predictions})

    def scores_of_pair(self, *_: object) -> Any:
        """Edges that the graph has not are for a subgraph to bring. Raises RequestFault."""
        raise RequestFault(f"The graph has no such edge: give a 'subgraph', for {SCRIPT} to answer.")

    def close(self) -> None:
        """End its process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(BrokenPipeError), process:
                pass  # its pipes are closed, and it is waited for

    def _ask(self, request: dict[str, Any]) -> Any:
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it has died since the last request
        process = self._process or self._started()
        line = _line(process, msgspec.json.encode(request) + b"\n")
        if not line:
            self.close()
            raise RequestFault(f"{SCRIPT} ended, or did not answer within {SECONDS:g} s; the endpoint's log says more.")
        answer = msgspec.json.decode(line)
        if "error" in answer:
            raise RequestFault(f"{SCRIPT} failed: {answer['error']}")
        return answer["predictions"]

    def _started(self) -> "subprocess.Popen[bytes]":
        process = self._process = self._scripts.start(
            inference_host.__file__, {"SM_MODEL_DIR": str(self._model), "SM_DATA_DIR": str(self._data)})
        if _line(process) != b'"ready"\n':
            self.close()
            raise RequestFault(f"{SCRIPT} cannot be loaded within {SECONDS:g} s: it must have model_fn(model_dir) and "
                               "predict_fn(request, model); the endpoint's log says more.")
        return process


def _line(process: "subprocess.Popen[bytes]", sent: bytes = b"") -> bytes:
    """What the process says next, once it was sent this; nothing if it has ended. One that takes too long is killed."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - they are pipes
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    try:
        process.stdin.write(sent)
        process.stdin.flush()
        return process.stdout.readline()
    except BrokenPipeError:
        return b""
    finally:
        timer.cancel()
