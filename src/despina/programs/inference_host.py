"""Runs a user's ``inference.py``: ``python inference_host.py``, in its folder, with the standard library and the user's code alone.

A line of standard input is a request, JSON; a line of standard output its answer. What the user's code prints goes into the log.
"""

import importlib
import json
import os
import sys
import traceback
from typing import Any


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as Python itself puts a script's folder there
    module = importlib.import_module("inference")
    model = module.model_fn(os.environ["SM_MODEL_DIR"])
    answers.write('"ready"\n')
    for line in sys.stdin:
        answers.write(_answered(module, model, line) + "\n")


def _answered(module: Any, model: Any, line: str) -> str:
    try:
        return json.dumps({"predictions": module.predict_fn(json.loads(line), model)}, allow_nan=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, the request is answered, and the next one too
        traceback.print_exc()
        return json.dumps({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
