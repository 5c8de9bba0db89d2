"""The ones of one-hot and multi-hot features, and the two forms in which they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import Hot


@dataclass(frozen=True, kw_only=True)
class Ones:
    """Where the ones of a matrix are, in any order; one may be named twice."""

    rows: NDArray[np.integer[Any]]
    columns: NDArray[np.integer[Any]]

    @classmethod
    def where(cls, rows: NDArray[np.integer[Any]], columns: NDArray[np.integer[Any]]) -> "Ones":
        """A one for each pair; a column of -1 is none."""
        known = columns >= 0
        return cls(rows=rows, columns=columns) if known.all() else cls(rows=rows[known], columns=columns[known])

    @classmethod
    def beside(cls, parts: Sequence["Ones"], widths: Sequence[int]) -> "Ones":
        """The ones of matrices of these widths that are put side by side."""
        starts = np.cumsum([0, *widths[:-1]])
        if len(parts) == 1:
            return parts[0]
        return cls(rows=np.concatenate([part.rows for part in parts]) if parts else np.empty(0, dtype=np.int64),
                   columns=np.concatenate([part.columns + start for part, start in zip(parts, starts, strict=True)])
                   if parts else np.empty(0, dtype=np.int64))

    def mark(self, out: NDArray[np.float32]) -> None:
        """Set them in a matrix of zeros."""
        out[self.rows, self.columns] = 1

    def to_hot(self, *, rows: int, width: int) -> Hot:
        """The sparse matrix of so many rows and columns that has these ones."""
        if len(self.rows) <= rows and (np.diff(self.rows) > 0).all():  # one in a row at most, and in order
            indptr = np.zeros(rows + 1, dtype=np.int64)
            indptr[self.rows + 1] = 1
            return Hot(width=width, indptr=np.cumsum(indptr, out=indptr), indices=self.columns.astype(np.int32))
        keys = self.rows.astype(np.int64) << 32
        keys |= self.columns
        if len(keys) and not (np.diff(keys) > 0).all():
            keys.sort()
            keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        indptr = np.zeros(rows + 1, dtype=np.int64)
        np.cumsum(np.bincount(keys >> 32, minlength=rows), out=indptr[1:])
        return Hot(width=width, indptr=indptr, indices=keys.astype(np.int32))


def stack(parts: Sequence[Hot]) -> Hot:
    """The rows of all the matrices, one after another."""
    if len(parts) == 1:
        return parts[0]
    indptr = np.zeros(sum(map(len, parts)) + 1, dtype=np.int64)
    row = 0
    for part in parts:
        indptr[row + 1:row + len(part) + 1] = part.indptr[1:] + indptr[row]
        row += len(part)
    return Hot(width=parts[0].width, indptr=indptr, indices=np.concatenate([part.indices for part in parts]))
