"""Exports without a configuration: CSV files in the form that Neptune's bulk loader reads, of any database that can write it.

Rows of all labels may stand in one file, and edges do not say what types they connect. Both are sorted out here: an export with one
file for each type is written, with the configuration that the exporter would give it. It has no labels, since nothing says what is
to be predicted; if there are edges, that means link prediction. Source: Neptune user guide, "Gremlin load data format".
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote_plus

import msgspec
import polars as pl

from despina.graph.export_folder import locate
from despina.graph.faults import Fault, InputFault
from despina.graph.features.options import DatetimePart
from despina.graph.node_index import NodeIndex
from despina.graph.tables import CsvFile, Table

CONFIGURATION = "training-data-configuration.json"
OTHERS = (CONFIGURATION, "training-job-configuration.json", "processing-report.json")
"""A subfolder that has one of these is another export, or what a job has put there."""
VERTEX, EDGE = "vertex", "edge"
"""The labels that the loader gives to what has none."""
SEPARATOR = ";"
"""Between the labels of a node, and the values of a property whose type ends in ``[]``."""
MAX_CLASSES = 1000
"""A property with more values is not proposed for classification."""
MAX_PROPOSED = 20
"""Properties that are proposed as labels, for each kind of task."""
MAX_NAME = 200
"""Characters of a file name that are taken from a label."""
_CARDINALITY = r"(?:\((?:single|set)\))?"
_HEADER = re.compile(r"(.+?)(?<!\\):(bool|boolean|byte|short|int|long|float|double|string|date|datetime)"
                     rf"{_CARDINALITY}(\[\])?{_CARDINALITY}", re.IGNORECASE)
_COLON = "\\:"
"""How a header writes a colon that belongs to the name."""
_WHOLE_NUMBERS = {"byte", "short", "int", "long"}
_NUMBERS = _WHOLE_NUMBERS | {"float", "double"}
_TIMES = {"date", "datetime"}


@dataclass(frozen=True, kw_only=True)
class _Property:
    """A column, as its headers declare it."""

    type: str
    """In lower case; ``""`` where no header says it, or they disagree."""
    several: bool

    def feature(self, name: str) -> dict[str, Any]:
        """The feature that the exporter would make of it."""
        if self.several:
            imputer = {"imputer": "median"} if self.type in _NUMBERS else {}
            return {"feature": [name, name, "auto"], "separator": SEPARATOR} | imputer
        if self.type in _NUMBERS:
            return {"feature": [name, name, "numerical"], "norm": "min-max", "imputer": "median"}
        if self.type in _TIMES:
            return {"feature": [name, name, "datetime"], "datetime_parts": list(DatetimePart)}
        return {"feature": [name, name, "auto"]}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A property that could be a label."""

    entries: Literal["nodes", "edges"]
    """Where the entry of its type stands in the configuration."""
    type: str
    """The node type, or the edge type as ``(source)-relation-(destination)``."""
    name: str
    task: Literal["classification", "regression"]
    several: bool = False
    """Whether a cell may hold several values."""

    def __str__(self) -> str:
        return f"{self.type}.{self.name}"

    @property
    def labels(self) -> str:
        """The member that makes it the label of its type's entry."""
        label: dict[str, Any] = {"label": [self.name, self.task]}
        return f'"labels": {msgspec.json.encode([label | ({"separator": SEPARATOR} if self.several else {})]).decode()}'


@dataclass(frozen=True, kw_only=True)
class Derived:
    """An export that was made of CSV files without a configuration."""

    folder: Path
    """It has one file for each type, and its configuration, ``CONFIGURATION``."""
    links: bool
    """Whether there are edges. Then the configuration can be worked on as it is, and means that links of all types are predicted;
    else it needs a label first."""
    candidates: tuple[Candidate, ...]
    """The properties that could be labels: for classification, of each type words before numbers, then for
    regression."""


def advice(derived: Derived, place: str) -> str:
    """What is predicted, and what the user has to do to have a property predicted, in one line of text.

    Args:
        derived: what was made of the CSV files.
        place: the location where ``derived.folder`` will be found.
    """
    example = next(iter(derived.candidates), Candidate(entries="nodes", type="TYPE", name="PROPERTY", task="classification"))
    proposals = []
    for task in ("classification", "regression"):
        names = [str(candidate) for candidate in derived.candidates if candidate.task == task]
        proposals += [f"for {task} {', '.join(names[:MAX_PROPOSED])}"] if names else []
    meaning, add = (("so that links are, of all types of edges", "To predict a property instead, add") if derived.links else
                    ("and there are no edges, whose links could be", "Add"))
    return (f"nothing says what is to be predicted, {meaning}. A configuration was derived from the CSV files, which were sorted "
            f"by type, and written to {place}/{CONFIGURATION}. {add} 'labels' to the entry of the type that has the property, and "
            f"take the property out of its 'features'; such as, for '{example.type}' in '{example.entries}', {example.labels}. "
            f"Properties that could be labels are {' and '.join(proposals) or 'none that their values tell'}. Then start data "
            f"processing with the input {place}")


def find_bulk_load(folder: Path) -> tuple[list[CsvFile], list[CsvFile]]:
    """The node files and the edge files in a folder, known by their headers: ``~id``; ``~from`` and ``~to``.

    Subfolders are looked at too, as Neptune's bulk loader does, but hidden ones and ``OTHERS``.
    """
    nodes, edges = [], []
    for name in sorted(_csv_files(folder)):
        file = CsvFile(name=name, path=locate(folder, name), separator=",")
        header = set(file.header())
        if {"~from", "~to"} <= header:
            edges.append(file)
        elif "~id" in header:
            nodes.append(file)
    return nodes, edges


def _csv_files(folder: Path) -> Iterable[str]:
    """The paths of all CSV files in a folder, relative to it."""
    for place, subfolders, names in os.walk(folder):
        within = Path(place)
        subfolders[:] = [name for name in subfolders
                         if not name.startswith(".") and not any((within / name / other).exists() for other in OTHERS)]
        for name in names:
            if name.endswith((".csv", ".csv.gz")) and not name.startswith(".") and (within / name).is_file():
                yield (within / name).relative_to(folder).as_posix()


def derive(nodes: Sequence[CsvFile], edges: Sequence[CsvFile], into: Path) -> Derived:
    """Write an export with one file for each type, but without a label, into the folder ``into``, which is made.

    Where there are no node files at all, the nodes are those that edges name, and are of the type ``vertex``.

    Raises:
        InputFault: a file is malformed, an id is missing, unknown or there twice, or a file declares a property twice.
    """
    (into / "nodes").mkdir(parents=True)
    (into / "edges").mkdir()
    index = NodeIndex()
    types: pl.Series | None = None
    node_entries: list[dict[str, Any]] = []
    edge_entries: list[dict[str, Any]] = []
    candidates: list[Candidate] = []
    if nodes:
        table, properties = _read(nodes, ["~id"], ["~label"])
        index.declare(VERTEX, table, "~id")
        types = _node_types(table.column("~label").text)
        for (node_type,), rows in _by_kind(table, ["~id", *properties], {"~type": types}):
            used = _used(rows, properties)
            name = _file_name("nodes", node_type, len(node_entries))
            rows.select("~id", pl.lit(node_type).alias("~label"), *used).write_csv(into / name)
            node_entries.append({"file_name": name, "separator": ",", "node": ["~id", node_type], "features": _features(used)})
            candidates += _candidates("nodes", node_type, rows, used)
    if edges:
        table, properties = _read(edges, ["~from", "~to"], ["~id", "~label"])
        kinds = _edge_types(table, index, types)
        for (source, destination, relation), rows in _by_kind(table, ["~from", "~to", *properties], kinds):
            used = _used(rows, properties)
            kind = f"({source})-{relation}-({destination})"
            name = _file_name("edges", kind, len(edge_entries))
            rows.select(pl.lit(relation).alias("~label"), "~from", "~to", *used).write_csv(into / name)
            edge_entries.append({"file_name": name, "separator": ",", "source": ["~from", source], "relation": ["", relation],
                                 "dest": ["~to", destination], "features": _features(used)})
            candidates += _candidates("edges", kind, rows, used)
    document = {"version": "v2.0", "query_engine": "gremlin", "graph": {"nodes": node_entries, "edges": edge_entries},
                "warnings": []}
    (into / CONFIGURATION).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    candidates.sort(key=lambda candidate: candidate.task == "regression")
    return Derived(folder=into, links=bool(edge_entries), candidates=tuple(candidates))


def _read(files: Sequence[CsvFile], required: list[str], optional: list[str]) -> tuple[Table, dict[str, _Property]]:
    """The rows of all files under plain names, and the properties among their columns."""
    tables = []
    properties: dict[str, _Property] = {}
    for file in files:
        header = file.header()
        names = {column: column for column in header if column in {*required, *optional}}
        for column in header:
            if column in names or column.startswith("~"):
                continue
            found = _HEADER.fullmatch(column)
            name = (found[1] if found else column).replace(_COLON, ":")
            if name in names.values():
                raise InputFault(Fault.AMBIGUOUS_COLUMN, f"{file.name}, line 1: the property '{name}' is there twice; names must "
                                 "be unique", file=file.name, line=1, column=name)
            names[column] = name
            declared = _Property(type=found[2].lower() if found else "", several=bool(found and found[3]))
            before = properties.setdefault(name, declared)
            if before != declared:
                properties[name] = _Property(type="", several=before.several or declared.several)
        table = Table.read(file, [*required, *(column for column in names if column not in required)])
        tables.append(Table(cells={names[column]: cells for column, cells in table.cells.items()}, stretches=table.stretches))
    return Table.concat(tables), properties


def _node_types(labels: pl.Series) -> pl.Series:
    """The type of each node: its labels sorted and joined, as the exporter does; ``A::B`` is two labels as well."""
    parts = labels.fill_null(VERTEX).str.replace_all("::", SEPARATOR, literal=True).str.split(SEPARATOR)
    types = parts.list.eval(pl.element().filter(pl.element() != "")).list.unique().list.sort().list.join(SEPARATOR)
    return types.replace("", VERTEX)


def _edge_types(table: Table, index: NodeIndex, types: pl.Series | None) -> dict[str, pl.Series]:
    """The types of both ends of each edge, and its relation. Raises InputFault for ends that no node file has."""
    ends = {}
    for end in ("~from", "~to"):
        indices = index.look_up(VERTEX, table.column(end))
        ends[f"{end}Type"] = pl.Series([VERTEX]).new_from_index(0, len(table)) if types is None else types[indices]
    return ends | {"~relation": table.column("~label").text.fill_null(EDGE)}


def _by_kind(table: Table, columns: Iterable[str], kinds: dict[str, pl.Series]) -> Iterable[tuple[tuple[Any, ...], pl.DataFrame]]:
    """The rows of each kind, in the order in which the kinds appear."""
    frame = pl.DataFrame({name: table.column(name).text for name in columns})
    return frame.with_columns(**kinds).partition_by(*kinds, as_dict=True, include_key=False).items()


def _used(rows: pl.DataFrame, properties: dict[str, _Property]) -> dict[str, _Property]:
    """The properties that some of the rows have."""
    return {name: declared for name, declared in properties.items() if rows[name].null_count() < len(rows)}


def _features(properties: dict[str, _Property]) -> list[dict[str, Any]]:
    return [declared.feature(name) for name, declared in properties.items()]


def _candidates(entries: Literal["nodes", "edges"], kind: str, rows: pl.DataFrame,
                properties: dict[str, _Property]) -> list[Candidate]:
    """For classification what has a few values that recur, words before numbers; for regression numbers that differ."""
    found = []
    for name, declared in sorted(properties.items(), key=lambda named: named[1].type in _NUMBERS):
        different, present = rows[name].drop_nulls().n_unique(), rows[name].count()
        fractions = declared.type in _NUMBERS - _WHOLE_NUMBERS
        if 2 <= different <= min(MAX_CLASSES, present / 2) and not fractions and declared.type not in _TIMES:
            found.append(Candidate(entries=entries, type=kind, name=name, task="classification", several=declared.several))
        if different >= 2 and declared.type in _NUMBERS and not declared.several:
            found.append(Candidate(entries=entries, type=kind, name=name, task="regression"))
    return found


def _file_name(folder: str, kind: str, number: int) -> str:
    """As the exporter does, the name of the type with special characters encoded."""
    name = quote_plus(kind)
    return f"{folder}/{name}.csv" if len(name) <= MAX_NAME else f"{folder}/{name[:MAX_NAME]}-{number}.csv"
