"""A corpus of broken exports: each ends in a ``failureReason`` to act on, never a traceback, and leaves nothing at the output."""

import gzip
import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from tests.unit.graph.people import CONFIGURATION, EDGES, FILES, NODES, write
from tests.users import unprivileged

from despina.artifacts import open_artifacts
from despina.core.errors import WorkFailed
from despina.core.job import ProcessWork
from despina.graph.faults import InputFault
from despina.programs import process
from despina.programs.context import Context
from despina.programs.report import FILE, FailureReport


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One way in which the export of ``people`` is broken, and what the failure reason says of it."""

    says: tuple[str, ...]
    changes: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes | str] = field(default_factory=dict)
    prepare: Callable[[Path], None] = lambda folder: None
    model_type: str | None = None


def changed(name: str, old: str, new: str) -> dict[str, bytes | str]:
    assert old in FILES[name]
    return {name: FILES[name].replace(old, new, 1)}


def zipped(name: str, cut: int | None = None) -> bytes:
    return gzip.compress(FILES[name].encode())[:cut]


def parquet(frame: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


def node_file(name: str) -> dict[str, Any]:
    return {"graph.nodes.0.file_name": name}


def link_out(folder: Path) -> None:
    (folder.parent / "secret.csv").write_text(FILES[NODES], encoding="utf-8")
    (folder / "link.csv").symlink_to("../secret.csv")


def link_folder_out(folder: Path) -> None:
    (folder.parent / "others").mkdir()
    (folder.parent / "others" / "person.csv").write_text(FILES[NODES], encoding="utf-8")
    (folder / "link").symlink_to("../others")


def link_to_itself(folder: Path) -> None:
    (folder / "loop.csv").symlink_to("loop.csv")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.csv")


PEOPLE = pl.read_csv(FILES[NODES].encode(), infer_schema=False)
SPLIT = {"graph.nodes.0.labels.0": {"label": ["group", "classification"], "custom_split_filenames": {
    "train": "train.csv", "validation": "valid.csv", "test": "test.csv"}}}
TWO_RELATIONS = {"graph.edges.1": {"file_name": EDGES, "source": ["~from", "person"], "relation": ["", "rev-knows"],
                                   "dest": ["~to", "person"]}}
BY_RELATION: dict[str, Any] = {"graph.edges.0.relation": ["weight", "knows"], "graph.edges.0.features": []}
VECTOR = {"graph.nodes.0.features.0": {"feature": ["town", "v", "numerical"], "separator": ";"}}
TIME = {"graph.nodes.0.features.0": {"feature": ["since", "t", "datetime"]}}
NUMBER = "is not a finite number"
INSIDE = "a file name must be a path inside the export folder, such as nodes/person.csv, without a leading '/', '..' or NUL"
UTF_8 = "save the file in that encoding"
SHORT = "write a ',' for each cell without a value too"
QUOTES = "a cell that contains a double quote must itself be in double quotes, with the one inside written twice"
WRITE_AGAIN = "write it again"
RATES = (f"{CONFIGURATION}, graph.nodes[0].labels[0].split_rate: must be three numbers [train, valid, test] that add up to 1",)
FEATURE = "graph.nodes.0.features.0"
LABEL = "graph.nodes.0.labels.0"
OF_EDGES = f"{CONFIGURATION}, graph.edges[0].labels[0]"
LEARN = "needs some to learn from"
LABELS_FOR = "there are labels for node type 'person' (node_class of group) and edge type (person)-knows-(person)"
TWO_TARGETS = "more than one target is not offered yet by this version of Despina"


def on_edges(column: str, task: str, **options: Any) -> dict[str, Any]:
    """Only this is predicted, of the edges, which have no features."""
    return {"graph.nodes.0.labels": [], "graph.edges.0.features": [],
            "graph.edges.0.labels": [{"label": [column, task], **options}]}


def listed(column: str, task: str) -> dict[str, Any]:
    """The same, divided by files."""
    return on_edges(column, task, custom_split_filenames={"train": "train.csv", "valid": "valid.csv", "test": "test.csv"})


def parts(**files: str) -> dict[str, bytes | str]:
    """The files of a split of edges, one of each part, with changes."""
    usual: dict[str, str] = {"train": "~from,~to\na,b\nb,a\n", "valid": "~from,~to\nc,a\n", "test": "~from,~to\nf,e\n"}
    return {f"{name}.csv": content for name, content in (usual | files).items()}


AGE = {LABEL: {"label": ["age", "regression"]}, "graph.nodes.0.features": []}
EMPTY_WEIGHTS: dict[str, bytes | str] = {EDGES: re.sub(r"[1-4]\.5$", "", FILES[EDGES], flags=re.MULTILINE)}
SAME_WEIGHTS: dict[str, bytes | str] = {EDGES: re.sub(r"[1-4]\.5$", "7", FILES[EDGES], flags=re.MULTILINE)}
NO_EDGES: dict[str, bytes | str] = {EDGES: FILES[EDGES].splitlines(keepends=True)[0]}

CORPUS: dict[str, Broken] = {
    # Names and kinds of files
    "no such file": Broken(changes=node_file("nodes/persons.csv"), says=(
        "nodes/persons.csv: there is no such file in the export (did you mean 'nodes/person.csv'?)",)),
    "no such file, but a compressed one": Broken(
        changes=node_file("nodes/man.csv"), files={"nodes/man.csv.gz": zipped(NODES)}, says=(
            "nodes/man.csv: there is no such file in the export (did you mean 'nodes/man.csv.gz'?)",)),
    "file above the export": Broken(changes=node_file("../secret.csv"), prepare=link_out, says=(f"../secret.csv: {INSIDE}",)),
    "file above, amid the name": Broken(changes=node_file("nodes/../../secret.csv"), prepare=link_out, says=(
        f"nodes/../../secret.csv: {INSIDE}",)),
    "file above, URL-encoded": Broken(changes=node_file("%2e%2e%2Fsecret.csv"), prepare=link_out, says=(
        f"%2e%2e%2Fsecret.csv: {INSIDE}",)),
    "absolute path": Broken(changes=node_file("/etc/passwd"), says=(f"/etc/passwd: {INSIDE}",)),
    "absolute path, URL-encoded": Broken(changes=node_file("%2Fetc%2Fpasswd"), says=(f"%2Fetc%2Fpasswd: {INSIDE}",)),
    "NUL in a file name": Broken(changes=node_file("nodes/person.csv\0.txt"), says=(f"nodes/person.csv\\0.txt: {INSIDE}",)),
    "NUL in a file name, URL-encoded": Broken(changes=node_file("nodes%00"), says=(f"nodes%00: {INSIDE}",)),
    "link out of the export": Broken(changes=node_file("link.csv"), prepare=link_out, says=(
        "link.csv: the symbolic link leads out of the export folder; put the file itself there",)),
    "folder that is a link out of the export": Broken(changes=node_file("link/person.csv"), prepare=link_folder_out, says=(
        "link/person.csv: the symbolic link leads out of the export folder; put the file itself there",)),
    "link to itself": Broken(changes=node_file("loop.csv"), prepare=link_to_itself, says=("loop.csv: there is no such file",)),
    "folder for a file": Broken(changes=node_file("nodes"), says=("nodes: this is a folder; it must be a file",)),
    "empty file name": Broken(changes=node_file(""), says=("'': this is a folder; it must be a file",)),
    "pipe for a file": Broken(changes=node_file("pipe.csv"), prepare=pipe, says=(
        "pipe.csv: this is a special file; it must be a file",)),
    "very long file name": Broken(changes=node_file("n" * 5000), says=(
        "nnn: there is no such file in the export; its files are edges/%28person",)),
    "split file above the export": Broken(changes={"graph.nodes.0.labels.0": {
        "label": ["group", "classification"], "custom_split_filenames": {"train": "../t.csv", "valid": "valid.csv"}}}, says=(
        f"../t.csv: {INSIDE}",)),
    # Whole files
    "empty file": Broken(files={NODES: ""}, says=(f"{NODES}: the file is empty; its first line must name the columns",)),
    "empty first line": Broken(files={NODES: "\n" + FILES[NODES]}, says=(
        f"{NODES}, line 1: the line is empty; the first line must name the columns",)),
    "header only": Broken(files={NODES: FILES[NODES].splitlines(keepends=True)[0]}, says=(
        f"{NODES}, column 'group': no row has a label; a classification needs some to learn from",)),
    "truncated gzip": Broken(files={NODES: zipped(NODES, -12)}, says=(
        f"{NODES}: the gzip file is damaged or cut off", WRITE_AGAIN)),
    "gzip cut off in its head": Broken(files={NODES: zipped(NODES, 6)}, says=(
        f"{NODES}: the gzip file is damaged or cut off", WRITE_AGAIN)),
    "gzip with a wrong checksum": Broken(files={NODES: zipped(NODES, -8) + b"12345678"}, says=(
        f"{NODES}: the gzip file is damaged or cut off (CRC check failed", WRITE_AGAIN)),
    "gzip followed by something else": Broken(files={NODES: zipped(NODES) + b"~id,group\n"}, says=(
        f"{NODES}: the gzip file is damaged or cut off (Not a gzipped file", WRITE_AGAIN)),
    "bad number in a gzip file": Broken(
        changes=node_file("n.csv.gz"), files={"n.csv.gz": gzip.compress(FILES[NODES].replace(",40,", ",forty,").encode())},
        says=("n.csv.gz, line 3, column 'age': 'forty'", NUMBER)),
    "too few cells in a gzip file": Broken(
        changes=node_file("n.csv.gz"), files={"n.csv.gz": gzip.compress(FILES[NODES].replace(',"Bonn",,"x"', "").encode())},
        says=("n.csv.gz, line 4: it has 3 cells, but the header has 6", SHORT)),
    "not Parquet": Broken(changes=node_file("n.parquet"), files={"n.parquet": FILES[NODES]}, says=(
        "n.parquet: this is not a whole Parquet file", WRITE_AGAIN)),
    "truncated Parquet": Broken(changes=node_file("n.parquet"), files={"n.parquet": parquet(PEOPLE)[:-20]}, says=(
        "n.parquet: this is not a whole Parquet file", WRITE_AGAIN)),
    "damaged Parquet": Broken(
        changes=node_file("n.parquet"), files={"n.parquet": parquet(PEOPLE)[:30] + b"\xff" * 100 + parquet(PEOPLE)[130:]},
        says=("n.parquet: this is not a whole Parquet file", WRITE_AGAIN)),
    "empty Parquet": Broken(changes=node_file("n.parquet"), files={"n.parquet": b""}, says=(
        "n.parquet: this is not a whole Parquet file", WRITE_AGAIN)),
    "Parquet by another name": Broken(files={NODES: parquet(PEOPLE)}, says=(
        f"{NODES}, line 1: this looks like a Parquet file; the name of one must end in .parquet",)),
    "column missing in Parquet": Broken(changes=node_file("n.parquet"), files={"n.parquet": parquet(PEOPLE.drop("age"))}, says=(
        "n.parquet: there is no column 'age'", "the columns are ~id, ~label, town")),
    "bad number in Parquet": Broken(
        changes=node_file("n.parquet"), files={"n.parquet": parquet(PEOPLE.with_columns(age=pl.lit("forty")))},
        says=("n.parquet, row 1, column 'age': 'forty'", NUMBER)),
    "NaN in Parquet": Broken(
        changes=node_file("n.parquet"),
        files={"n.parquet": parquet(PEOPLE.with_columns(age=pl.Series([1.5, 2, float("nan"), 1, 2, 3])))},
        says=("n.parquet, row 3, column 'age': 'NaN'", NUMBER)),
    "lists in Parquet": Broken(
        changes=node_file("n.parquet"), files={"n.parquet": parquet(PEOPLE.with_columns(pl.col("town").str.split("o")))},
        says=("n.parquet, column 'town': the type of the column is List(String); it must hold text, numbers, booleans or times",)),
    "bytes in Parquet": Broken(
        changes=node_file("n.parquet"), files={"n.parquet": parquet(PEOPLE.with_columns(pl.col("town").cast(pl.Binary)))},
        says=("n.parquet, column 'town': the type of the column is Binary; it must hold text, numbers, booleans or times",)),
    "durations in Parquet": Broken(
        changes=node_file("n.parquet"), files={"n.parquet": parquet(PEOPLE.with_columns(age=pl.duration(days=1)))},
        says=("n.parquet, column 'age': the type of the column is Duration", "it must hold text, numbers, booleans or times")),
    # Encodings
    "Latin-1": Broken(files={NODES: FILES[NODES].replace("Delft", "Besançon").encode("latin-1")}, says=(
        f"{NODES}, line 7: the byte 0xe7 is not UTF-8", UTF_8)),
    "Latin-1 in the header": Broken(files={NODES: FILES[NODES].replace("~label", "größe").encode("latin-1")}, says=(
        f"{NODES}, line 1: the byte 0xf6 is not UTF-8", UTF_8)),
    "UTF-16": Broken(files={NODES: FILES[NODES].encode("utf-16")}, says=(
        f"{NODES}, line 1: the file is in UTF-16; save it in UTF-8",)),
    "UTF-16 without a mark": Broken(files={NODES: FILES[NODES].encode("utf-16-le")}, says=(
        f"{NODES}, line 1: there is a NUL byte, as in UTF-16", "save the file as text in UTF-8")),
    "half a character at the end": Broken(files={NODES: FILES[NODES].encode() + b'"g\xe2\x82'}, says=(
        f"{NODES}, line 8: the byte 0xe2 is not UTF-8", UTF_8)),
    "NUL in a cell": Broken(files=changed(NODES, "Cork", "Co\0rk"), says=(
        f"{NODES}, line 3: there is a NUL byte, as in UTF-16 or binary data; save the file as text in UTF-8",)),
    "carriage returns alone": Broken(files={NODES: FILES[NODES].replace("\n", "\r").encode()}, says=(
        f"{NODES}, line 1: the line ends in a carriage return alone; end lines in a line feed",)),
    # Rows and quotes
    "too many cells": Broken(files=changed(NODES, '"Delft"', "Delft,NL"), says=(
        f"{NODES}, line 7: it has 7 cells, but the header has 6", "a cell that contains ',' must be in double quotes")),
    "too few cells": Broken(files=changed(NODES, "2001-05-01T10:00:00Z,", ""), says=(
        f"{NODES}, line 2: it has 5 cells, but the header has 6", SHORT)),
    "too few cells in the last line": Broken(files={NODES: FILES[NODES] + '"g"'}, says=(
        f"{NODES}, line 8: it has 1 cell, but the header has 6", SHORT)),
    "too few cells after a cell of two lines": Broken(
        files={NODES: FILES[NODES].replace('"Bonn"', '"Bo\nnn"', 1).replace(',"Delft"', "")},
        says=(f"{NODES}, line 8: it has 5 cells, but the header has 6", SHORT)),
    "too few cells in CRLF lines": Broken(
        files={EDGES: FILES[EDGES].replace(',"person",3.5', ",").replace("\n", "\r\n").encode()},
        says=(f"{EDGES}, line 4: it has 6 cells, but the header has 7", SHORT)),
    "too few cells in a split file": Broken(changes=SPLIT, files={"train.csv": "~id,group\na,x\nb\n"}, says=(
        "train.csv, line 3: it has 1 cell, but the header has 2", SHORT)),
    "open quote": Broken(files=changed(NODES, '"Delft"', '"Delft'), says=(f"{NODES}, line 7: ", QUOTES)),
    "quote in a cell without quotes": Broken(files=changed(NODES, '"Delft"', 'De"lft'), says=(f"{NODES}, line 7: {QUOTES}",)),
    "quote that is not doubled": Broken(files=changed(NODES, '"Delft"', '"De"lft"'), says=(f"{NODES}, line 7: ", QUOTES)),
    "another separator": Broken(files={NODES: FILES[NODES].replace(",", ";")}, says=(
        f"{NODES}, line 1: there is no column '~id'", "the columns are ~id;~label")),
    "separator of two bytes": Broken(changes={"graph.nodes.0.separator": "§"}, says=(
        f"{NODES}: '§' cannot separate the cells of a file; it must be one ASCII character",)),
    "quote as separator": Broken(changes={"graph.nodes.0.separator": '"'}, says=(
        f"{NODES}: '\"' cannot separate the cells of a file; it must be one ASCII character, no double quote",)),
    "line feed as separator": Broken(changes={"graph.edges.0.separator": "\n"}, says=(
        f"{EDGES}: '\\n' cannot separate the cells",)),
    # Columns
    "no such column": Broken(changes={f"{FEATURE}.feature.0": "aeg"}, says=(
        f"{NODES}, line 1: there is no column 'aeg' (did you mean 'age'?); the columns are ~id, ~label, age",)),
    "column twice": Broken(files=changed(NODES, "town", "age"), says=(
        f"{NODES}, line 1: the column 'age' is there 2 times; names must be unique",)),
    "column twice but for the type": Broken(
        changes={f"{FEATURE}.feature.0": "size"}, files=changed(NODES, "age,town", "size:int,size:double"),
        says=(f"{NODES}, line 1: the column 'size' is there 2 times; names must be unique",)),
    "no label column": Broken(files=changed(NODES, "group", "team"), says=(f"{NODES}, line 1: there is no column 'group'",)),
    "edges without ~from": Broken(files=changed(EDGES, "~from", "from"), says=(
        f"{EDGES}, line 1: there is no column '~from' (did you mean 'from'?)",)),
    # Values
    "not a number": Broken(files=changed(NODES, ",40,", ",forty,"), says=(f"{NODES}, line 3, column 'age': 'forty' {NUMBER}",)),
    "comma for a decimal point": Broken(files=changed(EDGES, "2.5", '"2,5"'), says=(
        f"{EDGES}, line 3, column 'weight': '2,5' {NUMBER}",)),
    "NaN": Broken(files=changed(NODES, ",40,", ",NaN,"), says=(f"{NODES}, line 3, column 'age': 'NaN' {NUMBER}",)),
    "infinity": Broken(files=changed(NODES, ",40,", ",-inf,"), says=(f"{NODES}, line 3, column 'age': '-inf' {NUMBER}",)),
    "number too large": Broken(files=changed(NODES, ",40,", ",1e999,"), says=(f"{NODES}, line 3, column 'age': '1e999' {NUMBER}",)),
    "huge cell for a number": Broken(files=changed(NODES, ",40,", f",{'x' * 300_000},"), says=(
        f"{NODES}, line 3, column 'age': '{'x' * 100}' {NUMBER}",)),
    "not a number after a cell of two lines": Broken(
        files={NODES: FILES[NODES].replace('"Bonn",2', '"Bo\nnn",2', 1).replace(",40,", ",forty,")},
        says=(f"{NODES}, line 4, column 'age': 'forty'",)),
    "not a number after a very long cell": Broken(
        files={NODES: FILES[NODES].replace("Bonn", "B" * 200_000, 1).replace(",40,", ",forty,")},
        says=(f"{NODES}, line 3, column 'age': 'forty'",)),
    "not a number after a byte-order mark": Broken(
        files={NODES: b"\xef\xbb\xbf" + FILES[NODES].replace(",40,", ",forty,").encode()},
        says=(f"{NODES}, line 3, column 'age': 'forty'",)),
    "missing number": Broken(changes={FEATURE: {"feature": ["age", "age", "numerical"]}}, says=(
        f"{NODES}, line 4, column 'age': the cell is empty; give the feature an 'imputer'",)),
    "missing edge number": Broken(files=changed(EDGES, "2.5", ""), says=(
        f"{EDGES}, line 3, column 'weight': the cell is empty; give the feature an 'imputer'",)),
    "not a time": Broken(changes=TIME, files=changed(NODES, "2002-06-01T11:00:00Z", "yesterday"), says=(
        f"{NODES}, line 3, column 'since': 'yesterday' is not a time; write it as in 1995-01-31T00:00:00Z",)),
    "no such day": Broken(changes=TIME, files=changed(NODES, "2002-06-01T11:00:00Z", "2002-02-30T00:00:00Z"), says=(
        f"{NODES}, line 3, column 'since': '2002-02-30T00:00:00Z' is not a time; write it as in",)),
    "vector of another length": Broken(
        changes=VECTOR, files={NODES: FILES[NODES].replace("Bonn", "1;2").replace("Cork", "1;2;3")},
        says=(f"{NODES}, line 3, column 'town': '1;2;3' has 3 values; the rows before it have 2",)),
    "vector with a word": Broken(
        changes=VECTOR, files={NODES: FILES[NODES].replace("Cork", "1;x").replace("Bonn", "1;2").replace("Delft", "3;4")},
        says=(f"{NODES}, line 3, column 'town': '1;x': its value number 2 {NUMBER}",)),
    # Ids, edges, labels and splits
    "node id twice": Broken(files=changed(NODES, '"d"', '"b"'), says=(
        f"{NODES}, line 5, column '~id': 'b' is the id of another node of type 'person' already ({NODES}, line 3); ids",)),
    "node without id": Broken(files=changed(NODES, '"d"', ""), says=(
        f"{NODES}, line 5, column '~id': the cell is empty; every node must have an id",)),
    "edge to an unknown node": Broken(files=changed(EDGES, '"c","a"', '"c","z"'), says=(
        f"{EDGES}, line 4, column '~to': 'z' is the id of no node of type 'person' in {NODES}",)),
    "edge without an end": Broken(files=changed(EDGES, '"c","a"', ',"a"'), says=(
        f"{EDGES}, line 4, column '~from': the cell is empty; it must be the id of a node of type 'person'",)),
    "edge without relation": Broken(changes=BY_RELATION, files=changed(EDGES, "2.5", ""), says=(
        f"{EDGES}, line 3, column 'weight': the cell is empty; every edge must have a relation",)),
    "name of a reverse": Broken(changes=TWO_RELATIONS, says=(
        "(person)-knows-(person) and of type (person)-rev-knows-(person); the second name", "rename one of the relations")),
    "no labels": Broken(files={NODES: re.sub(r'"[xy]"$', "", FILES[NODES], flags=re.MULTILINE)}, says=(
        f"{NODES}, column 'group': no row has a label; a classification needs some to learn from",)),
    "split of an unknown node": Broken(changes=SPLIT, files={"train.csv": "~id\na\nz\n"}, says=(
        "train.csv, line 3, column '~id': 'z' is the ~id of no node of type 'person'",)),
    "split of an unlabelled node": Broken(changes=SPLIT, files={"test.csv": "~id\nd\nf\n"}, says=(
        "test.csv, line 3, column '~id': 'f' has no label; leave it out of the split files",)),
    "split that overlaps": Broken(changes=SPLIT, files={"valid.csv": "~id\nc\nb\n"}, says=(
        "valid.csv, line 3, column '~id': 'b' is in the part 'train'",)),
    "split with a double": Broken(changes=SPLIT, files={"train.csv": "~id\na\nb\na\n"}, says=(
        "train.csv, line 4, column '~id': 'a' is listed twice",)),
    "split without training": Broken(changes=SPLIT, files={"train.csv": "~id\n"}, says=("train.csv: the training part is empty",)),
    "split without ids": Broken(changes=SPLIT, files={"train.csv": "id\na\n"}, says=(
        "train.csv, line 1: there is no column '~id' (did you mean 'id'?)",)),
    # The configuration
    "configuration cut off": Broken(files={CONFIGURATION: '{"graph": {"nodes": ['}, says=(f"{CONFIGURATION}: this is not JSON: ",)),
    "empty configuration": Broken(files={CONFIGURATION: ""}, says=(f"{CONFIGURATION}: this is not JSON: ",)),
    "configuration in UTF-16": Broken(files={CONFIGURATION: '{"graph": {}}'.encode("utf-16")}, says=(
        f"{CONFIGURATION}: this is not JSON: ",)),
    "configuration of a list": Broken(files={CONFIGURATION: "[]"}, says=(
        f"{CONFIGURATION}: the file must hold a JSON object, it holds a list",)),
    "no graph": Broken(changes={"graph": None}, says=(f"{CONFIGURATION}, graph: must be an object, it is missing",)),
    "file name of a number": Broken(changes={"graph.nodes.0.file_name": 7}, says=(
        f"{CONFIGURATION}, graph.nodes[0].file_name: must be a string, it is a number",)),
    "unknown key": Broken(changes={f"{FEATURE}.nrom": "none"}, says=(
        f"{CONFIGURATION}, graph.nodes[0].features[0]: unknown key 'nrom' (did you mean 'norm'?)",)),
    "unknown norm": Broken(changes={f"{FEATURE}.norm": "minmax"}, says=(
        f"{CONFIGURATION}, graph.nodes[0].features[0].norm: 'minmax' is not known (did you mean 'min-max'?)",)),
    "unknown feature type": Broken(changes={f"{FEATURE}.feature.2": "numeric"}, says=(
        f"{CONFIGURATION}, graph.nodes[0].features[0].feature: 'numeric' is not known (did you mean 'numerical'?)",)),
    "rates that do not add up": Broken(changes={"graph.nodes.0.labels.0.split_rate": [0.7, 0.1, 0.1]}, says=RATES),
    "rates of text": Broken(changes={"graph.nodes.0.labels.0.split_rate": ["1", 0, 0]}, says=RATES),
    # What is predicted
    "one class of nodes": Broken(files={NODES: FILES[NODES].replace('"y"', '"x"')}, says=(
        f"{NODES}, column 'group': all labels are 'x'; a classification needs at least two classes",)),
    "one class of edges": Broken(changes=on_edges("weight", "classification"), files=SAME_WEIGHTS, says=(
        f"{EDGES}, column 'weight': all labels are '7'; a classification needs at least two classes",)),
    "one class of several labels": Broken(
        changes=on_edges("weight", "classification", separator=";"), files={EDGES: FILES[EDGES].replace("1.5", "7;7").replace(
            "2.5", ";7").replace("3.5", "7;").replace("4.5", ";")},
        says=(f"{EDGES}, column 'weight': all labels are '7'; a classification needs at least two classes",)),
    "edges without labels": Broken(changes=on_edges("weight", "classification"), files=EMPTY_WEIGHTS, says=(
        f"{EDGES}, column 'weight': no row has a label; a classification {LEARN}",)),
    "edges without numbers": Broken(changes=on_edges("weight", "regression"), files=EMPTY_WEIGHTS, says=(
        f"{EDGES}, column 'weight': no row has a label; a regression {LEARN}",)),
    "nodes without numbers": Broken(changes=AGE, files={NODES: re.sub(",[2-6]0,", ",,", FILES[NODES])}, says=(
        f"{NODES}, column 'age': no row has a label; a regression {LEARN}",)),
    "no edges to predict": Broken(changes=on_edges("", "link_prediction"), files=NO_EDGES, says=(
        f"there are no edges of type (person)-knows-(person); link prediction {LEARN}",)),
    "no edges to classify": Broken(changes=on_edges("weight", "classification"), files=NO_EDGES, says=(
        f"{EDGES}, column 'weight': no row has a label; a classification {LEARN}",)),
    "nothing to predict at all": Broken(changes={"graph.nodes.0.labels": [], "graph.edges": []}, says=(
        f"{CONFIGURATION}: no entry has 'labels', which asks for link prediction, and there are no 'edges' to predict",
        '[{"label": ["column", "classification"]}]')),
    "word for a number of nodes": Broken(changes=AGE, files=changed(NODES, ",40,", ",forty,"), says=(
        f"{NODES}, line 3, column 'age': 'forty' {NUMBER}",)),
    "word for a number of edges": Broken(changes=on_edges("weight", "regression"), files=changed(EDGES, "3.5", "heavy"), says=(
        f"{EDGES}, line 4, column 'weight': 'heavy' {NUMBER}",)),
    "infinite number of edges": Broken(changes=on_edges("weight", "regression"), files=changed(EDGES, "1.5", "-Infinity"), says=(
        f"{EDGES}, line 2, column 'weight': '-Infinity' {NUMBER}",)),
    "several numbers for one edge": Broken(changes=on_edges("weight", "regression"), files=changed(EDGES, "2.5", "2;5"), says=(
        f"{EDGES}, line 3, column 'weight': '2;5' {NUMBER}",)),
    "no label column of edges": Broken(changes=on_edges("wieght", "classification"), says=(
        f"{EDGES}, line 1: there is no column 'wieght' (did you mean 'weight'?)",)),
    "no label column in one file of the edges": Broken(
        changes=on_edges("weight", "regression") | {"graph.edges.1": {
            "file_name": "more.csv", "source": ["~from", "person"], "relation": ["", "knows"], "dest": ["~to", "person"],
            "labels": [{"label": ["weight", "regression"]}]}},
        files={"more.csv": "~from,~to\na,c\n"}, says=(
            "more.csv, line 1: there is no column 'weight'; the columns are ~from, ~to",)),
    "label of edges that is a feature": Broken(
        changes={"graph.nodes.0.labels": [], "graph.edges.0.labels": [{"label": ["weight", "regression"]}]}, says=(
            f"{CONFIGURATION}, graph.edges[0].features[0]: the column 'weight' is the label; it cannot be a feature as well",)),
    "targets of nodes and of edges": Broken(
        changes={"graph.edges.0.features": [], "graph.edges.0.labels": [{"label": ["weight", "regression"]}]}, says=(
            f"{CONFIGURATION}: {LABELS_FOR} (edge_regression of weight); {TWO_TARGETS}",)),
    "targets of nodes and of links": Broken(changes={"graph.edges.0.labels": [{"label": ["", "link_prediction"]}]}, says=(
        f"{CONFIGURATION}: {LABELS_FOR} (link_predict); {TWO_TARGETS}",)),
    "two labels of one type": Broken(changes={"graph.nodes.0.labels.1": {"label": ["since", "classification"]}}, says=(
        f"{CONFIGURATION}, graph.nodes[0].labels: there are 2 labels; {TWO_TARGETS}",)),
    "two splits of one type": Broken(
        changes={"graph.nodes.1": {"file_name": "more.csv", "node": ["~id", "person"], "labels": [
            {"label": ["group", "classification"], "split_rate": [1, 0, 0]}]}},
        files={"more.csv": "~id,group\ng,x\n"}, says=(
            f"{CONFIGURATION}: the entries of node type 'person' give different options for the label 'group'; they must be the",)),
    "links between nodes of one entry": Broken(changes={f"{LABEL}.label": ["", "link_prediction"]}, says=(
        f"{CONFIGURATION}, graph.nodes[0].labels[0].label: 'link_prediction' is asked for under 'edges'",)),
    "unknown task": Broken(changes=on_edges("weight", "clasification"), says=(
        f"{OF_EDGES}.label: 'clasification' is not known (did you mean 'classification'?)",)),
    "task without a column": Broken(changes=on_edges("", "regression"), says=(
        f"{OF_EDGES}.label: the column is missing; only link prediction has none",)),
    "label of one word": Broken(changes={LABEL: {"label": ["group"]}}, says=(
        f'{CONFIGURATION}, graph.nodes[0].labels[0].label: must be a list of strings [column, task], it is ["group"]',)),
    "separated numbers": Broken(changes=on_edges("weight", "regression", separator=";"), says=(
        f"{OF_EDGES}.separator: only a classification can have several labels in a cell",)),
    "separator of two characters": Broken(changes=on_edges("weight", "classification", separator="::"), says=(
        f"{OF_EDGES}.separator: must be a single character, it is '::'",)),
    "unknown key of a label": Broken(changes={f"{LABEL}.split": [0.5, 0.5, 0]}, says=(
        f"{CONFIGURATION}, graph.nodes[0].labels[0]: unknown key 'split' (did you mean 'split_rate'?)",)),
    "knowledge-graph embeddings of labelled edges": Broken(changes=on_edges("weight", "classification"), model_type="kge", says=(
        "modelType 'kge' was asked for, and the task is edge_class: knowledge-graph embeddings predict links only; leave",)),
    "unknown type of model": Broken(model_type="homogeneous", says=(
        "modelType: 'homogeneous' is not known; it must be one of heterogeneous, kge",)),
    # Splits of edges and of numbers
    "split that names no edge": Broken(
        changes=listed("", "link_prediction"), files=parts(valid="~from,~to\nc,a\nc,b\n"), says=(
            "valid.csv, line 3, column '~from': 'c': no edge of type (person)-knows-(person) goes from there to the node in the",)),
    "split of an edge to an unknown node": Broken(
        changes=listed("weight", "regression"), files=parts(test="~from,~to\nf,z\n"), says=(
            "test.csv, line 2, column '~to': 'z' is the id of no node of type 'person'",)),
    "split of edges that overlaps": Broken(
        changes=listed("weight", "classification"), files=parts(test="~from,~to\nf,e\nb,a\n"), says=(
            "test.csv, line 3, column '~from': 'b' is in the part 'train' as well; parts must not overlap",)),
    "split of an unlabelled edge": Broken(
        changes=listed("weight", "classification"), files=parts() | changed(EDGES, "3.5", ""), says=(
            "valid.csv, line 2, column '~from': 'c' has no label; leave it out of the split files",)),
    "split of edges without training": Broken(changes=listed("", "link_prediction"), files=parts(train="~from,~to\n"), says=(
        "train.csv: the training part is empty",)),
    "split of edges without ends": Broken(changes=listed("", "link_prediction"), files=parts(train="~from\na\n"), says=(
        "train.csv, line 1: there is no column '~to'; the columns are ~from",)),
    "split of edges by their ids": Broken(changes=listed("", "link_prediction"), says=(
        "train.csv, line 1: there is no column '~from'; the columns are ~id",)),
    "word in a split of numbers": Broken(
        changes=listed("weight", "regression"), files=parts(train="~from,~to,weight\na,b,1\nb,a,much\n"), says=(
            f"train.csv, line 3, column 'weight': 'much' {NUMBER}",)),
    "split of an unknown relation": Broken(
        changes=listed("", "link_prediction"), files=parts(train="~from,~to,~label\na,b,know\n"), says=(
            "train.csv, line 2, column '~label': 'know'; it must be the relation of edges that the file divides: knows",)),
    "split of no node": Broken(changes=SPLIT, files={"train.csv": "~id,group\na,x\n,y\n"}, says=(
        "train.csv, line 3, column '~id': the cell is empty; it must be the ~id of a node of type 'person'",)),
    "no such split file": Broken(
        changes={LABEL: {"label": ["group", "classification"], "custom_split_filenames": {
            "train": "trian.csv", "valid": "valid.csv"}}},
        says=("trian.csv: there is no such file in the export (did you mean 'train.csv'?)",)),
    "split without a validation file": Broken(changes=on_edges("", "link_prediction", custom_split_filenames={"train": "t"}), says=(
        f"{OF_EDGES}.custom_split_filenames.valid: must be a string, it is missing",)),
    "split with both names of the validation file": Broken(
        changes=on_edges("", "link_prediction", custom_split_filenames={"train": "t", "valid": "v", "validation": "v"}), says=(
            f"{OF_EDGES}.custom_split_filenames: 'valid' and 'validation' mean the same; give one",)),
    "split by files and by rates": Broken(
        changes=on_edges("", "link_prediction", split_rate=[1, 0, 0], custom_split_filenames={"train": "t", "valid": "v"}), says=(
            f"{OF_EDGES}: 'split_rate' and 'custom_split_filenames' cannot both be given",)),
    "split by an unknown part": Broken(
        changes=on_edges("", "link_prediction", custom_split_filenames={"train": "t", "vaild": "v"}), says=(
            f"{OF_EDGES}.custom_split_filenames: unknown key 'vaild' (did you mean 'valid'?)",)),
    "rates without training": Broken(changes=on_edges("", "link_prediction", split_rate=[0, 0.5, 0.5]), says=(
        f"{OF_EDGES}.split_rate: must be three numbers [train, valid, test] that add up to 1, the",)),
}


def run(folder: Path, model_type: str | None = None) -> dict[str, Any]:
    """Process the export at ``folder``/bucket/export, as the program does, in a world that holds nothing else."""
    work = ProcessWork(input="s3://bucket/export", output="s3://bucket/out", config_file_name=CONFIGURATION, model_type=model_type)
    (folder / "run").mkdir()
    return process.run(work, Context(folder=folder / "run", store=open_artifacts()))


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESPINA_S3_FOLDER", str(tmp_path))
    return tmp_path / "bucket" / "export"


def break_it(export: Path, broken: Broken) -> None:
    write(export, broken.changes)
    for name, content in broken.files.items():
        (export / name).write_bytes(content.encode() if isinstance(content, str) else content)
    broken.prepare(export)


def test_the_corpus_is_as_large_as_was_promised() -> None:
    assert len(CORPUS) >= 60


@pytest.mark.parametrize("broken", CORPUS.values(), ids=CORPUS.keys())
def test_what_is_wrong_is_said_and_nothing_is_written(tmp_path: Path, export: Path, broken: Broken) -> None:
    break_it(export, broken)
    with pytest.raises(WorkFailed) as caught:
        run(tmp_path, broken.model_type)
    for text in broken.says:
        assert text in str(caught.value)
    assert "\0" not in str(caught.value)
    assert len(str(caught.value)) < 1_000
    assert str(tmp_path) not in str(caught.value), "it names files as the user does"
    assert isinstance(caught.value, InputFault)
    assert caught.value.reason.startswith(f"{caught.value.findings[0].name}: ")
    assert [path.name for path in (tmp_path / "bucket" / "out").iterdir()] == [FILE], "a report is all that is written"
    report = msgspec.json.decode((tmp_path / "bucket" / "out" / FILE).read_bytes(), type=FailureReport)
    assert report.findings == caught.value.findings
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("name", [NODES, "n.parquet"])
def test_a_file_that_may_not_be_read(tmp_path: Path, export: Path, name: str) -> None:
    break_it(export, Broken(changes=node_file(name), files={"n.parquet": parquet(PEOPLE)}, says=()))
    (export / name).chmod(0)
    for folder in tmp_path.parents:
        if folder.stat().st_mode & 0o005 != 0o005:  # pytest's own folders are private
            folder.chmod(0o755)
    tmp_path.chmod(0o777)
    with unprivileged(), pytest.raises(WorkFailed, match=f"{name}: the file cannot be read: permission denied; let the user"):
        run(tmp_path)
