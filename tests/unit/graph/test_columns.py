"""One column in each of its forms, and what is said of cells that cannot be used."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.unit.graph.people import column

from despina.graph import csv_files
from despina.graph.columns import SHOWN, Column, code, read_instants, read_numbers, split_cells
from despina.graph.dictionary import Dictionary
from despina.graph.faults import MOST, Fault, InputFault
from despina.graph.tables import Keep, Stretch, Table, find_file

NAN = float("nan")
NUMBERS: list[tuple[str, float]] = [
    ("1", 1.0), ("-2.5", -2.5), ("+1", 1.0), ("1e3", 1000.0), ("1E3", 1000.0), ("1e+3", 1000.0), (".5", 0.5), ("5.", 5.0),
    ("007", 7.0), ("-0", 0.0), ("1e-400", 0.0), ("4.9e-324", 5e-324), ("1.7976931348623157e308", 1.7976931348623157e308),
    ("0.30000000000000004", 0.30000000000000004), ("9007199254740993", 9007199254740992.0)]
NO_NUMBERS = ["NaN", "nan", "inf", "-inf", "+inf", "Infinity", "1e999", "-1e999", "9" * 400, "1_000", "0x10", "1,5", "+ 1", "1e",
              "e5", ".", "-", "--1", "1d5", "1f", "1'000", "١", "true", "null", "None", "x", "\u00a01", "1\n", "ab" * 80]


def written(folder: Path, cells: list[str]) -> Path:
    """A CSV file with these cells below a header; the first is in line 2."""
    quoted = [cell.replace('"', '""') for cell in cells]
    (folder / "n.csv").write_text("~id,p\n" + "".join(f'{i},"{cell}"\n' for i, cell in enumerate(quoted)), encoding="utf-8")
    return folder


def kept(folder: Path, keep: Keep) -> Column:
    """The column ``p`` of that file."""
    table = Table.concat(Table.batches(find_file(folder, "n.csv", ","), {"p": keep, "~id": Keep.TEXT}, {}))
    return table.column("p")


@pytest.mark.parametrize("keep", Keep)
def test_what_is_a_number(tmp_path: Path, keep: Keep) -> None:
    cells = kept(written(tmp_path, [text for text, _ in NUMBERS]), keep)
    cells.refuse_unreadable_numbers()
    assert cells.numbers.tolist() == [number for _, number in NUMBERS]
    assert cells.numbers.dtype == np.float64
    assert not cells.missing.any()


@pytest.mark.parametrize("keep", Keep)
@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_refused(tmp_path: Path, keep: Keep, text: str) -> None:
    with pytest.raises(InputFault) as caught:
        kept(written(tmp_path, ["1", "", text]), keep).refuse_unreadable_numbers()
    assert str(caught.value) == f"n.csv, line 4, column 'p': '{text[:SHOWN]}' is not a finite number"
    finding, = caught.value.findings
    assert (finding.name, finding.file, finding.line, finding.column, finding.value) == (
        Fault.INVALID_NUMBER, "n.csv", 4, "p", text[:SHOWN])


@pytest.mark.parametrize("keep", Keep)
def test_an_empty_cell_is_missing(tmp_path: Path, keep: Keep) -> None:
    (tmp_path / "n.csv").write_text('~id,p\na,\nb,""\nc,1\n', encoding="utf-8")
    cells = kept(tmp_path, keep)
    cells.refuse_unreadable_numbers()
    assert cells.missing.tolist() == [True, True, False]
    assert np.isnan(cells.numbers).tolist() == [True, True, False]
    assert cells.coded[0].tolist() == [-1, -1, 0]
    assert [text is None for text in cells.text] == [True, True, False]


def test_numbers_become_text_that_is_read_back() -> None:
    values = np.array([1.0, NAN, 0.1, 1e300, -5e-324, 0.1 + 0.2])
    cells = Column(name="p", cells=values, origin=Table(cells={}, stretches=()))
    assert cells.text.dtype == pl.String
    assert np.array_equal(read_numbers(cells.text), values, equal_nan=True)
    assert cells.missing.tolist() == [False, True, False, False, False, False]
    cells.refuse_unreadable_numbers()


def test_a_dictionary_may_have_texts_that_a_column_lacks() -> None:
    dictionary = Dictionary()
    first, second = code(pl.Series(["a", None, "7"]), dictionary), code(pl.Series(["2001-01-01", "7", None]), dictionary)
    cells = Column(name="p", cells=second, dictionary=dictionary, origin=Table(cells={}, stretches=()))
    assert first.tolist() == [0, -1, 1]
    assert second.tolist() == [2, 1, -1]
    assert cells.text.to_list() == ["2001-01-01", "7", None]
    assert cells.text.name == "p"
    assert np.array_equal(cells.numbers, [NAN, 7, NAN], equal_nan=True)
    assert cells.instants.to_physical().to_list() == [978_307_200_000, None, None]
    assert cells.coded[1].to_list() == ["a", "7", "2001-01-01"]


def test_the_line_of_a_part_is_that_of_the_file(tmp_path: Path) -> None:
    part = kept(written(tmp_path, ["0", "1\n", "2", "x", "4"]), Keep.TEXT).slice(2, 3).slice(1, 2)
    assert part.origin.files == (find_file(tmp_path, "n.csv", ","),)
    with pytest.raises(InputFault, match=r"^n.csv, line 6, column 'p': 'x' is not a finite number$"):
        part.refuse_unreadable_numbers()


@pytest.mark.parametrize(("bad", "listed"), [(1, 1), (19, 19), (20, 20), (21, 20), (5000, 20)])
@pytest.mark.parametrize("keep", Keep)
def test_20_cells_are_listed_at_most(tmp_path: Path, keep: Keep, bad: int, listed: int) -> None:
    folder = written(tmp_path, ["1", *(f"x{i}" for i in range(bad)), "2"])
    with pytest.raises(InputFault) as caught:
        kept(folder, keep).refuse_unreadable_numbers()
    findings = caught.value.findings
    assert MOST == 20
    assert [(finding.line, finding.value) for finding in findings] == [(i + 3, f"x{i}") for i in range(listed)]
    assert {finding.name for finding in findings} == {Fault.INVALID_NUMBER}
    assert str(caught.value) == findings[0].text


@pytest.mark.parametrize(("value", "shown"), [
    ("x" * 99, "x" * 99), ("x" * 100, "x" * 100), ("x" * 101, "x" * 100), ("é" * 1000, "é" * 100),
    ("\U0001f40b" * 150, "\U0001f40b" * 100), ("a\nb", "a\nb"), ("it's", "it's")])
def test_values_are_shortened_to_100_characters(tmp_path: Path, value: str, shown: str) -> None:
    error = kept(written(tmp_path, [value]), Keep.TEXT).error(0, Fault.INVALID_TEXT, " is odd")
    assert str(error) == f"n.csv, line 2, column 'p': '{shown}' is odd"
    assert error.findings[0].value == shown


def test_a_missing_cell_has_no_value_to_show(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("~id,p\na,1\nb,\n", encoding="utf-8")
    error = kept(tmp_path, Keep.CODES).error(1, Fault.MISSING_VALUE, "; give it one")
    assert str(error) == "n.csv, line 3, column 'p': the cell is empty; give it one"
    assert error.findings[0].value is None


def test_each_row_may_have_a_message_of_its_own(tmp_path: Path) -> None:
    cells = kept(written(tmp_path, ["a", "b", "c"]), Keep.TEXT)
    says: Callable[[int], str] = lambda row: f" is in row {row}"  # noqa: E731
    assert [finding.text for finding in cells.errors([0, 2], Fault.INVALID_TEXT, says).findings] == [
        "n.csv, line 2, column 'p': 'a' is in row 0", "n.csv, line 4, column 'p': 'c' is in row 2"]


def test_cells_of_several_files_are_named_by_their_own(tmp_path: Path) -> None:
    for name, cells in (("one.csv", "1\nx"), ("two.csv", "y\n2\nz")):
        (tmp_path / name).write_text(f"p\n{cells}\n", encoding="utf-8")
    table = Table.concat(Table.read(find_file(tmp_path, name, ","), ["p"]) for name in ("one.csv", "two.csv"))
    with pytest.raises(InputFault) as caught:
        table.column("p").refuse_unreadable_numbers()
    assert [(finding.file, finding.line, finding.value) for finding in caught.value.findings] == [
        ("one.csv", 3, "x"), ("two.csv", 2, "y"), ("two.csv", 4, "z")]


def test_nothing_is_refused_when_no_row_is_named() -> None:
    cells = column(["x", None])
    cells.refuse(np.zeros(2, dtype=np.bool_), Fault.INVALID_TEXT, "")
    cells.refuse(pl.Series([False, False]), Fault.INVALID_TEXT, "")


def test_numbers_are_refused_in_the_stretch_that_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "CHUNK", 16)
    folder = written(tmp_path, ["1", "2", "3", "4", "x", "5", "6", "7", "y"])
    with pytest.raises(InputFault, match=r"^n.csv, line 6, column 'p': 'x' is not a finite number$"):
        kept(folder, Keep.NUMBERS)


def test_a_nul_is_shown_as_text(tmp_path: Path) -> None:
    pl.DataFrame({"p": ["a\0b"]}).write_parquet(tmp_path / "n.parquet")
    with pytest.raises(InputFault) as caught:
        Table.read(find_file(tmp_path, "n.parquet", ","), ["p"])
    assert str(caught.value) == r"n.parquet, row 1, column 'p': 'a\0b' contains a NUL byte; remove it"


@pytest.mark.parametrize("form", ["cells", "codes"])
def test_an_empty_column_has_every_form(form: str) -> None:
    empty = pl.Series("p", [], dtype=pl.String)
    cells = (Column(name="p", cells=empty, origin=Table(cells={}, stretches=())) if form == "cells" else
             Column(name="p", cells=np.empty(0, dtype=np.int32), dictionary=Dictionary(), origin=Table(cells={}, stretches=())))
    forms = cells, cells.text, cells.numbers, cells.missing, cells.coded[0], cells.instants
    assert [len(made) for made in forms] == [0] * 6
    cells.refuse_unreadable_numbers()


@pytest.mark.parametrize(("text", "parts"), [
    ("a;b", ["a", "b"]), ("a", ["a"]), (";", ["", ""]), (r"a\;b;c", ["a;b", "c"]), (r"\;", [";"]), (r"a\b", [r"a\b"]),
    (None, None)])
def test_cells_are_split_at_separators_that_are_not_escaped(text: str | None, parts: list[str] | None) -> None:
    assert split_cells(pl.Series([text, "x;y"], dtype=pl.String), ";").to_list() == [parts, ["x", "y"]]


@pytest.mark.parametrize(("text", "instant"), [
    ("1970-01-01", 0), ("1969-12-31T23:59:59.999Z", -1), ("1970-01-01T00:00:01", 1000), ("1970-01-01 00:00:01.5", 1500),
    ("1970-01-01T01:00:00+01:00", 0), ("1970-13-01", None), ("1970-02-30", None), ("soon", None), ("0", None), (None, None)])
def test_times(text: str | None, instant: int | None) -> None:
    mixed = pl.Series([text, "1970-01-02", "1970-01-02T00:00:00Z"], dtype=pl.String)
    assert read_instants(mixed).to_physical().to_list() == [instant, 86_400_000, 86_400_000]
    assert read_instants(mixed.head(1)).to_physical().to_list() == [instant]


def test_places_are_those_of_rows_that_are_left(tmp_path: Path) -> None:
    table = Table.read(find_file(written(tmp_path, ["0", "1", "2", "3"]), "n.csv", ","), ["p"])
    left = table.select(["p"], np.array([False, True, False, True]))
    assert [left.place(0), left.place(1)] == ["n.csv, line 3", "n.csv, line 5"]
    assert [stretch.rows.tolist() for stretch in left.stretches if not isinstance(stretch.rows, range)] == [[1, 3]]
    again = left.select(["p"], np.array([False, True]))
    assert again.place(0) == "n.csv, line 5"
    assert again.column("p").text.to_list() == ["3"]
    assert isinstance(table.stretches[0], Stretch)
