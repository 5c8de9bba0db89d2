"""The configuration of an RDF export: its files, and which literals or edges are to be predicted.

Source: Neptune user guide, "Target fields used in a neptune_ml targets object for RDF data"; what the exporter really writes is
followed where the two differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType
from despina.graph.json_object import JsonObject
from despina.graph.schema import (
    DEFAULT_SPLIT,
    EDGE_TASKS,
    NODE_TASKS,
    NOT_YET,
    SplitFiles,
    graph_parts,
    read_split,
    read_warnings,
)

Split = tuple[float, float, float] | SplitFiles

_TASKS = NODE_TASKS | {"link_prediction": EDGE_TASKS["link_prediction"]}
"""RDF has no properties of edges that could be predicted."""
_ENDS = ("subject", "predicate", "object")


@dataclass(frozen=True, kw_only=True)
class NodeTarget:
    """The objects of one predicate of the nodes of one class."""

    task: Task
    node_class: str
    predicate: str | None
    """None: the only predicate by which nodes of the class have literals."""
    split: Split

    def __str__(self) -> str:
        return f"{self.node_class} {self.predicate or ''}".strip() + f" ({self.task})"


@dataclass(frozen=True, kw_only=True)
class LinkTarget:
    """The edges of one type, or those of all types that no other target names."""

    edge_type: EdgeType | None
    split: Split

    def __str__(self) -> str:
        return str(self.edge_type or "all edges") + f" ({Task.LINK_PREDICT})"


@dataclass(frozen=True, kw_only=True)
class RdfConfiguration:
    """What an RDF export consists of and what is to be learnt from it."""

    files: tuple[str, ...]
    target: NodeTarget | tuple[LinkTarget, ...]
    warnings: tuple[str, ...]
    """Of the exporter, and about targets that mean more than they seem to."""

    @property
    def classes(self) -> frozenset[str]:
        """The classes that the targets name."""
        if isinstance(self.target, NodeTarget):
            return frozenset({self.target.node_class})
        return frozenset(end for target in self.target if target.edge_type
                         for end in (target.edge_type.source, target.edge_type.destination))


def read_rdf_configuration(top: JsonObject) -> RdfConfiguration:
    """Read a configuration that has ``rdfs`` in ``graph``.

    Without any label, and where a target lacks one of subject, predicate and object, all edges are the target, as documented.

    Raises:
        InputFault: it is malformed, contradicts itself, or asks for what is not offered; the text names the place in it.
    """
    files: list[str] = []
    targets: list[NodeTarget | LinkTarget] = []
    warnings = [*read_warnings(top)]
    for part in graph_parts(top):
        part.allow("rdfs", "warnings")
        for entry in part.objects("rdfs"):
            entry.allow("file_name", "label")
            files.append(entry.text("file_name"))
            targets += _targets(entry.object("label"), warnings) if "label" in entry.members else []
    if not files:
        raise top.error("graph", "it has no 'rdfs'; give it one entry for each file")
    target = _together(top.file, targets or [LinkTarget(edge_type=None, split=DEFAULT_SPLIT)])
    return RdfConfiguration(files=tuple(dict.fromkeys(files)), target=target, warnings=tuple(dict.fromkeys(warnings)))


def rdf_files(file: str, content: bytes) -> tuple[str, ...]:
    """The names of an export's RDF files, by the content of its configuration ``file``; none if it is a property graph.

    Raises:
        InputFault: as ``read_rdf_configuration``.
    """
    top = JsonObject.parse(file, content)
    graph = top.members.get("graph")
    parts = graph if isinstance(graph, list) else [graph]
    return read_rdf_configuration(top).files if any(isinstance(part, dict) and "rdfs" in part for part in parts) else ()


def _targets(label: JsonObject, warnings: list[str]) -> list[NodeTarget] | list[LinkTarget]:
    label.allow("task_type", "targets")
    task = _TASKS[label.known("task_type", label.text("task_type"), _TASKS)]
    entries = label.objects("targets")
    if task is Task.LINK_PREDICT:
        return [_link_target(entry, warnings) for entry in entries] or [LinkTarget(edge_type=None, split=DEFAULT_SPLIT)]
    if not entries:
        raise label.error("targets", 'it is empty; give it [{"node": "class IRI", "predicate": "IRI"}]')
    return [_node_target(entry, task) for entry in entries]


def _node_target(entry: JsonObject, task: Task) -> NodeTarget:
    entry.allow("node", "predicate", "split_rate", "custom_split_filenames")
    return NodeTarget(task=task, node_class=entry.text("node"), predicate=entry.text("predicate", "") or None,
                      split=read_split(entry))


def _link_target(entry: JsonObject, warnings: list[str]) -> LinkTarget:
    entry.allow(*_ENDS, "split_rate", "custom_split_filenames")
    ends = {end: entry.text(end, "") for end in _ENDS}
    given, missing = [end for end in _ENDS if ends[end]], [end for end in _ENDS if not ends[end]]
    if given and missing:
        named = " and ".join(f"{end} '{ends[end]}'" for end in given)
        warnings.append(f"{entry.file}: the link prediction target with the {named} has no {' and no '.join(missing)}, so that all "
                        "edges are to be predicted; to predict edges of one type, give subject, predicate and object")
    edge_type = None if missing else EdgeType(ends["subject"], ends["predicate"], ends["object"])
    return LinkTarget(edge_type=edge_type, split=read_split(entry))


def _together(file: str, targets: Sequence[NodeTarget | LinkTarget]) -> NodeTarget | tuple[LinkTarget, ...]:
    """The one node target, or the link targets; each may be repeated, since every file has an entry of its own."""
    distinct = list(dict.fromkeys(targets))
    names = [str(target) for target in distinct]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise InputFault(Fault.CONTRADICTION, f"{file}: the target {name} is there with different splits; they must be the "
                             "same", file=file)
    links = tuple(target for target in distinct if isinstance(target, LinkTarget))
    if len(links) == len(distinct):
        return links
    if len(distinct) > 1:
        raise InputFault(Fault.NOT_OFFERED, f"{file}: there are the targets {' and '.join(names[:5])}; more than one target is "
                         f"{NOT_YET}, except for link prediction", file=file)
    first = distinct[0]
    assert isinstance(first, NodeTarget)  # noqa: S101 - it is not among the links
    return first
