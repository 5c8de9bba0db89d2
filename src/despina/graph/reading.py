"""Reading the node and edge files of an export: node files give every type its ids, edge files become pairs of node indices.

Files are read a stretch at a time, while another thread looks up the ids of the stretch before.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from despina.graph.dictionary import Dictionary
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.features.options import Feature, FeatureType
from despina.graph.graph import EdgeType
from despina.graph.node_index import NodeIndex
from despina.graph.schema import CLASSIFICATIONS, EdgeFile, Label, NodeFile
from despina.graph.tables import Keep, Table, find_file

Item = TypeVar("Item")


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

    Raises:
        InputFault: ``findings`` has noted what is wrong with a file.
    """
    parts: dict[str, list[Table]] = {}
    dictionaries: dict[str, dict[str, Dictionary]] = {}
    for file in files:
        keep = _keep(file.features, file.label) | {file.id_column: Keep.TEXT}
        with findings.gather():
            batches = Table.batches(find_file(folder, file.file_name, file.separator), keep,
                                    dictionaries.setdefault(file.node_type, {}))
            parts.setdefault(file.node_type, []).extend(batches)
        step()
    findings.check()
    tables = {}
    for node_type, together in _by_type(files, lambda file: file.node_type).items():
        table = Table.concat(parts.pop(node_type))
        with findings.gather():
            order = index.declare(node_type, table, together[0].id_column)
            tables[node_type] = NodeTable(table=table.select([name for name in table.cells if name != together[0].id_column
                                                              or name in _columns(together)]),
                                          order=order, features=_features(together), label=_label(together),
                                          dropped=table.dropped)
    findings.check()
    return tables


def read_edges(folder: Path, files: Sequence[EdgeFile], index: NodeIndex, findings: Findings,
               step: Callable[[], None]) -> Iterator[tuple[EdgeType, EdgeTable]]:
    """The edges of each type, once all files are read; what was given out is forgotten here.

    Raises:
        InputFault: ``findings`` has noted what is wrong with a file, or a name is needed for reverse edges.
    """
    with ThreadPoolExecutor(2) as lookers, ThreadPoolExecutor(1) as reader:
        reading = _EdgeReading(folder=folder, index=index, lookers=lookers, reader=reader)
        for file in files:
            with findings.gather():
                reading.take(file)
            step()
    findings.check()
    bundles = reading.bundles
    for edge_type in bundles:
        if edge_type.reverse in bundles:
            raise InputFault(Fault.CONTRADICTION, f"there are edges of type {edge_type} and of type {edge_type.reverse}; the "
                             "second name is kept for the reverse edges of the first: rename one of the relations")
    for edge_type in list(bundles):
        bundle = bundles.pop(edge_type)
        yield edge_type, EdgeTable(sources=_joined(bundle.sources), destinations=_joined(bundle.destinations),
                                   table=Table.concat(bundle.tables), features=_features(bundle.files), label=_label(bundle.files),
                                   dropped=bundle.dropped)


@dataclass(kw_only=True)
class _Bundle:
    """The edges of one type as read so far."""

    sources: list[NDArray[np.int32]] = field(default_factory=list)
    destinations: list[NDArray[np.int32]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    files: list[EdgeFile] = field(default_factory=list)
    dropped: int = 0


@dataclass(kw_only=True)
class _EdgeReading:
    """What is known while edge files are read."""

    folder: Path
    index: NodeIndex
    lookers: ThreadPoolExecutor
    reader: ThreadPoolExecutor
    bundles: dict[EdgeType, _Bundle] = field(default_factory=dict)
    dictionaries: dict[tuple[str, str, str], dict[str, Dictionary]] = field(default_factory=dict)

    def take(self, file: EdgeFile) -> None:
        """Read a file. Raises InputFault for what is wrong in it."""
        kept = _keep(file.features, file.label)
        keep = kept | {file.source_column: Keep.TEXT, file.destination_column: Keep.TEXT}
        if file.relation_column:
            keep[file.relation_column] = Keep.TEXT
        dictionaries = self.dictionaries.setdefault((file.source_type, file.relation, file.destination_type), {})
        batches = Table.batches(find_file(self.folder, file.file_name, file.separator), keep, dictionaries)
        for table in _ahead(batches, self.reader):
            sources, destinations = self._ends(file, table)
            for relation, rows in _relations(file, table):
                bundle = self.bundles.setdefault(EdgeType(file.source_type, relation, file.destination_type), _Bundle())
                bundle.sources.append(sources if rows is None else sources[rows])
                bundle.destinations.append(destinations if rows is None else destinations[rows])
                bundle.tables.append(table.select(list(kept), rows))
                if file not in bundle.files:
                    bundle.files.append(file)
            bundle.dropped += table.dropped  # of the last relation: a row without content has none

    def _ends(self, file: EdgeFile, table: Table) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The node indices of both ends of all edges."""
        ends = (file.source_type, file.source_column), (file.destination_type, file.destination_column)

        def indices(end: tuple[str, str]) -> NDArray[np.int32]:
            return self.index.look_up(end[0], table.column(end[1]))

        if all(self.index.is_declared(node_type) for node_type, _ in ends):
            sources, destinations = self.lookers.map(indices, ends)
        else:  # nodes are added as they are met: one column after the other
            sources, destinations = map(indices, ends)
        return sources, destinations


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


def _ahead(items: Iterable[Item], reader: ThreadPoolExecutor) -> Iterator[Item]:
    """The same items, each made by another thread while the one before is worked on."""
    iterator = iter(items)
    following = reader.submit(next, iterator, None)
    while (item := following.result()) is not None:
        following = reader.submit(next, iterator, None)
        try:
            yield item
        except GeneratorExit:
            following.exception()  # the iterator must not be at work any more when it is closed
            raise


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


def _by_type(files: Iterable[NodeFile], key: Callable[[NodeFile], str]) -> dict[str, list[NodeFile]]:
    groups: dict[str, list[NodeFile]] = {}
    for file in files:
        groups.setdefault(key(file), []).append(file)
    return groups


def _columns(files: Sequence[NodeFile]) -> set[str]:
    return {feature.column for file in files for feature in file.features}


def _features(files: Sequence[NodeFile | EdgeFile]) -> tuple[Feature, ...]:
    """The features of a type, whichever of its files has them."""
    return tuple({feature.name: feature for file in files for feature in file.features}.values())


def _label(files: Sequence[NodeFile | EdgeFile]) -> Label | None:
    return next((file.label for file in files if file.label), None)


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """All parts in one array; the list is emptied, so that memory is needed once."""
    joined = np.empty(sum(map(len, parts)), dtype=np.int32)
    start = 0
    while parts:
        part = parts.pop(0)
        joined[start:start + len(part)] = part
        start += len(part)
    return joined
