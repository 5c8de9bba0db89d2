"""What data processing and training will take, told from a look at the sizes and first rows of an export's files.

That takes seconds, whatever the size of the export, so that a job can be refused before its work that would fail at its end.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.graph.columns import split_cells
from despina.graph.encodings import Encodings
from despina.graph.export_folder import locate
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.graph import EdgeType
from despina.graph.samples import first_lines, texts
from despina.graph.schema import CLASSIFICATIONS, EdgeFile, ExportConfiguration, NodeFile
from despina.graph.survey import LARGEST, Kind, Survey, parts_of, survey
from despina.graph.tables import find_file

# Measured on two shared cores by python bench/estimate.py, unless it says otherwise (docs/performance.md).
START_SECONDS = 0.5
"""Of a program that has nearly nothing to do."""
ROWS_PER_SECOND = 1_700_000
"""That data processing reads, encodes and writes."""
SENTENCES_PER_SECOND = 260
"""Different texts of a dozen words that the sentence model MiniLM encodes; long texts take longer."""
SENTENCE_MODEL_SECONDS = 5.0
"""To load PyTorch and MiniLM, before the first text. Measured, less ``START_SECONDS``, by
time python -c "from despina.graph.features.sentences import SentenceModel; SentenceModel.require('it')"."""
BASE_BYTES = 100 * 2**20
"""Memory of the program without any data."""
SENTENCE_MODEL_BYTES = 550 * 2**20
"""Memory of PyTorch and MiniLM."""
PEAK_OVER_ARRAYS = 2.5
"""Memory beyond ``BASE_BYTES`` over the size of the arrays."""
DISK_OVER_ARRAYS = 1.1
"""Besides the arrays little is written."""
TRIPLES_PER_SECOND = 285_000
"""That become a property graph."""
BYTES_PER_TRIPLE = 270
"""Memory while they do."""
EPOCHS: tuple[tuple[float, int, float], ...] = ((4_000_000, 200, 2_900_000), (inf, 15, 170_000))
"""Edges, both directions counted, up to which a trial has so many epochs, at so many edges a second: of the graph as a whole, and
of batches (``learn.hyperparameters``). Measured by python bench/train.py: "epoch, whole graph" and "epoch, batches"."""

NODE_TASKS = (Task.NODE_CLASS, Task.NODE_REGRESSION)
SHORT = 1_000
"""Bytes of the node types in a shortened estimate, and of its edge types."""
_LINK = re.compile(rb"\s*\S+\s+(?!<http://www\.w3\.org/1999/02/22-rdf-syntax-ns#type>)\S+\s+[<_]")
"""A triple whose object is a node."""


class TypeEstimate(Frozen, frozen=True, kw_only=True, rename="camel"):
    """One node type or edge type."""

    name: str
    """Of an edge type: ``(source)-relation-(destination)``."""
    count: int | None
    """Nodes or edges; None: the node type has no file of its own, and its nodes are those that edges name."""
    width: int
    """Columns of the encoded features."""


class Estimate(Frozen, frozen=True, kw_only=True, rename="camel"):
    """What an export holds and what it will take."""

    files: int
    input_bytes: int
    """Of the files as they are, compressed or not."""
    rows: int
    """Of all node and edge files."""
    nodes: int
    """Of the types that have files."""
    edges: int
    node_types: tuple[TypeEstimate, ...]
    """Largest first, like ``edge_types``."""
    edge_types: tuple[TypeEstimate, ...]
    sampled: bool
    """Whether only the first rows of some file were read: its counts are extrapolated, and widths may come out larger."""
    array_bytes: int
    """Of the processed graph."""
    peak_memory_bytes: int
    """Of data processing."""
    disk_bytes: int
    """Of what data processing writes."""
    processing_minutes: float
    training_minutes: float | None
    """Of one trial with the defaults; None where edges are predicted, and where the task is not known before RDF is converted."""

    def shortened(self) -> dict[str, Any]:
        """As JSON of some thousand bytes: the smallest types are left out if need be, and counted as ``typesLeftOut``."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        left_out = 0
        for name in ("nodeTypes", "edgeTypes"):
            types, kept, room = document[name], [], SHORT
            for entry in types:
                room -= len(msgspec.json.encode(entry))
                if room < 0:
                    break
                kept.append(entry)
            document[name] = kept
            left_out += len(types) - len(kept)
        return document | ({"typesLeftOut": left_out} if left_out else {})


def estimate(folder: Path, configuration: ExportConfiguration, *, earlier: Encodings | None = None,
             triples: Estimate | None = None) -> Estimate:
    """Look at the files that the configuration names.

    Args:
        folder: the export.
        configuration: what is in it.
        earlier: how features were encoded in the graph that this one will continue, and will be here.
        triples: the estimate of the RDF that the files were made of. Its files are those of the user, and converting them counts.

    Raises:
        InputFault: what is wrong with the files, as far as their first rows show it; of all files together.
    """
    found = survey(folder, configuration, earlier)
    edges = sum(kind.rows for kind in found.edges.values())
    arrays = _array_bytes(found)
    kinds = [*found.nodes.values(), *found.edges.values()]
    sentences = sum(kind.rows * kind.sentences for kind in kinds)
    seconds = START_SECONDS + found.rows / ROWS_PER_SECOND
    peak = int(BASE_BYTES + PEAK_OVER_ARRAYS * arrays)
    if sentences:
        seconds += SENTENCE_MODEL_SECONDS + sentences / SENTENCES_PER_SECOND
        peak += SENTENCE_MODEL_BYTES
    if triples:
        seconds += triples.rows / TRIPLES_PER_SECOND
        peak = max(peak, triples.peak_memory_bytes)
    given = triples or found
    return Estimate(
        files=given.files, input_bytes=given.input_bytes, rows=found.rows, sampled=found.sampled,
        nodes=sum(kind.rows for kind in found.nodes.values()), edges=edges,
        node_types=(*_listed(found.nodes), *(TypeEstimate(name=name, count=None, width=0) for name in found.unlisted)),
        edge_types=_listed(found.edges), array_bytes=arrays, disk_bytes=int(DISK_OVER_ARRAYS * arrays),
        peak_memory_bytes=peak, processing_minutes=_minutes(seconds),
        training_minutes=_training_minutes(2 * edges) if configuration.target.task in NODE_TASKS else None)


def estimate_triples(folder: Path, files: Sequence[str]) -> Estimate:
    """Look at RDF that has not been converted: the nodes and types stay unknown, and edges are triples that link two nodes.

    Args:
        folder: the export.
        files: the names of its N-Triples and N-Quads files.

    Raises:
        InputFault: files are missing or cannot be read; of all files together.
    """
    findings = Findings()
    triples = links = size = 0
    for name in files:
        with findings.gather():
            path = locate(folder, name)
            try:
                lines, count = first_lines(path, size=LARGEST)
            except OSError as error:
                raise InputFault(Fault.UNREADABLE_FILE, f"{name}: the file cannot be read: {error.strerror}", file=name) from error
            linking = sum(_LINK.match(line) is not None for line in lines)
            triples += count
            links += round(count * linking / max(1, len(lines)))
            size += path.stat().st_size
    findings.check()
    arrays = links * 2 * (4 + 4)
    return Estimate(
        files=len(files), input_bytes=size, rows=triples, sampled=True, nodes=0, edges=links, node_types=(), edge_types=(),
        array_bytes=arrays, disk_bytes=int(DISK_OVER_ARRAYS * arrays), peak_memory_bytes=BASE_BYTES + BYTES_PER_TRIPLE * triples,
        processing_minutes=_minutes(START_SECONDS + triples / TRIPLES_PER_SECOND),
        training_minutes=None)


def _listed(kinds: Mapping[str, Kind] | Mapping[EdgeType, Kind]) -> tuple[TypeEstimate, ...]:
    largest_first = sorted(kinds.items(), key=lambda item: -item[1].rows)
    return tuple(TypeEstimate(name=str(name), count=kind.rows, width=kind.width) for name, kind in largest_first)


def _array_bytes(found: Survey) -> int:
    """Of ids, features, labels and parts, and of the edges in both directions (``despina.graph.graph.Csr``)."""
    nodes = found.unlisted | found.nodes
    rows = sum(kind.rows * kind.row_bytes for kind in (*nodes.values(), *found.edges.values()))
    structure = sum(2 * (4 + 4) * kind.rows + 8 * (nodes[edge_type.source].rows + nodes[edge_type.destination].rows + 2)
                    for edge_type, kind in found.edges.items())
    return int(rows) + structure + 8 * len(nodes)


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 3)


def _training_minutes(edges: int) -> float:
    return _minutes(START_SECONDS + next(epochs * edges / rate for most, epochs, rate in EPOCHS if edges <= most))


def refuse(estimate: Estimate, folder: Path, configuration: ExportConfiguration | None, *, memory: int, disk: int,
           earlier: Collection[str] = ()) -> None:
    """Refuse, in seconds, what would fail late.

    Args:
        estimate: of the export.
        folder: the export.
        configuration: what is in it; None of RDF that has not been converted, whose labels are not looked for.
        memory: bytes that data processing may take (``machine.available_memory``).
        disk: bytes that it may write (``machine.free_disk``).
        earlier: the classes of the graph that this one will continue; they count.

    Raises:
        InputFault: there is not enough memory or disk, nothing has a label, or all labels are the same; all of it together.
    """
    findings = Findings()
    with findings.gather():
        _check_room(Fault.NOT_ENOUGH_MEMORY, "memory", estimate.peak_memory_bytes, memory,
                    "use a machine (or a container's limit) with more, end other programs, or leave features out")
    with findings.gather():
        _check_room(Fault.NOT_ENOUGH_DISK, "disk", estimate.disk_bytes, disk,
                    "make room there, or keep the data directory on a larger disk")
    with findings.gather():
        if configuration is not None:
            _check_labels(folder, configuration, earlier)
    findings.check()


def _check_room(name: Fault, what: str, needed: int, available: int, advice: str) -> None:
    if needed > available:
        raise InputFault(name, f"data processing is expected to need {needed / 2**30:.1f} GiB of {what}, and "
                         f"{available / 2**30:.1f} GiB are available: {advice}")


def _check_labels(folder: Path, configuration: ExportConfiguration, earlier: Collection[str]) -> None:
    """Reads labels until there is one, or two different ones for a classification."""
    target = configuration.target
    if target.task is Task.LINK_PREDICT:
        return
    classifies = target.task in CLASSIFICATIONS
    entries: list[NodeFile | EdgeFile] = [*configuration.nodes, *configuration.edges]
    entries = [entry for entry in entries if entry.label]
    seen: set[str] = set()
    for cells in _labels(folder, entries, target.column):
        values = split_cells(cells, target.separator).explode() if target.separator else cells
        seen.update(values.filter(values != "").unique().head(2))
        if seen and len(seen.union(earlier)) > classifies:
            return
    files = ", ".join(entry.file_name for entry in entries)
    only = min(seen, default="")[:100]
    fault = (f"all labels are '{only}'; a classification needs at least two classes" if seen
             else f"no row has a label; a {'classification' if classifies else 'regression'} needs some to learn from")
    raise InputFault(Fault.MISSING_LABELS, f"{files[:500]}, column '{target.column}': {fault}", file=entries[0].file_name,
                     column=target.column, value=only or None)


def _labels(folder: Path, entries: Iterable[NodeFile | EdgeFile], column: str) -> Iterator[pl.Series]:
    """The labels in the files, and in those that list the parts of their split, some at a time."""
    for entry in entries:
        yield from texts(find_file(folder, entry.file_name, entry.separator), column)
        for name in parts_of(entry.label):
            yield from texts(find_file(folder, name, ","), column, optional=True)
