"""Data processing: an export in, a processed graph out."""

import logging
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from despina.core.errors import DespinaError
from despina.core.job import ProcessWork
from despina.core.location import Location
from despina.graph.bulk_load import advice, derive, find_bulk_load
from despina.graph.continuation import CONFIGURATION, Earlier
from despina.graph.estimate import Estimate, estimate, estimate_triples, refuse
from despina.graph.export import Export, read_export
from despina.graph.export_folder import locate
from despina.graph.faults import Fault, InputFault
from despina.graph.forms import read_form
from despina.graph.graph import Graph
from despina.graph.rdf_target import rdf_files
from despina.graph.schema import EdgeFile, ExportConfiguration, NodeFile
from despina.learn.proposals import check_model_type, choose_model_type
from despina.programs import report
from despina.programs.context import Context
from despina.programs.json_files import write_json
from despina.programs.machine import available_memory, free_disk
from despina.programs.processed import GRAPH, write_processed

log = logging.getLogger(__name__)

SMALL = 64 * 2**20
"""Bytes of an export that is read to its end even if its first rows are wrong, so that all findings are told at once."""
DERIVED = "export"
"""The subfolder of the output with the export that was made of files without a configuration."""


@dataclass(frozen=True, kw_only=True)
class _Input:
    """What is to be read."""

    folder: Path
    configuration: ExportConfiguration
    content: bytes
    """Of the configuration file."""
    note: str = ""
    """What the user should know of a configuration that the export does not have."""
    triples: Estimate | None = None
    """Of the RDF that the files were made of."""


def run(work: ProcessWork, context: Context) -> dict[str, Any]:
    """Read the export at ``work.input`` and put the processed graph at ``work.output``.

    An input that cannot be used leaves ``processing-report.json`` with the findings there, and no graph.

    Returns:
        How many ``nodes`` and ``edges`` the graph has and how many ``rows`` were read; ``train``, ``valid`` and ``test``: the nodes
        or edges in each part; ``removed``: nodes that the graph of ``work.previous`` had and this one has not; ``added``: nodes
        that no earlier graph had; ``warnings``; and the ``estimate`` that was made before the work.

    Raises:
        InputFault: the export cannot be used; the findings name file, line, column and value.
        ArtifactError: a location cannot be read or written.
    """
    out = context.folder / "out"
    try:
        with TemporaryDirectory(dir=context.folder) as scratch:
            return _process(work, context, Path(scratch), out)
    except InputFault as fault:
        _report_failure(work, context, fault)
        raise
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _process(work: ProcessWork, context: Context, scratch: Path, out: Path) -> dict[str, Any]:
    begun = time.monotonic()
    earlier = None
    if work.previous is not None:
        earlier = Earlier.load(Path(context.store.get(Location.parse(work.previous))), GRAPH)
    given = _input(work, context, scratch, earlier)
    configuration = given.configuration
    try:
        check_model_type(configuration.target.task, work.model_type)
        if earlier is not None:
            configuration = earlier.check(configuration)
        expected = estimate(given.folder, configuration, earlier=earlier.encodings if earlier else None, triples=given.triples)
        refuse(expected, given.folder, configuration, memory=available_memory(), disk=free_disk(context.folder),
               earlier=earlier.encodings.classes if earlier else ())
    except InputFault as fault:
        raise _with_all_findings(fault, given, earlier) from fault
    context = context.estimated(expected.shortened())
    _put_report(work, context, report.Beginning(estimate=context.estimate))  # an output that cannot be written is found out now
    with context.stage("read"):
        export = read_export(given.folder, configuration, lambda step, of: context.report(step, of, "file"), earlier)
    graph, rows = export.graph, sum(export.rows.values())
    log.info("%d rows read", rows)
    read = time.monotonic()
    with context.stage("write"):
        write_processed(out, graph, export.encodings, choose_model_type(graph, work.model_type))
    (out / CONFIGURATION).write_bytes(given.content)
    warnings = (*([given.note] if given.note else []), *export.warnings)
    for warning in warnings:
        log.warning("%s", warning)
    write_json(out / report.FILE, report.report(
        export, given.configuration, warnings=warnings, estimate=context.estimate,
        seconds={"read": round(read - begun, 3), "write": round(time.monotonic() - read, 3)}))
    with context.stage("put"):
        context.store.put(out, Location.parse(work.output))
    return {**_counts(graph, export), "removed": earlier.lost(graph) if earlier else 0, "rows": rows, "warnings": warnings,
            "estimate": context.estimate}


def _with_all_findings(fault: InputFault, given: _Input, earlier: Earlier | None) -> InputFault:
    """The fault that the first rows of an export show, and if it is small what else is wrong in it."""
    if sum(path.stat().st_size for path in given.folder.rglob("*") if path.is_file()) > SMALL:
        return fault
    try:
        read_export(given.folder, given.configuration, lambda step, of: None, earlier)  # noqa: ARG005
    except InputFault as others:
        return InputFault.of(tuple(dict.fromkeys((*fault.findings, *others.findings))))
    return fault


def _counts(graph: Graph, export: Export) -> dict[str, int]:
    parts = graph.target.by_type.values()
    return {"nodes": sum(graph.node_counts.values()) - sum(map(len, graph.removed.values())), "added": export.added,
            "edges": sum(len(csr.indices) for csr in graph.edges.values()) // 2,
            "train": sum(int(part.train.sum()) for part in parts), "valid": sum(int(part.valid.sum()) for part in parts),
            "test": sum(int(part.test.sum()) for part in parts)}


def _input(work: ProcessWork, context: Context, scratch: Path, earlier: Earlier | None) -> _Input:
    """The export, as CSV files with a configuration: RDF is converted, and files without a configuration are given one."""
    folder = Path(context.store.get(Location.parse(work.input)))
    file, note = work.config_file_name, ""
    if (folder / file).is_file():
        content = (folder / file).read_bytes()
    elif earlier is not None:
        content, note = earlier.configuration, f"there is no file '{file}' at {work.input}; that of the earlier job was taken"
    else:
        folder, file, note = _derive(folder, work, context, scratch)
        content = (folder / file).read_bytes()
    rdf, triples = rdf_files(file, content), None
    if rdf:  # converting them is work, too
        triples = estimate_triples(folder, rdf)
        refuse(triples, folder, None, memory=available_memory(), disk=free_disk(context.folder))
    converted = scratch / "converted"
    converted.mkdir()
    folder, configuration = read_form(folder, file, converted, content=content)
    given = _Input(folder=folder, configuration=configuration, content=content, note=note, triples=triples)
    return _sorted_as_before(given, scratch / DERIVED) if earlier is not None and note else given


def _sorted_as_before(given: _Input, into: Path) -> _Input:
    """CSV files in the form of the bulk loader, sorted by type into files with the names that the earlier job's configuration has.

    An export that has such files itself is left as it is, and so is one that would have none of them.
    """
    entries: list[NodeFile | EdgeFile] = [*given.configuration.nodes, *given.configuration.edges]
    wanted = {entry.file_name for entry in entries}
    if any(_is_there(given.folder, name) for name in wanted):
        return given
    nodes, edges = find_bulk_load(given.folder)
    derive(nodes, edges, into)
    made = {path.relative_to(into).as_posix() for path in into.rglob("*.csv")}
    if not made & wanted:
        return given
    left_out = f", which leaves out {', '.join(sorted(made - wanted)[:10])}" if made - wanted else ""
    return replace(given, folder=into, note=f"{given.note}, and the CSV files were sorted by type for it{left_out}",
                   configuration=msgspec.structs.replace(  # a type without rows has no file, and is kept empty
                       given.configuration, nodes=tuple(file for file in given.configuration.nodes if file.file_name in made),
                       edges=tuple(file for file in given.configuration.edges if file.file_name in made)))


def _is_there(folder: Path, name: str) -> bool:
    try:
        locate(folder, name)
    except InputFault:
        return False
    return True


def _derive(folder: Path, work: ProcessWork, context: Context, scratch: Path) -> tuple[Path, str, str]:
    """An export made of CSV files in the form of the bulk loader, which is put below the output; its configuration, and advice."""
    missing = f"there is no file '{work.config_file_name}' at {work.input}"
    present = sorted(folder.glob("*.json"))
    misspelled = any(b'"graph"' in path.read_bytes() for path in present if path.is_file())
    nodes, edges = ([], []) if misspelled else find_bulk_load(folder)
    if not nodes and not edges:
        names = ", ".join(path.name for path in present) or "none"
        raise InputFault(Fault.MISSING_CONFIGURATION, f"{missing}; the JSON files there are: {names}", file=work.config_file_name)
    derived = derive(nodes, edges, scratch / DERIVED)
    place = Location.parse(work.output) / DERIVED
    context.store.put(derived.folder, place)
    note = f"{missing}, and {advice(derived, str(place))}"
    if not derived.links:
        raise InputFault(Fault.MISSING_LABELS, note, file=work.config_file_name)
    return derived.folder, CONFIGURATION, note


def _report_failure(work: ProcessWork, context: Context, fault: InputFault) -> None:
    """Put the findings at the output. That it cannot be written must not hide them: the job's failure reason has the first."""
    try:
        _put_report(work, context, report.failure(fault))
    except (DespinaError, OSError) as error:
        log.warning("the findings could not be written to %s: %s", work.output, error)


def _put_report(work: ProcessWork, context: Context, content: report.Beginning | report.FailureReport) -> None:
    with TemporaryDirectory(dir=context.folder) as folder:
        write_json(Path(folder) / report.FILE, content)
        context.store.put(Path(folder), Location.parse(work.output))
