"""``despina plan EXPORT``: what an export holds and what processing and training will take, without a server and without the work.

RDF is converted to a property graph to look at it, which is a part of its processing, if its files are small; of larger ones only
triples, edges, memory and times are told.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from despina.artifacts import open_artifacts
from despina.cli import tables
from despina.core.errors import DespinaError
from despina.core.location import Location
from despina.graph.bulk_load import CONFIGURATION, derive, find_bulk_load
from despina.graph.estimate import Estimate, estimate, estimate_triples, refuse
from despina.graph.export_folder import locate
from despina.graph.faults import Fault, Finding, Findings, InputFault
from despina.graph.forms import read_form
from despina.graph.rdf_target import rdf_files
from despina.programs.machine import available_memory, free_disk
from despina.settings import load

CONVERTED = 50 * 2**20
"""Bytes of RDF files up to which they are converted, in a few seconds."""
SHOWN = 20
"""Node types and edge types in the table, the largest ones of each."""


class Room(NamedTuple):
    """Bytes of memory and disk that there are here."""

    memory: int
    disk: int


def run(options: argparse.Namespace) -> int:
    """Print the plan; the exit status: 0 if the work can be done here, 1 if it would be refused. The findings say why."""
    data = load({"data_dir": options.data_dir}).data_dir.absolute()
    room = Room(available_memory(), free_disk(next(folder for folder in (data, *data.parents) if folder.is_dir())))
    found, findings = _plan(_local(options.export, data), options, room)
    if options.json:
        print(json.dumps({"estimate": msgspec.to_builtins(found), "findings": msgspec.to_builtins(findings),
                          "available": {"memoryBytes": room.memory, "diskBytes": room.disk}}))
    else:
        if found:
            print(_table(options.export, found, room))
        for finding in findings:
            print(f"{finding.name}: {' '.join(finding.text.splitlines())}", file=sys.stderr)
    return 1 if findings else 0


def _local(export: str, data: Path) -> Path:
    """The folder of the export. Raises DespinaError if there is none."""
    if "://" in export:
        store = open_artifacts(None if os.environ.get("DESPINA_S3_FOLDER") else data / "s3", cache=data / "cache")
        path = Path(store.get(Location.parse(export)))
    else:
        path = Path(export)
    if not path.is_dir():
        raise DespinaError(f"There is no folder {export}.")
    return path


def _plan(folder: Path, options: argparse.Namespace, room: Room) -> tuple[Estimate | None, tuple[Finding, ...]]:
    """The estimate, if the export can be read as far as that, and what it would be refused for."""
    found: Estimate | None = None
    try:
        with TemporaryDirectory() as scratch:
            folder, file = _configured(folder, options.config_file_name, Path(scratch) / "derived")
            triples = rdf_files(file, (folder / file).read_bytes())
            if _total(folder, triples) > CONVERTED:
                found = estimate_triples(folder, triples)
                refuse(found, folder, None, memory=room.memory, disk=room.disk)
            else:
                converted = Path(scratch) / "converted"
                converted.mkdir()
                of_triples = estimate_triples(folder, triples) if triples else None
                folder, configuration = read_form(folder, file, converted)
                found = estimate(folder, configuration, triples=of_triples)
                refuse(found, folder, configuration, memory=room.memory, disk=room.disk)
    except InputFault as fault:
        return found, fault.findings
    return found, ()


def _configured(folder: Path, file: str, derived: Path) -> tuple[Path, str]:
    """The folder and the name of the configuration: the export's own, or one derived as data processing does. Raises InputFault."""
    if (folder / file).is_file():
        return folder, file
    missing = f"there is no file '{file}' in {folder}"
    present = sorted(folder.glob("*.json"))
    nodes, edges = ([], []) if any(b'"graph"' in path.read_bytes() for path in present) else find_bulk_load(folder)
    if not nodes and not edges:
        raise InputFault(Fault.MISSING_CONFIGURATION, f"{missing}; the JSON files there are: "
                         f"{', '.join(path.name for path in present) or 'none'} (--config-file-name names one)")
    if sum(csv.path.stat().st_size for csv in (*nodes, *edges)) > CONVERTED:
        raise InputFault(Fault.MISSING_CONFIGURATION, f"{missing}, and to derive one from so much CSV takes long; data processing "
                         "does so, and puts it at its output")
    if not derive(nodes, edges, derived).links:
        raise InputFault(Fault.MISSING_LABELS, f"{missing}, and no edges: nothing says what is to be predicted")
    print(f"There is no '{file}': this is of the configuration that data processing derives from the CSV files.", file=sys.stderr)
    return derived, CONFIGURATION


def _total(folder: Path, files: Iterable[str]) -> int:
    """Bytes of files. Raises InputFault for those that are missing."""
    total, findings = 0, Findings()
    for name in files:
        with findings.gather():
            total += locate(folder, name).stat().st_size
    findings.check()
    return total


def _table(export: str, found: Estimate, room: Room) -> str:
    about = "about " if found.sampled else ""
    facts = [
        ("export", f"{export}: {found.files} file{'s' * (found.files != 1)}, {tables.size(found.input_bytes)}"),
        ("rows", f"{about}{found.rows:,}"),
        ("nodes", f"{about}{found.nodes:,}" if found.node_types else "not known before the RDF is converted"),
        ("edges", f"{about}{found.edges:,}"),
        ("memory", f"{tables.size(found.peak_memory_bytes)} at the peak of processing; {tables.size(room.memory)} are available"),
        ("disk", f"{tables.size(found.disk_bytes)}; {tables.size(room.disk)} are free"),
        ("processing", tables.duration(found.processing_minutes * 60_000)),
        ("training", "not known" if found.training_minutes is None
         else f"{tables.duration(found.training_minutes * 60_000)} a trial"),
    ]
    text = "\n".join(f"{name.ljust(12)}{value}" for name, value in facts)
    types = found.node_types[:SHOWN] + found.edge_types[:SHOWN]
    if types:
        text += "\n\n" + tables.table(["COUNT", "FEATURE COLUMNS", "TYPE"], [(kind.count, kind.width, kind.name) for kind in types])
    left_out = len(found.node_types) + len(found.edge_types) - len(types)
    if left_out:
        text += f"\n… and {left_out} smaller types (--json has all of them)"
    if found.sampled:
        text += "\nOf large files the first rows were read: counts are extrapolated, and feature columns may become more."
    return text
