"""Wide one-hot and multi-hot features are kept as the places of their ones, and mean the same as if they were dense."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.graph.people import column, table

from despina.graph import matrix
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.features import CategoryEncoding, transform
from despina.graph.features import category as category_module
from despina.graph.features.hot import Ones, stack
from despina.graph.features.hot import side_by_side as beside
from despina.graph.features.options import Buckets, DatetimePart, Feature, FeatureType, Imputer
from despina.graph.graph import Features, Hot
from despina.graph.matrix import DENSE_WIDTH, EncodedFeatures, apply, encode
from despina.graph.tables import Table, find_file

NUMERICAL, CATEGORY, DATETIME = FeatureType.NUMERICAL, FeatureType.CATEGORY, FeatureType.DATETIME
BUCKETS = FeatureType.BUCKET_NUMERICAL
quick = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


def table_of(columns: Mapping[str, Sequence[str | None]]) -> Table:
    """A table with these columns."""
    tables = {name: table(values, name) for name, values in columns.items()}
    return Table(cells={name: alone.cells[name] for name, alone in tables.items()}, stretches=next(iter(tables.values())).stretches)


def encoded(columns: Mapping[str, Sequence[str | None]], *features: Feature) -> EncodedFeatures:
    return encode(features, table_of(columns), Findings())


def one(kind: FeatureType, values: Sequence[str | None], **options: Any) -> Features:
    """The only feature of a table."""
    features = encoded({"p": values}, Feature(column="p", name="p", type=kind, **options)).features
    assert features is not None
    assert features.columns == {"p": (0, features.width)}
    return features


def ones(hot: Hot | None) -> list[list[int]]:
    """The columns of the ones of each row."""
    assert hot is not None
    return [hot.indices[start:stop].tolist() for start, stop in zip(hot.indptr[:-1], hot.indptr[1:], strict=True)]


def test_a_category_of_more_than_8_values_is_sparse() -> None:
    narrow, wide = one(CATEGORY, list("abcdefgha")), one(CATEGORY, [*"abcdefghib", None, ""])
    assert (DENSE_WIDTH, narrow.width, narrow.hot) == (8, 8, None)
    assert narrow.dense.tolist()[0] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert (wide.width, wide.dense.shape) == (9, (12, 0))
    # The commonest first, and then by name: b, a, c, d, …
    assert ones(wide.hot) == [[1], [0], [2], [3], [4], [5], [6], [7], [8], [0], [], []]


def test_a_set_is_sparse_by_the_number_of_its_values() -> None:
    cells = ["a;b;c;d", "e;f;g;h", "b;a", None, ";", "h"]
    narrow = one(CATEGORY, cells, separator=";")
    assert narrow.hot is None
    assert narrow.dense.sum() == 4 + 4 + 2 + 1
    wide = one(CATEGORY, [*cells, "i"], separator=";")
    # a, b and h are in two cells each
    assert ones(wide.hot) == [[0, 1, 3, 4], [2, 5, 6, 7], [0, 1], [], [], [2], [8]]
    assert wide.hot is not None
    assert (wide.hot.width, wide.hot.indptr.dtype.name, wide.hot.indices.dtype.name) == (9, "int64", "int32")


def test_a_value_that_is_in_a_set_twice_counts_once() -> None:
    features = one(CATEGORY, ["a;a;a", "b", "c;d;e;f;g;h;i;j", "c;c", "c"], separator=";")
    assert len(ones(features.hot)[0]) == 1
    assert features.to_dense().max() == 1
    # c is in three cells, and that cell of a's counts as one of them
    assert ones(features.hot)[3] == ones(features.hot)[4] == [0]


def test_values_beyond_the_limit_of_a_set_share_a_column() -> None:
    cells = [";".join(f"v{i:02}" for i in range(20)), "v00;v15;v19", "v18", "v03"]
    features = one(CATEGORY, cells, separator=";", max_categories=10)
    assert features.width == 10
    # v00, v03, v15, v18, v19 are in two cells; v01, v02, v04, v05 come first of the others; column 9 is of all that are left
    assert ones(features.hot) == [list(range(10)), [0, 2, 4], [3], [1]]


@pytest.mark.parametrize(("count", "sparse"), [(8, False), (9, True), (100, True)])
def test_buckets_are_sparse_by_their_number(count: int, sparse: bool) -> None:
    buckets = Buckets(low=0, high=count, count=count)
    features = one(BUCKETS, ["0", "1.5", str(count), None, "-3"], buckets=buckets, imputer=Imputer.MOST_FREQUENT)
    assert (features.hot is not None) == sparse
    places = features.to_dense().nonzero()
    assert places[0].tolist() == [0, 1, 2, 3, 4]
    assert places[1].tolist() == [0, 1, count - 1, 0, 0]


def test_a_sliding_window_marks_several_sparse_buckets() -> None:
    features = one(BUCKETS, ["0", "50", "45"], buckets=Buckets(low=0, high=100, count=10, window=30))
    assert ones(features.hot) == [[0, 1], [3, 4, 5, 6], [3, 4, 5, 6]]


def test_times_are_sparse_by_the_parts_that_are_asked_for() -> None:
    values = ["2001-01-01T05:00:00Z", None, "2003-12-07T23:30:00Z"]
    wide = one(DATETIME, values, datetime_parts=(DatetimePart.YEAR, DatetimePart.MONTH))
    assert wide.width == 14
    assert ones(wide.hot) == [[0, 2], [], [1, 13]]
    narrow = one(DATETIME, values, datetime_parts=(DatetimePart.WEEKDAY,))  # a Monday and a Sunday
    assert narrow.hot is None
    assert narrow.dense.nonzero()[1].tolist() == [0, 6]


def test_columns_are_counted_through_those_of_the_dense_part_first() -> None:
    letters = list("abcdefghij")
    features = (Feature(column="w", name="wide", type=CATEGORY), Feature(column="n", name="number", type=NUMERICAL),
                Feature(column="r", name="raw", type=FeatureType.NONE),
                Feature(column="w", name="buckets", type=BUCKETS, buckets=Buckets(low=0, high=10, count=12)),
                Feature(column="n", name="narrow", type=CATEGORY))
    numbers = [str(i) for i in range(10)]
    everything = encoded({"w": numbers, "n": ["1", "2"] * 5, "r": letters}, *features)
    both = everything.features
    assert both is not None
    assert both.columns == {"number": (0, 1), "narrow": (1, 3), "wide": (3, 13), "buckets": (13, 25)}
    assert (both.dense.shape, both.width, everything.width) == ((10, 3), 25, 25)
    assert both.hot is not None
    assert both.hot.width == 22
    assert ones(both.hot) == [[i, 10 + i * 12 // 10] for i in range(10)]
    assert both.to_dense()[1].nonzero()[0].tolist() == [0, 2, 3 + 1, 13 + 1]
    assert everything.raw == {"raw": letters}
    assert list(everything.encodings) == ["wide", "number", "raw", "buckets", "narrow"]


def test_a_table_without_rows_has_sparse_features_too() -> None:
    values = CategoryEncoding(separator=None, values=tuple("abcdefghij"), other=False)
    features = apply({"p": values}, {"p": column([])}, Findings()).features
    assert features is not None
    assert (features.width, features.to_dense().shape) == (10, (0, 10))


def test_later_data_that_has_none_of_the_values_has_no_ones() -> None:
    values = CategoryEncoding(separator=";", values=tuple("abcdefghij"), other=False)
    features = apply({"p": values}, {"p": column(["x", "y;z", None])}, Findings()).features
    assert features is not None
    assert ones(features.hot) == [[], [], []]


def test_what_is_wrong_with_sparse_and_with_dense_features_is_told_together(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("~id,p,q\na,1,2\nb,,x\n", encoding="utf-8")
    both = Table.read(find_file(tmp_path, "t.csv", ","), ["p", "q"])
    features = (Feature(column="p", name="p", type=NUMERICAL),
                Feature(column="q", name="wide", type=BUCKETS, buckets=Buckets(low=0, high=1, count=20)))
    with pytest.raises(InputFault) as caught:
        encode(features, both, Findings())
    assert [(finding.name, finding.column, finding.line) for finding in caught.value.findings] == [
        (Fault.MISSING_VALUE, "p", 3), (Fault.INVALID_NUMBER, "q", 3)]


def test_a_bag_of_words_takes_little_memory() -> None:
    generator = np.random.default_rng(7)
    words = np.char.add("word", np.arange(5000).astype(str))
    chosen = generator.integers(0, 5000, (20_000, 8))
    cells = [";".join(row) for row in words[chosen].tolist()]
    features = one(CATEGORY, cells, separator=";")
    assert features.width == 5000
    dense_bytes = 20_000 * 5000 * 4
    assert features.nbytes < dense_bytes / 10
    assert features.nbytes == 8 * 20_001 + 4 * sum(len(set(row)) for row in chosen.tolist())


# What holds of all of them

WORDS = st.lists(st.sampled_from([f"w{i}" for i in range(14)]), max_size=4).map(";".join)
NUMBERS = st.one_of(st.just(""), st.integers(-3, 25).map(str))
DAYS = st.one_of(st.just(""), st.dates().filter(lambda day: day.year > 1000).map(str))
ROWS = st.lists(st.tuples(WORDS, NUMBERS, DAYS), min_size=1, max_size=30)


@given(ROWS, st.integers(1, 12), st.integers(0, 12), st.integers(2, 20))
@quick
def test_sparse_features_are_what_their_encodings_mark(monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str, str, str]],
                                                       block: int, wide: int, most: int) -> None:
    features = (Feature(column="words", name="words", type=CATEGORY, separator=";", max_categories=most),
                Feature(column="words", name="sets", type=CATEGORY),
                Feature(column="numbers", name="buckets", type=BUCKETS, imputer=Imputer.MEDIAN,
                        buckets=Buckets(low=0, high=20, count=10, window=3)),
                Feature(column="numbers", name="numbers", type=NUMERICAL, imputer=Imputer.MEAN),
                Feature(column="days", name="days", type=DATETIME))
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("words", "numbers", "days"))}
    with monkeypatch.context() as patch:
        patch.setattr(matrix, "ROWS", block)
        patch.setattr(matrix, "DENSE_WIDTH", wide)
        patch.setattr(category_module, "ROWS", block)
        made = encoded(columns, *features)
    assert made.features is not None
    dense = made.features.to_dense()
    ends = 0
    for name, (start, stop) in made.features.columns.items():
        assert start == ends, "no column is left out"
        ends = stop
        source = next(feature.column for feature in features if feature.name == name)
        assert dense[:, start:stop].tolist() == marked(made, name, columns[source]).tolist()
        sparse = start >= made.features.dense.shape[1]
        assert sparse == (stop - start > wide and name != "numbers")
    assert ends == made.width == dense.shape[1]
    assert set(made.features.columns) | set(made.dropped) == {feature.name for feature in features}
    words = made.encodings["words"]
    assert isinstance(words, CategoryEncoding)
    if "words" in made.features.columns:
        expected = [by_hand(words, cell) for cell in columns["words"]]
        start, stop = made.features.columns["words"]
        assert [row.nonzero()[0].tolist() for row in dense[:, start:stop]] == expected


def marked(made: EncodedFeatures, name: str, cells: list[str]) -> NDArray[np.float32]:
    encoding = made.encodings[name]
    out = np.zeros((len(cells), encoding.width), dtype=np.float32)
    transform(encoding, column(cells), out)
    return out


def by_hand(encoding: CategoryEncoding, cell: str) -> list[int]:
    """The columns of the values in a cell."""
    places = {encoding.values.index(word) if word in encoding.values else len(encoding.values) for word in cell.split(";") if word}
    return sorted(place for place in places if place < encoding.width)


PLACES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=30)


def hot_of(places: list[tuple[int, int]], rows: int = 7, width: int = 10) -> tuple[Hot, NDArray[np.float32]]:
    """The matrix with ones at these places, sparse and dense."""
    array = np.array(places, dtype=np.int64).reshape(-1, 2)
    dense = np.zeros((rows, width), dtype=np.float32)
    for row, place in places:
        dense[row, place] = 1
    return Ones(rows=array[:, 0], columns=array[:, 1]).to_hot(rows=rows, width=width), dense


@given(PLACES)
@quick
def test_ones_are_the_same_sparse_and_dense(places: list[tuple[int, int]]) -> None:
    for some in (places, sorted(places), [(row, place) for row, place in dict(places).items()], sorted(dict(places).items())):
        hot, dense = hot_of(some)
        assert np.array_equal(hot.to_dense(), dense)
        assert hot.to_dense().dtype == np.float32
        assert (len(hot), hot.width, len(hot.indices)) == (7, 10, dense.sum())
        assert ones(hot) == [row.nonzero()[0].tolist() for row in dense], "in rising order"


@given(PLACES, st.lists(st.integers(0, 6), max_size=12))
@quick
def test_rows_are_taken_in_any_order_and_again(places: list[tuple[int, int]], rows: list[int]) -> None:
    hot, dense = hot_of(places)
    taken = hot.take(np.array(rows, dtype=np.int64))
    assert (len(taken), taken.width) == (len(rows), 10)
    assert np.array_equal(taken.to_dense(), dense[np.array(rows, dtype=np.int64)])
    assert (taken.indptr.dtype, taken.indices.dtype) == (hot.indptr.dtype, hot.indices.dtype)


@given(st.lists(PLACES, min_size=1, max_size=4))
@quick
def test_matrices_are_stacked_and_put_side_by_side(parts: list[list[tuple[int, int]]]) -> None:
    both = [hot_of(part) for part in parts]
    high = stack((hot for hot, _ in both), rows=7 * len(both), width=10)
    assert np.array_equal(high.to_dense(), np.concatenate([dense for _, dense in both]))
    wide = beside([hot for hot, _ in both])
    assert (len(wide), wide.width) == (7, 10 * len(both))
    assert np.array_equal(wide.to_dense(), np.concatenate([dense for _, dense in both], axis=1))


def test_a_column_of_minus_1_is_no_one() -> None:
    found = Ones.where(np.array([0, 1, 2, 2]), np.array([3, -1, 0, -1]))
    assert (found.rows.tolist(), found.columns.tolist()) == ([0, 2], [3, 0])


def test_nothing_stacked_is_nothing() -> None:
    nothing = stack([], rows=0, width=3)
    assert (len(nothing), nothing.width, len(nothing.indices)) == (0, 3, 0)


def test_the_bytes_of_features_are_those_of_their_arrays() -> None:
    hot, _ = hot_of([(0, 1), (3, 9), (3, 2)])
    dense = np.zeros((7, 2), dtype=np.float32)
    features = Features(columns={"d": (0, 2), "h": (2, 12)}, dense=dense, hot=hot)
    assert features.nbytes == 7 * 2 * 4 + 8 * 8 + 3 * 4
    assert Features(columns={"d": (0, 2)}, dense=dense).nbytes == 56
    assert features.width == 12
    assert features.to_dense().shape == (7, 12)
    assert features.to_dense()[3].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
