"""What an export holds: its types, how many nodes and edges of each, and how wide, told from sizes and first rows of the files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from despina.core.task import Task
from despina.graph.columns import Column, split_cells
from despina.graph.encodings import Encodings, TypeEncodings
from despina.graph.faults import Findings
from despina.graph.features import Encoding, HotEncoding, RawEncoding, WordVectorsEncoding, fit, transform
from despina.graph.features.options import Feature
from despina.graph.features.sentences import SentenceEncoding
from despina.graph.graph import EdgeType
from despina.graph.inference import resolve
from despina.graph.matrix import DENSE_WIDTH
from despina.graph.samples import sample
from despina.graph.schema import CLASSIFICATIONS, EdgeFile, ExportConfiguration, Label, NodeFile, SplitFiles
from despina.graph.tables import Table, find_file

SAMPLES = 64 * 2**20
SMALLEST, LARGEST = 64 * 2**10, 2**20
"""Bytes of the samples of all files, and of one at least and at most."""
TRIED = 1_000
"""Rows of a sample that are encoded as in an earlier graph; none where that is slow: only the model has to be there then."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A node or edge type."""

    rows: int
    """Nodes or edges."""
    width: int = 0
    """Columns of the encoded features."""
    row_bytes: float = 0.0
    """Of a node's id, and of the features, labels and parts of a node or edge, as they will be written."""
    sentences: float = 0.0
    """Different texts a row that a sentence model is to encode."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What an export holds."""

    files: int
    input_bytes: int
    """Of the files as they are, compressed or not."""
    rows: int
    """Of all files."""
    sampled: bool
    """Whether there are rows that were not looked at."""
    nodes: dict[str, Kind]
    """The types that have files."""
    unlisted: dict[str, Kind]
    """The other node types, whose nodes are those that edges name; as many as were seen."""
    edges: dict[EdgeType, Kind]


def parts_of(label: Label | None) -> tuple[str, ...]:
    """The names of the files that list the parts of a label's split."""
    split = label.split if label else None
    return tuple(filter(None, (split.train, split.valid, split.test))) if isinstance(split, SplitFiles) else ()


def survey(folder: Path, configuration: ExportConfiguration, earlier: Encodings | None = None) -> Survey:
    """Look at the files that the configuration names.

    Args:
        folder: the export.
        configuration: what is in it.
        earlier: how features were encoded in the graph that this one will continue, and will be here.

    Raises:
        InputFault: what is wrong with the files, as far as their first rows show it; of all files together.
    """
    entries: list[NodeFile | EdgeFile] = [*configuration.nodes, *configuration.edges]
    size = min(max(SAMPLES // len(entries), SMALLEST), LARGEST)
    findings, seen = Findings(), _Seen(folder=folder)
    with TemporaryDirectory() as scratch:
        for number, entry in enumerate(entries):
            with findings.gather():
                seen.look_at(entry, size=size, copy=Path(scratch) / str(number))
            for part in parts_of(entry.label):
                with findings.gather():
                    find_file(folder, part, ",").header()
        findings.check()
        kinds: dict[str | EdgeType, Kind] = {}
        for name, rows in seen.rows.items():
            with findings.gather():
                kinds[name] = rows.kind(_encodings(earlier, name))
        findings.check()
    nodes = {name: kind for name, kind in kinds.items() if isinstance(name, str)}
    return Survey(files=len(entries), input_bytes=seen.input_bytes, sampled=seen.sampled, nodes=nodes,
                  rows=sum(kind.rows for kind in kinds.values()),
                  unlisted={name: kind for name, kind in seen.ends.items() if name not in nodes},
                  edges={name: kind for name, kind in kinds.items() if isinstance(name, EdgeType)})


def _encodings(earlier: Encodings | None, name: str | EdgeType) -> TypeEncodings | None:
    if earlier is None:
        return None
    return earlier.edge_type(name) if isinstance(name, EdgeType) else earlier.node_type(name)


@dataclass(kw_only=True)
class _Rows:
    """The rows of one type, as far as they were seen."""

    count: int = 0
    """Of those not seen too."""
    tables: list[Table] = field(default_factory=list)
    features: dict[str, Feature] = field(default_factory=dict)
    label: Label | None = None
    id_column: str | None = None

    def add(self, entry: NodeFile | EdgeFile, count: int, table: Table) -> None:
        self.count += count
        self.tables.append(table)
        self.features |= {feature.name: feature for feature in entry.features}
        self.label = entry.label or self.label

    def kind(self, earlier: TypeEncodings | None) -> Kind:
        """Raises InputFault for cells that cannot be read as the features' types, or as they were encoded earlier."""
        table = Table.concat(self.tables)
        encoded = _encode(list(self.features.values()), table, earlier)
        row_bytes = sum(_row_bytes(encoding, column) for encoding, column in encoded) + _label_bytes(self.label, table)
        if self.id_column is not None:
            row_bytes += 8.0 + _mean_bytes(table.column(self.id_column))
        return Kind(rows=self.count, width=sum(encoding.width for encoding, _ in encoded), row_bytes=row_bytes,
                    sentences=sum(_different(column) for encoding, column in encoded if isinstance(encoding, SentenceEncoding)))


@dataclass(kw_only=True)
class _Seen:
    """What was seen of an export so far."""

    folder: Path
    input_bytes: int = 0
    sampled: bool = False
    rows: dict[str | EdgeType, _Rows] = field(default_factory=dict)
    ends: dict[str, Kind] = field(default_factory=dict)
    """The nodes that edges name."""

    def look_at(self, entry: NodeFile | EdgeFile, *, size: int, copy: Path) -> None:
        """Raises InputFault for what is wrong with the file or its first rows."""
        file = find_file(self.folder, entry.file_name, entry.separator)
        keys = [entry.id_column] if isinstance(entry, NodeFile) else [entry.source_column, entry.destination_column]
        columns = [*keys, *(feature.column for feature in entry.features)]
        if isinstance(entry, EdgeFile) and entry.relation_column:
            columns.append(entry.relation_column)
        label = [entry.label.column] if entry.label and entry.label.column else []
        found = sample(file, [*columns, *label], size=size, copy=copy)
        self.input_bytes += file.path.stat().st_size
        self.sampled |= not found.whole
        if isinstance(entry, NodeFile):
            rows = self.rows.setdefault(entry.node_type, _Rows(id_column=entry.id_column))
            rows.add(entry, found.rows, found.table)
            return
        for node_type, name in ((entry.source_type, entry.source_column), (entry.destination_type, entry.destination_column)):
            column = found.table.column(name)
            different = column.text.n_unique()
            if different >= self.ends.setdefault(node_type, Kind(rows=0)).rows:
                self.ends[node_type] = Kind(rows=different, row_bytes=8.0 + _mean_bytes(column))
        for relation, mask in _relations(entry, found.table):
            share = 1.0 if mask is None else float(mask.mean())
            edge_type = EdgeType(entry.source_type, relation, entry.destination_type)
            table = found.table.select([*columns, *label], mask)
            self.rows.setdefault(edge_type, _Rows()).add(entry, round(share * found.rows), table)


def _relations(entry: EdgeFile, table: Table) -> Iterator[tuple[str, NDArray[np.bool_] | None]]:
    """The relations in a file and the rows of each; None for all."""
    if not entry.relation_column:
        yield entry.relation, None
        return
    text = table.column(entry.relation_column).text
    for value in text.drop_nulls().unique(maintain_order=True):
        yield f"{entry.relation}-{value}" if entry.relation else value, (text == value).fill_null(value=False).to_numpy()


def _encode(features: Sequence[Feature], table: Table, earlier: TypeEncodings | None) -> list[tuple[Encoding, Column]]:
    """How the features will be encoded that are not dropped, if the other rows are like these."""
    if not len(table):
        return []
    if earlier is not None:
        known = [(earlier.features[feature.name], table.column(feature.column)) for feature in features
                 if feature.name in earlier.features]
        for encoding, column in known:
            rows = column.slice(0, 0 if isinstance(encoding, SentenceEncoding | WordVectorsEncoding) else TRIED)
            transform(encoding, rows, np.zeros((len(rows), encoding.width), dtype=np.float32))
        return known
    resolved = [(kind, column) for feature in features
                for column in [table.column(feature.column)] if (kind := resolve(feature, column)) is not None]
    columns = [column for _, column in resolved]
    return list(zip(fit([kind for kind, _ in resolved], columns), columns, strict=True))


def _row_bytes(encoding: Encoding, column: Column) -> float:
    if isinstance(encoding, HotEncoding) and encoding.width > DENSE_WIDTH:
        return 8.0 + 4.0 * len(encoding.ones(column).rows) / len(column)
    if isinstance(encoding, RawEncoding):
        return 3.0 + _mean_bytes(column)
    return 4.0 * encoding.width


def _label_bytes(label: Label | None, table: Table) -> float:
    """Of a row's label and of what says which part it is in."""
    if label is None:
        return 0.0
    if label.separator is not None:
        parts = split_cells(table.column(label.column).text.drop_nulls(), label.separator)
        return 3.0 + 4.0 * parts.explode().n_unique()
    return 3.0 + (0.0 if label.task is Task.LINK_PREDICT else 8.0 if label.task in CLASSIFICATIONS else 4.0)


def _mean_bytes(column: Column) -> float:
    """Of a cell."""
    total = column.text.str.len_bytes().sum()
    return int(total) / max(1, len(column))


def _different(column: Column) -> float:
    """Different texts a row."""
    return column.text.drop_nulls().n_unique() / max(1, len(column))
