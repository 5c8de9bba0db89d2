"""Encoders do what the documentation says, and an encoding that was stored encodes as it did before."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.graph.people import NODES, column, feature, read, table, write

from despina.core.errors import WorkFailed
from despina.graph.encodings import Encodings
from despina.graph.faults import Findings
from despina.graph.features import Encoding, numerical, transform
from despina.graph.features import fit as fit_all
from despina.graph.features.category import MAX_CATEGORIES, CategoryEncoding
from despina.graph.features.numerical import most_typical
from despina.graph.features.options import Buckets, DatetimePart, Feature, FeatureType, Imputer, Norm
from despina.graph.features.times import DatetimeEncoding
from despina.graph.features.word_vectors import SETTING
from despina.graph.inference import resolve
from despina.graph.matrix import encode
from despina.graph.tables import Column, Table, find_file

NUMERICAL, CATEGORY, DATETIME = FeatureType.NUMERICAL, FeatureType.CATEGORY, FeatureType.DATETIME
BUCKETS, TFIDF = FeatureType.BUCKET_NUMERICAL, FeatureType.TEXT_TFIDF


def fit(feature: Feature, column: Column) -> Encoding:
    return fit_all([feature], [column])[0]


def apply(encoding: Encoding, values: Sequence[str | None]) -> list[list[float]]:
    out = np.zeros((len(values), encoding.width), dtype=np.float32)
    transform(encoding, column(values), out)
    rows: list[list[float]] = out.round(5).tolist()
    return rows


def encoded(kind: FeatureType, values: Sequence[str | None], **options: Any) -> list[list[float]]:
    return apply(fit(feature(kind, **options), column(values)), values)


@pytest.mark.parametrize(("norm", "expected"), [
    (Norm.NONE, [1.0, 3.0, 11.0, 9.0]), (Norm.MIN_MAX, [0.0, 0.2, 1.0, 0.8]),
    (Norm.STANDARD, [-1.21268, -0.72761, 1.21268, 0.72761])])  # the mean is 6, the deviation is that of 25, 9, 25, 9: √17
def test_norms(norm: Norm, expected: list[float]) -> None:
    rows = encoded(NUMERICAL, ["1", "3.0", "11e0", "9"], norm=norm)
    assert rows == [[pytest.approx(value, abs=1e-5)] for value in expected]


@pytest.mark.parametrize(("norm", "values", "expected"), [
    (Norm.MIN_MAX, ["7", "7"], [0.0, 0.0]), (Norm.STANDARD, ["7", "7"], [0.0, 0.0]),
    (Norm.STANDARD, ["0.1", "0.1", "0.1"], [0.0, 0.0, 0.0]), (Norm.STANDARD, ["-1", "1"], [-1.0, 1.0])])
def test_norms_of_values_that_cannot_be_scaled(norm: Norm, values: list[str], expected: list[float]) -> None:
    assert encoded(NUMERICAL, values, norm=norm) == [[value] for value in expected]


@pytest.mark.parametrize(("imputer", "expected"), [(Imputer.MEAN, 4.0), (Imputer.MEDIAN, 2.5), (Imputer.MOST_FREQUENT, 2.0)])
def test_imputers(imputer: Imputer, expected: float) -> None:
    assert encoded(NUMERICAL, ["2", "2", "3", "9", None], imputer=imputer)[-1] == [expected]
    assert encoded(NUMERICAL, ["2", "2", "3", "9", ""], imputer=imputer)[-1] == [expected]


def test_the_scale_serves_later_data_too() -> None:
    encoding = fit(feature(NUMERICAL, norm=Norm.STANDARD), column(["2", "4"]))
    assert apply(encoding, ["3", "4", "6"]) == [[0.0], [1.0], [3.0]]


def hot(rows: list[list[float]]) -> list[list[int]]:
    """The columns of each row that are 1; all others must be 0."""
    assert {value for row in rows for value in row} <= {0, 1}
    return [[i for i, value in enumerate(row) if value] for row in rows]


@pytest.mark.parametrize(("value", "expected"), [
    ("20", [0]), ("39.9", [0]), ("40", [1]), ("79", [2]), ("99", [3]), ("100", [3]), ("-7", [0]), ("1e308", [3])])
def test_buckets(value: str, expected: list[int]) -> None:
    rows = encoded(BUCKETS, [value], buckets=Buckets(low=20, high=100, count=4))  # 20, 40, 60, 80
    assert hot(rows) == [expected]
    assert len(rows[0]) == 4


@pytest.mark.parametrize(("value", "expected"), [
    ("30", [0]), ("35", [0, 1]), ("40", [0, 1]), ("44.9", [0, 1]), ("45", [1]), ("55", [1, 2]), ("-50", [0]), ("200", [3]),
    ("104", [3])])
def test_a_value_is_in_every_bucket_that_its_window_touches(value: str, expected: list[int]) -> None:
    assert hot(encoded(BUCKETS, [value], buckets=Buckets(low=20, high=100, count=4, window=10))) == [expected]


def test_a_wide_window_touches_many_buckets() -> None:
    assert hot(encoded(BUCKETS, ["50"], buckets=Buckets(low=0, high=100, count=10, window=50))) == [[2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize("tenth", range(10))
def test_the_borders_of_buckets_are_exact(tenth: int) -> None:
    assert hot(encoded(BUCKETS, [f"0.{tenth}"], buckets=Buckets(low=0, high=1, count=10))) == [[tenth]]


@pytest.mark.parametrize(("value", "expected"), [
    ("-1e308", [0]), ("-1.7e308", [0]), ("-5e307", [1]), ("-1e307", [1]), ("0", [2]), ("9e307", [3]), ("1.7e308", [3])])
def test_buckets_of_the_largest_numbers(value: str, expected: list[int]) -> None:
    assert hot(encoded(BUCKETS, [value], buckets=Buckets(low=-1e308, high=1e308, count=4))) == [expected]
    assert hot(encoded(BUCKETS, ["0"], buckets=Buckets(low=-1e308, high=1e308, count=10_000))) == [[5000]]


@pytest.mark.parametrize("imputer", Imputer)
def test_imputers_of_the_largest_numbers(imputer: Imputer) -> None:
    for values in ([1.7e308] * 3, [1.7e308] * 4, [-1.7e308] * 2):
        assert most_typical(np.array(values), imputer) == pytest.approx(values[0])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40), st.integers(2, 16))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_median_of_any_numbers(values: list[float], bins: int) -> None:
    in_order = sorted(values)
    low, high = in_order[(len(values) - 1) // 2], in_order[len(values) // 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numerical, "BINS", bins)
        found = numerical.median(np.array(values))
    assert found == float((Fraction(low) + Fraction(high)) / 2)


def test_a_cell_of_blanks_is_a_missing_number(tmp_path: Path) -> None:
    (tmp_path / "values.csv").write_text("p\n1\n \n3\n")
    blank = Table.read(find_file(tmp_path, "values.csv", ","), ["p"]).column("p")
    with pytest.raises(WorkFailed, match="line 3, column 'p': ' '; give the feature an 'imputer'"):
        fit(feature(FeatureType.NUMERICAL), blank)
    filled = fit(feature(FeatureType.NUMERICAL, imputer=Imputer.MEAN), blank)
    out = np.zeros((3, 1), dtype=np.float32)
    transform(filled, blank, out)
    assert out.ravel().tolist() == [1, 2, 3]


def test_a_missing_number_needs_an_imputer_in_buckets_too(tmp_path: Path) -> None:
    buckets = Buckets(low=0, high=10, count=2)
    assert hot(encoded(BUCKETS, ["1", "1", "9", None], buckets=buckets, imputer=Imputer.MOST_FREQUENT)) == [[0], [0], [1], [0]]
    (tmp_path / "n.csv").write_text("~id,p\na,6\nb,\n", encoding="utf-8")
    incomplete = Table.read(find_file(tmp_path, "n.csv", ","), ["p", "~id"]).column("p")
    with pytest.raises(WorkFailed, match=r"n.csv, line 3, column 'p': the cell is empty; give the feature an 'imputer'"):
        fit(feature(BUCKETS, buckets=buckets), incomplete)


def test_an_imputer_serves_later_data_too() -> None:
    encoding = fit(feature(NUMERICAL, imputer=Imputer.MEDIAN, norm=Norm.MIN_MAX), column(["0", "4", "8"]))
    assert apply(encoding, [None, "8"]) == [[0.5], [1.0]]


def test_without_an_imputer_later_data_must_be_complete(tmp_path: Path) -> None:
    encoding = fit(feature(NUMERICAL), column(["0", "4"]))
    (tmp_path / "later.csv").write_text("~id,p\na,6\nb,\n", encoding="utf-8")
    later = Table.read(find_file(tmp_path, "later.csv", ","), ["p", "~id"]).column("p")
    with pytest.raises(WorkFailed, match=r"later.csv, line 3, column 'p': the cell is empty; give the feature an 'imputer'"):
        transform(encoding, later, np.zeros((2, 1), dtype=np.float32))


def test_a_separator_makes_a_vector() -> None:
    assert encoded(NUMERICAL, ["1;10", "3;10", None], separator=";", norm=Norm.MIN_MAX, imputer=Imputer.MEAN) == [
        [0, 0], [1, 0], [0.5, 0]]


def test_categories_are_one_hot_the_commonest_first() -> None:
    encoding = fit(feature(CATEGORY), column(["b", "c", "c", "a", None]))
    assert encoding == CategoryEncoding(separator=None, values=("c", "a", "b"), other=False)
    assert apply(encoding, ["a", "c", None, "", "new"]) == [[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("distinct", [MAX_CATEGORIES, MAX_CATEGORIES + 1])
def test_more_than_100_categories_become_99_and_other(distinct: int) -> None:
    values = [f"v{i:03}" for i in range(distinct) for _ in range(2 if i < 99 else 1)]
    encoding = fit(feature(CATEGORY), column(values))
    assert isinstance(encoding, CategoryEncoding)
    assert encoding.width == 100
    assert encoding.other == (distinct > 100)
    assert encoding.values[:99] == tuple(f"v{i:03}" for i in range(99))
    rows = apply(encoding, values)
    assert all(sum(row) == 1 for row in rows)
    assert rows[-1][99] == 1
    assert apply(encoding, ["unseen", None])[0][99] == (1 if encoding.other else 0)
    assert sum(apply(encoding, [None])[0]) == 0


def test_a_separator_makes_multi_hot_of_any_number() -> None:
    assert encoded(CATEGORY, ["x;y", "y;y", None, ";"], separator=";") == [[1, 1], [1, 0], [0, 0], [0, 0]]
    many = fit(feature(CATEGORY, separator=";"), column([";".join(f"w{i}" for i in range(300))]))
    assert many.width == 300


def test_a_set_has_as_many_categories_as_the_option_allows() -> None:
    cells = ["a;b;c", "a;b;d", "a"]
    three = fit(feature(CATEGORY, separator=";", max_categories=3), column(cells))
    assert three == CategoryEncoding(separator=";", values=("a", "b"), other=True)
    assert apply(three, [*cells, "c;d", "new"]) == [[1, 1, 1], [1, 1, 1], [1, 0, 0], [0, 0, 1], [0, 0, 1]]
    four = fit(feature(CATEGORY, separator=";", max_categories=4), column(cells))
    assert four == CategoryEncoding(separator=";", values=("a", "b", "c", "d"), other=False)


def test_a_set_has_5000_categories_by_default() -> None:
    many = fit(feature(CATEGORY, separator=";"), column([";".join(f"w{i}" for i in range(5001)), "w7;w9"]))
    assert isinstance(many, CategoryEncoding)
    assert (many.width, many.values[:2], many.other) == (5000, ("w7", "w9"), True)


def test_an_empty_cell_of_a_set_is_the_empty_set() -> None:
    cells = ["a;b", None, ""]
    assert encoded(CATEGORY, cells, separator=";", max_categories=2) == [[1, 1], [0, 0], [0, 0]]
    assert apply(fit(feature(CATEGORY, separator=";", max_categories=2), column(["a;b;c"])), [None]) == [[0, 0]]


def test_an_escaped_separator_is_part_of_the_value() -> None:
    encoding = fit(feature(CATEGORY, separator=";"), column([r"a\;b;c", "c"]))
    assert isinstance(encoding, CategoryEncoding)
    assert set(encoding.values) == {"a;b", "c"}


def test_parts_of_times_are_one_hot() -> None:
    values = ["2001-01-01T00:00:00Z", "2003-12-07T23:30:00Z", None]
    encoding = fit(feature(DATETIME), column(values))
    assert isinstance(encoding, DatetimeEncoding)
    assert {part: len(steps) for part, steps in encoding.parts.items()} == {
        DatetimePart.YEAR: 2, DatetimePart.MONTH: 12, DatetimePart.WEEKDAY: 7, DatetimePart.HOUR: 24}
    # A Monday in January at midnight; a Sunday in December at 23.
    assert hot(apply(encoding, values)) == [[0, 2 + 0, 14 + 0, 21 + 0], [1, 2 + 11, 14 + 6, 21 + 23], []]
    assert sum(apply(encoding, ["2010-01-01"])[0]) == 3, "a year that was not seen has no column"


def test_parts_that_do_not_vary_are_left_out() -> None:
    encoding = fit(feature(DATETIME, datetime_parts=(DatetimePart.HOUR, DatetimePart.YEAR)), column(["2001-02-03", "2002-02-03"]))
    assert isinstance(encoding, DatetimeEncoding)
    assert encoding.parts == {DatetimePart.YEAR: (2001, 2002)}


@pytest.mark.parametrize("text", ["2001-02-03T04:05:06Z", "2001-02-03T04:05:06.000Z", "2001-02-03T05:05:06+01:00",
                                  "2001-02-03T04:05:06", "2001-02-03 04:05:06"])
def test_forms_of_times(text: str) -> None:
    assert column([text, "2001-02-03"]).instants.to_physical().to_list() == [981_173_106_000, 981_158_400_000]


def test_an_imputer_of_times() -> None:
    values = ["2001-01-01", "2001-01-01", "2002-01-01", None]
    rows = encoded(DATETIME, values, imputer=Imputer.MOST_FREQUENT, datetime_parts=(DatetimePart.YEAR,))
    assert rows == [[1, 0], [1, 0], [0, 1], [1, 0]]


ENCODINGS: list[tuple[FeatureType, dict[str, Any], list[str | None]]] = [
    (NUMERICAL, {"norm": Norm.MIN_MAX, "imputer": Imputer.MEAN}, ["1", None, "2.5"]),
    (NUMERICAL, {"norm": Norm.STANDARD, "separator": ";"}, ["1;2", "3;4"]),
    (NUMERICAL, {"norm": Norm.STANDARD}, ["1", "2", "4"]),
    (BUCKETS, {"buckets": Buckets(low=0.5, high=9, count=3, window=2.0), "imputer": Imputer.MEAN}, ["1", None, "2.5"]),
    (TFIDF, {}, ["a word here", None, "a word there"]),
    (CATEGORY, {}, ["a", None, "b"]),
    (CATEGORY, {"separator": ";"}, ["a;b", None, "b"]),
    (DATETIME, {"imputer": Imputer.MEDIAN}, ["2001-01-01", None, "2002-05-05T10:00:00Z"]),
    (FeatureType.NONE, {}, ["a", None]),
]


@pytest.mark.parametrize(("kind", "options", "values"), ENCODINGS)
def test_a_stored_encoding_encodes_as_before(kind: FeatureType, options: dict[str, Any], values: list[str | None]) -> None:
    encoding = fit(feature(kind, **options), column(values))
    again: Encoding = msgspec.json.decode(msgspec.json.encode(encoding), type=Encoding)
    assert again == encoding == fit(feature(kind, **options), column(values))
    assert apply(again, values) == apply(encoding, values)


def test_the_encodings_of_an_export_are_stored_and_used_again(tmp_path: Path) -> None:
    features = [{"feature": ["age", "age", "numerical"], "norm": "standard", "imputer": "mean"},
                {"feature": ["age", "decade", "bucket_numerical"], "range": [20, 60], "bucket_cnt": 4, "imputer": "median"},
                {"feature": ["town", "town", "text_tfidf"]},
                {"feature": ["town", "towns", "category"], "separator": ";"},
                {"feature": ["since", "since", "datetime"]}]
    folder = write(tmp_path, {"graph.nodes.0.features": features})
    export = read(folder)
    again = msgspec.json.decode(msgspec.json.encode(export.encodings), type=Encodings)
    assert again == export.encodings
    stored = again.nodes["person"].features
    assert list(stored) == ["age", "decade", "town", "towns", "since"]
    table = Table.read(find_file(folder, NODES, ","), ["age", "town", "since"])
    for name, (start, stop) in export.graph.features["person"].columns.items():
        out = np.zeros((len(table), stop - start), dtype=np.float32)
        transform(stored[name], table.column({"decade": "age", "towns": "town"}.get(name, name)), out)
        assert np.array_equal(out, export.graph.features["person"].to_dense()[:, start:stop])
        assert out.any()


@pytest.mark.parametrize(("values", "separator", "expected"), [
    (["1", "2.5", None], None, NUMERICAL),
    (["0", "1"] * 50, None, CATEGORY),
    ([str(i % 9) for i in range(100)], None, CATEGORY),
    ([str(i % 10) for i in range(100)], None, NUMERICAL),  # ten distinct ones are 10 %, not fewer
    ([*(str(i % 9) for i in range(100)), "x"], None, CATEGORY),
    ([str(i) for i in range(99)] * 20, None, CATEGORY),
    ([str(i) for i in range(100)] * 20, None, NUMERICAL),
    (["2001-01-01T00:00:00Z", "2002-01-01"], None, DATETIME),
    (["True", "False", "True"], None, CATEGORY),
    (["one", "two", "one"], None, CATEGORY),
    (["three words here"] * 9, None, TFIDF),  # 11 % are distinct
    (["three words here"] * 10, None, CATEGORY),
    (["2001-01-01", "2001-01-01", "soon"], None, CATEGORY),
    (["a word or two", "some other words", "a word or two"], None, TFIDF),
    (["two words", "and one more", "two words"], None, CATEGORY),  # 7 words in 3 cells
    (["1;2", "3;4", None], ";", NUMERICAL),
    (["1;2", "3"], ";", CATEGORY),
    (["a;b", "c"], ";", CATEGORY),
    (["p1", "p2", "p3"], None, None),
    ([None, ""], None, None),
])
def test_inference(monkeypatch: pytest.MonkeyPatch, values: list[str | None], separator: str | None,
                   expected: FeatureType | None) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    resolved = resolve(feature(FeatureType.AUTO, separator=separator), column(values))
    assert (resolved and resolved.type) == expected


def test_inferred_numbers_are_scaled_and_completed() -> None:
    resolved = resolve(feature(FeatureType.AUTO), column(["1", "2", None]))
    assert resolved is not None
    assert (resolved.norm, resolved.imputer) == (Norm.MIN_MAX, Imputer.MEDIAN)
    kept = resolve(feature(FeatureType.AUTO, imputer=Imputer.MEAN), column(["1", None]))
    assert kept is not None
    assert kept.imputer is Imputer.MEAN


def test_features_stand_side_by_side() -> None:
    rows = table(["1", "2", "2"])
    group = Feature(column="p", name="group", type=CATEGORY)
    both = encode([feature(NUMERICAL), group], rows, Findings()).features
    assert both is not None
    assert both.columns == {"p": (0, 1), "group": (1, 3)}
    assert both.dense.tolist() == [[1, 0, 1], [2, 1, 0], [2, 1, 0]]
    raw = encode([feature(FeatureType.NONE)], rows, Findings())
    assert (raw.features, raw.raw, raw.width) == (None, {"p": ["1", "2", "2"]}, 0)


def test_a_category_that_a_set_names_twice_counts_once() -> None:
    encoding = fit(feature(CATEGORY, separator=";", max_categories=2), column(["a;a;a", "b", "b", "c"]))
    assert isinstance(encoding, CategoryEncoding)
    assert (encoding.values, encoding.other) == (("b",), True)
