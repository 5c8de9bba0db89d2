"""Text for people: tables, times, and the line that shows a running job's progress."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns padded to their widest cell, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    lines = ["  ".join(name.ljust(width) for name, width in zip(header, widths, strict=True)).rstrip()]
    for row, values in zip(cells, rows, strict=True):
        padded = (text.rjust(width) if isinstance(value, int | float) else text.ljust(width)
                  for text, value, width in zip(row, values, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def when(ms: int) -> str:
    """A time of day, UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def duration(ms: float | None) -> str:
    """A length of time, as in ``1 h 02 min``, ``3 min 05 s`` or ``4.2 s``."""
    if ms is None:
        return "-"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def progress(run: dict[str, Any], now: int) -> str:
    """One running or waiting run in words: how far, its metric, and when it will be over if it goes on like this."""
    said = run.get("progress")
    name = f"trial {run['number'] + 1}" if run["kind"] == "trial" else run["kind"]
    if run["state"] == "pending":
        return f"{name}: waits for cores or memory"
    if not said:
        return f"{name}: starting"
    words = f"{name}: {said['unit']} {said['step']}/{said['of']}"
    if said.get("metric") and said.get("value") is not None:
        words += f", {said['metric']} {said['value']:.4f}"
        if said.get("best") is not None:
            words += f" (best {said['best']:.4f})"
    eta = remaining(said, run.get("startedAt"), now)
    return f"{words}, {duration(eta)} left" if eta is not None else words


def remaining(said: dict[str, Any], started_at: int | None, now: int) -> float | None:
    """The time (ms) a run still takes at its average speed, or None while that is not known."""
    if not started_at or not said["step"] or said["step"] >= said["of"]:
        return None
    whole: float = (said["at"] - started_at) / said["step"] * said["of"]
    return max(0.0, whole - (now - started_at))
