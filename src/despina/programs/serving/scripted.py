"""A model of the user's own, for what its artefacts do not answer: the functions of ``inference.py`` beside its scripts.

Source: the SageMaker Inference Toolkit, which calls ``model_fn(model_dir)`` once and ``predict_fn(data, model)`` for each request;
``docs/inference.md`` says what they are given here. They run in a process of their own, confined as all scripts are.
"""

import logging
import subprocess
import threading
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
"""That the script has for an answer, as in SageMaker."""


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

    def _ask(self, request: dict[str, Any]) -> Any:
        process = self._process if self._process and self._process.poll() is None else self._started()
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - they are pipes
            process.stdin.write(msgspec.json.encode(request) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        if not line:
            raise RequestFault(f"{SCRIPT} ended, or did not answer within {SECONDS:g} s; the endpoint's log says more.")
        answer = msgspec.json.decode(line)
        if "error" in answer:
            raise RequestFault(f"{SCRIPT} failed: {answer['error']}")
        return answer["predictions"]

    def _started(self) -> "subprocess.Popen[bytes]":
        process = self._process = self._scripts.start(
            inference_host.__file__, {"SM_MODEL_DIR": str(self._model), "SM_DATA_DIR": str(self._data)})
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        if process.stdout.readline() != b'"ready"\n':
            raise RequestFault(f"{SCRIPT} cannot be loaded: it must have model_fn(model_dir) and predict_fn(request, model); the "
                               "endpoint's log says more.")
        return process
