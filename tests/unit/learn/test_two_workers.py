"""Two workers make of a training what one makes of it."""

import json
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.unit.learn.two_workers import CASES, COUNT, SHARDED, trained

from despina.learn.workers import ALONE, WorkerLost, Workers, join, meeting_place

TIME_LIMIT = 100
"""Seconds for all trainings of two workers together, on a machine that has much else to do."""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what two workers made of all cases, and of one that one worker had begun."""
    folder = tmp_path_factory.mktemp("workers")
    trained("classes", ALONE, keep=folder)
    place = meeting_place("127.0.0.1")
    with ExitStack() as stack:
        children = [stack.enter_context(_worker(place.port, rank, folder)) for rank in range(COUNT)]
        for child in children:
            stack.callback(child.kill)
        for child in children:
            _, errors = child.communicate(timeout=TIME_LIMIT)
            assert child.returncode == 0, errors
    return folder


def _worker(port: int, rank: int, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-m", "tests.unit.learn.two_workers", str(port), str(rank), str(COUNT), str(folder)],
                            cwd=Path(__file__).parents[3], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("name", CASES)
def test_two_workers_make_the_model_that_one_makes(together: Path, name: str) -> None:
    alone, ours = trained(name, ALONE), _made(together, name)
    np.testing.assert_allclose(ours["curve"], alone["curve"], rtol=1e-3, atol=1e-4)
    assert ours["epoch"] == alone["epoch"]
    assert ours["model"].keys() == alone["model"].keys(), "the same parameters have a gradient"
    for key, weights in alone["model"].items():
        torch.testing.assert_close(ours["model"][key], weights, rtol=1e-3, atol=1e-5 if "gradient" in key else 1e-3,
                                   msg=partial("{}: {}".format, key))


@pytest.mark.parametrize("name", [*(case for case in CASES if case not in SHARDED), "resumed"])
def test_all_workers_have_the_same_model_to_the_last_bit(together: Path, name: str) -> None:
    first, second = (_made(together, name, rank) for rank in range(COUNT))
    assert first["curve"] == second["curve"]
    for key, weights in first["model"].items():
        assert torch.equal(second["model"][key], weights), key


def test_they_go_on_with_what_one_has_begun(together: Path) -> None:
    alone, ours = trained("classes", ALONE), _made(together, "resumed")
    np.testing.assert_allclose(ours["curve"], alone["curve"], rtol=2e-3, atol=1e-4)


def _made(folder: Path, name: str, rank: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{rank}.json").read_bytes())[name]
    model = load_file(folder / f"{name}-{rank}.safetensors")
    if name in SHARDED:
        others = [load_file(folder / f"{name}-{other}.safetensors") for other in range(COUNT)]
        assert max(len(part["entities"]) for part in others) <= len(others[0]["entities"]) + 1, "no worker has more than its part"
        model |= {key: torch.cat([part[key] for part in others]) for key in model if key.endswith("entities")}
    return found | {"model": model}


def test_parts_are_disjoint_and_all_there() -> None:
    for count in (0, 1, 2, 3, 7, 100):
        parts = [Workers(rank=rank, count=3).part(count) for rank in range(3)]
        assert np.concatenate([np.arange(count)[part] for part in parts]).tolist() == list(range(count))
        assert max(part.stop - part.start for part in parts) - min(part.stop - part.start for part in parts) <= 1


def test_who_looks_for_the_others_is_not_kept_waiting_for_those_that_are_gone() -> None:
    def look() -> None:
        raise WorkerLost("worker 1 has ended")

    with pytest.raises(WorkerLost, match="worker 1 has ended"):
        join(meeting_place("127.0.0.1"), rank=0, count=2, look=look)
