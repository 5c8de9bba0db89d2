"""Charts as SVG, made on the server: pure functions of the numbers they show.

A series is told from the others by its dashes and its marks, not by colour alone, and every number of a chart stands in the table
beside it (``table``). Colours are those of the style sheet's classes ``series-1`` and so on; no chart has a style of its own, which
the console's content security policy would not let it have.
"""

import math
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from despina.api.console.axes import LARGEST, Axis, linear, logarithmic, usable
from despina.core.frozen import Frozen

WIDTH, HEIGHT = 520, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 44
"""Around the plot, for labels."""
LOOKS = 6
"""Series that are told apart; further ones are drawn pale, and named in the table only."""
MOST_POINTS, MOST_PALE_POINTS = 400, 1500
"""Of a line that is told apart, and of all the others together; of more only every so many is drawn."""
MOST_MARKS = 8
"""On a line, beside the one at its end."""
MOST_HINTS = 240
"""Points of a chart that say their numbers when they are pointed at."""
MOST_ROWS, MOST_CELLS = 50, 1500
"""Of a table."""
_MARKS = ("M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "M-3.5-3.5h7v7h-7z", "M0-4.5 4.5 3.5h-9z", "M0-5 5 0 0 5-5 0z", "M-4-4 4 4M-4 4 4-4",
          "M0 4.5-4.5-3.5h9z")
"""Circle, square, triangle, diamond, cross, triangle upside down."""


class Series(Frozen, frozen=True, kw_only=True):
    """Some points of a chart, by rising x."""

    name: str
    points: tuple[tuple[float, float | None], ...]
    """x and y; where y is none, or no finite number, there is a gap."""
    best: float | None = None
    """The x of a point that is marked."""


class Chart(Frozen, frozen=True, kw_only=True):
    """What is drawn. The first series are told apart by their looks, the others are pale."""

    id: str
    """Unique on its page."""
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    log: bool = False
    """Whether y is logarithmic; it is linear all the same if no y is positive."""
    looks: int = LOOKS
    """How many series are told apart, ``LOOKS`` at most."""
    lines: bool = True
    """Whether the points of a series are joined."""
    whole: bool = True
    """Whether x are whole numbers, as of epochs."""


class Key(Frozen, frozen=True, kw_only=True):
    """An entry of the legend."""

    look: int
    """From 1; 0: pale."""
    name: str
    sample: str
    """SVG of a piece of it."""


class Table(Frozen, frozen=True, kw_only=True):
    """The numbers of a chart: a row for each x, a column for each series."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int
    """Rows that are not there, since there would be too many; the first and the last always are."""


def svg(chart: Chart) -> str:
    """The chart. Whatever the numbers are, it is valid and all its coordinates are finite."""
    x_axis = linear({x for series in chart.series for x, y in series.points if y is not None}, whole=chart.whole, tight=chart.lines)
    values = [y for series in chart.series for _, y in series.points]
    y_axis = (logarithmic(values) if chart.log else None) or linear(values)
    names = {"title": f"{chart.id}-title", "desc": f"{chart.id}-desc"}
    root = Element("svg", {"class": "chart", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img",
                           "aria-labelledby": " ".join(names.values())})
    SubElement(root, "title", {"id": names["title"]}).text = _plain(chart.title)
    SubElement(root, "desc", {"id": names["desc"]}).text = _plain(describe(chart))
    _draw_axes(root, chart, x_axis, y_axis)
    looks = _looks(chart)
    pale = max(20, MOST_PALE_POINTS // max(1, len(chart.series) - looks))
    for number in range(len(chart.series) - 1, -1, -1):  # the first lies on top
        series, look = chart.series[number], number + 1 if number < looks else 0
        points = _thinned(series.points, MOST_POINTS if look else min(pale, MOST_POINTS))
        group = SubElement(root, "g", {"class": f"series series-{look}"})
        _draw_series(group, chart, series, look, [(x, y, _at(x_axis, y_axis, x, y)) for x, y in points])
    _draw_hints(root, chart, x_axis, y_axis)
    return tostring(root, encoding="unicode", short_empty_elements=True)


def legend(chart: Chart) -> tuple[Key, ...]:
    """The series that are told apart, and what stands for the others."""
    looks = _looks(chart)
    keys = [Key(look=number, name=series.name, sample=_sample(number, lines=chart.lines))
            for number, series in enumerate(chart.series[:looks], start=1)]
    more = len(chart.series) - looks
    if more:
        keys.append(Key(look=0, name=f"{more} more" if looks else "all", sample=_sample(0, lines=chart.lines)))
    return tuple(keys)


def table(chart: Chart) -> Table:
    """The numbers as text."""
    places = sorted({x for series in chart.series for x, _ in series.points if usable(x) is not None})
    most = max(2, min(MOST_ROWS, MOST_CELLS // max(1, len(chart.series))))
    kept = places if len(places) <= most else [places[i * (len(places) - 1) // (most - 1)] for i in range(most)]
    columns = [dict(series.points) for series in chart.series]
    return Table(columns=(chart.x, *(series.name for series in chart.series)), left_out=len(places) - len(kept),
                 rows=tuple((number(x), *(number(column.get(x)) for column in columns)) for x in kept))


def describe(chart: Chart) -> str:
    """What a chart shows, in words: how each series that is told apart ended, and its best point."""
    parts = []
    for series in chart.series[:max(1, _looks(chart))]:
        shown = [(x, y) for x, y in series.points if usable(y) is not None]
        if not shown:
            parts.append(f"{series.name} has no values yet")
        elif chart.lines:
            (_, begin), (last, end) = shown[0], shown[-1]
            parts.append(f"{series.name} goes from {number(begin)} to {number(end)} at {chart.x} {number(last)}")
        else:
            parts.append(f"{series.name}: {len(shown)} points")
    what = f"{chart.y} by {chart.x}{', on a logarithmic scale' if chart.log else ''}"
    return f"{what}, {len(chart.series)} series. {'; '.join(parts)}." if parts else f"{what}: there are no values yet."


def number(value: float | None) -> str:
    """A number in a table: four significant digits, whole ones in full."""
    if value is None or not -LARGEST <= value <= LARGEST:
        return "–"
    if value == round(value) and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.4f}" if 0.01 <= abs(value) < 1000 else f"{value:.4g}"


def _looks(chart: Chart) -> int:
    return min(chart.looks, LOOKS, len(chart.series))


def _draw_axes(root: Element, chart: Chart, x_axis: Axis, y_axis: Axis) -> None:
    axes = SubElement(root, "g", {"class": "axes"})
    for tick in y_axis.ticks:
        y = _text(_down(y_axis.place(tick.value) or 0.0))
        SubElement(axes, "path", {"class": "grid", "d": f"M{LEFT} {y}H{WIDTH - RIGHT}"})
        SubElement(axes, "text", {"x": str(LEFT - 8), "y": y, "dy": "0.35em", "text-anchor": "end"}).text = tick.label
    base = HEIGHT - BOTTOM
    SubElement(axes, "path", {"class": "base", "d": f"M{LEFT} {base}H{WIDTH - RIGHT}"})
    for tick in x_axis.ticks:
        x = _text(_across(x_axis.place(tick.value) or 0.0))
        SubElement(axes, "path", {"class": "base", "d": f"M{x} {base}v4"})
        SubElement(axes, "text", {"x": x, "y": str(base + 18), "text-anchor": "middle"}).text = tick.label
    SubElement(axes, "text", {"class": "name", "x": str(WIDTH - RIGHT), "y": str(HEIGHT - 5),
                              "text-anchor": "end"}).text = _plain(chart.x)


_Placed = tuple[float, float | None, tuple[float, float] | None]
"""x and y of a point, and where it is drawn."""


def _draw_series(group: Element, chart: Chart, series: Series, look: int, placed: Sequence[_Placed]) -> None:
    shown = [at for _, _, at in placed if at is not None]
    if chart.lines:
        SubElement(group, "path", {"class": "line", "d": _line(placed)})
    if look or not chart.lines:
        stride = max(1, math.ceil(len(shown) / MOST_MARKS)) if chart.lines else 1
        for x, y in {*shown[stride - 1::stride], *shown[-1:]}:
            _mark(group, look, x, y)
    if look:
        best = next((at for x, _, at in placed if at is not None and x == series.best), None)
        if best is not None:
            SubElement(group, "circle", {"class": "best", "cx": _text(best[0]), "cy": _text(best[1]), "r": "7"})


def _draw_hints(root: Element, chart: Chart, x_axis: Axis, y_axis: Axis) -> None:
    """Points that say their numbers, as long as there are not too many."""
    left = MOST_HINTS
    group = SubElement(root, "g", {"class": "hints"})
    for series in chart.series:
        points = _thinned(series.points, MOST_POINTS)
        left -= len(points)
        if left < 0:
            return
        for x, y in points:
            at = _at(x_axis, y_axis, x, y)
            if at is not None:
                hint = SubElement(group, "circle", {"cx": _text(at[0]), "cy": _text(at[1]), "r": "7"})
                SubElement(hint, "title").text = _plain(f"{series.name}, {chart.x} {number(x)}: {number(y)}")


def _line(placed: Sequence[_Placed]) -> str:
    """A path through the points; it begins anew after a gap, and of a single point there is a dot."""
    parts, before = [], False
    for i, (_, _, at) in enumerate(placed):
        if at is not None:
            alone = not before and (i + 1 == len(placed) or placed[i + 1][2] is None)
            parts.append(f"{'L' if before else 'M'}{_text(at[0])} {_text(at[1])}{'h0' if alone else ''}")
        before = at is not None
    return "".join(parts)


def _mark(group: Element, look: int, x: float, y: float) -> None:
    SubElement(group, "path", {"class": "point", "d": _MARKS[max(0, look - 1)], "transform": f"translate({_text(x)} {_text(y)})"})


def _sample(look: int, *, lines: bool) -> str:
    root = Element("svg", {"class": "sample", "viewBox": "0 0 32 12", "width": "32", "height": "12", "aria-hidden": "true"})
    group = SubElement(root, "g", {"class": f"series series-{look}"})
    if lines:
        SubElement(group, "path", {"class": "line", "d": "M1 6H31"})
    if look or not lines:
        _mark(group, look, 16, 6)
    return tostring(root, encoding="unicode")


def _thinned(points: Sequence[tuple[float, float | None]], most: int) -> list[tuple[float, float | None]]:
    """The points, or every so many and the last one."""
    known = [(x, y) for x, y in points if usable(x) is not None]
    stride = math.ceil(len(known) / most)
    return known if stride <= 1 else [*known[:-1:stride], known[-1]]


def _at(x_axis: Axis, y_axis: Axis, x: float, y: float | None) -> tuple[float, float] | None:
    right, up = x_axis.place(x), y_axis.place(y)
    return None if right is None or up is None else (_across(right), _down(up))


def _across(part: float) -> float:
    return LEFT + part * (WIDTH - LEFT - RIGHT)


def _down(part: float) -> float:
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def _text(coordinate: float) -> str:
    return f"{coordinate:.1f}".removesuffix(".0")


def _plain(text: str) -> str:
    """The text without what may not stand in XML."""
    return "".join(_allowed(text))


def _allowed(text: str) -> Iterator[str]:
    for character in text:
        yield character if character.isprintable() else " "
