"""The files that list which nodes or edges belong to the training, validation and test part."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.graph import EdgeType
from despina.graph.node_index import NodeIndex
from despina.graph.schema import SplitFiles
from despina.graph.splits import Split, mask_of
from despina.graph.tables import Table, find_file

RELATION = "~label"
"""A column by which one file can list the edges of several relations."""
MOST_NAMED = 10
"""Relations that a message lists."""


class Members(Protocol):
    """The nodes or edges of one type, as split files name them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that name a member; messages are about the first."""
        ...

    def __len__(self) -> int: ...

    def find(self, table: Table) -> "Found":
        """The members that the rows of a split file name.

        Raises:
            InputFault: a row names none; in a file with the column ``~label`` it may name an edge of another type.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the rows of a split file name."""

    members: NDArray[np.integer[Any]]
    """Indices of nodes, or rows of edges."""
    rows: NDArray[np.integer[Any]]
    """The row of the split file that names each: several edges can lie between the same two nodes."""
    named: NDArray[np.bool_]
    """Which rows name any."""


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
        column.refuse(column.missing, Fault.INVALID_SPLIT, f"; it must be the ~id of a node of type '{self._node_type}'")
        members = self._index.find(self._node_type, column.text)
        column.refuse(members < 0, Fault.INVALID_SPLIT, f" is the ~id of no node of type '{self._node_type}'")
        repeated = ~pl.Series(members).is_first_distinct()
        column.refuse(repeated, Fault.INVALID_SPLIT, " is listed twice")
        return Found(members=members, rows=np.arange(len(members)), named=np.ones(len(members), dtype=np.bool_))


class EdgeMembers:
    """The edges of one type."""

    columns: tuple[str, ...] = ("~from", "~to")

    def __init__(self, edge_type: EdgeType, sources: NDArray[np.int32], destinations: NDArray[np.int32], index: NodeIndex) -> None:
        self.type, self._index = edge_type, index
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
        """All edges between the two nodes of each row."""
        sources = self._index.find(self.type.source, table.column("~from").text)
        destinations = self._index.find(self.type.destination, table.column("~to").text)
        several = table.has(RELATION)
        own = _of_relation(table, self.type.relation) if several else np.ones(len(table), dtype=np.bool_)
        rows = np.flatnonzero(own & (sources >= 0) & (destinations >= 0))
        keys = _pairs(sources[rows], destinations[rows])
        known, rows_of_known = self._sorted
        first, last = np.searchsorted(known, keys, "left"), np.searchsorted(known, keys, "right")
        counts = last - first
        named = np.zeros(len(table), dtype=np.bool_)
        named[rows] = counts > 0
        if not several:
            self.refuse_nameless(table, ~named, [self.type])
        ends_at = np.cumsum(counts)
        positions = np.arange(counts.sum()) + np.repeat(first - ends_at + counts, counts)
        members, rows = rows_of_known[positions], np.repeat(rows, counts)
        _, kept = np.unique(members, return_index=True)  # a pair listed for each of its edges names all of them every time
        return Found(members=members[kept], rows=rows[kept], named=named)

    def refuse_nameless(self, table: Table, rows: NDArray[np.bool_], edge_types: Sequence[EdgeType]) -> None:
        """Raise InputFault about these rows of a split file, which name no edge of these types, if there are any."""
        if not rows.any():
            return
        for column, node_types in (("~from", {edge_type.source for edge_type in edge_types}),
                                   ("~to", {edge_type.destination for edge_type in edge_types})):
            cells, names = table.column(column), " or ".join(f"'{node_type}'" for node_type in sorted(node_types))
            cells.refuse(rows & cells.missing, Fault.INVALID_SPLIT, f"; it must be the id of a node of type {names}")
            unknown = np.logical_and.reduce([self._index.find(node_type, cells.text) < 0 for node_type in node_types])
            cells.refuse(rows & unknown, Fault.INVALID_SPLIT, f" is the id of no node of type {names}")
        table.column("~from").refuse(rows, Fault.INVALID_SPLIT, f": no edge of type {' or '.join(map(str, edge_types))} goes from "
                                     "there to the node in the column '~to'")


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


def refuse_unclaimed(listed: Iterable[tuple[Members, ListedPart]], findings: Findings) -> None:
    """Note the rows of split files with the column ``~label`` that name no edge of any of the types that the file divides.

    Args:
        listed: what the types have found in their split files.
        findings: collects what is wrong.
    """
    files: dict[Path, list[tuple[EdgeMembers, ListedPart]]] = {}
    for members, part in listed:
        if isinstance(members, EdgeMembers) and part.table.has(RELATION):
            files.setdefault(part.table.files[0].path, []).append((members, part))
    for readers in files.values():
        unclaimed = ~np.logical_or.reduce([part.found.named for _, part in readers])
        if unclaimed.any():
            edge_types = list(dict.fromkeys(members.type for members, _ in readers))
            _note_unclaimed(readers[0][1].table, unclaimed, edge_types, readers[0][0], findings)


def _note_unclaimed(table: Table, rows: NDArray[np.bool_], edge_types: Sequence[EdgeType], members: EdgeMembers,
                    findings: Findings) -> None:
    """Note these rows of a split file: those of a relation of these types, which name no edge, and those of any other."""
    relations = list(dict.fromkeys(edge_type.relation for edge_type in edge_types))
    others = rows.copy()
    for relation in relations:
        own = _of_relation(table, relation)
        with findings.gather():
            members.refuse_nameless(table, rows & own, [edge_type for edge_type in edge_types if edge_type.relation == relation])
        others &= ~own
    shown = ", ".join(relations[:MOST_NAMED]) + " …" * (len(relations) > MOST_NAMED)
    with findings.gather():
        table.column(RELATION).refuse(others, Fault.INVALID_SPLIT, f"; it must be the relation of edges that the file divides: "
                                      f"{shown}")


def split_as_listed(listed: dict[str, ListedPart], labelled: NDArray[np.bool_], column: str) -> Split:
    """The masks of the parts.

    Args:
        listed: the parts.
        labelled: which members have a label.
        column: the column of a split file that messages are about.

    Raises:
        InputFault: nothing that a row names has a label, or something is in two parts.
    """
    masks = {part: np.zeros(len(labelled), dtype=np.bool_) for part in ("train", "valid", "test")}
    for part, entry in listed.items():
        found, cells = entry.found, entry.table.column(column)
        there = labelled[found.members]
        members, rows = found.members[there], found.rows[there]  # of the edges between two nodes, those that have a label
        unlabelled = mask_of(len(cells), found.rows) & ~mask_of(len(cells), rows)
        cells.refuse(unlabelled, Fault.INVALID_SPLIT, " has no label; leave it out of the split files")
        for other, mask in masks.items():
            cells.refuse(mask_of(len(cells), rows[mask[members]]), Fault.INVALID_SPLIT,
                         f" is in the part '{other}' as well; parts must not overlap")
        masks[part][members] = True
    return Split(**masks)


def empty_training_part(listed: dict[str, ListedPart]) -> InputFault:
    """The error that there is nothing to learn from."""
    name = listed["train"].table.files[0].name
    return InputFault(Fault.INVALID_SPLIT, f"{name}: the training part is empty", file=name)


def _of_relation(table: Table, relation: str) -> NDArray[np.bool_]:
    """Which rows of a split file are about edges of this relation."""
    return (table.column(RELATION).text == relation).fill_null(value=False).to_numpy()


def _pairs(sources: NDArray[np.int32], destinations: NDArray[np.int32]) -> NDArray[np.int64]:
    return sources.astype(np.int64) << 32 | destinations.astype(np.int64)
