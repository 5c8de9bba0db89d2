"""A tiny RDF export that tests change in one place: four people in teams, who know each other, and a town in a land."""

import json
from pathlib import Path
from typing import Any

from despina.graph.export import Export, read_export
from despina.graph.forms import read_form
from despina.graph.schema import ExportConfiguration

CONFIGURATION = "training-data-configuration.json"
STATEMENTS = "statements/statements.nt"
TARGET = {"node": "http://e/Person", "predicate": "http://e/team", "split_rate": [0.5, 0.25, 0.25]}
KNOWS = {"subject": "http://e/Person", "predicate": "http://e/knows", "object": "http://e/Person"}
LIVES = {"subject": "http://e/Person", "predicate": "http://e/livesIn", "object": "http://e/Town"}

TRIPLES = """\
e:a rdf:type e:Person .
e:b rdf:type e:Person .
e:c rdf:type e:Person .
e:d rdf:type e:Person .
e:x rdf:type e:Town .
e:a e:team "red" .
e:b e:team "blue"@en .
e:c e:team "red"^^xsd:string .
e:a e:age "30"^^xsd:integer .
e:b e:age "40.5"^^xsd:double .
e:d e:age "20" .
e:a e:likes "tea" .
e:a e:likes "salt;pepper" .
e:b e:likes "tea" .
e:c e:likes "salt;pepper" .
e:a e:knows e:b .
e:b e:knows e:a .
e:c e:livesIn e:x .
e:x e:partOf _:land .
_:land e:name "Land" .
"""


def expanded(text: str) -> str:
    """Short names written out: ``e:a`` is an IRI, ``rdf:type`` and ``xsd:…`` are the W3C's."""
    words = {"rdf:type": "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"}
    lines = []
    for line in text.splitlines():
        parts = [words.get(part, f"<http://e/{part[2:]}>" if part.startswith("e:") else part) for part in line.split(" ")]
        lines.append(" ".join(parts).replace("xsd:string", "<http://www.w3.org/2001/XMLSchema#string>")
                     .replace("xsd:integer", "<http://www.w3.org/2001/XMLSchema#integer>")
                     .replace("xsd:double", "<http://www.w3.org/2001/XMLSchema#double>"))
    return "\n".join(lines) + "\n"


def document(target: dict[str, Any] | None = None, **label: Any) -> dict[str, Any]:
    """The configuration of a classification."""
    return with_label({"task_type": "classification", "targets": [target or TARGET]} | label)


def with_label(label: dict[str, Any] | None) -> dict[str, Any]:
    """The configuration with this ``label``, or none."""
    entry = {"file_name": STATEMENTS} | ({} if label is None else {"label": label})
    return {"version": "v2.0", "query_engine": "sparql", "graph": {"rdfs": [entry]}, "warnings": []}


def write(folder: Path, configuration: dict[str, Any], triples: str = TRIPLES, files: dict[str, str] | None = None) -> None:
    """Write an export; ``files`` by their names."""
    for name, content in ({STATEMENTS: expanded(triples), CONFIGURATION: json.dumps(configuration)} | (files or {})).items():
        (folder / "export" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "export" / name).write_text(content, encoding="utf-8")


def convert(folder: Path) -> ExportConfiguration:
    """Convert what was written."""
    (folder / "scratch").mkdir()
    place, configuration = read_form(folder / "export", CONFIGURATION, folder / "scratch")
    assert place == folder / "scratch"
    return configuration


def configure(folder: Path, configuration: dict[str, Any], triples: str = TRIPLES) -> ExportConfiguration:
    """Write an export and convert it."""
    write(folder, configuration, triples)
    return convert(folder)


def graph_of(folder: Path, configuration: ExportConfiguration) -> Export:
    """Read what was converted."""
    return read_export(folder / "scratch", configuration, lambda done, of: None)


def read(folder: Path, configuration: dict[str, Any] | None = None, triples: str = TRIPLES) -> Export:
    """Write an export, convert it and read that; it is a classification unless said otherwise."""
    return graph_of(folder, configure(folder, configuration or document(), triples))


def links(*targets: dict[str, Any], **label: Any) -> dict[str, Any]:
    """The configuration of a link prediction."""
    return with_label({"task_type": "link_prediction", "targets": list(targets)} | label)
