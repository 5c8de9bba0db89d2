"""A file has the cells that Python's reader finds in it, and each row its line, however small the stretches in which it is read."""

import csv
import gzip
import io
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from despina.graph import csv_files, parquet_files
from despina.graph.columns import Cells, code
from despina.graph.csv_files import CsvFile
from despina.graph.dictionary import Dictionary
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.tables import Keep, Stretch, Table, TableBuilder, TableFile, find_file, in_order

quick = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
CELLS = st.one_of(st.sampled_from(["", "", "a", "b", ",", '"', '""', "\n", 'a"b', "a,b", 'a\n"b"', "é", "日本", " ", "\\", "'"]),
                  st.text('ab ,"\n;é', max_size=5))
COLUMNS = ["x", "y:String", "z"]


@dataclass(frozen=True, kw_only=True)
class File:
    """A CSV file: its rows, of no cells where a line is blank, and how they are written."""

    width: int
    rows: list[list[str]]
    end: str = "\n"
    quoted: bool = False
    closed: bool = True
    mark: bool = False
    zipped: bool = False

    @property
    def header(self) -> list[str]:
        return COLUMNS[:self.width]

    def text(self) -> str:
        lines = "".join(map(self._line, [self.header, *self.rows]))
        return "\ufeff" * self.mark + (lines if self.closed else lines.removesuffix(self.end))

    def _line(self, row: list[str]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator=self.end, quoting=csv.QUOTE_ALL if self.quoted else csv.QUOTE_MINIMAL).writerow(row)
        return text.getvalue()

    def lines(self) -> list[int]:
        """Where each row begins."""
        ends = np.cumsum([self._line(row).count("\n") for row in [self.header, *self.rows]])
        return [int(end) + 1 for end in ends[:-1]]

    def write(self, folder: Path) -> CsvFile:
        content = self.text().encode()
        (folder / "t.csv").write_bytes(gzip.compress(content) if self.zipped else content)
        file = find_file(folder, "t.csv", ",")
        assert isinstance(file, CsvFile)
        return file


@st.composite
def files(draw: st.DrawFn) -> File:
    width = draw(st.integers(1, 3))
    row = st.lists(CELLS, min_size=width, max_size=width)
    rows = draw(st.lists(st.one_of(row, row, row, st.just([])) if width == 1 else row, max_size=9))
    return File(width=width, rows=rows, end=draw(st.sampled_from(["\n", "\r\n"])), quoted=draw(st.booleans()),
                closed=draw(st.booleans()) or rows[-1:] == [[]], mark=draw(st.booleans()), zipped=draw(st.booleans()))


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


CHUNKS = st.one_of(st.integers(1, 30), st.integers(1, 200), st.just(2**22))
FORMS = st.sampled_from([Keep.TEXT, Keep.CODES])


def check(folder: Path, file: File, wanted: list[str], keep: Keep, pool: Executor | None) -> None:
    """Assert that the columns that are wanted have the cells of the file, and their rows its lines."""
    assert list(csv.reader(io.StringIO(file.text().removeprefix("\ufeff"), newline=""))) == [file.header, *file.rows]
    read = list(Table.batches(file.write(folder), dict.fromkeys(wanted, keep), {}, pool=pool))
    assert len(read) >= 1
    table = Table.concat(read)
    cells = [tuple(row[COLUMNS.index(name)] or None for name in wanted) if row else (None,) * len(wanted) for row in file.rows]
    filled = [i for i, row in enumerate(cells) if any(row)]
    assert [tuple(table.column(name).text[i] for name in wanted) for i in range(len(table))] == [cells[i] for i in filled]
    assert (len(table), table.dropped) == (len(filled), len(cells) - len(filled))
    lines = [file.lines()[i] for i in filled]
    assert [line for _, line in table.places(range(len(table)))] == lines
    assert [table.place(i) for i in range(len(table))] == [f"t.csv, line {line}" for line in lines]
    for i, line in enumerate(lines):
        column = table.column(wanted[0])
        assert str(column.error(i, Fault.INVALID_TEXT, "")).startswith(f"t.csv, line {line}, column '{wanted[0]}': ")


@given(files(), CHUNKS, st.booleans(), st.permutations(range(3)), FORMS)
@quick
def test_cells_are_those_that_pythons_reader_finds(monkeypatch: pytest.MonkeyPatch, pool: Executor, file: File, chunk: int,
                                                   ahead: bool, order: list[int], keep: Keep) -> None:
    wanted = [COLUMNS[i] for i in order if i < file.width]
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr(csv_files, "CHUNK", chunk)
        check(Path(folder), file, wanted, keep, pool if ahead else None)


@given(files(), CHUNKS, st.data())
@quick
def test_a_part_of_the_columns_has_the_same_cells(monkeypatch: pytest.MonkeyPatch, file: File, chunk: int,
                                                  data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(file.header), unique=True, min_size=1))
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr(csv_files, "CHUNK", chunk)
        check(Path(folder), file, wanted, Keep.TEXT, None)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("wanted", [["x"], ["z", "x"], COLUMNS])
def test_blank_lines_are_rows_without_content(tmp_path: Path, end: str, wanted: list[str]) -> None:
    rows = [["a", "1", "b\nc"], [], [], ["", "", ""], ["d", "2", ""], [], ["e", "", "f"], [], []]
    check(tmp_path, File(width=3, rows=rows, end=end), wanted, Keep.TEXT, None)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("width", [1, 3])
def test_a_header_alone_is_a_table_without_rows(tmp_path: Path, width: int, zipped: bool, closed: bool, mark: bool) -> None:
    file = File(width=width, rows=[], zipped=zipped, closed=closed, mark=mark)
    check(tmp_path, file, COLUMNS[:width], Keep.CODES, None)
    keep = {"x": Keep.NUMBERS, "other": Keep.CODES}
    table, = Table.batches(file.write(tmp_path), keep, {}, optional=["other"])
    assert (len(table), table.column("x").numbers.tolist(), table.has("x"), table.has("other")) == (0, [], True, False)


@given(files(), CHUNKS, st.booleans(), st.integers(0, 8), st.integers(1, 5))
@quick
def test_a_row_of_a_wrong_width_is_found_with_its_line(monkeypatch: pytest.MonkeyPatch, pool: Executor, file: File, chunk: int,
                                                       ahead: bool, place: int, width: int) -> None:
    place, width = min(place, len(file.rows)), width if width != file.width else width + 1
    rows = [*file.rows[:place], ["c"] * width, *file.rows[place:]]
    wrong = File(width=file.width, rows=rows, end=file.end, quoted=file.quoted, mark=file.mark, zipped=file.zipped)
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr(csv_files, "CHUNK", chunk)
        with pytest.raises(InputFault) as caught:
            list(Table.batches(wrong.write(Path(folder)), {"x": Keep.TEXT}, {}, pool=pool if ahead else None))
    line = wrong.lines()[place]
    says = f"t.csv, line {line}: it has {width} cell{'s' * (width > 1)}, but the header has {file.width}; "
    assert str(caught.value).startswith(says)
    finding, = caught.value.findings
    assert (finding.name, finding.file, finding.line) == (Fault.MALFORMED_FILE, "t.csv", line)


@given(files(), CHUNKS, st.booleans(), st.integers(0, 8), st.sampled_from([b"\xe9", b"\0", b"\xff\xff"]))
@quick
def test_bytes_that_are_no_text_are_found_with_their_line(monkeypatch: pytest.MonkeyPatch, pool: Executor, file: File, chunk: int,
                                                          ahead: bool, place: int, bad: bytes) -> None:
    place = min(place, len(file.rows))
    rows = [*file.rows[:place], ["BAD"] * file.width, *file.rows[place:]]
    wrong = File(width=file.width, rows=rows, end=file.end, mark=file.mark, closed=file.closed)
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr(csv_files, "CHUNK", chunk)
        read = wrong.write(Path(folder))
        read.path.write_bytes(read.path.read_bytes().replace(b"BAD", bad))
        with pytest.raises(InputFault, match=rf"^t.csv, line {wrong.lines()[place]}: ") as caught:
            list(Table.batches(read, {"x": Keep.TEXT}, {}, pool=pool if ahead else None))
    assert caught.value.findings[0].name is Fault.MALFORMED_FILE


@given(st.lists(st.one_of(st.just(""), st.integers(-99, 99).map(str)), max_size=30), CHUNKS, st.booleans(), st.booleans())
@quick
def test_numbers_and_codes_of_stretches_are_those_of_the_file(monkeypatch: pytest.MonkeyPatch, pool: Executor, cells: list[str],
                                                              chunk: int, ahead: bool, quoted: bool) -> None:
    file = File(width=3, rows=[["k", cell, cell] for cell in cells], quoted=quoted)
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr(csv_files, "CHUNK", chunk)
        dictionaries = {"z": Dictionary()}
        dictionaries["z"].add(pl.Series(["of an earlier file"]))
        read = Table.batches(file.write(Path(folder)), {"x": Keep.CODES, "y": Keep.NUMBERS, "z": Keep.CODES}, dictionaries,
                             pool=pool if ahead else None)
        table = Table.concat(read)
    assert np.array_equal(table.column("y").numbers, [float(cell or "nan") for cell in cells], equal_nan=True)
    assert table.column("z").text.to_list() == [cell or None for cell in cells]
    assert table.dictionaries["z"] is dictionaries["z"]
    assert dictionaries["z"].texts.to_list() == ["of an earlier file", *dict.fromkeys(filter(None, cells))]
    assert set(dictionaries) == {"x", "z"}


@given(st.lists(st.sampled_from(["1", "2.5", "x", "1e999", "y"]), max_size=15), CHUNKS, st.booleans())
@quick
def test_cells_that_are_no_numbers_are_noted_and_taken_as_missing(monkeypatch: pytest.MonkeyPatch, pool: Executor,
                                                                  cells: list[str], chunk: int, ahead: bool) -> None:
    file = File(width=2, rows=[["k", cell] for cell in cells])
    findings = Findings()
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr(csv_files, "CHUNK", chunk)
        table = Table.concat(Table.batches(file.write(Path(folder)), {"x": Keep.TEXT, "y": Keep.NUMBERS}, {}, findings=findings,
                                           pool=pool if ahead else None))
    bad = [cell in {"x", "1e999", "y"} for cell in cells]
    expected = [np.nan if wrong else float(cell) for cell, wrong in zip(cells, bad, strict=True)]
    assert np.array_equal(table.column("y").numbers, expected, equal_nan=True)
    assert len(findings) == sum(bad)
    if any(bad):
        with pytest.raises(InputFault) as caught:
            findings.check()
        assert [(finding.name, finding.line, finding.value) for finding in caught.value.findings] == [
            (Fault.INVALID_NUMBER, i + 2, cell) for i, cell in enumerate(cells) if bad[i]]


@given(st.lists(st.lists(st.sampled_from(["a", "", "b;c", "1.5"]), min_size=2, max_size=2), max_size=12), st.integers(1, 5))
@quick
def test_parquet_files_are_read_a_stretch_at_a_time_too(monkeypatch: pytest.MonkeyPatch, rows: list[list[str]], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr(parquet_files, "ROWS", size)
        pl.DataFrame(rows, schema=["x", "y"], orient="row").write_parquet(Path(folder) / "t.parquet")
        table = Table.concat(Table.batches(find_file(Path(folder), "t.parquet", ","), {"y": Keep.CODES, "x": Keep.TEXT}, {}))
        filled = [i for i, row in enumerate(rows) if any(row)]
        assert [table.place(i) for i in range(len(table))] == [f"t.parquet, row {i + 1}" for i in filled]
    for position, name in enumerate(("x", "y")):
        assert table.column(name).text.to_list() == [rows[i][position] or None for i in filled]
    assert table.dropped == len(rows) - len(filled)


CSV = CsvFile(name="t.csv", path=Path("t.csv"), separator=",")
ROWS = st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=5)


@given(st.lists(st.tuples(ROWS, st.sets(st.sampled_from(["text", "code", "number"]))), max_size=6), st.data())
@quick
def test_columns_that_a_table_lacks_are_missing_there(parts: list[tuple[list[int | None], set[str]]], data: st.DataObject) -> None:
    dictionary, builder, first = Dictionary(), TableBuilder(), 0
    expected: dict[str, list[int | None]] = {name: [] for name in ("text", "code", "number")}
    for values, names in parts:
        text = pl.Series(values, dtype=pl.Int64).cast(pl.String)
        cells: dict[str, Cells] = {"text": text.alias("text"), "code": code(text, dictionary),
                                   "number": np.array([np.nan if value is None else value for value in values], dtype=np.float64)}
        builder.add(Table(cells={name: cells[name] for name in names}, dropped=2, dictionaries={
            "code": dictionary} if "code" in names else {}, stretches=(Stretch(file=CSV, rows=range(first, first + len(values))),)))
        first += len(values)
        for name, so_far in expected.items():
            so_far.extend(values if name in names else [None] * len(values))
    table = builder.take()
    assert (len(table), table.dropped) == (first, 2 * len(parts))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=first, max_size=first)), dtype=np.bool_)
    left = table.select(["number", "text", "code", "none"], mask)
    assert (len(left), left.dropped) == (mask.sum(), 0)
    for name, values_of_all in expected.items():
        for some, values in ((table, values_of_all), (left, [values_of_all[i] for i in np.flatnonzero(mask)])):
            assert some.has(name) == any(name in names for _, names in parts)
            column = some.column(name)
            assert column.missing.tolist() == [value is None for value in values]
            assert [None if text is None else float(text) for text in column.text] == values
            assert np.array_equal(column.numbers, [np.nan if value is None else value for value in values], equal_nan=True)
    assert left.column("none").text.to_list() == [None] * len(left)
    assert [row for stretch in left.stretches for row in stretch.rows] == np.flatnonzero(mask).tolist()


@given(st.integers(0, 12), st.booleans())
@quick
def test_tasks_have_their_results_in_order(pool: Executor, count: int, ahead: bool) -> None:
    tasks: list[Callable[[], int]] = [partial(int, i) for i in range(count)]
    assert list(in_order(iter(tasks), pool if ahead else None)) == list(range(count))


@pytest.mark.parametrize("ahead", [False, True])
def test_what_a_task_raises_comes_in_its_turn(pool: Executor, ahead: bool) -> None:
    results = in_order([partial(int, text) for text in ("1", "2", "x", "4", "5", "6", "7")], pool if ahead else None)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="x"):
        next(results)
    assert list(results) == []


def test_few_tasks_are_worked_on_ahead(pool: Executor) -> None:
    begun = 0

    def tasks() -> Iterator[Callable[[], int]]:
        nonlocal begun
        for i in range(100):
            begun += 1
            yield partial(int, i)

    results = in_order(tasks(), pool)
    for i in range(50):
        assert next(results) == i
        assert begun <= i + 4
    results.close()  # type: ignore[attr-defined]
    assert begun <= 54


def test_files_of_both_kinds_are_read_into_one_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,\n,\n2,b\n", encoding="utf-8")
    pl.DataFrame({"x": [3, None], "z": ["c", None]}).write_parquet(tmp_path / "b.parquet")
    (tmp_path / "c.tsv").write_text("y\tx\nd\t4\n", encoding="utf-8")
    keep = {"x": Keep.NUMBERS, "y": Keep.TEXT, "z": Keep.CODES}
    found: list[TableFile] = [find_file(tmp_path, name, separator) for name, separator in (
        ("a.csv", ","), ("b.parquet", ","), ("c.tsv", "\t"))]
    dictionaries: dict[str, Dictionary] = {}
    table = Table.concat(part for file in found for part in Table.batches(file, keep, dictionaries, optional=["y", "z"]))
    assert table.column("x").numbers.tolist() == [1, 2, 3, 4]
    assert table.column("y").text.to_list() == [None, "b", None, "d"]
    assert table.column("z").text.to_list() == [None, None, "c", None]
    assert table.dropped == 2
    assert [table.place(i) for i in range(4)] == ["a.csv, line 2", "a.csv, line 4", "b.parquet, row 1", "c.tsv, line 2"]
    assert table.files == tuple(found)
