"""``docs/api.md`` against the code: nothing is missing, and every test it names is there."""

import re
from pathlib import Path

from despina.api.errors import MEANINGS
from despina.api.operations import LOG_OPERATIONS, OPERATIONS
from despina.core.frozen import Frozen
from despina.core.requests import CustomTraining, CustomTransform, members

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_operation_has_its_line() -> None:
    lines = set(PAGE.splitlines())
    for operation in OPERATIONS:
        start = f"| {operation.name} | `{operation.method} {operation.path}` |"
        assert any(line.startswith(start) for line in lines), start


def test_every_parameter_is_there() -> None:
    requests: set[type[Frozen]] = {operation.request for operation in (*OPERATIONS, *LOG_OPERATIONS)}
    requests |= {CustomTraining, CustomTransform}
    for request in requests:
        for member in members(request).values():
            assert f"`{member.wire}`" in PAGE, member.wire


def test_every_error_code_is_there() -> None:
    for meaning in MEANINGS.values():
        assert re.search(rf"`{meaning.code}` \| {meaning.status} \||`{meaning.code}`.*{meaning.status}", PAGE), meaning


def test_every_test_it_names_is_there() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    for path in re.findall(r"`(tests/[\w/]+\.py)`", pages):
        assert (ROOT / path).is_file(), path
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "wire").glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) > 20
    for name in named:
        assert f"def {name}(" in source, name
