"""The forms of a column agree, whichever way its cells are kept, and so does every part of it; its median is that of NumPy."""

import csv
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from despina.graph import csv_files
from despina.graph.columns import BLANKS, Column, code, read_numbers
from despina.graph.dictionary import Dictionary
from despina.graph.faults import Fault, Finding, InputFault
from despina.graph.features import numerical
from despina.graph.features.numerical import median
from despina.graph.tables import Keep, Table, find_file

ODD = ["NaN", "nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "1_000", "+1", "0x10", ".5", "5.", ".", "-", "1e", "1e-400",
       "-0", "9" * 310, "1e308", "4.9e-324", "1,5", "true", "null", "2001-05-01", "2001-05-01T10:00:00Z", "x;y", 'a"b',
       "a\nb", "é", "1 2", "\u00a01", "1\x0b", " ", "\t "]
FIGURES = st.one_of(st.integers().map(str), st.floats(allow_nan=False, allow_infinity=False).map(repr))
CELLS = st.one_of(st.just(""), FIGURES, st.sampled_from(ODD), st.text("0123456789.eE+-_xnaifNI", max_size=7))
NUMBERS = st.one_of(st.just(""), FIGURES, st.sampled_from(["+1", ".5", "5.", "1e-400", "-0", "007", " 1", "2 ", "\t3.5 "]))
BLOCK_SIZES = st.one_of(st.none(), st.integers(1, 60))
quick = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
NOWHERE = Table(cells={}, stretches=())


def of_texts(cells: list[str]) -> Column:
    return Column(name="p", cells=pl.Series("p", [cell or None for cell in cells], dtype=pl.String), origin=NOWHERE)


def of_codes(cells: list[str], others: list[str]) -> Column:
    """The same cells as codes in a dictionary that has other texts too."""
    dictionary = Dictionary()
    dictionary.add(pl.Series([*others, "another"], dtype=pl.String))
    return Column(name="p", cells=code(of_texts(cells).text, dictionary), dictionary=dictionary, origin=NOWHERE)


def of_numbers(cells: list[str]) -> Column:
    return Column(name="p", cells=read_numbers(of_texts(cells).text), origin=NOWHERE)


def decoded(column: Column) -> list[str | None]:
    """What the codes of a column mean."""
    codes, texts = column.coded
    assert codes.dtype == np.int32
    assert (codes < len(texts)).all()
    assert texts.n_unique() == len(texts)
    return [texts[i] if i >= 0 else None for i in codes.tolist()]


def same(one: Column, other: Column) -> None:
    """Assert that the columns have the same cells in every form."""
    assert len(one) == len(other)
    assert one.missing.tolist() == other.missing.tolist()
    assert one.text.to_list() == other.text.to_list()
    assert decoded(one) == decoded(other) == one.text.to_list()
    assert np.array_equal(one.numbers, other.numbers, equal_nan=True)
    assert one.instants.to_list() == other.instants.to_list()
    assert (one.text.dtype, one.numbers.dtype, one.instants.dtype) == (other.text.dtype, other.numbers.dtype, other.instants.dtype)


@given(st.lists(CELLS, max_size=12), st.lists(CELLS.filter(bool), max_size=4))
@quick
def test_texts_and_codes_agree(cells: list[str], others: list[str]) -> None:
    texts, codes = of_texts(cells), of_codes(cells, others)
    same(texts, codes)
    assert texts.text.to_list() == [cell or None for cell in cells]
    assert texts.missing.tolist() == [not cell for cell in cells]


@given(st.lists(NUMBERS, max_size=12))
@quick
def test_numbers_are_those_of_the_texts(cells: list[str]) -> None:
    texts, numbers = of_texts(cells), of_numbers(cells)
    expected = np.array([float(cell or "nan") for cell in cells])
    for column in (texts, numbers, of_codes(cells, [])):
        assert np.array_equal(column.numbers, expected, equal_nan=True)
        assert np.isnan(expected).tolist() == column.missing.tolist()
        column.refuse_unreadable_numbers()
    assert np.array_equal(read_numbers(numbers.text), expected, equal_nan=True)
    assert [text is None for text in decoded(numbers)] == texts.missing.tolist()


@given(st.lists(CELLS, max_size=12), st.integers(0, 12), st.integers(0, 12),
       st.sets(st.sampled_from(["text", "numbers", "instants"])), st.sampled_from(["texts", "codes", "numbers"]))
@quick
def test_a_part_has_the_forms_of_the_whole(cells: list[str], start: int, count: int, made: set[str], kind: str) -> None:
    make = {"texts": of_texts, "codes": lambda some: of_codes(some, ["other"]), "numbers": of_numbers}[kind]
    whole = make(cells)
    for form in made:  # what is made already serves the part as well
        getattr(whole, form)
    part = whole.slice(start, count)
    same(part, make(cells[start:start + count]))
    middle = part.slice(1, 2)
    same(middle, make(cells[start:start + count][1:3]))
    assert part.text.name == whole.text.name == "p"


def as_read(folder: Path, keep: Keep) -> tuple[list[float], list[bool]] | tuple[Finding, ...]:
    """The numbers of the column ``p`` and which are missing; or what is wrong with them."""
    try:
        table = Table.concat(Table.batches(find_file(folder, "t.csv", ","), {"x": Keep.TEXT, "p": keep}, {}))
        column = table.column("p")
        column.refuse_unreadable_numbers()
    except InputFault as fault:
        return fault.findings
    assert isinstance(column.cells, np.ndarray) == (keep is not Keep.TEXT)
    return np.nan_to_num(column.numbers, nan=-12345.0).tolist(), column.missing.tolist()


@given(st.lists(CELLS, max_size=12), BLOCK_SIZES, st.booleans())
@quick
def test_what_is_a_number_is_the_same_in_whichever_way_it_is_kept(monkeypatch: pytest.MonkeyPatch, cells: list[str],
                                                                  chunk: int | None, quoted: bool) -> None:
    with tempfile.TemporaryDirectory() as name, monkeypatch.context() as patch:
        if chunk is not None:
            patch.setattr(csv_files, "CHUNK", chunk)
        with (Path(name) / "t.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, lineterminator="\n").writerows(
                [["x", "p"], *([str(i), cell] for i, cell in enumerate(cells))])
        text, codes, numbers = (as_read(Path(name), keep) for keep in Keep)
    expected = [float(cell) if is_number(cell) else None for cell in cells]
    unreadable = [cell for cell, number in zip(cells, expected, strict=True) if cell.strip(BLANKS) and number is None]
    assert text == codes
    if not unreadable:
        assert text[0] == numbers[0] == [-12345.0 if number is None else number for number in expected]
        assert text[1] == [not cell for cell in cells]
        assert numbers[1] == [not cell.strip(BLANKS) for cell in cells]
    else:
        assert all(isinstance(finding, Finding) for finding in text)
        assert text[0] == numbers[0]
        assert [finding.value for finding in text if isinstance(finding, Finding)] == [cell[:100] for cell in unreadable]
        assert {finding.name for finding in text if isinstance(finding, Finding)} == {Fault.INVALID_NUMBER}
        assert numbers == text[:len(numbers)], "those of its first stretch"
        assert chunk is not None or numbers == text


def is_number(cell: str) -> bool:
    """Whether Python reads a finite number in it, of ASCII digits without underscores or other white space than blanks."""
    cell = cell.strip(BLANKS)
    try:
        return "_" not in cell and cell.strip() == cell and bool(np.isfinite(float(cell)))
    except ValueError:
        return False


VALUES = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-1e9, 1e9), st.floats(-1e300, 1e300), st.floats(-1e-300, 1e-300),
    st.sampled_from([1e300, -1e300, 5e-324, -5e-324, 1e-310, 1.0, 1.0 + 2**-52, 0.0, -0.0, 2.0**53, 2.0**53 + 2]))
"""Ties, outliers, huge ranges and numbers next to each other or to zero."""


@given(st.lists(VALUES, min_size=1, max_size=40), st.integers(2, 16), st.floats(-1e300, 1e300))
@settings(quick, max_examples=400)
def test_the_median_of_many_values_is_that_of_numpy(monkeypatch: pytest.MonkeyPatch, values: list[float], bins: int,
                                                    outlier: float) -> None:
    for some in (values, [*values, outlier], values * 3, [value / 4 + outlier / 4 for value in values]):
        array = np.array(some)
        with monkeypatch.context() as patch, np.errstate(over="ignore"):
            patch.setattr(numerical, "BINS", bins)
            found = median(array)
        assert found == np.median(array)
        assert array.tolist() == some, "they are left as they were"


@pytest.mark.parametrize("count", [numerical.BINS - 1, numerical.BINS, numerical.BINS + 1, 3 * numerical.BINS + 2])
def test_the_median_of_more_values_than_the_histogram_has_bins(count: int) -> None:
    generator = np.random.default_rng(count)
    for values in (generator.normal(size=count), generator.integers(0, 5, count).astype(np.float64),
                   np.append(generator.random(count - 1), 1e300), np.exp(generator.normal(size=count) * 50),
                   np.full(count, 7.0), np.arange(count, 0.0, -1)):
        assert median(values) == np.median(values)
