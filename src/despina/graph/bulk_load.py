"""Exports without a configuration: CSV files in the form that Neptune's bulk loader reads, of any database that can write it.

Rows of all labels may stand in one file, and edges do not say what types they connect. Both are sorted out here: an export with one
file for each type is written, with the configuration that the exporter would give it. What it cannot have is a target.
Source: Neptune user guide, "Load data format for Gremlin data".
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import msgspec
import polars as pl

from despina.core.errors import WorkFailed
from despina.graph.export import NodeIndex
from despina.graph.export_folder import locate
from despina.graph.features.options import DatetimePart
from despina.graph.tables import CsvFile, Table

CONFIGURATION = "training-data-configuration.json"
VERTEX, EDGE = "vertex", "edge"
"""The labels that the loader gives to what has none."""
SEPARATOR = ";"
"""Between the labels of a node, and the values of a property whose type ends in ``[]``."""
MAX_CLASSES = 1000
"""A property with more values is not proposed as a label."""
MAX_PROPOSED = 20
"""Properties that are proposed as labels."""
MAX_NAME = 200
"""Characters of a file name that are taken from a label."""
_HEADER = re.compile(r"(.+?):(bool|boolean|byte|short|int|long|float|double|string|date|datetime)(?:\((?:single|set)\))?(\[\])?",
                     re.IGNORECASE)
_NUMBERS = {"byte", "short", "int", "long", "float", "double"}


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
        if self.type in {"date", "datetime"}:
            return {"feature": [name, name, "datetime"], "datetime_parts": list(DatetimePart)}
        return {"feature": [name, name, "auto"]}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A property that could be a label: it has some values, which recur."""

    node_type: str
    name: str
    several: bool

    @property
    def labels(self) -> str:
        """The member that makes it the label of its type's entry."""
        label: dict[str, Any] = {"label": [self.name, "classification"]}
        return f'"labels": {msgspec.json.encode([label | ({"separator": SEPARATOR} if self.several else {})]).decode()}'


def advice(candidates: Sequence[Candidate], place: str) -> str:
    """What the user has to add to the configuration at the location ``place``, and what to do then."""
    proposals = ", ".join(f"{candidate.node_type}.{candidate.name}" for candidate in candidates[:MAX_PROPOSED])
    example = candidates[0] if candidates else Candidate(node_type="TYPE", name="PROPERTY", several=False)
    return ("nothing says what is to be predicted. A configuration was derived from the CSV files, which were sorted by type, and "
            f"written to {place}/{CONFIGURATION}. In its entry of 'nodes' for the type that is to be classified add 'labels' and "
            f"take the property out of 'features', such as, for '{example.node_type}', {example.labels}; properties whose values "
            f"recur are {proposals or 'none'}. Then start data processing with the input {place}")


def find_bulk_load(folder: Path) -> tuple[list[CsvFile], list[CsvFile]]:
    """The node files and the edge files in a folder, known by their headers: ``~id``; ``~from`` and ``~to``."""
    nodes, edges = [], []
    for path in sorted(path for path in folder.rglob("*") if path.name.endswith((".csv", ".csv.gz")) and path.is_file()):
        name = path.relative_to(folder).as_posix()
        file = CsvFile(name=name, path=locate(folder, name), separator=",")
        header = set(file.header())
        if {"~from", "~to"} <= header:
            edges.append(file)
        elif "~id" in header:
            nodes.append(file)
    return nodes, edges


def derive(nodes: Sequence[CsvFile], edges: Sequence[CsvFile], into: Path) -> list[Candidate]:
    """Write an export with one file for each type, but without a label, into the folder ``into``.

    Returns:
        The properties that could be labels, of each type words before numbers.

    Raises:
        WorkFailed: a file is malformed, an id is missing, unknown or there twice, or a file declares a property twice.
    """
    (into / "nodes").mkdir(parents=True)
    (into / "edges").mkdir()
    table, properties = _read(nodes, ["~id"], ["~label"])
    index = NodeIndex()
    index.declare(VERTEX, table, "~id")
    types = _node_types(table.column("~label").text)
    entries: list[dict[str, Any]] = []
    candidates: list[Candidate] = []
    for (node_type,), rows in _by_kind(table, ["~id", *properties], {"~type": types}):
        name = _file_name("nodes", str(node_type), len(entries))
        columns = _used(rows, properties)
        rows.select("~id", pl.lit(node_type).alias("~label"), *columns).write_csv(into / name)
        entries.append({"file_name": name, "separator": ",", "node": ["~id", node_type],
                        "features": [properties[column].feature(column) for column in columns]})
        candidates += [Candidate(node_type=str(node_type), name=column, several=properties[column].several)
                       for column in sorted(columns, key=lambda name: properties[name].type in _NUMBERS) if _recurs(rows[column])]
    graph = {"nodes": entries, "edges": _write_edges(edges, index, types, into) if edges else []}
    document = {"version": "v2.0", "query_engine": "gremlin", "graph": graph, "warnings": []}
    (into / CONFIGURATION).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return candidates


def _write_edges(files: Sequence[CsvFile], index: NodeIndex, types: pl.Series, into: Path) -> list[dict[str, Any]]:
    table, properties = _read(files, ["~from", "~to"], ["~id", "~label"])
    ends = {f"~{end}Type": types[index.look_up(VERTEX, table.column(f"~{end}"))] for end in ("from", "to")}
    kinds = ends | {"~relation": table.column("~label").text.fill_null(EDGE)}
    entries: list[dict[str, Any]] = []
    for (source, destination, relation), rows in _by_kind(table, ["~from", "~to", *properties], kinds):
        name = _file_name("edges", f"({source})-{relation}-({destination})", len(entries))
        columns = _used(rows, properties)
        rows.select(pl.lit(relation).alias("~label"), "~from", "~to", *columns).write_csv(into / name)
        entries.append({"file_name": name, "separator": ",", "source": ["~from", source], "relation": ["", relation],
                        "dest": ["~to", destination], "features": [properties[column].feature(column) for column in columns]})
    return entries


def _read(files: Sequence[CsvFile], required: list[str], optional: list[str]) -> tuple[Table, dict[str, _Property]]:
    """The rows of all files under plain names, and the properties among their columns."""
    tables = []
    properties: dict[str, _Property] = {}
    for file in files:
        names = {column: column for column in file.header() if column in {*required, *optional}}
        for header in file.header():
            if header in names or header.startswith("~"):
                continue
            found = _HEADER.fullmatch(header)
            name = found[1] if found else header
            if name in names.values():
                raise WorkFailed(f"{file.name}, line 1: the property '{name}' is there twice; names must be unique")
            names[header] = name
            declared = _Property(type=found[2].lower() if found else "", several=bool(found and found[3]))
            before = properties.setdefault(name, declared)
            if before != declared:
                properties[name] = _Property(type="", several=before.several or declared.several)
        table = Table.read(file, [*required, *(header for header in names if header not in required)])
        tables.append(Table(frame=table.frame.rename(names), files=table.files))
    return Table.concat(tables), properties


def _node_types(labels: pl.Series) -> pl.Series:
    """The type of each node: its labels sorted and joined, as the exporter does; ``A::B`` is two labels as well."""
    parts = labels.fill_null(VERTEX).str.replace_all("::", SEPARATOR, literal=True).str.split(SEPARATOR)
    return parts.list.unique().list.sort().list.join(SEPARATOR)


def _by_kind(table: Table, columns: Iterable[str], kinds: dict[str, pl.Series]) -> Iterable[tuple[tuple[Any, ...], pl.DataFrame]]:
    """The rows of each kind, in the order in which the kinds appear."""
    frame = pl.DataFrame({name: table.column(name).text for name in columns})
    return frame.with_columns(**kinds).partition_by(*kinds, as_dict=True, include_key=False).items()


def _used(rows: pl.DataFrame, properties: Iterable[str]) -> list[str]:
    return [name for name in properties if rows[name].null_count() < len(rows)]


def _recurs(values: pl.Series) -> bool:
    return 2 <= values.drop_nulls().n_unique() <= min(MAX_CLASSES, values.count() / 2)


def _file_name(folder: str, kind: str, number: int) -> str:
    """As the exporter does, the name of the type with special characters encoded."""
    name = quote_plus(kind)
    return f"{folder}/{name}.csv" if len(name) <= MAX_NAME else f"{folder}/{name[:MAX_NAME]}-{number}.csv"
