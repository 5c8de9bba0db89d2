"""Charts: whatever the numbers are, the drawing is valid and finite; ticks are round."""

import math
import re
from fractions import Fraction
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from despina.api.console.axes import Axis, linear, logarithmic
from despina.api.console.charts import HEIGHT, LOOKS, MOST_CELLS, MOST_ROWS, WIDTH, Chart, Series, describe, legend, svg, table

ANY = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
VALUES = st.lists(st.none() | ANY, max_size=8)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def is_round(step: Fraction) -> bool:
    """Whether it is 1, 2 or 5 times a power of ten."""
    power = Fraction(10) ** math.floor(math.log10(step))
    return step / power in {1, 2, 5, 10}


def check_ticks(axis: Axis) -> None:
    values, labels = [tick.value for tick in axis.ticks], [tick.label for tick in axis.ticks]
    assert 2 <= len(values) <= 9
    assert all(earlier < later for earlier, later in pairwise(values))
    assert len(set(labels)) == len(labels)
    assert axis.low <= values[0]
    assert values[-1] <= axis.high


@given(values=VALUES, whole=st.booleans(), tight=st.booleans())
@example(values=[1e308, -1e308], whole=False, tight=False)
@example(values=[5e-324, 1e-323], whole=False, tight=True)
@example(values=[0.1, 0.1 + 1e-16], whole=False, tight=False)
@example(values=[1e15, 1e15 + 1], whole=True, tight=True)
@example(values=[1.8e-201, 2.5e123], whole=False, tight=True)
@settings(max_examples=60)
def test_ticks_are_round_and_evenly_spaced(values: list[float | None], whole: bool, tight: bool) -> None:
    axis = linear(values, whole=whole, tight=tight)
    check_ticks(axis)
    ticks = [tick.value for tick in axis.ticks]
    step = Fraction(f"{ticks[1] - ticks[0]:.3g}")
    assert is_round(step)
    assert not whole or step >= 1
    for value in values:
        place = axis.place(value)
        assert place is None or -1e-9 <= place <= 1 + 1e-9


@given(values=VALUES)
@example(values=[1e-300, 1e300])
@example(values=[0.1, 0.1])
@example(values=[3.0, 4.0])
@example(values=[1e-12])  # as a float a little less than 10 ** -12
@settings(max_examples=60)
def test_logarithmic_ticks_are_round(values: list[float | None]) -> None:
    axis = logarithmic(values)
    positive = [value for value in values if value is not None and math.isfinite(value) and value >= 1e-300]
    assert (axis is not None) == bool(positive)
    if axis is not None:
        check_ticks(axis)
        assert all(is_round(Fraction(f"{tick.value:.3g}")) for tick in axis.ticks)
        assert axis.place(-1.0) is None
        assert all(-1e-9 <= (axis.place(value) or 0.0) <= 1 + 1e-9 for value in positive)


@pytest.mark.parametrize(("values", "labels"), [
    ([0.31, 0.97], ["0.2", "0.4", "0.6", "0.8", "1.0"]),
    ([0.951, 0.968], ["0.950", "0.955", "0.960", "0.965", "0.970"]),
    ([0.0, 1234.0], ["0", "500", "1,000", "1,500"]),
    ([-2.0, 2.0], ["−2", "−1", "0", "1", "2"]),
    ([], ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
], ids=str)
def test_labels_have_as_many_digits_as_they_need(values: list[float], labels: list[str]) -> None:
    assert [tick.label for tick in linear(values).ticks] == labels


def test_labels_of_a_loss_on_a_logarithmic_axis() -> None:
    axis = logarithmic([1.9, 0.003])
    assert axis is not None
    assert [tick.label for tick in axis.ticks] == ["0.01", "0.1", "1"]
    axis = logarithmic([1.9, 0.3])
    assert axis is not None
    assert [tick.label for tick in axis.ticks] == ["0.2", "0.5", "1", "2"]


TEXT = st.text(max_size=12)
SERIES = st.builds(
    lambda name, values, best: Series(name=name, points=tuple(enumerate(values, start=1)), best=best), TEXT,
    st.lists(st.none() | ANY, max_size=30), st.none() | st.integers(1, 30))
CHARTS = st.builds(Chart, id=st.just("c"), title=TEXT, x=TEXT, y=TEXT, series=st.lists(SERIES, max_size=9).map(tuple),
                   log=st.booleans(), looks=st.integers(0, 9), lines=st.booleans(), whole=st.booleans())


@settings(max_examples=60)
@given(chart=CHARTS)
def test_whatever_the_numbers_are_the_drawing_is_valid_and_finite(chart: Chart) -> None:
    drawing = svg(chart)
    root = ET.fromstring(drawing)
    assert root.get("aria-labelledby") == "c-title c-desc"
    assert root[0].tag == "title"
    assert root[1].tag == "desc"
    assert not re.search(r"nan|inf(?!o)", " ".join(
        str(value) for part in root.iter() for name, value in part.items() if name in {"d", "cx", "cy", "x", "y", "transform"}))
    for circle in root.iter("circle"):
        assert 0 <= float(circle.get("cx", "-1")) <= WIDTH
        assert 0 <= float(circle.get("cy", "-1")) <= HEIGHT
    for line in root.iterfind(".//path[@class='line']"):
        numbers = [float(number) for number in NUMBER.findall(line.get("d", "").replace("h0", ""))]
        assert all(-0.1 <= x <= WIDTH + 0.1 for x in numbers[::2])
        assert all(-0.1 <= y <= HEIGHT + 0.1 for y in numbers[1::2])
    assert "style=" not in drawing, "which the content security policy forbids"
    describe(chart)


@settings(max_examples=60)
@given(chart=CHARTS)
def test_every_series_is_in_the_table_and_the_first_in_the_legend(chart: Chart) -> None:
    numbers = table(chart)
    assert len(numbers.columns) == 1 + len(chart.series)
    assert len(numbers.rows) <= MOST_ROWS
    assert all(len(row) == len(numbers.columns) for row in numbers.rows)
    looks = [key.look for key in legend(chart)]
    told_apart = min(chart.looks, LOOKS, len(chart.series))
    assert looks == [*range(1, told_apart + 1), *([0] if len(chart.series) > told_apart else [])]


def of(*series: Series, **rest: bool) -> Chart:
    return Chart(id="c", title="Loss", x="epoch", y="loss", series=series, **rest)


def test_series_are_told_apart_by_marks_too() -> None:
    root = ET.fromstring(svg(of(*(Series(name=str(i), points=((1, 1.0), (2, 2.0))) for i in range(LOOKS)))))
    marks = {group.get("class"): {mark.get("d") for mark in group.iterfind("path[@class='point']")} for group in root.iterfind("g")}
    shapes = [marks[f"series series-{look}"] for look in range(1, LOOKS + 1)]
    assert all(len(shape) == 1 for shape in shapes)
    assert len(set.union(*shapes)) == LOOKS


def test_a_line_has_a_gap_where_a_number_is_missing_and_a_dot_where_it_stands_alone() -> None:
    points = ((1, 1.0), (2, 2.0), (3, None), (4, 3.0), (5, math.nan), (6, 1.0), (7, 2.0))
    root = ET.fromstring(svg(of(Series(name="a", points=points))))
    line = root.find(".//path[@class='line']")
    assert line is not None
    assert re.sub(r"[\d. ]+", "", line.get("d", "").replace("h0", "h")) == "MLMhML"


def test_long_lines_are_thinned_and_keep_their_end_and_so_does_the_table() -> None:
    long = Series(name="long", points=tuple((float(x), x / 7) for x in range(1, 10_001)))
    chart = of(long, *(Series(name=str(i), points=long.points[:500]) for i in range(60)))
    assert len(svg(chart)) < 600_000
    numbers = table(chart)
    assert len(numbers.rows) * len(chart.series) <= MOST_CELLS
    assert (numbers.rows[0][0], numbers.rows[-1][0]) == ("1", "10000")
    assert numbers.left_out == 10_000 - len(numbers.rows)


def test_the_description_says_how_it_went() -> None:
    first = Series(name="trial 1", points=((1, 2.0), (2, 0.1234), (3, None)))
    assert describe(of(first, Series(name="trial 2", points=()), log=True)) == (
        "loss by epoch, on a logarithmic scale, 2 series. trial 1 goes from 2 to 0.1234 at epoch 2; trial 2 has no values yet.")


def test_the_best_point_is_marked_and_every_point_tells_its_number() -> None:
    root = ET.fromstring(svg(of(Series(name="trial 1", points=((1, 2.0), (2, 0.5)), best=2))))
    (best,) = root.iterfind(".//circle[@class='best']")
    hints = {hint.get("cx"): hint[0].text for hint in root.iterfind("g[@class='hints']/circle")}
    assert hints[best.get("cx")] == "trial 1, epoch 2: 0.5000"
    assert len(hints) == 2
