"""An export becomes a graph: its files are read, features and labels encoded, edges grouped in both directions."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from despina.graph.continuation import Earlier
from despina.graph.encodings import EdgeEncodings, Encodings, TypeEncodings
from despina.graph.faults import Findings
from despina.graph.features.options import Feature
from despina.graph.graph import Csr, EdgeType, Features, Graph, Hot, both_directions
from despina.graph.labels import Labelling, read_target
from despina.graph.leaks import find_leaks
from despina.graph.matrix import EncodedFeatures, apply, encode
from despina.graph.node_index import NodeIndex
from despina.graph.reading import EdgeTable, NodeTable, read_edges, read_nodes
from despina.graph.schema import ExportConfiguration
from despina.graph.split_files import EdgeMembers, Members, NodeMembers
from despina.graph.tables import Table

log = logging.getLogger(__name__)

FileRead = Callable[[int, int], None]
"""Called after each file with the number of files read and of all files."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """An export as read."""

    graph: Graph
    encodings: Encodings
    rows: dict[str | EdgeType, int]
    """Rows of the files of each type; rows without any content count not."""
    dropped_rows: int
    """Rows without any content."""
    added: int
    """Nodes that the graph which this one continues has not; all nodes if there is none."""
    warnings: tuple[str, ...]
    missing: dict[str | EdgeType, dict[str, int]] = field(default_factory=dict)
    """Type → feature → rows without a value, where there are any."""


def read_export(folder: Path, configuration: ExportConfiguration, file_read: FileRead, earlier: Earlier | None = None) -> Export:
    """Read the files that the configuration names.

    Args:
        folder: the export.
        configuration: what is in it.
        file_read: is told of the progress.
        earlier: the graph that this one continues: its nodes keep their indices, its classes their ids, and features are encoded as
            they were there.

    Raises:
        InputFault: a file or column is missing, an id is missing, unknown or there twice, a cell cannot be read as its feature's
            type, or the export does not fit ``earlier``; the findings name file, line, column and value.
    """
    done = count(1)
    files = len(configuration.nodes) + len(configuration.edges)

    def step() -> None:
        file_read(next(done), files)

    if earlier is not None:
        configuration = earlier.check(configuration)
    with ThreadPoolExecutor(1) as encoder:
        reading = _Reading(folder=folder, configuration=configuration, earlier=earlier, encoder=encoder,
                           index=NodeIndex(earlier.node_ids if earlier else None))
        reading.take_nodes(read_nodes(folder, configuration.nodes, reading.index, reading.findings, step))
        for node_type in earlier.encodings.nodes if earlier else ():
            reading.index.close(node_type)
        with reading.findings.gather():
            for edge_type, edges in read_edges(folder, configuration.edges, reading.index, reading.findings, step):
                reading.take_edges(edge_type, edges)
                del edges  # of the next type there may be as many
        return reading.finish()


@dataclass(kw_only=True)
class _Reading:
    """What has been read so far. Features are encoded by another thread: those of nodes while edges are read."""

    folder: Path
    configuration: ExportConfiguration
    earlier: Earlier | None
    index: NodeIndex
    encoder: ThreadPoolExecutor
    findings: Findings = field(default_factory=Findings)
    encoding: dict[str, "Future[EncodedFeatures]"] = field(default_factory=dict)
    node_features: dict[str, EncodedFeatures] = field(default_factory=dict)
    edge_features: dict[EdgeType, EncodedFeatures] = field(default_factory=dict)
    edges: dict[EdgeType, Csr] = field(default_factory=dict)
    rows: dict[str | EdgeType, int] = field(default_factory=dict)
    labellings: list[Labelling] = field(default_factory=list)
    leaks: "list[Future[list[str]]]" = field(default_factory=list)
    dropped_rows: int = 0

    def take_nodes(self, tables: dict[str, NodeTable]) -> None:
        """Begin to encode the features of nodes; labels wait for the split files, which name nodes."""
        for node_type, nodes in tables.items():
            self.rows[node_type] = len(nodes.table)
            self.dropped_rows += nodes.dropped
            self.encoding[node_type] = self.encoder.submit(self._encoded_nodes, node_type, nodes)
            if nodes.label is not None:
                self._predict(node_type, nodes, NodeMembers(node_type, self.index), nodes.order)

    def _encoded_nodes(self, node_type: str, nodes: NodeTable) -> EncodedFeatures:
        encodings = self.earlier.encodings.node_type(node_type) if self.earlier else None
        encoded = self._encoded(nodes.features, nodes.table, encodings)
        log.info("nodes of type %s: %d, %d columns of features", node_type, len(nodes.table), encoded.width)
        return encoded if nodes.order is None else _placed(encoded, nodes.order, self.index.counts[node_type])

    def take_edges(self, edge_type: EdgeType, edges: EdgeTable) -> None:
        """Group the edges of a type in both directions and encode their features."""
        self.rows[edge_type] = len(edges.table)
        self.dropped_rows += edges.dropped
        with self.findings.gather():
            if self.earlier is not None:
                self.earlier.check_edge_type(edge_type, edges.table.files)
        encodings = self.earlier.encodings.edge_type(edge_type) if self.earlier else None
        encoding = self.encoder.submit(self._encoded, edges.features, edges.table, encodings)
        self.edges |= both_directions(edge_type, edges.sources, edges.destinations, self.index.counts)
        if edges.label is not None:
            self._predict(edge_type, edges, EdgeMembers(edge_type, edges.sources, edges.destinations, self.index), None)
        with self.findings.gather():
            encoded = self.edge_features[edge_type] = encoding.result()
            log.info("edges of type %s: %d, %d columns of features", edge_type, len(edges.table), encoded.width)

    def _predict(self, kind: str | EdgeType, read: NodeTable | EdgeTable, members: Members,
                 order: NDArray[np.int32] | None) -> None:
        """Note what is to be predicted of a type, without the other columns of its table."""
        label = read.label
        assert label is not None  # noqa: S101 - the caller has looked
        column = read.table.select([label.column]).column(label.column) if label.column else None
        self.labellings.append(Labelling(kind=kind, label=label, members=members, column=column, order=order))
        self.leaks.append(self.encoder.submit(find_leaks, read.table, read.features, label, str(kind)))

    def _encoded(self, features: Sequence[Feature], table: Table, encodings: TypeEncodings | None) -> EncodedFeatures:
        findings = Findings()
        if encodings is None:
            return encode(features, table, findings)
        of = {feature.name: feature.column for feature in features}
        columns = {name: table.column(of.get(name, name)) for name in encodings.features}
        return apply(encodings.features, columns, findings, dropped=encodings.dropped)

    def finish(self) -> Export:
        """The graph, once all files are read."""
        for node_type, encoding in self.encoding.items():
            with self.findings.gather():
                self.node_features[node_type] = encoding.result()
        self.findings.check()
        if self.earlier is not None:
            self._add_what_is_gone(self.earlier)
        target = read_target(self.folder, self.configuration.target, self.labellings, self.findings,
                             earlier=self.earlier.encodings.classes if self.earlier else ())
        if self.earlier is not None:
            target = self.earlier.complete(target, self.rows)
            self._sort(self.earlier)
        graph = Graph(
            node_ids=self.index.ids(), features={kind: encoded.features for kind, encoded in self.node_features.items()
                                                 if encoded.features},
            edges=self.edges, edge_features={kind: encoded.features for kind, encoded in self.edge_features.items()
                                             if encoded.features},
            raw_features={node_type: encoded.raw for node_type, encoded in self.node_features.items() if encoded.raw},
            target=target, removed=self.index.removed())
        encodings = Encodings(
            nodes={node_type: TypeEncodings(features=encoded.encodings, dropped=encoded.dropped)
                   for node_type, encoded in self.node_features.items()},
            edges=tuple(EdgeEncodings(type=edge_type, features=encoded.encodings, dropped=encoded.dropped)
                        for edge_type, encoded in self.edge_features.items()),
            task=target.task, property_name=target.property_name, classes=target.classes)
        missing: dict[str | EdgeType, dict[str, int]] = {kind: encoded.missing for kind, encoded in self.node_features.items()}
        missing |= {edge_type: encoded.missing for edge_type, encoded in self.edge_features.items()}
        return Export(graph=graph, encodings=encodings, rows=self.rows, dropped_rows=self.dropped_rows, added=self.index.added(),
                      warnings=(*self.configuration.warnings, *(warning for found in self.leaks for warning in found.result())),
                      missing=missing)

    def _sort(self, earlier: Earlier) -> None:
        """Put edge types into the order that they had: models know them by it."""
        order = [edges.type for edges in earlier.encodings.edges]
        self.edge_features = {edge_type: self.edge_features[edge_type] for edge_type in order}
        self.edges = {direction: self.edges[direction] for edge_type in order for direction in (edge_type, edge_type.reverse)}

    def _add_what_is_gone(self, earlier: Earlier) -> None:
        """Types of the earlier graph that have no rows any more are kept, empty, so that models of it still fit."""
        counts, nothing = self.index.counts, np.empty(0, dtype=np.int32)
        for node_type, encodings in earlier.encodings.nodes.items():
            if node_type not in self.node_features:
                encoded = self._encoded((), Table(cells={}, stretches=()), encodings)
                self.node_features[node_type] = _placed(encoded, nothing, counts[node_type])
        for edges in earlier.encodings.edges:
            if edges.type not in self.edges:
                self.take_edges(edges.type, EdgeTable(sources=nothing, destinations=nothing, features=(), label=None,
                                                      table=Table(cells={}, stretches=())))


def _placed(encoded: EncodedFeatures, order: NDArray[np.int32], count: int) -> EncodedFeatures:
    """The same with the row of each node at its index; other rows have zeros."""
    features, placed = encoded.features, None
    if features is not None:
        dense = np.zeros((count, features.dense.shape[1]), dtype=np.float32)
        dense[order] = features.dense
        placed = Features(columns=features.columns, dense=dense, hot=_placed_hot(features.hot, order, count))
    raw = {}
    for name, cells in encoded.raw.items():
        raw[name] = [""] * count
        for index, cell in zip(order.tolist(), cells, strict=True):
            raw[name][index] = cell
    return EncodedFeatures(features=placed, raw=raw, encodings=encoded.encodings, dropped=encoded.dropped,
                           missing=encoded.missing)


def _placed_hot(hot: Hot | None, order: NDArray[np.int32], count: int) -> Hot | None:
    if hot is None:
        return None
    counts = np.zeros(count, dtype=np.int64)
    counts[order] = np.diff(hot.indptr)
    indptr = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(counts, out=indptr[1:])
    return Hot(width=hot.width, indptr=indptr, indices=hot.take(np.argsort(order)).indices)
