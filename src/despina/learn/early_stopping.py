"""When to stop training."""

from collections import deque
from collections.abc import Iterable


class EarlyStopping:
    """Stops when the newest value of the metric is worse than the mean of the ``window`` values before it.

    Source: Neptune user guide, "Improving model performance" (``enable-early-stop``, ``window-for-early-stop``). The guide does not
    say whether the mean includes the newest value; here it does not.
    """

    def __init__(self, window: int, values: Iterable[float] = ()) -> None:
        self.window = window
        self._last: deque[float] = deque(values, maxlen=window)

    @property
    def values(self) -> tuple[float, ...]:
        """Those that the next one will be compared with."""
        return tuple(self._last)

    def stops_at(self, value: float) -> bool:
        """Note a new value (higher is better), and tell whether training is to stop."""
        full = len(self._last) == self._last.maxlen
        # Summed as differences, since rounding puts the mean of equal values above them: three times 0.1 would stop.
        worse = full and sum(value - earlier for earlier in self._last) < 0
        self._last.append(value)
        return worse
