"""Reading an export folder into a Graph.

One table of text at a time: node files give every type its ids, edge files are turned into pairs of node indices as soon as they
are read, and only the columns of features are kept until all rows of their type are there to be encoded.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.graph.features import Encoding
from despina.graph.features.options import Feature
from despina.graph.graph import Csr, EdgeType, Graph, both_directions
from despina.graph.labels import read_target
from despina.graph.matrix import EncodedFeatures, encode
from despina.graph.schema import EdgeFile, ExportConfiguration, NodeFile
from despina.graph.tables import Column, Table, find_file

log = logging.getLogger(__name__)

TypeName = TypeVar("TypeName", str, EdgeType)
FileRead = Callable[[int, int], None]
"""Called after each file with the number of files read and of all files."""


class EdgeEncodings(Frozen, frozen=True, kw_only=True):
    """The encodings of one edge type's features."""

    type: EdgeType
    columns: dict[str, tuple[int, int]]
    """Feature name → its columns ``[start, stop)`` of the type's matrix."""
    features: dict[str, Encoding]


class Encodings(Frozen, frozen=True, kw_only=True):
    """All encodings of a graph: what later data have to be encoded with."""

    nodes: dict[str, dict[str, Encoding]]
    edges: tuple[EdgeEncodings, ...]


@dataclass(frozen=True, kw_only=True)
class Export:
    """An export as read."""

    graph: Graph
    encodings: Encodings
    rows: int
    """Rows of all node and edge files."""


def read_export(folder: Path, configuration: ExportConfiguration, file_read: FileRead) -> Export:
    """Read the files that the configuration names.

    Raises:
        WorkFailed: a file or column is missing, an id is missing, unknown or there twice, or a cell cannot be read as its feature's
            type; the text names file, line, column and value.
    """
    done = count(1)
    files = len(configuration.nodes) + len(configuration.edges)

    def step() -> None:
        file_read(next(done), files)

    index = NodeIndex()
    tables = _read_nodes(folder, configuration.nodes, index, step)
    node_features = {}
    for node_type, table in tables.items():
        features = _features(file for file in configuration.nodes if file.node_type == node_type)
        encoded = node_features[node_type] = encode(features, table)
        log.info("nodes of type %s: %d, %d columns of features", node_type, len(table), encoded.width)
    target = read_target(folder, configuration.target, configuration.target_type, index.ids[configuration.target_type],
                         tables[configuration.target_type])
    rows = sum(len(table) for table in tables.values())
    tables.clear()  # the text is needed no more

    bundles = _read_edges(folder, configuration.edges, index, step)
    node_counts = {node_type: len(ids) for node_type, ids in index.ids.items()}
    edges: dict[EdgeType, Csr] = {}
    edge_features = {}
    for edge_type, bundle in bundles.items():
        edges |= both_directions(edge_type, np.concatenate(bundle.sources), np.concatenate(bundle.destinations), node_counts)
        table = Table.concat(bundle.tables)
        bundle.tables.clear()
        encoded = edge_features[edge_type] = encode(list(bundle.features.values()), table)
        rows += len(table)
        log.info("edges of type %s: %d, %d columns of features", edge_type, len(table), encoded.width)
    graph = Graph(
        node_counts=node_counts, node_ids={node_type: ids.to_list() for node_type, ids in index.ids.items()},
        features=_matrices(node_features),
        feature_columns={node_type: encoded.columns for node_type, encoded in node_features.items() if encoded.columns},
        edges=edges, edge_features=_matrices(edge_features),
        raw_features={node_type: encoded.raw for node_type, encoded in node_features.items() if encoded.raw}, target=target)
    return Export(graph=graph, rows=rows, encodings=Encodings(
        nodes={node_type: encoded.encodings for node_type, encoded in node_features.items()},
        edges=tuple(EdgeEncodings(type=edge_type, columns=encoded.columns, features=encoded.encodings)
                    for edge_type, encoded in edge_features.items())))


def _matrices(encoded: dict[TypeName, EncodedFeatures]) -> dict[TypeName, NDArray[np.float32]]:
    return {kind: features.matrix for kind, features in encoded.items() if features.matrix is not None}


def _features(files: Iterable[NodeFile | EdgeFile]) -> list[Feature]:
    """The features of a type, whichever of its files has them."""
    return list({feature.name: feature for file in files for feature in file.features}.values())


class NodeIndex:
    """Raw ids to node indices, type by type. A type without a file of its own gets its nodes from the edges that name them."""

    def __init__(self) -> None:
        self.ids: dict[str, pl.Series] = {}
        self._declared: dict[str, str] = {}

    def declare(self, node_type: str, table: Table, id_column: str) -> None:
        """Take the nodes of a table, in its order. Raises WorkFailed for a missing id or one that is there twice."""
        column = table.column(id_column)
        ids = column.text
        if ids.null_count():
            raise column.error(int(ids.is_null().arg_max() or 0), "; every node must have an id")
        if ids.n_unique() < len(ids):
            second = int(ids.is_first_distinct().not_().arg_max() or 0)
            first = int((ids == ids[second]).arg_max() or 0)
            raise column.error(second, f" is the id of another node of type '{node_type}' already ({table.place(first)}); "
                                       "ids must be unique")
        self.ids[node_type] = ids.rechunk()
        self._declared[node_type] = ", ".join(file.name for file in table.files)

    def look_up(self, node_type: str, column: Column) -> NDArray[np.int32]:
        """The indices of the ids in a column of an edge file. Raises WorkFailed for a missing or unknown id."""
        if column.text.null_count():
            raise column.error(int(column.text.is_null().arg_max() or 0), f"; it must be the id of a node of type '{node_type}'")
        known = self.ids.get(node_type, pl.Series([], dtype=pl.String))
        indices = column.text.replace_strict(known, np.arange(len(known), dtype=np.int32), default=None, return_dtype=pl.Int32)
        if not indices.null_count():
            return indices.to_numpy()
        if node_type in self._declared:
            raise column.error(int(indices.is_null().arg_max() or 0),
                               f" is the id of no node of type '{node_type}' in {self._declared[node_type]}")
        new = column.text.filter(indices.is_null()).unique(maintain_order=True)
        self.ids[node_type] = pl.concat([known, new.alias(known.name)])
        return self.look_up(node_type, column)


def _read_nodes(folder: Path, files: tuple[NodeFile, ...], index: NodeIndex, step: Callable[[], None]) -> dict[str, Table]:
    """Each type's table of the columns that features and labels need; the ids go to the index."""
    parts: dict[str, list[Table]] = {}
    for file in files:
        columns = [file.id_column, *(feature.column for feature in file.features), *([file.label.column] if file.label else [])]
        parts.setdefault(file.node_type, []).append(Table.read(find_file(folder, file.file_name, file.separator), columns))
        step()
    tables = {node_type: Table.concat(together) for node_type, together in parts.items()}
    for file in {file.node_type: file for file in files}.values():
        index.declare(file.node_type, tables[file.node_type], file.id_column)
    return tables


@dataclass(frozen=True, kw_only=True)
class _Bundle:
    """The edges of one type as read so far, file after file."""

    sources: list[NDArray[np.int32]] = field(default_factory=list)
    destinations: list[NDArray[np.int32]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    features: dict[str, Feature] = field(default_factory=dict)


def _read_edges(folder: Path, files: tuple[EdgeFile, ...], index: NodeIndex, step: Callable[[], None]) -> dict[EdgeType, _Bundle]:
    bundles: dict[EdgeType, _Bundle] = {}
    for file in files:
        features = [feature.column for feature in file.features]
        by_row = [file.relation_column] if file.relation_column else []
        table = Table.read(find_file(folder, file.file_name, file.separator),
                           [file.source_column, file.destination_column, *by_row, *features])
        sources = index.look_up(file.source_type, table.column(file.source_column))
        destinations = index.look_up(file.destination_type, table.column(file.destination_column))
        for relation, rows in _relations(file, table):
            bundle = bundles.setdefault(EdgeType(file.source_type, relation, file.destination_type), _Bundle())
            bundle.sources.append(sources if rows is None else sources[rows])
            bundle.destinations.append(destinations if rows is None else destinations[rows])
            bundle.tables.append(table.select(features, rows))
            bundle.features.update({feature.name: feature for feature in file.features})
        step()
    for edge_type in bundles:
        if edge_type.reverse in bundles:
            raise WorkFailed(f"there are edges of type {edge_type} and of type {edge_type.reverse}; the second name is kept for "
                             "the reverse edges of the first: rename one of the relations")
    return bundles


def _relations(file: EdgeFile, table: Table) -> Iterator[tuple[str, NDArray[np.bool_] | None]]:
    """The relations in a file and the rows of each; None for all."""
    if not file.relation_column:
        yield file.relation, None
        return
    column = table.column(file.relation_column)
    if column.text.null_count():
        raise column.error(int(column.text.is_null().arg_max() or 0), "; every edge must have a relation")
    for value in column.text.unique(maintain_order=True):
        yield f"{file.relation}-{value}" if file.relation else value, (column.text == value).to_numpy()
