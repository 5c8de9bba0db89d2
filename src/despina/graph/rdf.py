"""RDF as a typed property graph.

A node's type is the object of its ``rdf:type``. Of several types it is the target's class if that is one of them, else the
lexicographically first; nodes without one have the type ``_``. A triple whose object is an IRI or a blank node is an edge, whose
relation is the predicate; ``rdf:type`` itself is none. Literals are features of type ``auto``, one for each predicate of a type.
The target's triples are labels and neither edges nor features. Source: Neptune user guide, "Features and targets in RDF data".

The graph is written as CSV files with a configuration, and from there on read like any other export.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from despina.core.errors import WorkFailed
from despina.core.task import Task
from despina.graph.export_folder import locate
from despina.graph.features.options import Feature, FeatureType
from despina.graph.json_object import JsonObject, suggestion
from despina.graph.ntriples import read_triples
from despina.graph.schema import NOT_YET, EdgeFile, ExportConfiguration, Label, NodeFile, SplitFiles, read_split

log = logging.getLogger(__name__)

RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
UNTYPED = "_"
"""The type of nodes that have no ``rdf:type``."""
FILES = "~rdf"
"""The folder of the files that are written; no file of the export has such a name."""
SEPARATOR = ";"
"""Between several literals of one node and predicate; inside one it is written ``\\;``."""


@dataclass(frozen=True, kw_only=True)
class RdfTarget:
    """The literals or IRIs that are to be predicted."""

    node_class: str
    predicate: str | None
    """None: the only predicate by which nodes of the class have literals."""
    split: tuple[float, float, float] | SplitFiles


def convert(folder: Path, top: JsonObject, into: Path) -> ExportConfiguration:
    """Write the RDF files of an export as a property graph into the folder ``into``, and tell what is in it.

    Args:
        folder: the export.
        top: its configuration, with ``rdfs`` in ``graph``.
        into: an empty folder.

    Raises:
        WorkFailed: the configuration or a file is malformed, or nothing has a label.
    """
    files, target = _read_configuration(top)
    triples = pl.concat([read_triples(name, locate(folder, name)) for name in files]).unique(maintain_order=True)
    types = _types(triples, target.node_class)
    stated = triples.filter(pl.col("predicate") != RDF_TYPE).join(types, on="subject", how="left", maintain_order="left")
    stated = stated.with_columns(pl.col("type").fill_null(UNTYPED))
    predicate = target.predicate or _only_literal_predicate(top.file, stated, target.node_class)
    is_label = (pl.col("type") == target.node_class) & (pl.col("predicate") == predicate)
    labels, rest = stated.filter(is_label), stated.filter(~is_label)
    if labels.is_empty():
        raise _no_labels(", ".join(files), stated, types, target.node_class, predicate)
    edges = _edges(rest.filter(~pl.col("literal")), types)
    nodes = pl.concat([types, rest.select("subject", "type"),
                       edges.select(pl.col("object").alias("subject"), pl.col("object_type").alias("type"))])
    nodes = nodes.unique("subject", maintain_order=True)
    literals = rest.filter("literal")
    log.info("%d triples: %d nodes of %d types, %d edges, %d literals, %d labels", len(triples), len(nodes),
             nodes["type"].n_unique(), len(edges), len(literals), len(labels))
    (into / FILES).mkdir()
    label = Label(column=predicate, task=Task.NODE_CLASS, split=_kept_split(folder, target.split, into),
                  separator=SEPARATOR if labels["subject"].is_duplicated().any() else None)
    return ExportConfiguration(nodes=_write_nodes(nodes, literals, labels, label, into), edges=_write_edges(edges, into),
                               target_type=target.node_class, target=label)


def _read_configuration(top: JsonObject) -> tuple[list[str], RdfTarget]:
    """The files, and the one target."""
    parts = top.objects("graph") if isinstance(top.members.get("graph"), list) else [top.object("graph")]
    files: list[str] = []
    targets: list[RdfTarget] = []
    for part in parts:
        part.allow("rdfs", "warnings")
        for entry in part.objects("rdfs"):
            entry.allow("file_name", "label")
            files.append(entry.text("file_name"))
            targets += _targets(entry.object("label")) if "label" in entry.members else []
    if not files:
        raise top.error("graph", "it has no 'rdfs'; give it one entry for each file")
    distinct = list({(target.node_class, target.predicate): target for target in targets}.values())
    if not distinct:
        raise WorkFailed(f"{top.file}: no entry of 'rdfs' has 'label', which asks for link prediction; that is {NOT_YET}. "
                         'Classification is: "label": {"task_type": "classification", "targets": [{"node": "class IRI", '
                         '"predicate": "IRI"}]}')
    if len(distinct) > 1:
        names = " and ".join(f"{target.node_class} {target.predicate or ''}".strip() for target in distinct)
        raise WorkFailed(f"{top.file}: there are the targets {names}; more than one target is {NOT_YET}")
    return list(dict.fromkeys(files)), distinct[0]


def _targets(label: JsonObject) -> list[RdfTarget]:
    label.allow("task_type", "targets")
    task = label.known("task_type", label.text("task_type"), ("classification", "regression", "link_prediction"))
    if task != "classification":
        raise label.error("task_type", f"the task '{task}' is {NOT_YET} for RDF; 'classification' is")
    targets = []
    for entry in label.objects("targets"):
        entry.allow("node", "predicate", "split_rate", "custom_split_filenames")
        targets.append(RdfTarget(node_class=entry.text("node"), predicate=entry.text("predicate", "") or None,
                                 split=read_split(entry)))
    if not targets:
        raise label.error("targets", 'it is empty; give it [{"node": "class IRI", "predicate": "IRI"}]')
    return targets


def _types(triples: pl.DataFrame, preferred: str) -> pl.DataFrame:
    """Columns ``subject`` and ``type``: the nodes that have types, and the one that counts."""
    typing = triples.filter((pl.col("predicate") == RDF_TYPE) & ~pl.col("literal"))
    return typing.group_by("subject", maintain_order=True).agg(
        pl.when((pl.col("object") == preferred).any()).then(pl.lit(preferred)).otherwise(pl.col("object").min()).alias("type"))


def _edges(links: pl.DataFrame, types: pl.DataFrame) -> pl.DataFrame:
    joined = links.join(types.rename({"subject": "object", "type": "object_type"}), on="object", how="left", maintain_order="left")
    return joined.with_columns(pl.col("object_type").fill_null(UNTYPED))


def _only_literal_predicate(file: str, stated: pl.DataFrame, node_class: str) -> str:
    found = stated.filter((pl.col("type") == node_class) & pl.col("literal"))["predicate"].unique().sort().to_list()
    if len(found) == 1:
        return str(found[0])
    raise WorkFailed(f"{file}: the target '{node_class}' has no 'predicate', which only a class with a single literal predicate "
                     f"can do without; this class has {', '.join(found[:20]) or 'none'}")


def _no_labels(place: str, stated: pl.DataFrame, types: pl.DataFrame, node_class: str, predicate: str) -> WorkFailed:
    classes = types["type"].unique().sort().to_list()
    if node_class not in classes:
        return WorkFailed(f"{place}: no node has the rdf:type '{node_class}'{suggestion(node_class, classes)}")
    predicates = stated.filter(pl.col("type") == node_class)["predicate"].unique().sort().to_list()
    return WorkFailed(f"{place}: no node of the class '{node_class}' has the predicate '{predicate}'"
                      f"{suggestion(predicate, predicates)}; classification needs some to learn from")


def _kept_split(folder: Path, split: tuple[float, float, float] | SplitFiles,
                into: Path) -> tuple[float, float, float] | SplitFiles:
    """The split; its files, which are needed beside the others, are copied."""
    if isinstance(split, SplitFiles):
        for name in filter(None, (split.train, split.valid, split.test)):
            source = locate(folder, name)
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, into / name)
    return split


def _write_nodes(nodes: pl.DataFrame, literals: pl.DataFrame, labels: pl.DataFrame, label: Label,
                 into: Path) -> tuple[NodeFile, ...]:
    """One file for each type, with a column for each predicate by which its nodes have literals."""
    target_type = labels["type"][0]
    by_type = literals.partition_by("type", as_dict=True)
    files = []
    for number, ((node_type,), together) in enumerate(nodes.partition_by("type", as_dict=True).items()):
        values = by_type.get((node_type,), literals.clear())
        several = set(values.filter(pl.struct("subject", "predicate").is_duplicated())["predicate"])
        features = tuple(Feature(column=predicate, name=predicate, type=FeatureType.AUTO,
                                 separator=SEPARATOR if predicate in several else None)
                         for predicate in values["predicate"].unique(maintain_order=True))
        rows = together.select(pl.col("subject").alias("~id"))
        for feature in features:
            rows = _with_column(rows, values.filter(pl.col("predicate") == feature.column), feature)
        if node_type == target_type:
            rows = _with_column(rows, labels, label)
        name = f"{FILES}/nodes-{number}.csv"
        rows.write_csv(into / name)
        files.append(NodeFile(file_name=name, separator=",", id_column="~id", node_type=str(node_type), features=features,
                              label=label if node_type == target_type else None))
    return tuple(files)


def _with_column(rows: pl.DataFrame, triples: pl.DataFrame, kind: Feature | Label) -> pl.DataFrame:
    """The rows with the triples' objects as a column; several of one node are sorted and joined."""
    cells = triples.select("subject", pl.col("object").alias(kind.column))
    if kind.separator is not None:
        escaped = pl.col(kind.column).str.replace_all(kind.separator, f"\\{kind.separator}", literal=True)
        cells = cells.group_by("subject").agg(escaped.sort().str.join(kind.separator))
    return rows.join(cells, left_on="~id", right_on="subject", how="left", maintain_order="left")


def _write_edges(edges: pl.DataFrame, into: Path) -> tuple[EdgeFile, ...]:
    """One file for each type of source, predicate and type of destination."""
    files = []
    kinds = edges.partition_by("type", "predicate", "object_type", as_dict=True)
    for number, ((source, relation, destination), together) in enumerate(kinds.items()):
        name = f"{FILES}/edges-{number}.csv"
        together.select(pl.col("subject").alias("~from"), pl.col("object").alias("~to")).write_csv(into / name)
        files.append(EdgeFile(file_name=name, separator=",", source_column="~from", source_type=str(source), relation_column="",
                              relation=str(relation), destination_column="~to", destination_type=str(destination), features=()))
    return tuple(files)
