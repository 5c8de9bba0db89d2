"""A dictionary of many texts is a dict of few, whatever their hashes; ids are a list of texts; growing arrays are put together."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from despina.graph import dictionary as module
from despina.graph.dictionary import Dictionary, repeats, to_ids
from despina.graph.growing import Growing
from despina.graph.ids import Ids

Hashes = NDArray[np.uint64]
TEXTS = st.one_of(st.sampled_from(["", "a", "b", "ab", " ", "\0", "é", "e\u0301", "日本", "\U0001f40b"]), st.text(max_size=4))
BATCHES = st.lists(TEXTS, max_size=12)
STEPS = st.lists(st.tuples(st.sampled_from(["add", "find", "append", "append new"]), BATCHES), max_size=10)
quick = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


def series(texts: Sequence[str]) -> pl.Series:
    return pl.Series("x", texts, dtype=pl.String)


class Model:
    """What a dictionary is meant to do, with a dict."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def find(self, texts: list[str]) -> list[int]:
        return [self.codes.get(text, -1) for text in texts]

    def add(self, texts: list[str]) -> list[int]:
        return [self.codes.setdefault(text, len(self.codes)) for text in texts]

    def append(self, texts: list[str]) -> bool:
        if len(set(texts)) < len(texts) or self.codes.keys() & set(texts):
            return False
        self.add(texts)
        return True


def check(dictionary: Dictionary, model: Model) -> None:
    known = list(model.codes)
    assert len(dictionary) == len(known)
    assert dictionary.texts.to_list() == known
    assert dictionary.find(series(known)).tolist() == list(range(len(known)))
    assert dictionary.ids() == known


@given(STEPS)
@quick
def test_a_dictionary_is_a_dict(steps: list[tuple[str, list[str]]]) -> None:
    dictionary, model = Dictionary(), Model()
    for step, texts in steps:
        match step:
            case "add":
                codes = dictionary.add(series(texts))
                assert codes.dtype == np.int32
                assert codes.tolist() == model.add(texts)
            case "find":
                assert dictionary.find(series(texts)).tolist() == model.find(texts)
            case "append":
                assert dictionary.append(series(texts)) == model.append(texts)
            case _:
                new = [text for text in dict.fromkeys(texts) if text not in model.codes]
                assert model.append(new)
                assert dictionary.append(series(new))
    check(dictionary, model)


@pytest.mark.parametrize(("texts", "taken"), [(["new", "new"], False), (["new", "old"], False), (["old"], False),
                                              (["new", ""], True), ([], True)])
def test_append_takes_all_or_nothing(texts: list[str], taken: bool) -> None:
    dictionary = Dictionary()
    assert dictionary.append(series(["older", "old"]))
    assert dictionary.append(series(texts)) == taken
    expected = ["older", "old", *(texts if taken else [])]
    assert dictionary.texts.to_list() == expected
    assert dictionary.find(series(["older", "old", "new", ""])).tolist() == [
        expected.index(text) if text in expected else -1 for text in ("older", "old", "new", "")]


@pytest.mark.parametrize("step", [1, 7, 500, 20_000])
def test_it_grows_over_many_sizes(step: int) -> None:
    texts = [f"{'ü' * (i % 3)}{i * 7919 % 10_007}" for i in range(20_000 if step > 7 else 600)]
    dictionary, model = Dictionary(), Model()
    for start in range(0, len(texts), step):
        part = texts[start:start + step]
        assert dictionary.add(series(part)).tolist() == model.add(part)
        assert dictionary.find(series(["absent"])).tolist() == [-1]
    check(dictionary, model)


def test_texts_are_looked_up_a_stretch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STRETCH", 7)
    texts = [f"text {i % 40}" for i in range(100)]
    dictionary, model = Dictionary(), Model()
    assert dictionary.add(series(texts)).tolist() == model.add(texts)
    check(dictionary, model)
    assert dictionary.find(series([*texts, "other"])).tolist() == [*model.find(texts), -1]


def hashed_by(monkeypatch: pytest.MonkeyPatch, change: Callable[[Hashes, int], Hashes]) -> list[int]:
    """Have all dictionaries take poor hashes, made of good ones and the seed. Returns the seeds that will have been used."""
    used: list[int] = []

    def hashes(self: Dictionary, texts: pl.Series) -> Hashes:
        used.append(self._seed)
        return change(texts.hash(self._seed).to_numpy(), self._seed)

    monkeypatch.setattr(Dictionary, "_hashes", hashes)
    return used


@given(st.lists(TEXTS, unique=True, min_size=2, max_size=30), st.integers(0, 30))
@quick
def test_texts_added_together_that_share_a_hash_get_another_seed(monkeypatch: pytest.MonkeyPatch, texts: list[str],
                                                                 again: int) -> None:
    small = np.uint64(len(texts) ** 2)  # about one set of hashes in two has a pair of equal ones
    used = hashed_by(monkeypatch, lambda hashes, seed: hashes % small)
    cells = texts + texts[:again]
    dictionary, model = Dictionary(), Model()
    assert dictionary.add(series(cells)).tolist() == model.add(cells)
    check(dictionary, model)
    assert set(used) == set(range(max(used) + 1))
    monkeypatch.undo()


def test_seeds_are_taken_until_no_two_hashes_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    used = hashed_by(monkeypatch, lambda hashes, seed: hashes % np.uint64(2 + seed // 4) if seed < 20 else hashes)
    texts = [f"text {i}" for i in range(300)]
    dictionary, model = Dictionary(), Model()
    assert dictionary.append(series(texts))
    model.add(texts)
    assert max(used) == 20
    check(dictionary, model)


def test_what_is_there_already_keeps_its_code_under_another_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {i}" for i in range(1000)]
    multiples = series(texts).hash(0).to_numpy() % 16 == 0
    before = [text for text, multiple in zip(texts, multiples, strict=True) if not multiple]
    together = [text for text, multiple in zip(texts, multiples, strict=True) if multiple]
    assert len(together) > 10
    used = hashed_by(monkeypatch, lambda hashes, seed: np.where(hashes % 16 == 0, np.uint64(16), hashes) if seed == 0 else hashes)
    dictionary, model = Dictionary(), Model()
    assert dictionary.add(series(before)).tolist() == model.add(before)
    assert set(used) == {0}
    assert dictionary.add(series(together)).tolist() == model.add(together)
    assert set(used) == {0, 1}
    check(dictionary, model)


@pytest.mark.parametrize("shift", [20, 60])
def test_texts_whose_places_in_the_table_are_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch, shift: int) -> None:
    # Only the upper bits differ, so that every text belongs into the first slot.
    hashed_by(monkeypatch, lambda hashes, seed: hashes >> np.uint64(64 - shift) << np.uint64(64 - shift))
    texts = [f"text {i}" for i in range(200 if shift > 20 else 40)]
    dictionary, model = Dictionary(), Model()
    for start in range(0, len(texts), 9):
        part = texts[start:start + 9] + texts[:3]
        assert dictionary.add(series(part)).tolist() == model.add(part)
    check(dictionary, model)
    assert dictionary.find(series([f"other {i}" for i in range(20)])).tolist() == [-1] * 20


@given(st.lists(st.integers(-4, 4), max_size=8))
@quick
def test_repeats(values: list[int]) -> None:
    assert repeats(np.array(values, dtype=np.int64)) == (len(set(values)) < len(values))


@given(st.lists(TEXTS, max_size=20), st.integers(-25, 25), st.integers(-25, 25), st.sampled_from([None, 1, 2, -1, -3]))
@quick
def test_ids_are_a_list_of_texts(texts: list[str], first: int, last: int, step: int | None) -> None:
    for ids in (Ids.of(texts), to_ids(series(texts))):
        assert len(ids) == len(texts)
        assert list(ids) == texts
        assert [ids[i] for i in range(len(texts))] == texts
        assert [ids[-i - 1] for i in range(len(texts))] == texts[::-1]
        assert ids[first:last:step] == texts[first:last:step]
        assert ids == texts
        assert ids == Ids.of(texts)
        assert ids != [*texts, "more"]
        if texts:
            assert ids != [*texts[:-1], texts[-1] + "."]
        assert ids.offsets.tolist() == np.cumsum([0, *(len(text.encode()) for text in texts)]).tolist()
        assert ids.text.tobytes() == "".join(texts).encode()
        for beyond in (len(texts), -len(texts) - 1):
            with pytest.raises(IndexError):
                ids[beyond]
        assert ("a" in ids) == ("a" in texts)


def test_ids_may_be_what_is_no_unicode() -> None:
    texts = ["a", "\ud800", "é\udfff"]
    assert list(Ids.of(texts)) == texts
    assert [Ids.of(texts)[i] for i in range(3)] == texts


def test_ids_are_no_text() -> None:
    assert Ids.of("abc") != "abc"
    assert Ids.of("abc") == ["a", "b", "c"]
    assert repr(Ids.of("abc")) == "Ids.of(['a', 'b', 'c'])"
    assert repr(Ids.of("abcdefghijkl")).endswith("'j'], …)")


def test_ids_are_joined_a_stretch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STRETCH", 3)
    texts = [f"{i}é" for i in range(10)]
    assert to_ids(series(texts)) == texts


@given(st.lists(st.integers(0, 3000), max_size=6), st.sampled_from([np.int32, np.float64, np.uint8]))
@quick
def test_a_growing_array_is_all_of_its_parts(sizes: list[int], dtype: type[np.generic]) -> None:
    parts = [np.arange(size).astype(dtype) for size in sizes]
    growing = Growing(dtype)
    for i, part in enumerate(parts, 1):
        growing.append(part)
        assert len(growing) == sum(sizes[:i])
    assert growing.dtype == dtype
    taken = growing.take()
    assert taken.dtype == dtype
    assert np.array_equal(taken, np.concatenate([np.empty(0, dtype=dtype), *parts]))
