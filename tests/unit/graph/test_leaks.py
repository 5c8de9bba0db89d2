"""Features that give the label away are told, and others are not."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.graph.people import FILES, NODES, read, table, write

from despina.core.task import Task
from despina.graph import leaks
from despina.graph.columns import code
from despina.graph.dictionary import Dictionary
from despina.graph.features.options import Feature, FeatureType
from despina.graph.leaks import find_leaks
from despina.graph.schema import Label
from despina.graph.tables import Keep, Table, find_file

Cells = Sequence[str | None]
CLASSES = ["x", "y", "z"] * 8
"""The labels of 24 rows."""
VALUES = [str(i * i % 17 + i / 4) for i in range(24)]
"""Numbers to be predicted, all different."""


def told(label: Cells, task: Task = Task.NODE_CLASS, **columns: Cells) -> list[str]:
    """The columns that are found to give the label away."""
    return [text.split("'")[1] for text in warnings(label, task, columns)]


def warnings(label: Cells, task: Task, columns: Mapping[str, Cells]) -> list[str]:
    parts = {name: table(cells, name) for name, cells in {"label": label, **columns}.items()}
    together = Table(cells={name: part.cells[name] for name, part in parts.items()}, stretches=parts["label"].stretches)
    features = [Feature(column=name, name=name, type=FeatureType.AUTO) for name in columns]
    return find_leaks(together, features, Label(column="label", task=task), "person")


@pytest.mark.parametrize("twin", [
    CLASSES, [{"x": "1", "y": "2.0", "z": "3"}[cell] for cell in CLASSES], [f"group {cell}" for cell in CLASSES],
    [f"{cell}{i % 4}" for i, cell in enumerate(CLASSES)]], ids=["itself", "numbers", "texts", "finer"])
def test_a_feature_that_renames_the_label_is_told(twin: list[str]) -> None:
    assert told(CLASSES, twin=twin, other=["a", "b"] * 12) == ["twin"]


def test_what_is_told() -> None:
    text, = warnings(CLASSES, Task.NODE_CLASS, {"twin": CLASSES})
    assert text == ("the feature 'twin' (column 'twin') determines the label 'label' of all labelled rows of person; leave it out "
                    "unless it is known of new ones before their label is")


def change(cells: list[str], row: int, value: str | None) -> list[str | None]:
    return [*cells[:row], value, *cells[row + 1:]]


@pytest.mark.parametrize("feature", [change(CLASSES, 5, "x"), change(CLASSES, 0, None), change(CLASSES, 23, ""), ["a"] * 24,
                                     ["a", "b"] * 12, [None] * 24], ids=["exception", "gap", "last gap", "constant", "crossing",
                                                                         "empty"])
def test_one_exception_is_enough_to_give_nothing_away(feature: list[str | None]) -> None:
    assert told(CLASSES, feature=feature) == []


def test_a_coarser_feature_gives_nothing_away() -> None:
    assert told(CLASSES, feature=["x or y" if cell in "xy" else cell for cell in CLASSES]) == []


def test_rows_without_a_label_do_not_count() -> None:
    label: list[str | None] = [*CLASSES, None, None, ""]
    assert told(label, twin=[*CLASSES, "x", "y", None]) == ["twin"]
    assert told(label, twin=[*CLASSES, None, "new", "x"]) == ["twin"]


@pytest.mark.parametrize(("distinct", "expected"), [(24, []), (13, []), (12, ["feature"])])
def test_values_that_hardly_occur_twice_give_nothing_away(distinct: int, expected: list[str]) -> None:
    label = [CLASSES[i % distinct % 3] for i in range(24)]
    assert told(label, feature=[f"id {i % distinct}" for i in range(24)]) == expected


@pytest.mark.parametrize("label", [["x"] * 24, [None] * 24, []], ids=["constant", "missing", "no rows"])
def test_a_label_that_never_varies_is_none_to_give_away(label: list[str | None]) -> None:
    cells = label or []
    assert told(cells, twin=cells, other=["a", "b"] * (len(cells) // 2)) == []
    assert told([None if cell is None else "7" for cell in cells], Task.NODE_REGRESSION, twin=["7"] * len(cells)) == []


@pytest.mark.parametrize("change", [lambda value: value, lambda value: 3 * value - 20, lambda value: -value / 1000],
                         ids=["itself", "linear", "falling"])
@pytest.mark.parametrize("task", [Task.NODE_REGRESSION, Task.EDGE_REGRESSION])
def test_a_linear_function_of_a_number_to_be_predicted_is_told(change: Callable[[float], float], task: Task) -> None:
    twin = [repr(change(float(value))) for value in VALUES]
    assert told(VALUES, task, twin=twin, other=[str(i % 5) for i in range(24)]) == ["twin"]


def test_numbers_that_are_not_linear_in_the_label_give_nothing_away() -> None:
    values = [float(value) for value in VALUES]
    assert told(VALUES, Task.NODE_REGRESSION, square=[str(value**2) for value in values], id=[f"id{i}" for i in range(24)],
                row=[str(i) for i in range(24)], one=["1"] * 24,
                near=[str(value + (5 if i == 3 else 0)) for i, value in enumerate(values)]) == []


@pytest.mark.parametrize("largest", [1e150, 1e160, 1.7e308, 1e-160, 5e-300])
def test_numbers_of_any_size_are_compared(largest: float) -> None:
    values = [float(value) - 8 for value in VALUES]
    unit = largest / max(map(abs, values))
    with np.errstate(all="raise"):
        assert told(VALUES, Task.NODE_REGRESSION, twin=[repr(value * unit) for value in values],
                    square=[repr(value**2 / 300 * unit) for value in values]) == ["twin"]
        assert told([repr(value * unit) for value in values], Task.NODE_REGRESSION, twin=VALUES) == ["twin"]


def test_numbers_of_very_different_sizes_give_nothing_away() -> None:
    label = [repr(1e-310 * i) for i in range(1, 24)] + ["-1.7e308"]
    with np.errstate(all="raise"):
        assert told(label, Task.NODE_REGRESSION, row=[str(i) for i in range(24)], zero=["0"] * 24) == []


def test_a_linear_function_needs_a_value_for_every_label() -> None:
    twin: list[str | None] = [str(2 * float(value)) for value in VALUES]
    assert told(VALUES, Task.NODE_REGRESSION, twin=[*twin[:-1], None]) == []
    assert told([*VALUES[:-1], None], Task.NODE_REGRESSION, twin=[*twin[:-1], None]) == ["twin"]
    assert told([*VALUES, None], Task.NODE_REGRESSION, twin=[*twin, None]) == ["twin"]
    assert told(VALUES, Task.NODE_REGRESSION, twin=[*twin[:-1], "much"]) == []


@pytest.mark.parametrize(("rows", "expected"), [(9, []), (10, ["twin"])])
def test_few_numbers_are_in_line_by_chance(rows: int, expected: list[str]) -> None:
    assert told(VALUES[:rows], Task.NODE_REGRESSION, twin=VALUES[:rows]) == expected


def test_a_feature_of_few_values_may_be_the_twin_of_a_number() -> None:
    label = ["1.5", "7", "-2"] * 8
    assert told(label, Task.NODE_REGRESSION, grade=[{"1.5": "good", "7": "best", "-2": "bad"}[cell] for cell in label],
                other=["a", "b"] * 12) == ["grade"]


def test_a_number_is_no_twin_of_a_class_for_being_in_line_with_it() -> None:
    classes = [str(i // 2) for i in range(24)]
    assert told(classes, feature=[str(i) for i in range(24)]) == []


def test_links_have_no_label_to_give_away() -> None:
    features = [Feature(column="p", name="p", type=FeatureType.AUTO)]
    assert find_leaks(table(["a", "b"]), features, Label(column="", task=Task.LINK_PREDICT), "edges") == []


@pytest.mark.parametrize("keep", [Keep.CODES, Keep.TEXT, Keep.NUMBERS])
def test_twins_are_found_however_their_cells_are_kept(tmp_path: Path, keep: Keep) -> None:
    lines = "".join(f"{i % 3},{i % 3 * 2},{i % 2}\n" for i in range(24))
    (tmp_path / "t.csv").write_text(f"label,twin,other\n{lines}", encoding="utf-8")
    file = find_file(tmp_path, "t.csv", ",")
    features = [Feature(column=name, name=name, type=FeatureType.AUTO) for name in ("twin", "other")]
    for label_kept, task in ((Keep.CODES, Task.NODE_CLASS), (Keep.NUMBERS, Task.NODE_REGRESSION)):
        read_so = {"label": label_kept, "twin": keep, "other": keep}
        found = find_leaks(Table.concat(Table.batches(file, read_so, {})), features, Label(column="label", task=task), "t")
        assert [text.split("'")[1] for text in found] == ["twin"]


def test_a_single_row_rules_out() -> None:
    assert told(CLASSES, twin=CLASSES, late=change(CLASSES, 23, "x"), early=change(CLASSES, 1, "x"),
                gap=change(CLASSES, 22, None)) == ["twin"]
    assert told(VALUES, Task.NODE_REGRESSION, late=change(VALUES, 23, "99")) == []


def test_so_many_rows_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "LOOKED_AT", 12)
    late, early = change(CLASSES, 12, "y"), change(CLASSES, 11, "y")
    text, = warnings(CLASSES, Task.NODE_CLASS, {"late": late, "early": early})
    assert text.startswith("the feature 'late' (column 'late') determines the label 'label' of all labelled rows of person among "
                           "the first 12; leave it out")
    text, = warnings(CLASSES[:12], Task.NODE_CLASS, {"late": late[:12]})
    assert "of all labelled rows of person; leave it out" in text


def test_an_export_tells_its_leaks(tmp_path: Path) -> None:
    nodes = FILES[NODES].replace("since,group", "since,group,rank").replace('"x"', '"x","first"').replace(
        '"y"', '"y","second"').replace("Z,\n", 'Z,,"first"\n')
    feature = {"feature": ["rank", "standing", "category"]}
    export = read(write(tmp_path, {"graph.nodes.0.features.2": feature, "warnings": ["told by the exporter"]}, {NODES: nodes}))
    first, second = export.warnings
    assert first == "told by the exporter"
    assert second.startswith("the feature 'standing' (column 'rank') determines the label 'group' of all labelled rows of person;")


PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.sampled_from(["x", "y", ""])), max_size=14)


@given(PAIRS)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_feature_is_told_when_each_of_its_values_has_one_label(pairs: list[tuple[str, str]]) -> None:
    labelled = [(value, label) for value, label in pairs if label]
    values, labels = {value for value, _ in labelled}, {label for _, label in labelled}
    determines = "" not in values and len(labels) > 1 and 2 * len(values) <= len(labelled) and len(set(labelled)) == len(values)
    assert told([label for _, label in pairs], p=[value for value, _ in pairs]) == ["p"] * determines


def test_codes_of_a_dictionary_that_has_more_texts_are_no_other_labels() -> None:
    dictionary = Dictionary()
    code(table(["q", "w", "e", "r"]).column("p").text, dictionary)
    codes = code(table(CLASSES).column("p").text, dictionary)
    kept = Table(cells={"label": codes, "p": codes.copy()}, stretches=table(CLASSES).stretches,
                 dictionaries={"label": dictionary, "p": dictionary})
    features = [Feature(column="p", name="p", type=FeatureType.CATEGORY)]
    assert len(find_leaks(kept, features, Label(column="label", task=Task.NODE_CLASS), "person")) == 1
