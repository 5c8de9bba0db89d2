"""Labels, classes and the parts of the split."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.graph.people import FILES, NODES, read, write

from despina.graph.faults import InputFault
from despina.graph.graph import Labelled
from despina.graph.splits import random_split

RATES = st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 9)).map(
    lambda shares: (shares[0] / sum(shares), shares[1] / sum(shares), shares[2] / sum(shares)))
SPLIT = {"graph.nodes.0.labels.0": {"label": ["group", "classification"], "custom_split_filenames": {
    "train": "train.csv", "valid": "valid.csv", "test": "test.csv"}}}


def parts(labelled: Labelled) -> list[list[int]]:
    """The members of the training, validation and test part."""
    return [mask.nonzero()[0].tolist() for mask in (labelled.train, labelled.valid, labelled.test)]


def values(labelled: Labelled) -> list[Any]:
    """The labels."""
    assert labelled.labels is not None
    return list(labelled.labels.tolist())


def test_split_files_are_followed(tmp_path: Path) -> None:
    target = read(write(tmp_path, SPLIT)).graph.target
    assert parts(target.nodes) == [[0, 1], [2], [3]]
    assert not target.multilabel


def test_the_test_part_is_optional(tmp_path: Path) -> None:
    label = {"label": ["group", "classification"], "custom_split_filenames": {"train": "train.csv", "valid": "valid.csv"}}
    assert not read(write(tmp_path, {"graph.nodes.0.labels.0": label})).graph.target.nodes.test.any()


def test_labels_in_a_split_file_override_the_exported_ones(tmp_path: Path) -> None:
    target = read(write(tmp_path, SPLIT, {"train.csv": "~id,group\na,y\nf,z\n"})).graph.target
    assert target.classes == ("x", "y", "z")
    assert values(target.nodes) == [1, 1, 0, 1, 0, 2]
    assert target.nodes.train.nonzero()[0].tolist() == [0, 5]


def test_an_empty_cell_of_a_split_file_leaves_the_exported_label_as_it_is(tmp_path: Path) -> None:
    target = read(write(tmp_path, SPLIT, {"train.csv": "~id,group\na,\nb,z\n", "valid.csv": '~id,group\nc,""\n'})).graph.target
    assert target.classes == ("x", "y", "z")
    assert values(target.nodes) == [0, 2, 0, 1, 0, -1]
    assert parts(target.nodes) == [[0, 1], [2], [3]]


def test_an_empty_id_in_a_split_file(tmp_path: Path) -> None:
    text = "train.csv, line 3, column '~id': the cell is empty; it must be the ~id of a node of type 'person'"
    with pytest.raises(InputFault) as caught:
        read(write(tmp_path, SPLIT, {"train.csv": "~id,group\na,x\n,y\n"}))
    assert [finding.text for finding in caught.value.findings] == [text]


def test_a_separator_makes_the_task_multi_label(tmp_path: Path) -> None:
    nodes = FILES[NODES].replace('"x"', '"x;z"')
    target = read(write(tmp_path, {"graph.nodes.0.labels.0.separator": ";"}, {NODES: nodes})).graph.target
    assert target.multilabel
    assert target.classes == ("x", "y", "z")
    assert values(target.nodes) == [[1, 0, 1], [0, 1, 0], [1, 0, 1], [0, 1, 0], [1, 0, 1], [0, 0, 0]]
    assert (target.nodes.train | target.nodes.valid | target.nodes.test).tolist() == [True] * 5 + [False]


@pytest.mark.parametrize(("rates", "sizes"), [
    ((0.6, 0.2, 0.2), (60, 20, 20)), ((0.9, 0.1, 0.0), (90, 10, 0)), ((1.0, 0.0, 0.0), (100, 0, 0)), ((0.7, 0.0, 0.3), (70, 0, 30)),
    ((0.001, 0.4995, 0.4995), (1, 49, 50)), ((0.7, 0.2, 0.1), (70, 20, 10))])
def test_random_parts_have_their_sizes(rates: tuple[float, float, float], sizes: tuple[int, int, int]) -> None:
    strata = np.zeros(120, dtype=np.int64)
    strata[::6] = -1
    split = random_split(strata, rates)
    assert (split.train.sum(), split.valid.sum(), split.test.sum()) == sizes


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), RATES, st.integers(0, 9))
@settings(deadline=None, derandomize=True)
def test_of_small_classes_the_training_part_has_the_first_member(sizes: list[int], rates: tuple[float, float, float],
                                                                 seed: int) -> None:
    strata = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    train = random_split(strata, rates, seed=seed).train
    learnt = len(np.unique(strata[train]))
    assert learnt == min(int(train.sum()), len(sizes)), "no class has a second member there before every class has one"


def test_a_seed_repeats_its_split_and_another_does_not() -> None:
    strata = np.zeros(100, dtype=np.int64)
    first, again, other = (random_split(strata, (0.5, 0.25, 0.25), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
