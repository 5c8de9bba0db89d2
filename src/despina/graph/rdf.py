"""RDF as a typed property graph.

A node's type is the object of its ``rdf:type``. Of several types it is the first by name of the classes that the targets name, else
the first by name; nodes without one have the type ``_``. A triple whose object is an IRI or a blank node is an edge, whose relation
is the predicate; ``rdf:type`` itself is none. Literals are features of type ``auto``, one for each predicate of a type. The triples
that a node target predicts are labels and neither edges nor features. Source: Neptune user guide, "Target fields used in a
neptune_ml targets object for RDF data".

The graph is written as CSV files with a configuration, and from there on read like any other export.
"""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from despina.graph.export_folder import locate
from despina.graph.features.options import Feature, FeatureType
from despina.graph.graph import EdgeType
from despina.graph.json_object import JsonObject
from despina.graph.rdf_labels import SEPARATOR, NodeLabels, link_labels, node_labels
from despina.graph.rdf_statements import Statements, with_types
from despina.graph.rdf_target import NodeTarget, read_rdf_configuration
from despina.graph.schema import EdgeFile, ExportConfiguration, Label, NodeFile, SplitFiles, configuration_of

log = logging.getLogger(__name__)

FILES = "~rdf"
"""The folder of the files that are written; no file of the export has such a name."""


def convert(folder: Path, top: JsonObject, into: Path) -> ExportConfiguration:
    """Write the RDF files of an export as a property graph into the folder ``into``, and tell what is in it.

    Args:
        folder: the export.
        top: its configuration, with ``rdfs`` in ``graph``.
        into: an empty folder.

    Raises:
        InputFault: the configuration or a file is malformed, there is nothing to predict, or the label of a regression is no
            number.
    """
    asked = read_rdf_configuration(top)
    statements = Statements.read(folder, asked.files, asked.classes)
    labels = node_labels(statements, asked.target) if isinstance(asked.target, NodeTarget) else None
    rest = labels.others if labels else statements.stated
    literals = rest.filter("literal")
    edges = with_types(rest.filter(~pl.col("literal")), statements.types, "object", "object_type")
    ends = [rest.select("subject", "type"), edges.select(subject="object", type="object_type")]
    nodes = pl.concat([statements.types, *ends]).unique("subject", maintain_order=True)
    log.info("%d nodes of %d types, %d edges, %d literals, %d labels", len(nodes), nodes["type"].n_unique(), len(edges),
             len(literals), len(labels.cells) if labels else 0)
    by_type = {EdgeType(*kind): together for kind, together in
               edges.partition_by("type", "predicate", "object_type", as_dict=True).items()}
    links = {} if isinstance(asked.target, NodeTarget) else link_labels(folder, statements, asked.target, by_type)
    _copy_split_files(folder, [labels.label] if labels else links.values(), into)
    (into / FILES).mkdir()
    return configuration_of(top.file, _write_nodes(nodes, literals, labels, into), _write_edges(by_type, links, into),
                            asked.warnings)


def _copy_split_files(folder: Path, labels: Iterable[Label], into: Path) -> None:
    """Split files are looked for beside the others."""
    for split in {label.split for label in labels}:
        if isinstance(split, SplitFiles):
            for name in filter(None, (split.train, split.valid, split.test)):
                source = locate(folder, name)
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, into / name)


def _write_nodes(nodes: pl.DataFrame, literals: pl.DataFrame, labels: NodeLabels | None,
                 into: Path) -> tuple[NodeFile, ...]:
    """One file for each type, with a column for each predicate by which its nodes have literals."""
    by_type = literals.partition_by("type", as_dict=True)
    files = []
    for number, ((node_type,), together) in enumerate(nodes.partition_by("type", as_dict=True).items()):
        rows = together.select(pl.col("subject").alias("~id"))
        features = []
        for (predicate,), cells in by_type.get((node_type,), literals.clear()).partition_by("predicate", as_dict=True).items():
            separator = SEPARATOR if cells["subject"].is_duplicated().any() else None
            features.append(Feature(column=predicate, name=predicate, type=FeatureType.AUTO, separator=separator))
            rows = _with_column(rows, cells, predicate, separator)
        label = None
        if labels and node_type == labels.node_class:
            label = labels.label
            rows = _with_column(rows, labels.cells, label.column, label.separator)
        name = f"{FILES}/nodes-{number}.csv"
        rows.write_csv(into / name)
        files.append(NodeFile(file_name=name, separator=",", id_column="~id", node_type=node_type, features=tuple(features),
                              label=label))
    return tuple(files)


def _with_column(rows: pl.DataFrame, cells: pl.DataFrame, column: str, separator: str | None) -> pl.DataFrame:
    """The rows with the cells' objects as a column; several of one node are sorted and joined."""
    cells = cells.select("subject", pl.col("object").alias(column))
    if separator is not None:
        escaped = pl.col(column).cast(pl.String).str.replace_all(separator, f"\\{separator}", literal=True)
        cells = cells.group_by("subject").agg(escaped.sort().str.join(separator))
    return rows.join(cells, left_on="~id", right_on="subject", how="left", maintain_order="left")


def _write_edges(edges: dict[EdgeType, pl.DataFrame], labels: dict[EdgeType, Label], into: Path) -> tuple[EdgeFile, ...]:
    """One file for each type."""
    files = []
    for number, (edge_type, together) in enumerate(edges.items()):
        name = f"{FILES}/edges-{number}.csv"
        together.select(pl.col("subject").alias("~from"), pl.col("object").alias("~to")).write_csv(into / name)
        files.append(EdgeFile(file_name=name, separator=",", source_column="~from", source_type=edge_type.source,
                              relation_column="", relation=edge_type.relation, destination_column="~to",
                              destination_type=edge_type.destination, features=(), label=labels.get(edge_type)))
    return tuple(files)
