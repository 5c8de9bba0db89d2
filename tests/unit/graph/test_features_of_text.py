"""Texts become tf-idf weights or mean word vectors, computed here by hand."""

from collections.abc import Sequence
from math import log, sqrt
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.graph.people import column, feature, table

from despina.core.errors import WorkFailed
from despina.graph.faults import Findings
from despina.graph.features import Encoding, fit, transform
from despina.graph.features.options import Feature, FeatureType, Terms
from despina.graph.features.tfidf import MAX_WIDTH, ROWS, TfidfEncoding
from despina.graph.features.word_vectors import SETTING, WordVectorsEncoding
from despina.graph.inference import resolve
from despina.graph.matrix import encode
from despina.graph.tables import Table

FASTTEXT = FeatureType.TEXT_FASTTEXT
VECTORS = "4 2\nred 1 0\ncar 0.5 2 \ncafé 0 -4e0\nred 9 9\n"


def apply(encoding: Encoding, values: Sequence[str | None]) -> NDArray[np.float32]:
    out = np.zeros((len(values), encoding.width), dtype=np.float32)
    transform(encoding, column(values), out)
    return out


def tfidf(values: Sequence[str | None], *, ngram_range: tuple[int, int] = (1, 1), min_df: int = 2,
          max_features: int = 5000) -> TfidfEncoding:
    return TfidfEncoding.fit(Terms(ngram_range=ngram_range, min_df=min_df, max_features=max_features), [column(values)])


CELLS = ["Red, red car!", "blue car", None, "a red bike"]


def test_weights_are_the_product_of_term_frequency_and_rarity() -> None:
    encoding = tfidf(CELLS, min_df=1)
    assert encoding.terms == ("a", "bike", "blue", "car", "red")
    once, twice = log(4 / 2) + 1, log(4 / 3) + 1  # in one cell or in two of the three
    assert encoding.idf == pytest.approx((once, once, once, twice, twice))
    pair, triple = sqrt(once**2 + twice**2), sqrt(2 * once**2 + twice**2)
    assert apply(encoding, CELLS) == pytest.approx(np.array([
        [0, 0, 0, 1 / sqrt(5), 2 / sqrt(5)], [0, 0, once / pair, twice / pair, 0], [0, 0, 0, 0, 0],
        [once / triple, once / triple, 0, 0, twice / triple]]), abs=1e-6)


def test_words_of_all_scripts() -> None:
    assert set(tfidf(["Été_1, don't", "हिन्दी भाषा", "我们 go中文"], min_df=1).terms) == {
        "été_1", "don", "t", "हिन्दी", "भाषा", "我", "们", "go", "中", "文"}


def test_rare_terms_are_left_out() -> None:
    assert tfidf(CELLS).terms == ("car", "red")
    assert tfidf(CELLS, min_df=3).width == 0
    assert tfidf([None, ""]).width == 0
    assert apply(tfidf(CELLS, min_df=3), CELLS).shape == (4, 0)


def test_the_commonest_terms_are_kept() -> None:
    cells = ["b b b", "a a", "a c d", "d"]
    assert tfidf(cells, min_df=1, max_features=2).terms == ("a", "b")
    assert tfidf(cells, min_df=1, max_features=3).terms == ("a", "b", "d")


def test_terms_of_several_words_do_not_reach_beyond_their_cell() -> None:
    cells = ["x y z", "x y", "z x"]
    assert tfidf(cells, ngram_range=(2, 3), min_df=1).terms == ("x y", "x y z", "y z", "z x")
    assert tfidf(cells, ngram_range=(1, 2)).terms == ("x", "x y", "y", "z")


def test_later_cells_are_weighed_by_the_first_ones() -> None:
    encoding = tfidf(CELLS)
    assert apply(encoding, ["RED car", "unknown words", "", None]) == pytest.approx(
        np.array([[1 / sqrt(2), 1 / sqrt(2)], [0, 0], [0, 0], [0, 0]]))


def test_more_cells_than_are_looked_at_a_time() -> None:
    cells = ["one two", *["two three"] * ROWS, "three four five"]
    encoding = tfidf(cells, min_df=1)
    assert encoding.terms == ("five", "four", "one", "three", "two")
    assert encoding.idf[3] == pytest.approx(log((3 + ROWS) / (2 + ROWS)) + 1)
    rows = apply(encoding, cells)
    assert [np.flatnonzero(row).tolist() for row in (rows[0], rows[1], rows[ROWS], rows[ROWS + 1])] == [
        [2, 4], [3, 4], [3, 4], [0, 1, 3]]


def test_a_large_vocabulary_is_projected() -> None:
    words = [f"w{i:03}" for i in range(400)]
    encoding = tfidf(words, min_df=1)
    assert (len(encoding.terms), encoding.width) == (400, MAX_WIDTH)
    rows = apply(encoding, words)
    # A cell of one term shows the term's row of the projection: ±√(√400 / 100), in one of √400 columns on average.
    assert np.unique(np.abs(rows)) == pytest.approx(np.array([0, sqrt(20 / 100)]))
    assert (rows > 0).mean() == pytest.approx(0.025, abs=0.003)
    assert (rows < 0).mean() == pytest.approx(0.025, abs=0.003)
    assert apply(encoding, ["w001 w399"])[0] == pytest.approx((rows[1] + rows[399]) / sqrt(2))
    again: Encoding = msgspec.json.decode(msgspec.json.encode(encoding), type=Encoding)
    assert np.array_equal(apply(again, words), rows)


def test_the_projection_never_changes() -> None:
    words = [f"w{i:03}" for i in range(101)]
    rows = apply(tfidf(words, min_df=1), words)
    assert np.flatnonzero(rows[0] > 0).tolist() == [2, 16, 30, 32, 52, 55, 76]
    assert np.flatnonzero(rows[0] < 0).tolist() == [67, 73, 99]


def test_the_projection_keeps_lengths_and_angles() -> None:
    draw = np.random.default_rng(1)
    cells = [" ".join(f"w{i}" for i in draw.integers(0, 1000, 50)) for _ in range(200)]
    rows = apply(tfidf(cells, min_df=1), cells)
    products = rows @ rows.T
    assert np.diag(products).mean() == pytest.approx(1, abs=0.05)
    assert np.abs(products - np.diag(np.diag(products))).mean() < 0.15


def two_columns(left: Sequence[str | None], right: Sequence[str | None]) -> Table:
    one, other = table(left, "left"), table(right, "right")
    return Table(cells=one.cells | other.cells, stretches=one.stretches)


def text(name: str, terms: Terms) -> Feature:
    return Feature(column=name, name=name, type=FeatureType.TEXT_TFIDF, terms=terms)


def test_the_texts_of_a_type_share_one_vocabulary() -> None:
    texts = two_columns(["red car", "blue"], ["car", "blue"])
    encoded = encode([text("left", Terms()), text("right", Terms())], texts, Findings())
    left, right = encoded.encodings.values()
    assert left == right
    assert isinstance(left, TfidfEncoding)
    assert left.terms == ("blue", "car")
    assert left.idf[0] == pytest.approx(log(5 / 3) + 1)  # in two of four cells
    assert encoded.features is not None
    assert encoded.features.columns == {"left": (0, 2), "right": (2, 4)}
    assert encoded.features.dense.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0]]


def test_texts_with_other_options_have_another_vocabulary() -> None:
    texts = two_columns(["red car", "blue"], ["car", "blue"])
    encoded = encode([text("left", Terms()), text("right", Terms(min_df=1))], texts, Findings()).features
    assert encoded is not None
    assert encoded.columns == {"right": (0, 2)}, "no word is in two cells of the first, which has no columns then"


def deploy(monkeypatch: pytest.MonkeyPatch, path: Path, content: str = VECTORS) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    monkeypatch.setenv(SETTING, str(path))


def test_a_text_is_the_mean_of_its_known_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deploy(monkeypatch, tmp_path / "words.vec")
    cells = ["Red car", "the CAFÉ: red red", None, "nothing known", "car"]
    encoding, = fit([feature(FASTTEXT)], [column(cells)])
    assert encoding == WordVectorsEncoding(language="en", max_length=None, words=4, width=2)
    assert apply(encoding, cells) == pytest.approx(np.array([[0.75, 1], [2 / 3, -4 / 3], [0, 0], [0, 0], [0.5, 2]]))
    again: Encoding = msgspec.json.decode(msgspec.json.encode(encoding), type=Encoding)
    assert apply(again, ["a new café"]).tolist() == [[0, -4]], "later data may have other words"
    assert apply(again, [None]).tolist() == [[0, 0]]


def test_only_the_first_words_of_a_text_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deploy(monkeypatch, tmp_path / "words.vec")
    encoding, = fit([feature(FASTTEXT, max_length=2)], [column(["x"])])
    assert apply(encoding, ["the red car", "red car café", "x y red"]).tolist() == [[1, 0], [0.75, 1], [0, 0]]


def test_a_folder_has_vectors_by_language(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deploy(monkeypatch, tmp_path / "vectors" / "en.vec")
    deploy(monkeypatch, tmp_path / "vectors" / "fr.vec", "1 3\nrouge 1 2 3\n")
    monkeypatch.setenv(SETTING, str(tmp_path / "vectors"))
    english, french = fit([feature(FeatureType.TEXT_WORD2VEC), feature(FASTTEXT, language="fr")], [column(["x"])] * 2)
    assert apply(english, ["red"]).tolist() == [[1, 0]]
    assert apply(french, ["rouge"]).tolist() == [[1, 2, 3]]
    with pytest.raises(WorkFailed, match=r"'p' needs .* the language 'hi', .* has no 'hi.vec'; the vectors there are: en.vec, fr"):
        fit([feature(FASTTEXT, language="hi")], [column(["x"])])


def test_without_word_vectors_the_setting_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    with pytest.raises(WorkFailed, match=f"the feature 'p' needs word vectors, and this deployment has none: set {SETTING} to"):
        fit([feature(FASTTEXT)], [column(["x"])])
    monkeypatch.setenv(SETTING, str(tmp_path / "nothing"))
    with pytest.raises(WorkFailed, match=f"{SETTING} is '.*nothing', where there is neither a file nor a folder"):
        fit([feature(FASTTEXT)], [column(["x"])])


@pytest.mark.parametrize(("content", "expected"), [
    ("", "words.vec, line 1: '' must be the number of words and the width"),
    ("red 1 0\n", "words.vec, line 1: 'red 1 0' must be the number"),
    ("1 two\n", "words.vec, line 1: '1 two' must be the number"),
    ("2 2\ncar 1 1\nred 1 x\n", "words.vec, line 3: could not convert string to float: b'x'; the word must be followed"),
    ("1 2\nred 1\n", "words.vec, line 2: 1 numbers follow the word; there must be 2"),
    ("1 2\nred 1 nan\n", "words.vec, line 2: 2 numbers follow the word; there must be 2, all of them finite"),
])
def test_a_file_of_vectors_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, expected: str) -> None:
    deploy(monkeypatch, tmp_path / "words.vec", content)
    with pytest.raises(WorkFailed) as caught:
        apply(fit([feature(FASTTEXT)], [column(["red"])])[0], ["red"])
    assert str(caught.value).startswith(expected)


def test_an_encoding_needs_the_vectors_that_it_was_made_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deploy(monkeypatch, tmp_path / "words.vec")
    encoding, = fit([feature(FASTTEXT)], [column(["red"])])
    deploy(monkeypatch, tmp_path / "words.vec", "1 3\nred 1 2 3\n")
    with pytest.raises(WorkFailed, match=f"made with 4 word vectors of width 2; {SETTING} now has 1 of width 3"):
        apply(encoding, ["red"])


SENTENCES = ["a long road", "a short way home", "the old mill"]


def test_inferred_text_is_encoded_by_word_vectors_when_there_are_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    auto = feature(FeatureType.AUTO)
    monkeypatch.delenv(SETTING, raising=False)
    assert inferred(auto) is FeatureType.TEXT_TFIDF
    deploy(monkeypatch, tmp_path / "vectors" / "fr.vec")
    assert inferred(auto) is FASTTEXT, "of the one file"
    monkeypatch.setenv(SETTING, str(tmp_path / "vectors"))
    assert inferred(auto) is FeatureType.TEXT_TFIDF, "the folder has no English vectors"
    deploy(monkeypatch, tmp_path / "vectors" / "en.vec")
    monkeypatch.setenv(SETTING, str(tmp_path / "vectors"))
    assert inferred(auto) is FASTTEXT


def test_inferred_text_has_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    encoded = encode([feature(FeatureType.AUTO)], table(SENTENCES), Findings()).features
    assert encoded is not None
    assert encoded.columns == {"p": (0, 1)}
    assert encoded.dense.tolist() == [[1], [1], [0]], "'a' is the only word of two sentences"


def inferred(auto: Feature) -> FeatureType | None:
    resolved = resolve(auto, column(SENTENCES))
    return resolved.type if resolved else None
