"""The configuration of an export, ``training-data-configuration.json`` v2.0, read and checked into frozen structs.

Source: Neptune user guide, "Structure of the training data configuration file"; what the exporter really writes is followed where
the two differ. The features have a module of their own, ``features.options``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any, TypeVar

from msgspec.structs import replace

from despina.core.frozen import Frozen
from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.features.options import Feature, read_features
from despina.graph.graph import EdgeType
from despina.graph.json_object import JsonObject

NOT_YET = "not offered yet by this version of Despina"
DEFAULT_SPLIT = (0.9, 0.1, 0.0)
"""What the exporter writes when the user says nothing."""
SPLIT_TOLERANCE = 1e-6

NODE_TASKS = {"classification": Task.NODE_CLASS, "regression": Task.NODE_REGRESSION}
EDGE_TASKS = {"classification": Task.EDGE_CLASS, "regression": Task.EDGE_REGRESSION, "link_prediction": Task.LINK_PREDICT}
"""The tasks by the words of the configuration."""
CLASSIFICATIONS = (Task.NODE_CLASS, Task.EDGE_CLASS)


class SplitFiles(Frozen, frozen=True, kw_only=True):
    """Files that list the members of each part."""

    train: str
    valid: str
    test: str | None = None


class Label(Frozen, frozen=True, kw_only=True):
    """What is to be predicted of the nodes or edges of one type, and the division into training, validation and test part."""

    column: str
    """The property; ``""`` for link prediction."""
    task: Task
    separator: str | None = None
    """Between the labels of one cell: the task is multi-label."""
    split: tuple[float, float, float] | SplitFiles = DEFAULT_SPLIT


class NodeFile(Frozen, frozen=True, kw_only=True):
    """A file of nodes of one type."""

    file_name: str
    separator: str
    id_column: str
    node_type: str
    features: tuple[Feature, ...]
    label: Label | None = None

    @property
    def kind(self) -> str:
        """The type as messages name it."""
        return f"node type '{self.node_type}'"


class EdgeFile(Frozen, frozen=True, kw_only=True):
    """A file of edges between two node types."""

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
    label: Label | None = None

    @property
    def kind(self) -> str:
        """The type as messages name it."""
        return f"edge type ({self.source_type})-{self.relation}-({self.destination_type})"

    def may_hold(self, kind: EdgeType) -> bool:
        """Whether edges of this type can be in the file."""
        if (self.source_type, self.destination_type) != (kind.source, kind.destination):
            return False
        if not self.relation_column:
            return kind.relation == self.relation
        return kind.relation.startswith(f"{self.relation}-") if self.relation else True


class ExportConfiguration(Frozen, frozen=True, kw_only=True):
    """What an export holds and what is to be learnt from it."""

    nodes: tuple[NodeFile, ...]
    edges: tuple[EdgeFile, ...]
    target: Label
    """Task, property and separator of everything that is to be predicted; the split is that of each file's own label."""
    warnings: tuple[str, ...] = ()
    """What the exporter had to say."""


Entry = TypeVar("Entry")
Key = TypeVar("Key")


def read_configuration(file: str, content: bytes) -> ExportConfiguration:
    """Read the configuration file ``file``.

    Raises:
        InputFault: it is malformed, contradicts itself, or asks for what is not offered; the text names the place in it.
    """
    top = JsonObject.parse(file, content)
    if not top.text("version", "v2.0").startswith("v2"):
        raise top.error("version", f"the form '{top.members['version']}' is not known; 'v2.0' is, and v1, which has no 'version'")
    parts = graph_parts(top)
    for part in parts:
        part.allow("nodes", "edges", "warnings")
    nodes = tuple(node_file(entry) for part in parts for entry in part.objects("nodes"))
    edges = tuple(edge_file(entry) for part in parts for entry in part.objects("edges"))
    if not nodes and not edges:
        raise parts[0].error("", "the graph has neither 'nodes' nor 'edges'") if parts else top.error("graph", "it is empty")
    return configuration_of(file, nodes, edges, warnings=read_warnings(top))


def graph_parts(top: JsonObject) -> list[JsonObject]:
    """The objects that ``graph`` consists of: the exporter writes one, the user guide has a list of them."""
    return top.objects("graph") if isinstance(top.members.get("graph"), list) else [top.object("graph")]


def read_warnings(top: JsonObject) -> tuple[str, ...]:
    """The exporter's warnings. They are only passed on, so that nothing is wrong with any form of them."""
    warnings = top.members.get("warnings", [])
    return tuple(str(warning) for warning in warnings) if isinstance(warnings, list) else (str(warnings),)


def configuration_of(file: str, nodes: tuple[NodeFile, ...], edges: tuple[EdgeFile, ...],
                     warnings: tuple[str, ...] = ()) -> ExportConfiguration:
    """The configuration that the entries of the configuration file ``file`` make up.

    Without any label, links are predicted, between all nodes that have edges, as documented.

    Raises:
        InputFault: the entries contradict each other, or have more than one target.
    """
    for node_type, together in _grouped(nodes, lambda entry: entry.node_type).items():
        check_agreement(together[0].kind, together, file)
        if len({entry.id_column for entry in together}) > 1:
            raise InputFault(Fault.CONTRADICTION, f"{file}: the entries of node type '{node_type}' name different id columns; they "
                             "must be the same", file=file)
    for alike in _grouped(edges, lambda entry: (entry.source_type, entry.relation, entry.destination_type)).values():
        check_agreement(alike[0].kind, alike, file)
    entries: list[NodeFile | EdgeFile] = [*nodes, *edges]
    labelled = [entry for entry in entries if entry.label]
    if not labelled:
        if not edges:
            raise InputFault(Fault.MISSING_LABELS, f"{file}: no entry has 'labels', which asks for link prediction, and there are "
                             "no 'edges' to predict; give the entry of what is to be predicted 'labels', such as "
                             '[{"label": ["column", "classification"]}]', file=file)
        target = Label(column="", task=Task.LINK_PREDICT)
        edges = tuple(replace(entry, label=target) for entry in edges)
    else:
        target = _target(file, labelled)
    return ExportConfiguration(nodes=nodes, edges=edges, target=target, warnings=warnings)


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], Key]) -> dict[Key, list[Entry]]:
    groups: dict[Key, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups


def check_agreement(kind: str, entries: Sequence[NodeFile | EdgeFile], file: str = "") -> None:
    """Raise InputFault unless a type that lies in several files has each feature, and its label, defined in the same way.

    Args:
        kind: the type as messages name it.
        entries: those of the type.
        file: the configuration, which the message names; ``""``: it names the files of two entries that contradict each other.
    """
    different = {(entry.features, entry.label): entry for entry in entries}
    for first, second in combinations_with_replacement(different.values(), 2):  # one of the form v1 may contradict itself
        contradiction = _contradiction(kind, first, second)
        if contradiction:
            raise InputFault(Fault.CONTRADICTION, f"{file or f'{first.file_name} and {second.file_name}'}: {contradiction}",
                             file=file or second.file_name)


def _contradiction(kind: str, first: NodeFile | EdgeFile, second: NodeFile | EdgeFile) -> str:
    """What is defined differently in two entries of a type; ``""`` for nothing."""
    known = {feature.name: feature for feature in first.features}
    for feature in second.features:
        if known.get(feature.name, feature) != feature:
            return f"the entries of {kind} give different options for the feature '{feature.name}'; they must be the same"
    if first.label and second.label and first.label != second.label:
        what = f"the label '{first.label.column}'" if first.label.column else "link prediction"
        return f"the entries of {kind} give different options for {what}; they must be the same"
    for label, features in ((first.label, second.features), (second.label, first.features)):
        for feature in features:
            if label and feature.column == label.column:
                return (f"the column '{feature.column}' is the label of {kind}, and the feature '{feature.name}' in another of its "
                        "entries; it cannot be both")
    return ""


def _target(file: str, entries: Sequence[NodeFile | EdgeFile]) -> Label:
    """The one thing to be predicted: one property of one node type, or of some edge types, or links of some edge types."""
    kinds = {(entry.label.task, entry.label.column, entry.label.separator,
              entry.node_type if isinstance(entry, NodeFile) else ""): entry for entry in entries if entry.label}
    if len(kinds) > 1:
        shown = " and ".join(f"{entry.kind} ({task}{f' of {column}' if column else ''})"
                             for (task, column, _, _), entry in list(kinds.items())[:5])
        raise InputFault(Fault.NOT_OFFERED, f"{file}: there are labels for {shown}; more than one target is {NOT_YET}", file=file)
    label = entries[0].label
    assert label is not None  # noqa: S101 - the caller has chosen entries with labels
    return label


def node_file(entry: JsonObject) -> NodeFile:
    """An entry of ``nodes``. Raises InputFault for what is wrong in it."""
    entry.allow("file_name", "separator", "node", "features", "labels")
    id_column, node_type = entry.strings("node", ("id column", "node type"))
    features = read_features(entry)
    return NodeFile(file_name=entry.text("file_name"), separator=entry.character("separator") or ",", id_column=id_column,
                    node_type=node_type, features=features, label=_only_label(entry, features, NODE_TASKS))


def edge_file(entry: JsonObject) -> EdgeFile:
    """An entry of ``edges``. Raises InputFault for what is wrong in it."""
    entry.allow("file_name", "separator", "source", "relation", "dest", "features", "labels")
    source_column, source_type = entry.strings("source", ("id column", "node type"))
    relation_column, relation = entry.strings("relation", ("column", "relation"))
    destination_column, destination_type = entry.strings("dest", ("id column", "node type"))
    features = read_features(entry)
    return EdgeFile(file_name=entry.text("file_name"), separator=entry.character("separator") or ",",
                    source_column=source_column, source_type=source_type, relation_column=relation_column, relation=relation,
                    destination_column=destination_column, destination_type=destination_type, features=features,
                    label=_only_label(entry, features, EDGE_TASKS))


def _only_label(entry: JsonObject, features: tuple[Feature, ...], tasks: Mapping[str, Task]) -> Label | None:
    labels = [_label(label, tasks) for label in entry.objects("labels")]
    if not labels:
        return None
    if len(labels) > 1:
        raise entry.error("labels", f"there are {len(labels)} labels; more than one target is {NOT_YET}", name=Fault.NOT_OFFERED)
    for i, feature in enumerate(features):
        if feature.column == labels[0].column:
            raise entry.error(f"features[{i}]", f"the column '{feature.column}' is the label; it cannot be a feature as well",
                              name=Fault.CONTRADICTION)
    return labels[0]


def _label(entry: JsonObject, tasks: Mapping[str, Task]) -> Label:
    entry.allow("label", "split_rate", "custom_split_filenames", "separator")
    column, task = entry.strings("label", ("column", "task"))
    if task in EDGE_TASKS and task not in tasks:
        raise entry.error("label", f"'{task}' is asked for under 'edges'; what can be predicted of nodes is {', '.join(tasks)}")
    return label_of(entry, column, tasks[entry.known("label", task, tasks)])


def label_of(entry: JsonObject, column: str, task: Task) -> Label:
    """The label of this task and column with the separator and the split that ``entry`` has. Raises InputFault."""
    separator = entry.character("separator")
    if separator is not None and task not in CLASSIFICATIONS:
        raise entry.error("separator", "only a classification can have several labels in a cell", name=Fault.CONTRADICTION)
    if not column and task is not Task.LINK_PREDICT:
        raise entry.error("label", "the column is missing; only link prediction has none")
    return Label(column="" if task is Task.LINK_PREDICT else column, task=task, separator=separator, split=read_split(entry))


def read_split(entry: JsonObject) -> tuple[float, float, float] | SplitFiles:
    """The split that a label or an RDF target asks for. Raises InputFault for what is wrong in it."""
    if "split_rate" in entry.members and "custom_split_filenames" in entry.members:
        raise entry.error("", "'split_rate' and 'custom_split_filenames' cannot both be given", name=Fault.INVALID_SPLIT)
    if "custom_split_filenames" in entry.members:
        return _split_files(entry.object("custom_split_filenames"))
    return _split_rate(entry, entry.members.get("split_rate", list(DEFAULT_SPLIT)))


def _split_rate(entry: JsonObject, rates: Any) -> tuple[float, float, float]:
    numbers = isinstance(rates, list) and all(isinstance(rate, int | float) and not isinstance(rate, bool) for rate in rates)
    if not numbers or len(rates) != 3 or min(rates) < 0 or abs(sum(rates) - 1) > SPLIT_TOLERANCE or rates[0] == 0:
        raise entry.error("split_rate", "must be three numbers [train, valid, test] that add up to 1, the first above 0; "
                                        f"it is {rates}", name=Fault.INVALID_SPLIT)
    return float(rates[0]), float(rates[1]), float(rates[2])


def _split_files(entry: JsonObject) -> SplitFiles:
    entry.allow("train", "valid", "validation", "test")
    if "valid" in entry.members and "validation" in entry.members:
        raise entry.error("", "'valid' and 'validation' mean the same; give one of them", name=Fault.INVALID_SPLIT)
    return SplitFiles(train=entry.text("train"), valid=entry.text("validation" if "validation" in entry.members else "valid"),
                      test=entry.text("test") if "test" in entry.members else None)
