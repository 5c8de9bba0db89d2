"""The documentation against the code, in both directions: operations, parameters, errors, names of faults, settings; and every test
that it names is there. Metrics: ``tests/wire/test_observability.py``; verbs and options: ``test_cli_docs.py``; the blocks of README
and guide: ``tests/browser/test_documentation.py``."""

import re
from pathlib import Path

from tests.unit.cli.test_parser import VERBS

from despina.api.errors import MEANINGS
from despina.api.operations import LOG_OPERATIONS, OPERATIONS
from despina.core.frozen import Frozen
from despina.core.requests import CustomTraining, CustomTransform, members
from despina.graph.faults import Fault
from despina.settings import Settings

ROOT = Path(__file__).parents[2]
ELSEWHERE_READ = {"DESPINA_CONFIG", "DESPINA_SECRETS_KEY", "DESPINA_LOG_LEVEL", "DESPINA_LOG_FORMAT", "DESPINA_WORD_VECTORS",
                  "DESPINA_SENTENCE_MODEL"}
"""Variables that are no fields of ``Settings``."""
FOR_PROGRAMS = {"DESPINA_RUN_FOLDER", "DESPINA_RUN_ID", "DESPINA_S3_FOLDER"}
"""What an engine tells its programs: nobody sets these."""

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def page(name: str) -> str:
    """A page of the documentation."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


PAGE = page("api.md")


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


def test_every_error_code_is_there_with_its_status_and_no_other() -> None:
    told = set(re.findall(r"^\|[^|]*\| `(\w+)` \| (\d{3})[ ,|]", PAGE, re.MULTILINE)) | {("ServiceUnavailableException", "503")}
    assert "answers `ServiceUnavailableException` 503" in PAGE
    assert told == {(meaning.code, str(meaning.status)) for meaning in MEANINGS.values()}


def test_every_name_of_a_fault_in_an_input_is_there_and_no_other() -> None:
    table = page("guide.md").partition("\n## Errors\n")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {fault.value for fault in Fault}


def shown(default: object) -> str:
    """A default as the page writes it."""
    return "true" if default is True else f"{default:g}" if isinstance(default, float) else str(default)


def test_every_setting_is_there_with_its_default_and_no_other() -> None:
    table = page("operations.md").partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = {variable: row for row in table.splitlines() for variable in re.findall(r"`(DESPINA_\w+)`", row) if row.startswith("|")}
    settings = {f"DESPINA_{name.upper()}" for name in Settings.__struct_fields__ if name != "principals"}
    assert rows.keys() == settings | ELSEWHERE_READ
    assert "`[[principals]]`" in table
    flags = {word for row in table.splitlines() for word in re.findall(r"`--([a-z-]+)`", row.split("|")[1] if "|" in row else "")}
    options = {word.removeprefix("--") for action in VERBS["serve",]._actions for word in action.option_strings}
    assert flags == {option for option in options if f"DESPINA_{option.replace('-', '_').upper()}" in rows}
    for name in Settings.__struct_fields__:
        default = getattr(Settings(), name)
        if isinstance(default, str | int | float | Path) and default not in {"", 0}:
            assert shown(default) in rows[f"DESPINA_{name.upper()}"], name


def test_every_variable_of_the_environment_that_is_read_is_there() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    told = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"DESPINA_[A-Z0-9_]+", source))
    assert {variable for variable in named if variable not in told} == FOR_PROGRAMS


def test_every_test_it_names_is_there() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    for path in re.findall(r"`(tests/[\w/]+\.py)`", pages):
        assert (ROOT / path).is_file(), path
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "wire").glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) > 20
    for name in named:
        assert f"def {name}(" in source, name


def test_every_link_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]
    lost = [f"{one.relative_to(ROOT)}: {link}" for one in pages for link in LINK.findall(one.read_text(encoding="utf-8"))
            if not link.startswith(("http://", "https://")) and not leads(one, link)]
    assert lost == []


def leads(one: Path, link: str) -> bool:
    """Whether there are the file and the heading that a link on a page names."""
    path, _, heading = link.partition("#")
    target = one.parent / path if path else one
    if not heading or target.suffix != ".md":
        return target.exists()
    return target.is_file() and heading in {anchor(line) for line in HEADING.findall(target.read_text(encoding="utf-8"))}


def anchor(heading: str) -> str:
    """The name that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
