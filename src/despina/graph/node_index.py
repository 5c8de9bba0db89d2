"""Raw ids to node indices, type by type."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.columns import Column
from despina.graph.dictionary import Dictionary
from despina.graph.faults import MOST, Fault
from despina.graph.ids import Ids
from despina.graph.tables import Table


@dataclass(kw_only=True)
class _Known:
    """The nodes of one type."""

    ids: Dictionary = field(default_factory=Dictionary)
    declared: str = ""
    """The files that have all of them, or nothing."""
    earlier: int = 0
    """The first so many are nodes of the graph that this one continues."""
    seen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    """``[earlier]``: which of those are still there."""

    def alive(self, indices: NDArray[np.int32]) -> NDArray[np.int32]:
        """The same, with -1 for earlier nodes that are not there any more."""
        if not self.earlier or not self.declared:
            return indices
        gone = (indices >= 0) & (indices < self.earlier)
        gone[gone] = ~self.seen[indices[gone]]
        return np.where(gone, np.int32(-1), indices)

    def note(self, indices: NDArray[np.int32]) -> NDArray[np.int32]:
        if self.earlier:
            self.seen[indices[indices < self.earlier]] = True
        return indices


class NodeIndex:
    """The index of each node in its type. A type without a file of its own gets its nodes from the edges that name them.

    Args:
        earlier: The nodes of a graph that this one continues: they keep their indices, and new nodes come after them.
    """

    def __init__(self, earlier: Mapping[str, Ids] | None = None) -> None:
        self._known: dict[str, _Known] = {}
        for node_type, ids in (earlier or {}).items():
            known = self._known[node_type] = _Known(earlier=len(ids), seen=np.zeros(len(ids), dtype=np.bool_))
            known.ids.append(pl.Series(list(ids), dtype=pl.String))

    @property
    def counts(self) -> dict[str, int]:
        """Node type → number of indices."""
        return {node_type: len(known.ids) for node_type, known in self._known.items()}

    def ids(self) -> dict[str, Ids]:
        """Node type → raw ids by node index."""
        return {node_type: known.ids.ids() for node_type, known in self._known.items()}

    def is_declared(self, node_type: str) -> bool:
        """Whether files have all nodes of the type."""
        return node_type in self._known and bool(self._known[node_type].declared)

    def removed(self) -> dict[str, NDArray[np.int32]]:
        """Node type → the indices of earlier nodes that are not there any more; types that lost none are left out."""
        gone = {node_type: np.flatnonzero(~known.seen).astype(np.int32) for node_type, known in self._known.items()}
        return {node_type: indices for node_type, indices in gone.items() if len(indices)}

    def added(self) -> int:
        """How many nodes are new."""
        return sum(len(known.ids) - known.earlier for known in self._known.values())

    def declare(self, node_type: str, table: Table, id_column: str) -> NDArray[np.int32] | None:
        """Take the nodes of a table, which are all there are of the type.

        Returns:
            The index of each row; None when they are 0, 1, 2, …

        Raises:
            InputFault: an id is missing or there twice.
        """
        column = table.column(id_column)
        column.refuse(column.missing, Fault.MISSING_ID, "; every node must have an id")
        known = self._known.setdefault(node_type, _Known())
        if known.earlier:
            self._refuse_repeated(node_type, table, column)
            indices = known.note(known.ids.add(column.text))
        else:
            indices = None
            if not known.ids.append(column.text):
                self._refuse_repeated(node_type, table, column)
        known.declared = ", ".join(file.name for file in table.files)
        return indices

    def close(self, node_type: str) -> None:
        """Say that there are no nodes of an earlier type, unless files have some."""
        if not self._known[node_type].declared:
            self._known[node_type].declared = "any file of this export"

    def look_up(self, node_type: str, column: Column) -> NDArray[np.int32]:
        """The indices of the ids in a column of an edge file. Raises InputFault for missing or unknown ids."""
        known, missing = self._known.setdefault(node_type, _Known()), column.missing
        nothing = f"; it must be the id of a node of type '{node_type}'"
        if not known.declared:
            column.refuse(missing, Fault.DANGLING_EDGE, nothing)
            return known.note(known.ids.add(column.text))
        indices = self.find(node_type, column.text)
        unknown = np.flatnonzero(indices < 0)
        if len(unknown):
            raise column.errors(unknown[:MOST].tolist(), Fault.DANGLING_EDGE, lambda row: (
                nothing if missing[row] else f" is the id of no node of type '{node_type}' in {known.declared}"))
        return indices

    def find(self, node_type: str, text: pl.Series) -> NDArray[np.int32]:
        """The indices of ids; -1 for those that are missing or unknown."""
        known = self._known.get(node_type)
        if known is not None and not text.null_count():
            return known.alive(known.ids.find(text))
        indices = np.full(len(text), -1, dtype=np.int32)
        if known is not None:
            indices[text.is_not_null().to_numpy()] = known.alive(known.ids.find(text.drop_nulls()))
        return indices

    def _refuse_repeated(self, node_type: str, table: Table, column: Column) -> None:
        repeated = ~column.text.is_first_distinct()
        if not repeated.any():
            return
        rows = repeated.arg_true().head(20).to_list()
        firsts = {row: int((column.text == column.text[row]).arg_max() or 0) for row in rows}
        raise column.errors(rows, Fault.DUPLICATE_ID, lambda row: (
            f" is the id of another node of type '{node_type}' already ({table.place(firsts[row])}); ids must be unique"))
