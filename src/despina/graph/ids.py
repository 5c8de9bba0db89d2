"""Raw ids of nodes, many millions of them: one block of text and where each id begins in it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Ids(Sequence[str]):
    """The raw ids of one node type, by node index.

    Args:
        text: uint8 ``[bytes]``: all ids one after another, in UTF-8.
        offsets: int64 ``[n + 1]``: id ``i`` is ``text[offsets[i]:offsets[i + 1]]``.
    """

    def __init__(self, text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.text = text
        self.offsets = offsets

    @classmethod
    def of(cls, ids: Iterable[str]) -> "Ids":
        """The ids, in this order."""
        encoded = [name.encode("utf-8", "surrogatepass") for name in ids]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(name) for name in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        return self.text[self.offsets[position]:self.offsets[position + 1]].tobytes().decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        content, offsets = self.text.tobytes(), self.offsets.tolist()
        if content.isascii():  # a character is a byte: nothing to decode one by one
            letters = content.decode("ascii")
            return (letters[start:stop] for start, stop in pairwise(offsets))
        return (content[start:stop].decode("utf-8", "surrogatepass") for start, stop in pairwise(offsets))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Ids.of({list(self[:10])!r}{', …' if len(self) > 10 else ''})"
