"""What holds of every column: buckets, z-scores and tf-idf are what their definitions say, written here in plain Python."""

from collections import Counter
from fractions import Fraction
from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.graph.people import column, feature

from despina.graph.features import Encoding, fit, transform
from despina.graph.features.options import Buckets, FeatureType, Norm, Terms
from despina.graph.features.tfidf import TfidfEncoding


def apply(encoding: Encoding, values: list[str]) -> NDArray[np.float32]:
    out = np.zeros((len(values), encoding.width), dtype=np.float32)
    transform(encoding, column(values), out)
    return out


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 12), st.integers(0, 40),
       st.lists(st.integers(-99, 99), min_size=1))
def test_a_bucket_is_hot_when_the_window_touches_it(low: int, span: int, count: int, window: int, values: list[int]) -> None:
    buckets = Buckets(low=low, high=low + span, count=count, window=window)
    encoding, = fit([feature(FeatureType.BUCKET_NUMERICAL, buckets=buckets)], [column(list(map(str, values)))])
    borders: list[Fraction | float] = [-inf, *(low + Fraction(span, count) * i for i in range(1, count)), inf]
    half = Fraction(window, 2)
    expected = [[borders[i] <= value + half and value - half < borders[i + 1] for i in range(count)] for value in values]
    assert apply(encoding, list(map(str, values))).tolist() == expected


@given(st.lists(st.integers(-1000, 1000), min_size=2).filter(lambda values: len(set(values)) > 1))
def test_z_scores_have_mean_0_and_deviation_1(values: list[int]) -> None:
    cells = list(map(str, values))
    scores = apply(fit([feature(FeatureType.NUMERICAL, norm=Norm.STANDARD)], [column(cells)])[0], cells).astype(np.float64)
    assert scores.mean() == pytest.approx(0, abs=1e-4)
    assert scores.std() == pytest.approx(1, abs=1e-4)
    assert np.array_equal(np.argsort(scores[:, 0], kind="stable"), np.argsort(values, kind="stable"))


def terms(cell: str, least: int, most: int) -> Counter[str]:
    words = cell.split()
    return Counter(" ".join(words[i:i + length]) for length in range(least, most + 1) for i in range(len(words) - length + 1))


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join), min_size=1, max_size=8), st.integers(1, 2),
       st.integers(0, 2), st.integers(1, 3))
def test_tfidf_is_what_its_definition_says(cells: list[str], least: int, more: int, min_df: int) -> None:
    encoding = TfidfEncoding.fit(Terms(ngram_range=(least, least + more), min_df=min_df), [column(cells)])
    counts = [terms(cell, least, least + more) for cell in cells]
    df = Counter(term for count in counts for term in count)
    present = sum(cell != "" for cell in cells)
    vocabulary = sorted(term for term, number in df.items() if number >= min_df)
    assert list(encoding.terms) == vocabulary
    weights = [[count[term] * (log((1 + present) / (1 + df[term])) + 1) for term in vocabulary] for count in counts]
    lengths = [sqrt(sum(weight**2 for weight in row)) or 1 for row in weights]
    assert len(vocabulary) <= 100, "none of these is projected"
    expected = np.array([[weight / length for weight in row] for row, length in zip(weights, lengths, strict=True)])
    assert apply(encoding, cells) == pytest.approx(expected.reshape(len(cells), -1), abs=1e-5)
