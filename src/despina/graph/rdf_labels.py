"""What is to be predicted in RDF: the triples that the targets mean, and the labels they become."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from despina.core.task import Task
from despina.graph.faults import Fault, InputFault
from despina.graph.graph import EdgeType
from despina.graph.json_object import suggestion
from despina.graph.rdf_statements import Statements, words
from despina.graph.rdf_target import LinkTarget, NodeTarget
from despina.graph.schema import Label, SplitFiles
from despina.graph.split_files import RELATION
from despina.graph.tables import find_file

SEPARATOR = ";"
"""Between several literals of one node and predicate; inside one it is written ``\\;``."""
MOST_NAMED = 10
"""Predicates or edge types that a message lists."""
_SHOWN = 100
"""Characters of a value that messages show."""
_BLANKS = " \t\r\n"
"""Of XML, which are allowed around a number."""


@dataclass(frozen=True, kw_only=True)
class NodeLabels:
    """The labels of a node target."""

    node_class: str
    label: Label
    """Its column is the predicate."""
    cells: pl.DataFrame
    """``subject``, ``object``"""
    others: pl.DataFrame
    """The statements that are no labels."""


def node_labels(statements: Statements, target: NodeTarget) -> NodeLabels:
    """The labels of the nodes of a class.

    Raises:
        InputFault: there are none, or none are meant for sure; for a regression, one is no number or a node has several.
    """
    stated = statements.stated
    predicate = target.predicate or _only_literal_predicate(statements, target.node_class)
    is_label = (pl.col("type") == target.node_class) & (pl.col("predicate") == predicate)
    cells = stated.filter(is_label).select("subject", "object")
    if cells.is_empty():
        raise _no_labels(statements, target.node_class, predicate)
    if target.task is Task.NODE_REGRESSION:
        cells = _numbers(statements, cells, predicate)
    several = bool(cells["subject"].is_duplicated().any())
    label = Label(column=predicate, task=target.task, split=target.split, separator=SEPARATOR if several else None)
    return NodeLabels(node_class=target.node_class, label=label, cells=cells, others=stated.filter(~is_label))


def _only_literal_predicate(statements: Statements, node_class: str) -> str:
    found = words(statements.stated.filter((pl.col("type") == node_class) & pl.col("literal"))["predicate"])
    if len(found) == 1:
        return found[0]
    if node_class not in statements.classes:
        raise _no_class(statements, node_class)
    raise statements.fault(Fault.MISSING_LABELS, f"the target '{node_class}' has no 'predicate', which only a class with a single "
                           f"literal predicate can do without; this class has {_listed(found)}")


def _no_labels(statements: Statements, node_class: str, predicate: str) -> InputFault:
    if node_class not in statements.classes:
        return _no_class(statements, node_class)
    predicates = words(statements.stated.filter(pl.col("type") == node_class)["predicate"])
    return statements.fault(Fault.MISSING_LABELS, f"no node of the class '{node_class}' has the predicate '{predicate}'"
                            f"{suggestion(predicate, predicates) or f'; there are {_listed(predicates)}'}", predicate=predicate)


def _no_class(statements: Statements, node_class: str) -> InputFault:
    classes = statements.classes
    hint = suggestion(node_class, classes) or f"; the types are {_listed(classes)}"
    return statements.fault(Fault.MISSING_LABELS, f"no node has the rdf:type '{node_class}'{hint}")


def _numbers(statements: Statements, cells: pl.DataFrame, predicate: str) -> pl.DataFrame:
    """The cells as numbers, one for each node."""
    cells = cells.with_columns(pl.col("object").cast(pl.String).alias("stated"))
    cells = cells.with_columns(pl.col("stated").str.strip_chars(_BLANKS).cast(pl.Float64, strict=False).alias("object"))
    wrong = cells.filter(~pl.col("object").is_finite().fill_null(value=False))
    if len(wrong):
        node, _, value = wrong.row(0)
        raise statements.fault(Fault.INVALID_NUMBER, f"the node '{node}' has the value '{value[:_SHOWN]}' for the predicate "
                               f"'{predicate}'; regression needs a finite number, such as \"1.5\"", predicate=predicate,
                               value=value[:_SHOWN])
    cells = cells.unique(["subject", "object"], maintain_order=True)
    several = cells.filter(pl.col("subject").is_duplicated())
    if len(several):
        node = several["subject"][0]
        values = [f"'{value[:_SHOWN]}'" for value in several.filter(pl.col("subject") == node)["stated"]]
        raise statements.fault(Fault.CONTRADICTION, f"the node '{node}' has the values {_listed(values, ' and ')} for the "
                               f"predicate '{predicate}'; regression needs one number for each node", predicate=predicate)
    return cells.select("subject", "object")


def link_labels(folder: Path, statements: Statements, targets: tuple[LinkTarget, ...],
                edge_types: Collection[EdgeType]) -> dict[EdgeType, Label]:
    """The labels of the edge types that are to be predicted.

    Raises:
        InputFault: there are no edges at all or none of a target's type, or the split files of several types in the export
            ``folder`` do not say which is meant.
    """
    if not edge_types:
        raise statements.fault(Fault.MISSING_LABELS, "there are no edges to predict: no triple but those of rdf:type has an IRI or "
                               "a blank node as its object")
    labels = {}
    for target in targets:
        if target.edge_type is not None:
            if target.edge_type not in edge_types:
                raise _no_edges(statements, target.edge_type, edge_types)
            labels[target.edge_type] = _link_label(target)
    for target in targets:
        if target.edge_type is None:
            others = [edge_type for edge_type in edge_types if edge_type not in labels]
            if len(others) > 1 and isinstance(target.split, SplitFiles):
                _check_relations(folder, target.split, others)
            labels |= dict.fromkeys(others, _link_label(target))
    return labels


def _link_label(target: LinkTarget) -> Label:
    return Label(column="", task=Task.LINK_PREDICT, split=target.split)


def _check_relations(folder: Path, split: SplitFiles, edge_types: list[EdgeType]) -> None:
    """Files that list edges of several types need a column that tells them apart."""
    for name in filter(None, (split.train, split.valid, split.test)):
        if RELATION not in find_file(folder, name, ",").header():
            shown = _listed([str(edge_type) for edge_type in edge_types])
            raise InputFault(Fault.INVALID_SPLIT, f"{name}: it lists edges of {len(edge_types)} types, {shown}; add the column "
                             f"'{RELATION}' with the predicate of each, or give each type a target with subject, predicate and "
                             "object, and split files of its own", file=name, column=RELATION)


def _no_edges(statements: Statements, wanted: EdgeType, edge_types: Collection[EdgeType]) -> InputFault:
    alike = [str(edge_type) for edge_type in edge_types if edge_type.relation == wanted.relation]
    if alike:
        hint = f"the edges with this predicate are {_listed(alike)}"
    else:
        close = suggestion(wanted.relation, {edge_type.relation for edge_type in edge_types})
        others = sorted(edge_types, key=lambda other: (other.source != wanted.source) + (other.destination != wanted.destination))
        hint = f"there are none with this predicate{close}; there are {_listed([str(edge_type) for edge_type in others])}"
    return statements.fault(Fault.MISSING_LABELS, f"there are no edges {wanted} to predict; {hint}", predicate=wanted.relation)


def _listed(names: list[str], joint: str = ", ") -> str:
    more = len(names) - MOST_NAMED
    return joint.join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "") if names else "none"
