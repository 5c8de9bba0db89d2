"""``docs/cli.md`` against the parser: no verb or option is missing there, and none is there that there is not."""

import re
import signal
from pathlib import Path
from typing import get_args

import pytest
from tests.unit.cli.test_parser import VERBS

from despina.cli import exits
from despina.cli.doctor.check import Name

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMON = "All verbs of jobs and endpoints"


def sections() -> dict[str, str]:
    """What stands under each heading of the third level: a verb in code, or words."""
    return {match[1].strip("`"): match[2] for match in re.finditer(r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)}


SECTIONS = sections()


def documented(heading: str) -> set[str]:
    """The options and arguments in the first column of the table that has no header."""
    table = re.search(r"^\| \| \|\n\|---\|---\|\n((?:\|.*\n?)+)", SECTIONS[heading], re.MULTILINE)
    cells = re.findall(r"^\| (`.+?`) \| \S", table[1], re.MULTILINE) if table else []
    return {code.split()[0] for cell in cells for code in re.findall(r"`(.+?)`", cell)}


def test_every_verb_is_there_and_no_other() -> None:
    assert {heading for heading in SECTIONS if heading.startswith("despina ")} == {f"despina {' '.join(path)}" for path in VERBS}


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_option_is_there_and_no_other(path: tuple[str, ...]) -> None:
    known = {word for action in VERBS[path]._actions if action.dest != "help"
             for word in (action.option_strings or [str(action.metavar)])}
    told = documented(f"despina {' '.join(path)}")
    if path[0] in {"jobs", "endpoints"}:
        told |= documented(COMMON)
    assert told == known


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_its_example_is_that_of_the_help(path: tuple[str, ...]) -> None:
    epilog = VERBS[path].epilog or ""
    lines = [line.removeprefix("  ") for line in epilog.removeprefix("example:\n").splitlines()]
    assert "\n".join(lines) in SECTIONS[f"despina {' '.join(path)}"]


def test_every_exit_status_is_there_and_no_other() -> None:
    told = {int(number) for number in re.findall(r"^\| (\d+) \|", SECTIONS["Exit statuses"], re.MULTILINE)}
    named = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert told == named
    assert exits.INTERRUPTED == 128 + signal.SIGINT


def test_every_check_of_the_doctor_is_there_and_no_other() -> None:
    table = SECTIONS["despina doctor"].split("| check |")[1]
    told = {code for cell in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for code in re.findall(r"`(.+?)`", cell)}
    assert told == set(get_args(Name))
