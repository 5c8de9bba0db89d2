"""What a program tells of how far it has come."""

from pathlib import Path

import msgspec
import pytest

from despina.artifacts import open_artifacts
from despina.core.job import Progress
from despina.programs.context import Context


def test_once_there_is_an_estimate_each_line_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = Context(folder=tmp_path, store=open_artifacts(tmp_path))
    context.report(0, 2, "file")
    estimated = context.estimated({"rows": 7})
    estimated.report(1, 2, "file")
    estimated.report(2, 2, "file", metric="acc", value=0.5)
    lines = [msgspec.json.decode(line, type=Progress) for line in capsys.readouterr().out.splitlines()]
    assert [(line.step, line.estimate) for line in lines] == [(0, None), (1, {"rows": 7}), (2, {"rows": 7})]
    assert (lines[2].metric, lines[2].value) == ("acc", 0.5)
