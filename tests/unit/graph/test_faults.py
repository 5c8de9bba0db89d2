"""Faults of several parts of an input are told together, and every kind of fault is one that can occur."""

import re
from pathlib import Path

import msgspec
import pytest

import despina
from despina.core.errors import WorkFailed
from despina.graph.faults import MOST, Fault, Finding, Findings, InputFault

SOURCE = Path(despina.__file__).parent


def finding(number: int) -> Finding:
    return Finding(name=Fault.INVALID_NUMBER, text=f"finding {number}", file="n.csv", line=number)


def fault(*numbers: int) -> InputFault:
    return InputFault.of(tuple(finding(number) for number in numbers))


def note(findings: Findings, *numbers: int) -> None:
    with findings.gather():
        raise fault(*numbers)


def test_a_fault_is_its_first_finding() -> None:
    error = InputFault(Fault.INVALID_TIME, "n.csv: no time", finding(1), finding(2), file="n.csv", line=3, column="p", value="x")
    assert str(error) == "n.csv: no time"
    assert isinstance(error, WorkFailed)
    assert error.findings == (Finding(name=Fault.INVALID_TIME, text="n.csv: no time", file="n.csv", line=3, column="p", value="x"),
                              finding(1), finding(2))
    assert str(fault(4, 5)) == "finding 4"
    assert fault(4, 5).findings == (finding(4), finding(5))


@pytest.mark.parametrize(("count", "expected"), [
    (1, "InvalidNumber: finding 0"), (2, "InvalidNumber: finding 0 (1 more finding in processing-report.json)"),
    (3, "InvalidNumber: finding 0 (2 more findings in processing-report.json)"),
    (20, "InvalidNumber: finding 0 (19 more findings in processing-report.json)"),
    (50, "InvalidNumber: finding 0 (19 more findings in processing-report.json)")])
def test_the_reason_says_how_many_more_there_are(count: int, expected: str) -> None:
    assert fault(*range(count)).reason == expected
    assert len(fault(*range(count)).findings) == min(count, MOST)


def test_20_findings_are_kept_at_most() -> None:
    assert MOST == 20
    error = InputFault(Fault.INVALID_NUMBER, "finding 0", *(finding(i) for i in range(1, 40)), file="n.csv", line=0)
    assert error.findings == tuple(finding(i) for i in range(20))


def test_parts_are_looked_at_one_by_one() -> None:
    findings, done = Findings(), []
    findings.check()
    for part in range(5):
        with findings.gather():
            if part % 2:
                raise fault(part, part * 10)
            done.append(part)
    assert done == [0, 2, 4]
    with pytest.raises(InputFault) as caught:
        findings.check()
    assert caught.value.findings == (finding(1), finding(10), finding(3), finding(30))
    assert caught.value.reason == "InvalidNumber: finding 1 (3 more findings in processing-report.json)"


def test_20_findings_are_enough() -> None:
    findings = Findings()
    note(findings, *range(19))
    with pytest.raises(InputFault) as caught:
        note(findings, 19, 20, 21)
    assert caught.value.findings == tuple(finding(i) for i in range(20))


def test_other_errors_pass_through() -> None:
    findings = Findings()
    with pytest.raises(WorkFailed, match="a failure of another kind"), findings.gather():
        raise WorkFailed("a failure of another kind")
    with pytest.raises(ZeroDivisionError), findings.gather():
        _ = 1 // 0
    findings.check()


def test_checking_forgets_nothing() -> None:
    findings = Findings()
    note(findings, 1)
    for _ in range(2):  # asking again gives the same
        with pytest.raises(InputFault) as caught:
            findings.check()
        assert caught.value.findings == (finding(1),)


def test_a_finding_is_written_without_what_it_lacks() -> None:
    assert msgspec.json.encode(Finding(name=Fault.MISSING_FILE, text="gone")) == b'{"name":"MissingFile","text":"gone"}'
    assert msgspec.to_builtins(finding(3)) == {"name": "InvalidNumber", "text": "finding 3", "file": "n.csv", "line": 3}


@pytest.mark.parametrize("fault", Fault)
def test_every_kind_of_fault_is_found_somewhere(fault: Fault) -> None:
    users = [path for path in SOURCE.rglob("*.py") if path.name != "faults.py" and re.search(
        rf"\bFault\.{fault.name}\b", path.read_text(encoding="utf-8"))]
    assert users, f"nothing raises {fault}"


def test_names_are_those_of_their_members() -> None:
    for fault in Fault:
        assert fault.value == "".join(word.capitalize() for word in fault.name.split("_"))
