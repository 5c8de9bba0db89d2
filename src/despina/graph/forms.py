"""The forms that an export may have: a property graph configured in the form v2.0 or v1, or RDF."""

from pathlib import Path
from typing import Any

from despina.graph.json_object import JsonObject
from despina.graph.legacy import read_legacy
from despina.graph.rdf import convert
from despina.graph.schema import ExportConfiguration, read_configuration


def read_form(folder: Path, file: str, scratch: Path, *, content: bytes | None = None) -> tuple[Path, ExportConfiguration]:
    """The folder of CSV files that an export consists of, and what is in them.

    Args:
        folder: the export.
        file: the name of its configuration file.
        scratch: an empty folder, which RDF is converted into.
        content: what the configuration says; None: what is in the file, which is there then.

    Raises:
        InputFault: the configuration, or an RDF file, is malformed or asks for what is not offered.
    """
    content = (folder / file).read_bytes() if content is None else content
    top = JsonObject.parse(file, content)
    parts = _parts(top.members.get("graph"))
    if top.members.get("query_engine") == "sparql" or any("rdfs" in part for part in parts):
        return scratch, convert(folder, top, scratch)
    if str(top.members.get("version", "")).startswith("v1") or any("file_name" in part for part in parts):
        return folder, read_legacy(top)
    return folder, read_configuration(file, content)


def _parts(graph: Any) -> list[dict[str, Any]]:
    return [part for part in (graph if isinstance(graph, list) else [graph]) if isinstance(part, dict)]
