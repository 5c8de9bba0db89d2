"""An array that grows at its end."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Growing:
    """Collects values of one kind of which it is not known how many there will be, without ever holding them twice.

    A large block of memory is made larger by the operating system without being copied.
    """

    def __init__(self, dtype: type[np.generic]) -> None:
        self._values: NDArray[Any] = np.empty(1024, dtype=dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The kind of the values."""
        return self._values.dtype

    def append(self, values: NDArray[Any]) -> None:
        """Add values at the end."""
        end = self._size + len(values)
        if end > len(self._values):
            self._values.resize(max(end, len(self._values) + len(self._values) // 4), refcheck=False)
        self._values[self._size:end] = values
        self._size = end

    def take(self) -> NDArray[Any]:
        """All values; the collection is not used afterwards."""
        self._values.resize(self._size, refcheck=False)
        return self._values
