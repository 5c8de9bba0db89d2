"""``processing-report.json``: what data processing found in an export and made of it."""

import resource
from collections.abc import Iterable

import numpy as np

from despina.core.frozen import Frozen
from despina.graph.export import Export
from despina.graph.features import Encoding, RawEncoding
from despina.graph.features.options import Feature, FeatureType
from despina.graph.graph import EdgeType, Target
from despina.graph.matrix import DROPPED, LEFT_OUT
from despina.graph.schema import EdgeFile, ExportConfiguration


class FeatureReport(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one feature."""

    name: str
    type: FeatureType
    """As configured."""
    width: int
    """Columns in the matrix of its type."""
    inferred: str | None = None
    """Of ``auto`` features: the encoding that the values showed."""
    dropped: str | None = None
    """Why the feature has no part in the graph."""


class NodeReport(Frozen, frozen=True, kw_only=True):
    """The nodes of one type."""

    type: str
    count: int
    features: tuple[FeatureReport, ...]


class EdgeReport(Frozen, frozen=True, kw_only=True):
    """The edges of one type, in their own direction only."""

    type: EdgeType
    count: int
    features: tuple[FeatureReport, ...]


class TargetReport(Frozen, frozen=True, kw_only=True):
    """What is to be predicted."""

    node_type: str
    property: str
    unlabelled: int
    """Nodes of the type without a label."""
    classes: dict[str, dict[str, int]]
    """Part (``train``, ``valid``, ``test``) → class → nodes; a node with several labels counts in each of its classes."""


class Report(Frozen, frozen=True, kw_only=True):
    """The content of ``processing-report.json``."""

    rows: int
    """Of all node and edge files; lines without any content are none."""
    nodes: tuple[NodeReport, ...]
    edges: tuple[EdgeReport, ...]
    target: TargetReport
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    """Stage (``read``, ``check``, ``write``) → how long it took."""
    peak_memory_bytes: int
    """The most memory that the process ever had resident."""


def report(export: Export, configuration: ExportConfiguration, *, warnings: tuple[str, ...], seconds: dict[str, float]) -> Report:
    """The report on an export that was read as ``configuration`` says."""
    graph, encodings = export.graph, export.encodings
    nodes = tuple(NodeReport(type=node_type, count=count, features=_features(
        [file.features for file in configuration.nodes if file.node_type == node_type], encodings.nodes.get(node_type, {})))
        for node_type, count in graph.node_counts.items())
    edges = tuple(EdgeReport(type=edges.type, count=len(graph.edges[edges.type].indices), features=_features(
        [file.features for file in configuration.edges if _may_hold(file, edges.type)], edges.features))
        for edges in encodings.edges)
    return Report(rows=export.rows, nodes=nodes, edges=edges, target=_target(graph.target), warnings=warnings, seconds=seconds,
                  peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _may_hold(file: EdgeFile, kind: EdgeType) -> bool:
    relation = kind.relation
    if file.relation_column:
        matches = relation.startswith(f"{file.relation}-") if file.relation else True
    else:
        matches = relation == file.relation
    return matches and (file.source_type, file.destination_type) == (kind.source, kind.destination)


def _features(configured: Iterable[tuple[Feature, ...]], encodings: dict[str, Encoding]) -> tuple[FeatureReport, ...]:
    unique = {feature.name: feature for features in configured for feature in features}
    return tuple(_feature(feature, encodings.get(feature.name)) for feature in unique.values())


def _feature(feature: Feature, encoding: Encoding | None) -> FeatureReport:
    if encoding is None:
        return FeatureReport(name=feature.name, type=feature.type, width=0, dropped=DROPPED)
    return FeatureReport(
        name=feature.name, type=feature.type, width=encoding.width,
        inferred=str(encoding.__struct_config__.tag) if feature.type is FeatureType.AUTO else None,
        dropped=None if encoding.width or isinstance(encoding, RawEncoding) else LEFT_OUT)


def _target(target: Target) -> TargetReport:
    """Class balance by part."""
    labelled = target.labels.any(axis=1) if target.multilabel else target.labels >= 0
    classes = {}
    for part, mask in (("train", target.train), ("valid", target.valid), ("test", target.test)):
        labels = target.labels[mask]
        counts = labels.sum(axis=0, dtype=np.int64) if target.multilabel else np.bincount(labels, minlength=len(target.classes))
        classes[part] = {name: int(count) for name, count in zip(target.classes, counts, strict=True)}
    return TargetReport(node_type=target.node_type, property=target.property, unlabelled=int((~labelled).sum()), classes=classes)
