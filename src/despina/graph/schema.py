"""The configuration of an export, ``training-data-configuration.json`` v2.0, read and checked into frozen structs.

Source: Neptune user guide, "Structure of the training data configuration file"; what the exporter really writes is followed where
the two differ. The features have a module of their own, ``features.options``.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.graph.features.options import Feature, read_features
from despina.graph.json_object import JsonObject

NOT_YET = "not offered yet by this version of Despina"
DEFAULT_SPLIT = (0.9, 0.1, 0.0)
"""What the exporter writes when the user says nothing."""
SPLIT_TOLERANCE = 1e-6


class SplitFiles(Frozen, frozen=True, kw_only=True):
    """Files that list the members of each part."""

    train: str
    valid: str
    test: str | None = None


class Label(Frozen, frozen=True, kw_only=True):
    """A property that is to be predicted, and the division into training, validation and test part."""

    column: str
    task: Task
    separator: str | None = None
    """Between the labels of one cell: the task is multi-label."""
    split: tuple[float, float, float] | SplitFiles = DEFAULT_SPLIT


class NodeFile(Frozen, frozen=True, kw_only=True):
    """A CSV file of nodes of one type."""

    file_name: str
    separator: str
    id_column: str
    node_type: str
    features: tuple[Feature, ...]
    label: Label | None = None


class EdgeFile(Frozen, frozen=True, kw_only=True):
    """A CSV file of edges between two node types."""

    file_name: str
    separator: str
    source_column: str
    source_type: str
    relation_column: str
    """``""``, or the column whose value is appended to ``relation`` with a hyphen."""
    relation: str
    destination_column: str
    destination_type: str
    features: tuple[Feature, ...]


class ExportConfiguration(Frozen, frozen=True, kw_only=True):
    """What an export holds and what is to be learnt from it."""

    nodes: tuple[NodeFile, ...]
    edges: tuple[EdgeFile, ...]
    target_type: str
    """The node type that ``target`` belongs to."""
    target: Label


Entry = TypeVar("Entry")
Key = TypeVar("Key")


def read_configuration(file: str, content: bytes) -> ExportConfiguration:
    """Read the configuration file ``file``.

    Raises:
        WorkFailed: it is malformed, contradicts itself, or asks for what is not offered; the text names the place in it.
    """
    top = JsonObject.parse(file, content)
    if not top.text("version", "v2.0").startswith("v2"):
        raise top.error("version", f"the form '{top.members['version']}' is not known; 'v2.0' is, and v1, which has no 'version'")
    parts = top.objects("graph") if isinstance(top.members.get("graph"), list) else [top.object("graph")]
    for part in parts:
        part.allow("nodes", "edges", "warnings")
    nodes = tuple(node_file(entry) for part in parts for entry in part.objects("nodes"))
    edges = tuple(edge_file(entry) for part in parts for entry in part.objects("edges"))
    if not nodes and not edges:
        raise parts[0].error("", "the graph has neither 'nodes' nor 'edges'") if parts else top.error("graph", "it is empty")
    return configuration_of(file, nodes, edges)


def configuration_of(file: str, nodes: tuple[NodeFile, ...], edges: tuple[EdgeFile, ...]) -> ExportConfiguration:
    """The configuration that the entries of the configuration file ``file`` make up.

    Raises:
        WorkFailed: they contradict each other, or do not have exactly one target.
    """
    for node_type, together in _grouped(nodes, lambda entry: entry.node_type).items():
        _check_agreement(file, f"node type '{node_type}'", together)
        if len({entry.id_column for entry in together}) > 1:
            raise WorkFailed(f"{file}: the entries of node type '{node_type}' name different id columns; they must be the same")
    for key, alike in _grouped(edges, lambda entry: (entry.source_type, entry.relation, entry.destination_type)).items():
        _check_agreement(file, f"edge type ({key[0]})-{key[1]}-({key[2]})", alike)
    target_type, target = _target(file, nodes)
    return ExportConfiguration(nodes=nodes, edges=edges, target_type=target_type, target=target)


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], Key]) -> dict[Key, list[Entry]]:
    groups: dict[Key, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups


def _check_agreement(file: str, kind: str, entries: Sequence[NodeFile | EdgeFile]) -> None:
    """A type that lies in several files has each of its features defined in the same way."""
    defined: dict[str, Feature] = {}
    for entry in entries:
        for feature in entry.features:
            if defined.setdefault(feature.name, feature) != feature:
                raise WorkFailed(f"{file}: the entries of {kind} give different options for the feature '{feature.name}'; "
                                 "they must be the same")


def _target(file: str, nodes: tuple[NodeFile, ...]) -> tuple[str, Label]:
    """The one thing to be predicted. A type that lies in several files repeats its label in each."""
    targets = list(dict.fromkeys((node.node_type, node.label.column) for node in nodes if node.label))
    if not targets:
        raise WorkFailed(f"{file}: no entry of 'nodes' has 'labels', which asks for link prediction; that is {NOT_YET}. "
                         "Node classification is: give the entry of the nodes to be classified "
                         '"labels": [{"label": ["column", "classification"]}]')
    if len(targets) > 1:
        raise WorkFailed(f"{file}: there are labels for {' and '.join(f'{kind}.{column}' for kind, column in targets)}; "
                         f"more than one target is {NOT_YET}")
    labels = list(dict.fromkeys(node.label for node in nodes if node.label))
    if len(labels) > 1:
        raise WorkFailed(f"{file}: the entries of node type '{targets[0][0]}' give different options for the label "
                         f"'{targets[0][1]}'; they must be the same")
    return targets[0][0], labels[0]


def node_file(entry: JsonObject) -> NodeFile:
    """An entry of ``nodes``. Raises WorkFailed for what is wrong in it."""
    entry.allow("file_name", "separator", "node", "features", "labels")
    id_column, node_type = entry.strings("node", ("id column", "node type"))
    features, labels = read_features(entry), [_label(label) for label in entry.objects("labels")]
    if len(labels) > 1:
        raise entry.error("labels", f"there are {len(labels)} labels; more than one target is {NOT_YET}")
    for i, feature in enumerate(features):
        if labels and feature.column == labels[0].column:
            raise entry.error(f"features[{i}]", f"the column '{feature.column}' is the label; it cannot be a feature as well")
    return NodeFile(file_name=entry.text("file_name"), separator=entry.character("separator") or ",", id_column=id_column,
                    node_type=node_type, features=features, label=labels[0] if labels else None)


def edge_file(entry: JsonObject) -> EdgeFile:
    """An entry of ``edges``. Raises WorkFailed for what is wrong in it."""
    entry.allow("file_name", "separator", "source", "relation", "dest", "features", "labels")
    if entry.objects("labels"):
        raise entry.error("labels", f"edge classification, edge regression and link prediction are {NOT_YET}; "
                                    "node classification is")
    source_column, source_type = entry.strings("source", ("id column", "node type"))
    relation_column, relation = entry.strings("relation", ("column", "relation"))
    destination_column, destination_type = entry.strings("dest", ("id column", "node type"))
    return EdgeFile(file_name=entry.text("file_name"), separator=entry.character("separator") or ",",
                    source_column=source_column, source_type=source_type, relation_column=relation_column, relation=relation,
                    destination_column=destination_column, destination_type=destination_type, features=read_features(entry))


def _label(entry: JsonObject) -> Label:
    entry.allow("label", "split_rate", "custom_split_filenames", "separator")
    column, task = entry.strings("label", ("column", "task"))
    if entry.known("label", task, ("classification", "regression", "link_prediction")) != "classification":
        raise entry.error("label", f"the task '{task}' is {NOT_YET}; 'classification' is")
    return Label(column=column, task=Task.NODE_CLASS, separator=entry.character("separator"), split=read_split(entry))


def read_split(entry: JsonObject) -> tuple[float, float, float] | SplitFiles:
    """The split that a label or an RDF target asks for. Raises WorkFailed for what is wrong in it."""
    if "split_rate" in entry.members and "custom_split_filenames" in entry.members:
        raise entry.error("", "'split_rate' and 'custom_split_filenames' cannot both be given")
    if "custom_split_filenames" in entry.members:
        return _split_files(entry.object("custom_split_filenames"))
    return _split_rate(entry, entry.members.get("split_rate", list(DEFAULT_SPLIT)))


def _split_rate(entry: JsonObject, rates: Any) -> tuple[float, float, float]:
    numbers = isinstance(rates, list) and all(isinstance(rate, int | float) and not isinstance(rate, bool) for rate in rates)
    if not numbers or len(rates) != 3 or min(rates) < 0 or abs(sum(rates) - 1) > SPLIT_TOLERANCE or rates[0] == 0:
        raise entry.error("split_rate", "must be three numbers [train, valid, test] that add up to 1, the first above 0; "
                                        f"it is {rates}")
    return float(rates[0]), float(rates[1]), float(rates[2])


def _split_files(entry: JsonObject) -> SplitFiles:
    entry.allow("train", "valid", "validation", "test")
    if "valid" in entry.members and "validation" in entry.members:
        raise entry.error("", "'valid' and 'validation' mean the same; give one of them")
    return SplitFiles(train=entry.text("train"), valid=entry.text("validation" if "validation" in entry.members else "valid"),
                      test=entry.text("test") if "test" in entry.members else None)
