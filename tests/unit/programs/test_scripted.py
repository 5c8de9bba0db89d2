"""A user's inference.py that does not do as it should: the request is refused, and the next one is answered."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from despina.programs.scripts import Scripts
from despina.programs.serving import scripted
from despina.programs.serving.bodies import RequestFault, read_body
from despina.programs.serving.scripted import ScriptedModel

BODY = read_body(json.dumps({"data": {"nodes": [{"nodeId": "a"}, {"nodeId": "b"}]}, "explain": True}).encode())
GOOD = """
def model_fn(folder): return 7
def predict_fn(request, model): return [[{"value": model}] for node in request["data"]["nodes"]]
"""


@pytest.fixture
def model_of(tmp_path: Path) -> Iterator[Callable[[str], ScriptedModel]]:
    """Makes a model of a script."""
    made = []

    def make(source: str) -> ScriptedModel:
        (tmp_path / "code").mkdir()
        (tmp_path / "run").mkdir()
        (tmp_path / "code" / "inference.py").write_text(source, encoding="utf-8")
        made.append(ScriptedModel(Scripts.prepare(tmp_path / "code", tmp_path / "run"), model=tmp_path, data=tmp_path))
        return made[0]

    yield make
    for model in made:
        model.close()


def answers(model: ScriptedModel) -> list[dict[str, object]]:
    items: list[dict[str, object]] = [{"nodeId": "a"}, {"nodeId": "b"}]
    model.answer(BODY, items)
    return items


def test_each_item_gets_what_the_script_says_of_it(model_of: Callable[[str], ScriptedModel]) -> None:
    model = model_of(GOOD)
    assert [item["predictions"] for item in answers(model)] == [[{"value": 7}]] * 2
    assert answers(model) == answers(model), "the same process goes on"


@pytest.mark.parametrize(("source", "text"), [
    ("def model_fn(folder): pass\ndef predict_fn(request, model): raise SystemExit", "ended, or did not answer within 60 s"),
    ("def model_fn(folder): pass\ndef predict_fn(request, model): return 1 / 0", "failed: ZeroDivisionError: division by zero"),
    ("def model_fn(folder): pass\ndef predict_fn(request, model): return [float('nan')] * 2", "failed: ValueError: Out of range"),
    ("def model_fn(folder): pass\ndef predict_fn(request, model): return [1]", "an element for each of the 2 items"),
    ("not Python", "cannot be loaded within 60 s: it must have model_fn"),
])
def test_what_goes_wrong_is_said(model_of: Callable[[str], ScriptedModel], source: str, text: str) -> None:
    model = model_of(source)
    for _ in range(2):
        with pytest.raises(RequestFault, match=text):
            answers(model)


@pytest.mark.parametrize(("source", "seconds", "text"), [
    ("def model_fn(folder): hang()", 1.0, "cannot be loaded within 1 s"),
    ("def model_fn(folder): pass\ndef predict_fn(request, model): hang()", 3.0, "ended, or did not answer within 3 s"),
])
def test_what_hangs_is_ended_and_the_next_request_answered(
        tmp_path: Path, model_of: Callable[[str], ScriptedModel], monkeypatch: pytest.MonkeyPatch, source: str, seconds: float,
        text: str) -> None:
    model = model_of(f"import time\ndef hang(): time.sleep(600)\n{source}")
    with monkeypatch.context() as patched:
        patched.setattr(scripted, "SECONDS", seconds)
        with pytest.raises(RequestFault, match=text):
            answers(model)
    (tmp_path / "run" / "code" / "inference.py").write_text(GOOD, encoding="utf-8")
    assert len(answers(model)) == 2, "by another process"
