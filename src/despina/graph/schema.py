"""The configuration of an export, ``training-data-configuration.json`` v2.0, read and checked into frozen structs.

Source: Neptune user guide, "Structure of the training data configuration file" and "Feature encoding in Neptune ML"; what the
exporter really writes is followed where the two differ.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.graph.json_object import JsonObject

NOT_YET = "not offered yet by this version of Despina"
DEFAULT_SPLIT = (0.9, 0.1, 0.0)
"""What the exporter writes when the user says nothing."""
SPLIT_TOLERANCE = 1e-6


class FeatureType(StrEnum):
    """How a property becomes numbers."""

    NUMERICAL = "numerical"
    CATEGORY = "category"
    DATETIME = "datetime"
    AUTO = "auto"
    """Inferred from the values."""
    NONE = "none"
    """Not encoded: the raw values are kept for custom models."""


class Norm(StrEnum):
    """How numbers are scaled."""

    NONE = "none"
    MIN_MAX = "min-max"
    STANDARD = "standard"
    """Each value divided by the sum of all values, as documented; not the z-score."""


class Imputer(StrEnum):
    """What a missing value is replaced by."""

    MEAN = "mean"
    MEDIAN = "median"
    MOST_FREQUENT = "most-frequent"


class DatetimePart(StrEnum):
    """A part of a time that is encoded on its own."""

    YEAR = "year"
    MONTH = "month"
    WEEKDAY = "weekday"
    HOUR = "hour"


class Feature(Frozen, frozen=True, kw_only=True):
    """A property that is to be encoded."""

    column: str
    name: str
    type: FeatureType
    norm: Norm = Norm.NONE
    imputer: Imputer | None = None
    separator: str | None = None
    """Between the values of one cell: the feature is a vector, or a set of categories."""
    datetime_parts: tuple[DatetimePart, ...] = tuple(DatetimePart)


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
        raise top.error("version", f"the configuration form '{top.members['version']}' is {NOT_YET}; 'v2.0' is")
    parts = top.objects("graph") if isinstance(top.members.get("graph"), list) else [top.object("graph")]
    for part in parts:
        if "rdfs" in part.members:
            raise part.error("rdfs", f"RDF data is {NOT_YET}; property graphs are")
        if "file_name" in part.members:
            raise part.error("", f"the configuration form v1 is {NOT_YET}; v2.0, with 'nodes' and 'edges' in 'graph', is")
        part.allow("nodes", "edges", "warnings")
    nodes = tuple(_node_file(entry) for part in parts for entry in part.objects("nodes"))
    edges = tuple(_edge_file(entry) for part in parts for entry in part.objects("edges"))
    if not nodes and not edges:
        raise parts[0].error("", "the graph has neither 'nodes' nor 'edges'") if parts else top.error("graph", "it is empty")
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


def _node_file(entry: JsonObject) -> NodeFile:
    entry.allow("file_name", "separator", "node", "features", "labels")
    id_column, node_type = entry.strings("node", ("id column", "node type"))
    features, labels = _features(entry), [_label(label) for label in entry.objects("labels")]
    if len(labels) > 1:
        raise entry.error("labels", f"there are {len(labels)} labels; more than one target is {NOT_YET}")
    for i, feature in enumerate(features):
        if labels and feature.column == labels[0].column:
            raise entry.error(f"features[{i}]", f"the column '{feature.column}' is the label; it cannot be a feature as well")
    return NodeFile(file_name=entry.text("file_name"), separator=entry.character("separator") or ",", id_column=id_column,
                    node_type=node_type, features=features, label=labels[0] if labels else None)


def _edge_file(entry: JsonObject) -> EdgeFile:
    entry.allow("file_name", "separator", "source", "relation", "dest", "features", "labels")
    if entry.objects("labels"):
        raise entry.error("labels", f"edge classification, edge regression and link prediction are {NOT_YET}; "
                                    "node classification is")
    source_column, source_type = entry.strings("source", ("id column", "node type"))
    relation_column, relation = entry.strings("relation", ("column", "relation"))
    destination_column, destination_type = entry.strings("dest", ("id column", "node type"))
    return EdgeFile(file_name=entry.text("file_name"), separator=entry.character("separator") or ",",
                    source_column=source_column, source_type=source_type, relation_column=relation_column, relation=relation,
                    destination_column=destination_column, destination_type=destination_type, features=_features(entry))


def _features(entry: JsonObject) -> tuple[Feature, ...]:
    features = tuple(_feature(feature) for feature in entry.objects("features"))
    names = [feature.name for feature in features]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise entry.error(f"features[{i}]", f"another feature of this entry has the name '{name}' already")
    return features


_OPTIONS = {FeatureType.NUMERICAL: ("norm", "imputer", "separator"),
            FeatureType.CATEGORY: ("separator",),
            FeatureType.DATETIME: ("datetime_parts", "imputer"),
            FeatureType.AUTO: ("imputer", "separator"),
            FeatureType.NONE: ()}
_LATER = ("bucket_numerical", "text_fasttext", "text_sbert", "text_sbert128", "text_sbert512", "text_word2vec", "word2vec",
          "text_tfidf")


def _feature(entry: JsonObject) -> Feature:
    column, name, spelled = entry.strings("feature", ("column", "feature name", "type"))
    if spelled in _LATER:
        raise entry.error("feature", f"the feature type '{spelled}' is {NOT_YET}; offered are {', '.join(FeatureType)}")
    kind = FeatureType(entry.known("feature", spelled, FeatureType))
    entry.allow("feature", *_OPTIONS[kind])
    imputer = None
    if "imputer" in entry.members:
        imputer = Imputer(entry.known("imputer", entry.text("imputer").replace("_", "-"), Imputer))
    return Feature(column=column, name=name, type=kind, norm=Norm(entry.word("norm", Norm, Norm.NONE)), imputer=imputer,
                   separator=entry.character("separator"), datetime_parts=_datetime_parts(entry))


def _datetime_parts(entry: JsonObject) -> tuple[DatetimePart, ...]:
    parts = entry.members.get("datetime_parts", list(DatetimePart))
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise entry.error("datetime_parts", f"must be a list of some of {', '.join(DatetimePart)}")
    return tuple(dict.fromkeys(DatetimePart(entry.known("datetime_parts", part, DatetimePart)) for part in parts))


def _label(entry: JsonObject) -> Label:
    entry.allow("label", "split_rate", "custom_split_filenames", "separator")
    column, task = entry.strings("label", ("column", "task"))
    if entry.known("label", task, ("classification", "regression", "link_prediction")) != "classification":
        raise entry.error("label", f"the task '{task}' is {NOT_YET}; 'classification' is")
    if "split_rate" in entry.members and "custom_split_filenames" in entry.members:
        raise entry.error("", "'split_rate' and 'custom_split_filenames' cannot both be given")
    split = (_split_files(entry.object("custom_split_filenames")) if "custom_split_filenames" in entry.members
             else _split_rate(entry, entry.members.get("split_rate", list(DEFAULT_SPLIT))))
    return Label(column=column, task=Task.NODE_CLASS, separator=entry.character("separator"), split=split)


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
