"""A tiny export that tests change in one place: six people, who know each other, and the group each belongs to."""

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import polars as pl

from despina.graph.export import Export, read_export
from despina.graph.features.options import Feature, FeatureType
from despina.graph.schema import read_configuration
from despina.graph.tables import Column, CsvFile, Stretch, Table

NODES = "nodes/person.csv"
EDGES = "edges/%28person%29-knows-%28person%29.consolidated.csv"
CONFIGURATION = "training-data-configuration.json"

FILES = {
    NODES: """~id,~label,age,town,since,group
"a","person",30,"Bonn",2001-05-01T10:00:00Z,"x"
"b","person",40,"Cork",2002-06-01T11:00:00Z,"y"
"c","person",,"Bonn",,"x"
"d","person",20,,2001-05-01T10:00:00Z,"y"
"e","person",50,"Cork",2003-07-01T12:00:00Z,"x"
"f","person",60,"Delft",2003-07-01T12:00:00Z,
""",
    EDGES: """~id,~label,~from,~to,~fromLabels,~toLabels,weight
"1","knows","a","b","person","person",1.5
"2","knows","b","a","person","person",2.5
"3","knows","c","a","person","person",3.5
"4","knows","f","e","person","person",4.5
""",
    "train.csv": "~id\na\nb\n", "valid.csv": "~id\nc\n", "test.csv": "~id\nd\n",
}

GRAPH: dict[str, Any] = {"version": "v2.0", "query_engine": "gremlin", "graph": {
    "nodes": [{"file_name": NODES, "separator": ",", "node": ["~id", "person"],
               "features": [{"feature": ["age", "age", "numerical"], "norm": "min-max", "imputer": "median"},
                            {"feature": ["town", "town", "category"]}],
               "labels": [{"label": ["group", "classification"], "split_rate": [0.6, 0.2, 0.2]}]}],
    "edges": [{"file_name": EDGES, "separator": ",", "source": ["~from", "person"], "relation": ["", "knows"],
               "dest": ["~to", "person"], "features": [{"feature": ["weight", "weight", "numerical"]}]}]}, "warnings": []}


def configured(changes: dict[str, Any]) -> dict[str, Any]:
    """``GRAPH`` with members set, by paths such as ``graph.nodes.0.features.0.norm``; a value of None removes the member."""
    document = deepcopy(GRAPH)
    for path, value in changes.items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        holder: Any = document
        for part in parents:
            holder = holder[part]
        if value is None:
            del holder[last]
        elif isinstance(holder, list) and last == len(holder):
            holder.append(value)
        else:
            holder[last] = value
    return document


def write(folder: Path, changes: dict[str, Any] | None = None, files: dict[str, str] | None = None) -> Path:
    """Write the export with changes to its configuration and its files."""
    for name, content in (FILES | (files or {})).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    (folder / CONFIGURATION).write_text(json.dumps(configured(changes or {})), encoding="utf-8")
    return folder


def read(folder: Path) -> Export:
    """Read an export folder."""
    configuration = read_configuration(CONFIGURATION, (folder / CONFIGURATION).read_bytes())
    return read_export(folder, configuration, lambda done, of: None)


def column(values: Sequence[str | None], name: str = "p") -> Column:
    """A column as if read from the file ``values.csv``; the first value stands in line 2."""
    return table(values, name).column(name)


def table(values: Sequence[str | None], name: str = "p") -> Table:
    """A table of one column as if read from the file ``values.csv``."""
    cells = pl.Series(name, [None if value == "" else value for value in values], dtype=pl.String)
    stretch = Stretch(file=CsvFile(name="values.csv", path=Path("values.csv"), separator=","), rows=range(len(values)))
    return Table(cells={name: cells}, stretches=(stretch,))


def feature(kind: FeatureType, **options: Any) -> Feature:
    """A feature of the column that ``column`` makes."""
    return Feature(column="p", name="p", type=kind, **options)
