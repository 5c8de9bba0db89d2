"""Configurations of the form v1, ``training-job-configuration.json``, read as if they had been written in the form v2.0.

An entry of ``graph`` describes a file, or a part of what is in it: its type and its columns stand in each of its labels, features
and edges. Source: the exporter's writer of this form.
"""

import logging
from typing import Any

from despina.graph.faults import Fault
from despina.graph.features.options import Feature
from despina.graph.json_object import JsonObject
from despina.graph.schema import (
    EdgeFile,
    ExportConfiguration,
    Label,
    NodeFile,
    configuration_of,
    edge_file,
    node_file,
    read_warnings,
)

log = logging.getLogger(__name__)

DEFAULT_SPLIT = [0.7, 0.1, 0.2]
"""Of this form; v2.0 has another."""
_NODE_TASKS = {"node_class_label": "classification", "node_regression_label": "regression"}
_EDGE_TASKS = {"edge_class_label": "classification", "edge_regression_label": "regression"}
"""The tasks as the form v2.0 calls them. Neither has link prediction: that is what no label at all means."""


def read_legacy(top: JsonObject) -> ExportConfiguration:
    """Read a configuration of the form v1.

    Raises:
        InputFault: it is malformed, contradicts itself, or asks for what is not offered; the text names the place in it.
    """
    nodes: dict[tuple[str, str], NodeFile] = {}
    edges: dict[tuple[str, str, str, str], EdgeFile] = {}
    for entry in top.objects("graph"):
        entry.allow("file_name", "separator", "labels", "features", "edges")
        if entry.objects("edges"):
            for spec in entry.objects("edges"):
                edge = _edge_file(entry, spec)
                key = edge.file_name, edge.source_type, edge.relation, edge.destination_type
                edges[key] = _merged_edges(entry, edges[key], edge) if key in edges else edge
            _check_edge_types(entry)
        elif entry.objects("labels") or entry.objects("features"):
            node = _node_file(entry)
            name = node.file_name, node.node_type
            nodes[name] = _merged_nodes(entry, nodes[name], node) if name in nodes else node
        else:
            log.warning("%s, %s: without labels and features nothing tells the type of these nodes; those that have edges are "
                        "known from there", top.file, entry.path)
    if not nodes and not edges:
        raise top.error("graph", "it has no entry with 'labels', 'features' or 'edges'")
    return configuration_of(top.file, tuple(nodes.values()), tuple(edges.values()), read_warnings(top))


def _node_file(entry: JsonObject) -> NodeFile:
    parts = [*entry.objects("labels"), *entry.objects("features")]
    kinds = {part.text("node_type"): part for part in parts}
    if len(kinds) > 1:
        raise list(kinds.values())[1].error("node_type", f"the types {' and '.join(kinds)} in one entry; it must be one",
                                            name=Fault.CONTRADICTION)
    ids = {_columns(part, 1)[0]: part for part in parts}
    if len(ids) > 1:
        raise list(ids.values())[1].error("cols", f"the id columns {' and '.join(ids)} in one entry; it must be one",
                                          name=Fault.CONTRADICTION)
    return node_file(_translated(entry, 1, _NODE_TASKS, None, node=[next(iter(ids)), next(iter(kinds))]))


def _edge_file(entry: JsonObject, spec: JsonObject) -> EdgeFile:
    source_column, destination_column = spec.strings("cols", ("source id column", "destination id column"))
    source, relation, destination = edge_type = spec.strings("edge_type", ("source type", "relation", "destination type"))
    return edge_file(_translated(entry, 2, _EDGE_TASKS, edge_type, source=[source_column, source], relation=["", relation],
                                 dest=[destination_column, destination]))


def _check_edge_types(entry: JsonObject) -> None:
    """A label or feature of an edge type that the entry has not would go unseen."""
    types = [spec.members.get("edge_type") for spec in entry.objects("edges")]
    for part in [*entry.objects("labels"), *entry.objects("features")]:
        edge_type = part.strings("edge_type", ("source type", "relation", "destination type"))
        if edge_type not in types:
            raise part.error("edge_type", f"the 'edges' of this entry are not of the type {edge_type}; they are "
                             f"{' and '.join(str(kind) for kind in types)}", name=Fault.CONTRADICTION)


def _translated(entry: JsonObject, ids: int, tasks: dict[str, str], edge_type: list[str] | None, **kind: list[str]) -> JsonObject:
    """The entry in the form v2.0, under the path it has in this one; of edges what belongs to one type."""
    def own(name: str) -> list[JsonObject]:
        return [part for part in entry.objects(name) if edge_type is None or part.members.get("edge_type") == edge_type]

    members: dict[str, Any] = {name: entry.members[name] for name in ("file_name", "separator") if name in entry.members}
    features = [feature for part in own("features") for feature in _features(part, ids)]
    labels = [_label(part, ids, tasks) for part in own("labels")]
    return JsonObject(file=entry.file, path=entry.path, members=members | kind | {"features": features, "labels": labels})


def _features(part: JsonObject, ids: int) -> list[dict[str, Any]]:
    """One for each column: an entry may give several columns the same options."""
    kind, columns = part.text("sub_feat_type"), _columns(part, ids)[ids:]
    return [{"feature": [column, column, kind]} | _options(part, "feat_type", "sub_feat_type") for column in columns]


def _label(part: JsonObject, ids: int, tasks: dict[str, str]) -> dict[str, Any]:
    task = part.known("sub_label_type", part.text("sub_label_type"), tasks)
    options = _options(part, "label_type", "sub_label_type")
    split = {} if "custom_split_filenames" in options else {"split_rate": DEFAULT_SPLIT}
    return {"label": [_columns(part, ids)[ids], tasks[task]]} | split | options


def _options(part: JsonObject, *read: str) -> dict[str, Any]:
    return {name: value for name, value in part.members.items() if name not in {"cols", "node_type", "edge_type", *read}}


def _columns(part: JsonObject, ids: int) -> list[str]:
    """The id columns, and at least one more."""
    columns = part.members.get("cols")
    if not isinstance(columns, list) or len(columns) <= ids or not all(isinstance(column, str) for column in columns):
        right = '["~id", column]' if ids == 1 else '["~from", "~to", column]'
        raise part.error("cols", f"must be a list of strings such as {right}, it is {columns}")
    return columns


def _merged_nodes(entry: JsonObject, first: NodeFile, second: NodeFile) -> NodeFile:
    if (first.separator, first.id_column) != (second.separator, second.id_column):
        raise entry.error("", f"an entry before it reads '{first.file_name}' with another separator or id column",
                          name=Fault.CONTRADICTION)
    label, features = _merged(entry, first, second)
    return NodeFile(file_name=first.file_name, separator=first.separator, id_column=first.id_column, node_type=first.node_type,
                    features=features, label=label)


def _merged_edges(entry: JsonObject, first: EdgeFile, second: EdgeFile) -> EdgeFile:
    ours = first.separator, first.source_column, first.destination_column
    if ours != (second.separator, second.source_column, second.destination_column):
        raise entry.error("", f"an entry before it reads '{first.file_name}' with another separator or other id columns",
                          name=Fault.CONTRADICTION)
    label, features = _merged(entry, first, second)
    return EdgeFile(file_name=first.file_name, separator=first.separator, source_column=first.source_column,
                    source_type=first.source_type, relation_column="", relation=first.relation,
                    destination_column=first.destination_column, destination_type=first.destination_type, features=features,
                    label=label)


def _merged(entry: JsonObject, first: NodeFile | EdgeFile, second: NodeFile | EdgeFile) -> tuple[Label | None, tuple[Feature, ...]]:
    """The label and the features of two entries for one type of one file."""
    if first.label and second.label and first.label != second.label:
        raise entry.error("labels", f"an entry before it has another label, '{first.label.column}'; there can be one target only",
                          name=Fault.CONTRADICTION)
    label = first.label or second.label
    features = tuple(dict.fromkeys(first.features + second.features))
    if label and label.column in {feature.column for feature in features}:
        raise entry.error("", f"the column '{label.column}' is the label; it cannot be a feature as well", name=Fault.CONTRADICTION)
    return label, features
