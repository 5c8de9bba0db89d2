"""How times, durations and numbers read on a page. All times are UTC: jobs are read about by people in several places."""

from datetime import UTC, datetime


def when(ms: int) -> str:
    """``2026-11-29 09:42:05 UTC``."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(ms: int) -> str:
    """``2026-11-29T09:42:05.123Z``, for the ``datetime`` of ``<time>``."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def duration(ms: int) -> str:
    """Two units at most: ``0.7 s``, ``42 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``. ``console.js`` has the same rule."""
    seconds = max(ms, 0) / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, rest in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            less = whole % size // smaller
            return f"{whole // size} {unit} {less} {rest}" if less else f"{whole // size} {unit}"
    return f"{whole} s"


def first_line(text: str | None, most: int = 200) -> str:
    """The first line of a text, cut if it is long; empty for none."""
    line = (text or "").strip().partition("\n")[0]
    return line if len(line) <= most else f"{line[:most - 1]}…"


def person(arn: str | None) -> str:
    """The end of a principal's ARN, which people know it by: ``alice`` of ``arn:aws:iam::123456789012:user/alice``."""
    return arn.partition(":user/")[2] or arn.rpartition(":")[2] if arn else ""
