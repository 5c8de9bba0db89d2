"""The ones of one-hot and multi-hot features, and the two forms in which they are kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import Hot
from despina.graph.growing import Growing


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


def side_by_side(parts: Sequence[Hot]) -> Hot:
    """The columns of all the matrices, one matrix after another; there is one at least."""
    if len(parts) == 1:
        return parts[0]
    counts = [np.diff(part.indptr) for part in parts]
    indptr = np.zeros(len(parts[0]) + 1, dtype=np.int64)
    np.cumsum(np.sum(counts, axis=0), out=indptr[1:])
    indices = np.empty(indptr[-1], dtype=np.int32)
    following, start = indptr[:-1].copy(), 0
    for part, count in zip(parts, counts, strict=True):
        places = np.repeat(following - part.indptr[:-1], count)
        places += np.arange(len(places))
        indices[places] = part.indices + np.int32(start)
        following += count
        start += part.width
    return Hot(width=start, indptr=indptr, indices=indices)


def stack(parts: Iterable[Hot], *, rows: int, width: int) -> Hot:
    """So many rows of all the matrices, one after another, which are not all held at once."""
    indptr, indices, row = np.zeros(rows + 1, dtype=np.int64), Growing(np.int32), 0
    for part in parts:
        indptr[row + 1:row + len(part) + 1] = part.indptr[1:] + indptr[row]
        indices.append(part.indices)
        row += len(part)
    return Hot(width=width, indptr=indptr, indices=indices.take())
