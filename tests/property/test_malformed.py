"""Whatever bytes an export holds, it becomes a graph or a failure reason; and rows are told apart as Python's reader does."""

import csv
import io
import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.graph.people import CONFIGURATION, EDGES, NODES, write

from despina.artifacts import open_artifacts
from despina.core.errors import WorkFailed
from despina.core.job import ProcessWork
from despina.graph import csv_rows
from despina.graph.csv_rows import EndlessRow, Layout, whole_rows
from despina.graph.graph import Graph
from despina.programs import process
from despina.programs.context import Context
from despina.programs.report import FILE

TELLING = [b"", b"\0", b'"', b'""', b",", b";", b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"\xe9", b"nan",
           b"1e999", b"-", b"9" * 400, b"{", b"}", b"[", b"]", b"null", b"true", b"0", b"\\", b"\\ud800", b"\\u0000", b"..", b"/",
           b"*", b"^.*$", b"~id", b"person", b"x" * 5000]
"""Bytes that mean something in one of the formats."""
mutations = st.lists(st.tuples(
    st.sampled_from([CONFIGURATION, CONFIGURATION, NODES, EDGES, "train.csv"]), st.floats(0, 1), st.integers(0, 12),
    st.one_of(st.sampled_from(TELLING), st.binary(max_size=4))), min_size=1, max_size=4)
SPLIT = {"graph.nodes.0.labels.0": {"label": ["group", "classification"], "custom_split_filenames": {
    "train": "train.csv", "validation": "valid.csv", "test": "test.csv"}}}


@given(mutations, st.booleans())
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_end_in_a_graph_or_a_reason(monkeypatch: pytest.MonkeyPatch, edits: list[tuple[str, float, int, bytes]],
                                              files: bool) -> None:
    """Each edit replaces some bytes at a place in a file by others."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        export = write(folder / "bucket" / "export", SPLIT if files else {})
        for name, place, length, new in edits:
            content = (export / name).read_bytes()
            at = round(place * len(content))
            (export / name).write_bytes(content[:at] + new + content[at + length:])
        monkeypatch.setenv("DESPINA_S3_FOLDER", str(folder))
        (folder / "run").mkdir()
        work = ProcessWork(input="s3://bucket/export", output="s3://bucket/out", config_file_name=CONFIGURATION)
        outcome: dict[str, Any]
        try:
            outcome = process.run(work, Context(folder=folder / "run", store=open_artifacts()))
        except WorkFailed as error:
            outcome = {"failure_reason": str(error)}
        msgspec.json.encode(outcome)  # it can be written down
        if "failure_reason" in outcome:
            assert outcome["failure_reason"].strip()
            assert [path.name for path in (folder / "bucket" / "out").iterdir()] == [FILE], "a report is all that is written"
        else:
            assert sum(Graph.load(folder / "bucket" / "out" / "graph").node_counts.values()) == outcome["nodes"]


CELLS = st.text(alphabet='ab,"\n', max_size=4)


tables = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=12)
ends = st.sampled_from(["\n", "\r\n"])


def written(rows: list[list[str]], end: str, *, closed: bool) -> str:
    """The rows as CSV, below a header of three columns."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows([["x", "y", "z"], *rows])
    return text.getvalue() if closed else text.getvalue().removesuffix(end)


@given(tables, st.booleans(), ends, st.integers(1, 40))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_file_is_cut_between_rows_wherever_its_blocks_end(rows: list[list[str]], closed: bool, end: str, chunk: int) -> None:
    text = written(rows, end, closed=closed)
    header, *pieces = whole_rows(io.BytesIO(text.encode()), chunk=chunk)
    assert header + b"".join(pieces) == text.encode()
    reader = csv.reader(io.StringIO(text, newline=""))
    assert [header.decode().removesuffix(end)] == [",".join(next(reader))]
    assert [row for piece in pieces for row in csv.reader(io.StringIO(piece.decode(), newline=""))] == list(reader)


@given(tables, ends)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_rows_of_a_wrong_width_are_found(rows: list[list[str]], end: str) -> None:
    text = written(rows, end, closed=True).encode()
    widths = [len(row) for row in csv.reader(io.StringIO(text.decode(), newline="")) if row]
    layout = Layout(text, ",")
    assert not layout.has_stray_quote()
    if max(widths) <= 3:
        assert layout.has_short_row(3) == (min(widths) < 3)
    if min(widths) >= 3 and all(csv.reader(io.StringIO(text.decode(), newline=""))):
        assert layout.has_long_row(3, len(widths)) == (max(widths) > 3)


RFC_4180 = re.compile(r'(?:(?:"(?:[^"]|"")*"|[^",\r\n]*)(?:,|\r?\n))*')


@given(st.lists(st.sampled_from(['"', '""', '"a"', '"a', 'a"', ",", "a", "\n", "\r\n", "a" * 60]), max_size=40).map("".join))
@settings(max_examples=1000, deadline=None, derandomize=True)
def test_quotes_that_rfc_4180_does_not_allow_are_found(text: str) -> None:
    stray = Layout(f"{text}\n".encode(), ",").has_stray_quote()
    if text.count('"') % 2 == 0:  # else a cell is not closed, which the reader refuses
        assert stray == (RFC_4180.fullmatch(f"{text}\n") is None)


def test_a_row_that_does_not_end_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROW", 100)
    with pytest.raises(EndlessRow, match="a row has more than 100 bytes"):
        list(whole_rows(io.BytesIO(b'x\n"' + b"a\n" * 200), chunk=64))
