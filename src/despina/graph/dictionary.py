"""Texts as numbers: a growing dictionary that codes columns of many millions of texts, a stretch at a time.

It is an open-addressing hash table over the 64-bit hashes of the texts, worked on by whole arrays. Texts added together never share
a hash (another seed is taken then). The chance that a text looked up later has the hash of another one is its number times the size
of the dictionary over 2⁶⁴: for ten million of each, five in a million.
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.ids import Ids

_FREE = -1
_STRETCH = 1 << 20
"""So many texts are looked up at a time: few enough for their positions to stay in the processor's cache."""


class Dictionary:
    """Different texts, coded 0, 1, 2, … in the order in which they are added."""

    def __init__(self) -> None:
        self._texts: list[pl.Series] = []
        self._size = 0
        self._seed = 0
        self._known = np.zeros(1, dtype=np.uint64)
        """The hashes by code, and room for more."""
        self._codes = np.full(1, _FREE, dtype=np.int32)
        """The table: a code, or free."""

    def __len__(self) -> int:
        return self._size

    @property
    def texts(self) -> pl.Series:
        """All texts by their codes."""
        if len(self._texts) != 1:
            self._texts = [pl.concat(self._texts) if self._texts else pl.Series([], dtype=pl.String)]
        return self._texts[0]

    def find(self, texts: pl.Series) -> NDArray[np.int32]:
        """The codes of texts without nulls; -1 for what is not in the dictionary."""
        return self._find(self._hashes(texts))

    def add(self, texts: pl.Series) -> NDArray[np.int32]:
        """The codes of texts without nulls, which are added where they are new."""
        hashes = self._hashes(texts)
        codes = self._find(hashes)
        unknown = codes == _FREE
        if not unknown.any():
            return codes
        new = texts.filter(pl.Series(unknown)) if not unknown.all() else texts
        self._append(new.unique(maintain_order=True))
        codes[unknown] = self._find(self._hashes(new))
        return codes

    def append(self, texts: pl.Series) -> bool:
        """Add texts that are all different and all new. False, and nothing is added, when they are not."""
        if repeats(self._hashes(texts)) and texts.n_unique() < len(texts):
            return False
        if self._size and (self.find(texts) != _FREE).any():
            return False
        self._append(texts)
        return True

    def ids(self) -> Ids:
        """The texts in the form in which a graph keeps them."""
        return to_ids(self.texts)

    def _append(self, new: pl.Series) -> None:
        self._texts.append(new.rechunk())
        hashes, first, needed = self._hashes(new), self._size, self._size + len(new)
        while repeats(hashes):
            self._seed += 1
            hashes, first = self._hashes(self.texts), 0  # the older ones are coded anew then, too
        if first < self._size or 3 * needed > len(self._codes):
            capacity = max(16, 1 << (3 * needed - 1).bit_length())
            hashes, first = np.concatenate([self._known[:first], hashes]), 0
            self._known = np.zeros(capacity // 3, dtype=np.uint64)
            self._codes = np.full(capacity, _FREE, dtype=np.int32)
        self._known[first:needed] = hashes
        self._insert(hashes, first=first)
        self._size = needed

    def _hashes(self, texts: pl.Series) -> NDArray[np.uint64]:
        return texts.hash(self._seed).to_numpy()

    def _insert(self, hashes: NDArray[np.uint64], *, first: int) -> None:
        """Put the codes from ``first`` on, of hashes that are all different, into the table that has none of them."""
        mask = np.uint64(len(self._codes) - 1)
        codes = np.arange(first, first + len(hashes), dtype=np.int32)
        slots = (hashes & mask).view(np.intp)
        while len(codes):
            free = self._codes[slots] == _FREE
            self._codes[slots[free]] = codes[free]  # of several for one slot, one wins
            lost = self._codes[slots] != codes
            codes, slots = codes[lost], (slots[lost] + 1) & np.intp(mask)

    def _find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        found = np.empty(len(hashes), dtype=np.int32)
        for start in range(0, len(hashes), _STRETCH):
            found[start:start + _STRETCH] = self._look(hashes[start:start + _STRETCH])
        return found

    def _look(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        mask = np.uint64(len(self._codes) - 1)
        slots = (hashes & mask).view(np.intp)
        found = self._codes.take(slots)  # take lets other threads run, indexing does not
        wrong = np.flatnonzero(self._differ(found, hashes))
        slots, hashes = slots[wrong], hashes[wrong]
        while len(wrong):
            slots = (slots + 1) & np.intp(mask)
            there = self._codes.take(slots)
            found[wrong] = there
            on = self._differ(there, hashes)
            wrong, slots, hashes = wrong[on], slots[on], hashes[on]
        return found

    def _differ(self, codes: NDArray[np.int32], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Where a code stands, but for another hash."""
        return np.asarray((self._known.take(codes, mode="clip") != hashes) & (codes != _FREE))


def repeats(values: NDArray[np.integer[Any]]) -> bool:
    """Whether any value is there twice."""
    in_order = np.sort(values)
    return bool((in_order[1:] == in_order[:-1]).any())


def to_ids(texts: pl.Series) -> Ids:
    """Texts without nulls as ``Ids``."""
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(texts.str.len_bytes().to_numpy(), out=offsets[1:])
    # Joined a stretch at a time: a single text cannot be longer than 4 GiB.
    parts = [str(texts[start:start + _STRETCH].str.join("").item()).encode() for start in range(0, len(texts), _STRETCH)]
    return Ids(np.frombuffer(b"".join(parts), dtype=np.uint8), offsets)
