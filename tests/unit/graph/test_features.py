"""Encoders do what the documentation says, and an encoding that was stored encodes as it did before."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.unit.graph.people import column, feature

from despina.core.errors import WorkFailed
from despina.graph.features import MAX_CATEGORIES, CategoryEncoding, DatetimeEncoding, Encoding, fit, transform
from despina.graph.inference import resolve
from despina.graph.matrix import encode
from despina.graph.schema import DatetimePart, Feature, FeatureType, Imputer, Norm
from despina.graph.tables import CsvFile, Table

NUMERICAL, CATEGORY, DATETIME = FeatureType.NUMERICAL, FeatureType.CATEGORY, FeatureType.DATETIME


def apply(encoding: Encoding, values: Sequence[str | None]) -> list[list[float]]:
    out = np.zeros((len(values), encoding.width), dtype=np.float32)
    transform(encoding, column(values), out)
    rows: list[list[float]] = out.round(5).tolist()
    return rows


def encoded(kind: FeatureType, values: Sequence[str | None], **options: Any) -> list[list[float]]:
    return apply(fit(feature(kind, **options), column(values)), values)


@pytest.mark.parametrize(("norm", "expected"), [
    (Norm.NONE, [1.0, 2.0, 5.0]), (Norm.MIN_MAX, [0.0, 0.25, 1.0]), (Norm.STANDARD, [0.125, 0.25, 0.625])])
def test_norms(norm: Norm, expected: list[float]) -> None:
    assert encoded(NUMERICAL, ["1", "2.0", "5e0"], norm=norm) == [[value] for value in expected]


@pytest.mark.parametrize(("norm", "values", "expected"), [
    (Norm.MIN_MAX, ["7", "7"], [0.0, 0.0]), (Norm.STANDARD, ["-1", "1"], [-1.0, 1.0])])
def test_norms_of_values_that_cannot_be_scaled(norm: Norm, values: list[str], expected: list[float]) -> None:
    assert encoded(NUMERICAL, values, norm=norm) == [[value] for value in expected]


@pytest.mark.parametrize(("imputer", "expected"), [(Imputer.MEAN, 4.0), (Imputer.MEDIAN, 2.5), (Imputer.MOST_FREQUENT, 2.0)])
def test_imputers(imputer: Imputer, expected: float) -> None:
    assert encoded(NUMERICAL, ["2", "2", "3", "9", None], imputer=imputer)[-1] == [expected]
    assert encoded(NUMERICAL, ["2", "2", "3", "9", ""], imputer=imputer)[-1] == [expected]


def test_an_imputer_serves_later_data_too() -> None:
    encoding = fit(feature(NUMERICAL, imputer=Imputer.MEDIAN, norm=Norm.MIN_MAX), column(["0", "4", "8"]))
    assert apply(encoding, [None, "8"]) == [[0.5], [1.0]]


def test_without_an_imputer_later_data_must_be_complete(tmp_path: Path) -> None:
    encoding = fit(feature(NUMERICAL), column(["0", "4"]))
    (tmp_path / "later.csv").write_text("~id,p\na,6\nb,\n", encoding="utf-8")
    later = Table.read(CsvFile.find(tmp_path, "later.csv", ","), ["p", "~id"]).column("p")
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
    hot = [[i for i, value in enumerate(row) if value] for row in apply(encoding, values)]
    # A Monday in January at midnight; a Sunday in December at 23.
    assert hot == [[0, 2 + 0, 14 + 0, 21 + 0], [1, 2 + 11, 14 + 6, 21 + 23], []]
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


@pytest.mark.parametrize(("values", "separator", "expected"), [
    (["1", "2.5", None], None, NUMERICAL),
    (["0", "1"] * 50, None, CATEGORY),
    ([str(i) for i in range(99)] * 20, None, CATEGORY),
    ([str(i) for i in range(100)] * 20, None, NUMERICAL),
    (["2001-01-01T00:00:00Z", "2002-01-01"], None, DATETIME),
    (["True", "False", "True"], None, CATEGORY),
    (["one", "two", "one"], None, CATEGORY),
    (["a word or two"] * 20, None, CATEGORY),
    (["1;2", "3;4", None], ";", NUMERICAL),
    (["1;2", "3"], ";", CATEGORY),
    (["a;b", "c"], ";", CATEGORY),
    (["p1", "p2", "p3"], None, None),
    ([None, ""], None, None),
])
def test_inference(values: list[str | None], separator: str | None, expected: FeatureType | None) -> None:
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
    table = column(["1", "2", "2"]).table
    group = Feature(column="p", name="group", type=CATEGORY)
    both = encode([feature(NUMERICAL), group], table)
    assert both.columns == {"p": (0, 1), "group": (1, 3)}
    assert both.matrix is not None
    assert both.matrix.tolist() == [[1, 0, 1], [2, 1, 0], [2, 1, 0]]
    raw = encode([feature(FeatureType.NONE)], table)
    assert (raw.matrix, raw.raw, raw.width) == (None, {"p": ["1", "2", "2"]}, 0)
