"""Reading the node and edge files of an export: node files give every type its ids, edge files become pairs of node indices.

Files are read a stretch at a time: some are parsed ahead by other threads while the ids of one are looked up.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from despina.graph.dictionary import Dictionary
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.features.options import Feature, FeatureType
from despina.graph.graph import EdgeType
from despina.graph.growing import Growing
from despina.graph.node_index import NodeIndex
from despina.graph.schema import CLASSIFICATIONS, EdgeFile, Label, NodeFile, check_agreement
from despina.graph.tables import Keep, Table, TableBuilder, find_file, in_order

PARSERS = 3
"""Threads that parse stretches of a file and look up ids: more than cores, since each now and then waits for another."""


@dataclass(frozen=True, kw_only=True)
class NodeTable:
    """What files say of the nodes of one type."""

    table: Table
    order: NDArray[np.int32] | None
    """The node index of each row; None: 0, 1, 2, …"""
    features: tuple[Feature, ...]
    label: Label | None
    dropped: int
    """Rows of its files that had no content."""


@dataclass(frozen=True, kw_only=True)
class EdgeTable:
    """What files say of the edges of one type, in the order of the files."""

    sources: NDArray[np.int32]
    destinations: NDArray[np.int32]
    table: Table
    """The columns of features and labels."""
    features: tuple[Feature, ...]
    label: Label | None
    dropped: int = 0
    """Rows of its files that had no content."""


def read_nodes(folder: Path, files: Sequence[NodeFile], index: NodeIndex, findings: Findings,
               step: Callable[[], None]) -> dict[str, NodeTable]:
    """Each type's columns of features and labels; the ids go to the index.

    Cells that are not what they should be are noted, and reading goes on; without all ids of a type it cannot.

    Raises:
        InputFault: ``findings`` has noted what is wrong with a whole file, or with ids.
    """
    keep = _kept(files)
    builders: dict[str, TableBuilder] = {}
    dictionaries: dict[str, dict[str, Dictionary]] = {}
    complete = True
    with ThreadPoolExecutor(PARSERS) as parsers:
        for file in files:
            wanted = {column: keep[file.node_type][column] for column in _keep(file.features, file.label)}
            builder, whole = builders.setdefault(file.node_type, TableBuilder()), False
            with findings.gather():
                for table in Table.batches(find_file(folder, file.file_name, file.separator), wanted | {file.id_column: Keep.TEXT},
                                           dictionaries.setdefault(file.node_type, {}), pool=parsers, findings=findings):
                    builder.add(table)
                whole = True
            complete &= whole
            step()
    if not complete:
        findings.check()
    tables: dict[str, NodeTable] = {}
    for node_type, builder in builders.items():
        together = [file for file in files if file.node_type == node_type]
        table = builder.take()
        with findings.gather():
            order = index.declare(node_type, table, together[0].id_column)
            needed = [name for file in together for name in _keep(file.features, file.label)]
            tables[node_type] = NodeTable(table=table.select(needed), order=order, features=_features(together),
                                          label=_label(together), dropped=table.dropped)
    if len(tables) < len(builders):
        findings.check()
    return tables


def read_edges(folder: Path, files: Sequence[EdgeFile], index: NodeIndex, findings: Findings,
               step: Callable[[], None]) -> Iterator[tuple[EdgeType, EdgeTable]]:
    """The edges of each type, once all files are read; what was given out is forgotten here.

    Raises:
        InputFault: a name is needed for reverse edges. What is wrong with a file is noted in ``findings``, and then no edges are
            given out.
    """
    before = len(findings)
    with ThreadPoolExecutor(PARSERS) as parsers:
        reading = _EdgeReading(folder=folder, index=index, parsers=parsers, findings=findings, keep=_kept(files))
        for file in files:
            with findings.gather():
                reading.take(file)
            step()
    if len(findings) > before:
        return
    bundles = reading.bundles
    for edge_type in bundles:
        if edge_type.reverse in bundles:
            raise InputFault(Fault.CONTRADICTION, f"there are edges of type {edge_type} and of type {edge_type.reverse}; the "
                             "second name is kept for the reverse edges of the first: rename one of the relations")
    for edge_type in list(bundles):
        yield edge_type, bundles.pop(edge_type).take()


@dataclass(kw_only=True)
class _Bundle:
    """The edges of one type as read so far."""

    sources: Growing = field(default_factory=lambda: Growing(np.int32))
    destinations: Growing = field(default_factory=lambda: Growing(np.int32))
    table: TableBuilder = field(default_factory=TableBuilder)
    files: list[EdgeFile] = field(default_factory=list)

    def take(self) -> EdgeTable:
        """All of them; the bundle is not used afterwards."""
        table = self.table.take()
        return EdgeTable(sources=self.sources.take(), destinations=self.destinations.take(), table=table, dropped=table.dropped,
                         features=_features(self.files), label=_label(self.files))


@dataclass(kw_only=True)
class _EdgeReading:
    """What is known while edge files are read."""

    folder: Path
    index: NodeIndex
    parsers: ThreadPoolExecutor
    findings: Findings
    keep: dict[str, dict[str, Keep]]
    bundles: dict[EdgeType, _Bundle] = field(default_factory=dict)
    dictionaries: dict[str, dict[str, Dictionary]] = field(default_factory=dict)

    def take(self, file: EdgeFile) -> None:
        """Read a file. Raises InputFault for what is wrong in it."""
        ends = _ends(file)
        kept = {column: self.keep[ends][column] for column in _keep(file.features, file.label)}
        keep = kept | {file.source_column: Keep.TEXT, file.destination_column: Keep.TEXT}
        if file.relation_column:
            keep[file.relation_column] = Keep.TEXT
        dictionaries = self.dictionaries.setdefault(ends, {})
        tables = Table.batches(find_file(self.folder, file.file_name, file.separator), keep, dictionaries, pool=self.parsers,
                               findings=self.findings)
        declared = self.index.is_declared(file.source_type) and self.index.is_declared(file.destination_type)
        # Nodes that are added as they are met get their indices in the order of the file.
        located = in_order((partial(self._located, file, table) for table in tables), self.parsers if declared else None)
        for table, sources, destinations in located:
            for relation, rows in _relations(file, table):
                edge_type = EdgeType(file.source_type, relation, file.destination_type)
                bundle = self.bundles.setdefault(edge_type, _Bundle())
                bundle.sources.append(sources if rows is None else sources[rows])
                bundle.destinations.append(destinations if rows is None else destinations[rows])
                bundle.table.add(table.select(list(kept), rows))
                if file not in bundle.files:
                    bundle.files.append(file)
                    check_agreement(f"edge type {edge_type}", bundle.files)

    def _located(self, file: EdgeFile, table: Table) -> tuple[Table, NDArray[np.int32], NDArray[np.int32]]:
        """The table, and the node indices of both ends of its edges."""
        ends, findings = [], Findings()
        for node_type, column in ((file.source_type, file.source_column), (file.destination_type, file.destination_column)):
            with findings.gather():
                ends.append(self.index.look_up(node_type, table.column(column)))
        findings.check()
        sources, destinations = ends
        return table, sources, destinations


def _relations(file: EdgeFile, table: Table) -> Iterator[tuple[str, NDArray[np.bool_] | None]]:
    """The relations in a table and the rows of each; None for all."""
    if not file.relation_column:
        yield file.relation, None
        return
    column = table.column(file.relation_column)
    column.refuse(column.missing, Fault.MISSING_VALUE, "; every edge must have a relation")
    codes, values = column.coded
    for code, value in enumerate(values):
        yield f"{file.relation}-{value}" if file.relation else value, codes == code


def _ends(file: NodeFile | EdgeFile) -> str:
    """What files share whose rows may come to be of one type: the node type, or the types of both ends."""
    return file.node_type if isinstance(file, NodeFile) else f"{file.source_type}\0{file.destination_type}"


def _kept(files: Sequence[NodeFile | EdgeFile]) -> dict[str, dict[str, Keep]]:
    """The form of each column, the same in all files whose rows may come to be of one type: text where they differ."""
    keep: dict[str, dict[str, Keep]] = {}
    for file in files:
        known = keep.setdefault(_ends(file), {})
        for column, form in _keep(file.features, file.label).items():
            known[column] = form if known.get(column, form) is form else Keep.TEXT
    return keep


def _keep(features: Sequence[Feature], label: Label | None) -> dict[str, Keep]:
    """The columns that features and a label need, and the form in which they are kept."""
    forms = [(feature.column, _form(feature)) for feature in features]
    if label is not None and label.column:
        forms.append((label.column, Keep.CODES if label.task in CLASSIFICATIONS else Keep.NUMBERS))
    keep: dict[str, Keep] = {}
    for column, form in forms:
        keep[column] = form if keep.get(column, form) is form else Keep.TEXT
    return keep


def _form(feature: Feature) -> Keep:
    match feature.type:
        case FeatureType.NUMERICAL | FeatureType.BUCKET_NUMERICAL if feature.separator is None:
            return Keep.NUMBERS
        case FeatureType.CATEGORY | FeatureType.DATETIME | FeatureType.AUTO:
            return Keep.CODES
        case _:
            return Keep.TEXT


def _features(files: Sequence[NodeFile | EdgeFile]) -> tuple[Feature, ...]:
    """The features of a type, whichever of its files has them."""
    return tuple({feature.name: feature for file in files for feature in file.features}.values())


def _label(files: Sequence[NodeFile | EdgeFile]) -> Label | None:
    return next((file.label for file in files if file.label), None)
