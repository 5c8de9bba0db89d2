"""Data processing: an export in, a processed graph out."""

import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from despina.core.errors import WorkFailed
from despina.core.job import ProcessWork
from despina.core.location import Location
from despina.graph.bulk_load import advice, derive, find_bulk_load
from despina.graph.export import read_export
from despina.graph.forms import read_form
from despina.graph.schema import NOT_YET
from despina.learn.hyperparameters import default_configuration
from despina.programs.context import Context
from despina.programs.processed import write_processed

log = logging.getLogger(__name__)


def run(work: ProcessWork, context: Context) -> dict[str, Any]:
    """Read the export at ``work.input`` and put the processed graph at ``work.output``.

    Returns:
        How many ``nodes`` and ``edges`` the graph has and how many ``rows`` were read; ``train``, ``valid`` and ``test``: the nodes
        in each part.

    Raises:
        WorkFailed: the export cannot be used; the text names file, line, column and value.
        ArtifactError: a location cannot be read or written.
    """
    if work.model_type not in {None, "heterogeneous"}:
        raise WorkFailed(f"the model type '{work.model_type}' is {NOT_YET}; 'heterogeneous' is")
    folder = Path(context.store.get(Location.parse(work.input)))
    if not (folder / work.config_file_name).is_file():
        raise _no_configuration(folder, work, context)
    with TemporaryDirectory(dir=context.folder) as scratch:
        folder, configuration = read_form(folder, work.config_file_name, Path(scratch))
        export = read_export(folder, configuration, lambda step, of: context.report(step, of, "file"))
    graph = export.graph
    log.info("%d rows read", export.rows)
    out = context.folder / "out"
    write_processed(out, graph, export.encodings, default_configuration(graph))
    context.store.put(out, Location.parse(work.output))
    shutil.rmtree(out)
    return {"nodes": sum(graph.node_counts.values()), "rows": export.rows,
            "edges": sum(len(csr.indices) for csr in graph.edges.values()) // 2,
            **{part: int(mask.sum()) for part, mask in
               (("train", graph.target.train), ("valid", graph.target.valid), ("test", graph.target.test))}}


def _no_configuration(folder: Path, work: ProcessWork, context: Context) -> WorkFailed:
    """What is to be said of an export without a configuration; one for CSV files of the bulk loader is put at ``work.output``."""
    missing = f"there is no file '{work.config_file_name}' at {work.input}"
    present = sorted(folder.glob("*.json"))
    misspelled = any(b'"graph"' in path.read_bytes() for path in present if path.is_file())
    nodes, edges = ([], []) if misspelled else find_bulk_load(folder)
    if not nodes:
        return WorkFailed(f"{missing}; the JSON files there are: {', '.join(path.name for path in present) or 'none'}")
    with TemporaryDirectory(dir=context.folder) as scratch:
        export = Path(scratch) / "export"
        candidates = derive(nodes, edges, export)
        context.store.put(export, Location.parse(work.output))
    return WorkFailed(f"{missing}, and {advice(candidates, work.output.rstrip('/'))}")
