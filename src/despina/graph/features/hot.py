"""Marking cells of a one-hot or multi-hot matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mark(out: NDArray[np.float32], rows: NDArray[Any], codes: NDArray[Any]) -> None:
    """Set ``out[row, code]`` to 1 for each pair; a code of -1 has no column."""
    known = codes >= 0
    if not known.all():
        rows, codes = rows[known], codes[known]
    out[rows, codes] = 1
