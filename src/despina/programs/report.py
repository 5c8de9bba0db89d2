"""``processing-report.json``: what data processing found in an export and made of it, or why it could not."""

import resource
from collections.abc import Sequence
from typing import Any

import numpy as np

from despina.core.frozen import Frozen
from despina.graph.encodings import EdgeEncodings, TypeEncodings
from despina.graph.export import Export
from despina.graph.faults import Finding, InputFault
from despina.graph.features import RawEncoding
from despina.graph.features.options import Feature, FeatureType
from despina.graph.graph import EdgeType, Features, Labelled, Target
from despina.graph.labels import labelled
from despina.graph.schema import EdgeFile, ExportConfiguration, NodeFile

FILE = "processing-report.json"


class FeatureReport(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one feature."""

    name: str
    type: FeatureType
    """As configured."""
    width: int
    """Columns of its type's features."""
    inferred: str | None = None
    """Of ``auto`` features: the encoding that the values showed."""
    dropped: str | None = None
    """Why the feature has no part in the graph."""
    missing: int = 0
    """Rows without a value."""


class TypeReport(Frozen, frozen=True, kw_only=True):
    """The nodes or the edges of one type."""

    type: str | EdgeType
    count: int
    """Nodes that are there, or edges in their own direction."""
    rows: int
    """Of its files; rows without any content count not."""
    removed: int = 0
    """Nodes of an earlier graph that are not there any more; their indices stay."""
    sparse: bool = False
    """Whether some of the features are kept as the places of their ones."""
    features: tuple[FeatureReport, ...] = ()


class LabelReport(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """What is predicted of one type."""

    type: str | EdgeType
    parts: dict[str, int]
    """``train``, ``valid``, ``test``, and ``unlabelled``: how many are in none of them for want of a label."""
    classes: dict[str, dict[str, int]] | None = None
    """Part → class → how many; what has several labels counts in each of its classes."""
    values: dict[str, dict[str, float]] | None = None
    """Part → ``min``, ``mean``, ``max`` of the numbers to be predicted."""


class Report(Frozen, frozen=True, kw_only=True):
    """The content of ``processing-report.json`` of a job that completed."""

    status: str = "Completed"
    task: str
    property: str
    nodes: tuple[TypeReport, ...]
    edges: tuple[TypeReport, ...]
    labels: tuple[LabelReport, ...]
    dropped_rows: int
    """Rows without any content."""
    added_nodes: int
    """Nodes that the earlier graph has not; all if there is none."""
    warnings: tuple[str, ...]
    estimate: dict[str, Any] | None
    """What was expected before the work."""
    seconds: dict[str, float]
    """Stage (``read``, ``write``) → how long it took."""
    peak_memory_bytes: int
    """The most memory that the process ever had resident."""


class Beginning(Frozen, frozen=True, kw_only=True):
    """The content of ``processing-report.json`` while the job is at work, and of one that was ended."""

    status: str = "InProgress"
    estimate: dict[str, Any] | None
    """What is expected."""


class FailureReport(Frozen, frozen=True, kw_only=True):
    """The content of ``processing-report.json`` of a job whose input cannot be used."""

    status: str = "Failed"
    findings: tuple[Finding, ...]
    """At most ``faults.MOST``."""


def failure(fault: InputFault) -> FailureReport:
    """The report on an input that cannot be used."""
    return FailureReport(findings=fault.findings)


def report(export: Export, configuration: ExportConfiguration, *, warnings: tuple[str, ...], estimate: dict[str, Any] | None,
           seconds: dict[str, float]) -> Report:
    """The report on an export that was read as ``configuration`` says."""
    graph, encodings = export.graph, export.encodings
    nodes = tuple(TypeReport(
        type=node_type, count=count - len(graph.removed.get(node_type, ())), rows=export.rows.get(node_type, 0),
        removed=len(graph.removed.get(node_type, ())), sparse=_is_sparse(graph.features.get(node_type)),
        features=_features([file for file in configuration.nodes if file.node_type == node_type], encodings.nodes.get(node_type),
                           export.missing.get(node_type, {})))
        for node_type, count in graph.node_counts.items())
    edges = tuple(TypeReport(
        type=entry.type, count=len(graph.edges[entry.type].indices), rows=export.rows.get(entry.type, 0),
        sparse=_is_sparse(graph.edge_features.get(entry.type)),
        features=_features([file for file in configuration.edges if file.may_hold(entry.type)], entry,
                           export.missing.get(entry.type, {})))
        for entry in encodings.edges)
    return Report(
        task=graph.target.task, property=graph.target.property_name, nodes=nodes, edges=edges,
        labels=tuple(_labels(kind, part, graph.target) for kind, part in graph.target.by_type.items()),
        dropped_rows=export.dropped_rows, added_nodes=export.added, warnings=warnings, estimate=estimate, seconds=seconds,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _is_sparse(features: Features | None) -> bool:
    return features is not None and features.hot is not None


def _features(files: Sequence[NodeFile | EdgeFile], encodings: TypeEncodings | EdgeEncodings | None,
              missing: dict[str, int]) -> tuple[FeatureReport, ...]:
    if encodings is None:
        return ()
    configured = {feature.name: feature for file in files for feature in file.features}
    return tuple(_feature(feature, encodings, missing.get(feature.name, 0)) for feature in configured.values())


def _feature(feature: Feature, encodings: TypeEncodings | EdgeEncodings, missing: int) -> FeatureReport:
    encoding = encodings.features.get(feature.name)
    dropped = encodings.dropped.get(feature.name)
    if encoding is None:
        return FeatureReport(name=feature.name, type=feature.type, width=0, dropped=dropped, missing=missing)
    inferred = str(encoding.__struct_config__.tag) if feature.type is FeatureType.AUTO else None
    return FeatureReport(name=feature.name, type=feature.type, width=encoding.width, inferred=inferred, missing=missing,
                         dropped=None if isinstance(encoding, RawEncoding) else dropped)


def _labels(kind: str | EdgeType, part: Labelled, target: Target) -> LabelReport:
    masks = {"train": part.train, "valid": part.valid, "test": part.test}
    counts = {name: int(mask.sum()) for name, mask in masks.items()}
    labels = part.labels
    if labels is None:
        return LabelReport(type=kind, parts=counts)
    counts["unlabelled"] = int((~labelled(labels)).sum())
    if not target.classes:
        values = {name: labels[mask] for name, mask in masks.items() if mask.any()}
        return LabelReport(type=kind, parts=counts, values={
            name: {"min": float(numbers.min()), "mean": float(numbers.mean()), "max": float(numbers.max())}
            for name, numbers in values.items()})
    classes = {}
    for name, mask in masks.items():
        chosen = labels[mask]
        found = chosen.sum(axis=0, dtype=np.int64) if target.multilabel else np.bincount(chosen, minlength=len(target.classes))
        classes[name] = {label: int(count) for label, count in zip(target.classes, found, strict=True)}
    return LabelReport(type=kind, parts=counts, classes=classes)
