"""The files that list which nodes or edges belong to the training, validation and test part."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType
from despina.graph.node_index import NodeIndex
from despina.graph.schema import SplitFiles
from despina.graph.splits import Split
from despina.graph.tables import Table, find_file

RELATION = "~label"
"""A column by which one file can list the edges of several relations."""


class Members(Protocol):
    """The nodes or edges of one type, as split files name them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that name a member; messages are about the first."""
        ...

    def __len__(self) -> int: ...

    def find(self, table: Table) -> "Found":
        """The members that the rows of a split file name. Raises InputFault for a row that names none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the rows of a split file name."""

    members: NDArray[np.integer[Any]]
    """Indices of nodes, or rows of edges."""
    rows: NDArray[np.integer[Any]]
    """The row of the split file that names each: several edges can lie between the same two nodes."""


class NodeMembers:
    """The nodes of one type."""

    columns: tuple[str, ...] = ("~id",)

    def __init__(self, node_type: str, index: NodeIndex) -> None:
        self._node_type, self._index = node_type, index

    def __len__(self) -> int:
        return self._index.counts[self._node_type]

    def find(self, table: Table) -> Found:
        """The node of each row."""
        column = table.column("~id")
        members = self._index.find(self._node_type, column.text)
        column.refuse(members < 0, Fault.INVALID_SPLIT, f" is the ~id of no node of type '{self._node_type}'")
        repeated = ~pl.Series(members).is_first_distinct()
        column.refuse(repeated, Fault.INVALID_SPLIT, " is listed twice")
        return Found(members=members, rows=np.arange(len(members)))


class EdgeMembers:
    """The edges of one type."""

    columns: tuple[str, ...] = ("~from", "~to")

    def __init__(self, edge_type: EdgeType, sources: NDArray[np.int32], destinations: NDArray[np.int32], index: NodeIndex) -> None:
        self._type, self._index = edge_type, index
        self._sources, self._destinations = sources, destinations

    def __len__(self) -> int:
        return len(self._sources)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All edges by their two nodes, packed in 64 bits, and the row of each."""
        keys = _pairs(self._sources, self._destinations)
        rows = np.argsort(keys, kind="stable")
        return keys[rows], rows

    def find(self, table: Table) -> Found:
        """All edges between the two nodes of each row. In a file with the column ``~label`` other relations count not."""
        ends = [self._index.find(node_type, table.column(column).text)
                for node_type, column in ((self._type.source, "~from"), (self._type.destination, "~to"))]
        listed = np.ones(len(table), dtype=np.bool_)
        if table.has(RELATION):
            relation = table.column(RELATION).text
            listed = ((relation == self._type.relation).fill_null(value=False).to_numpy() & (ends[0] >= 0) & (ends[1] >= 0))
        for codes, node_type, column in ((ends[0], self._type.source, "~from"), (ends[1], self._type.destination, "~to")):
            table.column(column).refuse(listed & (codes < 0), Fault.INVALID_SPLIT, f" is the id of no node of type '{node_type}'")
        rows = np.flatnonzero(listed)
        keys = _pairs(ends[0][rows], ends[1][rows])
        known, rows_of_known = self._sorted
        first, last = np.searchsorted(known, keys, "left"), np.searchsorted(known, keys, "right")
        unknown = np.zeros(len(table), dtype=np.bool_)
        unknown[rows] = first == last
        unknown[rows] &= not table.has(RELATION)
        table.column("~from").refuse(unknown, Fault.INVALID_SPLIT, f": no edge of type {self._type} goes from there to the node in "
                                     "the column '~to'")
        counts = last - first
        ends_at = np.cumsum(counts)
        positions = np.arange(counts.sum()) + np.repeat(first - ends_at + counts, counts)
        members, rows = rows_of_known[positions], np.repeat(rows, counts)
        _, kept = np.unique(members, return_index=True)  # a pair listed for each of its edges names all of them every time
        return Found(members=members[kept], rows=rows[kept])


@dataclass(frozen=True, kw_only=True)
class ListedPart:
    """One part as a file lists it."""

    found: Found
    table: Table


def read_split_files(folder: Path, files: SplitFiles, label: str, members: Members) -> dict[str, ListedPart]:
    """The parts that the files list.

    Args:
        folder: the export.
        files: their names.
        label: the column of labels, which a split file may have too; ``""`` for none.
        members: what can be listed.

    Raises:
        InputFault: a file is malformed, or a row names no member, or one a second time.
    """
    listed = {}
    for part, name in (("train", files.train), ("valid", files.valid), ("test", files.test)):
        if name is not None:
            table = Table.read(find_file(folder, name, ","), members.columns, optional=[RELATION, *([label] if label else [])])
            listed[part] = ListedPart(found=members.find(table), table=table)
    return listed


def split_as_listed(listed: dict[str, ListedPart], labelled: NDArray[np.bool_], column: Callable[[Table], str]) -> Split:
    """The masks of the parts.

    Args:
        listed: the parts.
        labelled: which members have a label.
        column: the column of a split file that messages are about.

    Raises:
        InputFault: a member that is listed has no label, or is in two parts.
    """
    masks = {part: np.zeros(len(labelled), dtype=np.bool_) for part in ("train", "valid", "test")}
    for part, entry in listed.items():
        found, cells = entry.found, entry.table.column(column(entry.table))
        _refuse(cells.refuse, len(entry.table), found, ~labelled[found.members], " has no label; leave it out of the split files")
        for other, mask in masks.items():
            _refuse(cells.refuse, len(entry.table), found, mask[found.members],
                    f" is in the part '{other}' as well; parts must not overlap")
        masks[part][found.members] = True
    return Split(**masks)


def _refuse(refuse: Callable[[NDArray[np.bool_], Fault, str], None], count: int, found: Found, wrong: NDArray[np.bool_],
            message: str) -> None:
    rows = np.zeros(count, dtype=np.bool_)
    rows[found.rows[wrong]] = True
    refuse(rows, Fault.INVALID_SPLIT, message)


def empty_training_part(listed: dict[str, ListedPart]) -> InputFault:
    """The error that there is nothing to learn from."""
    name = listed["train"].table.files[0].name
    return InputFault(Fault.INVALID_SPLIT, f"{name}: the training part is empty", file=name)


def _pairs(sources: NDArray[np.int32], destinations: NDArray[np.int32]) -> NDArray[np.int64]:
    return sources.astype(np.int64) << 32 | destinations.astype(np.int64)
