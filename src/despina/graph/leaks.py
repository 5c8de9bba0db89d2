"""Features that give the label away: a model that has them learns nothing that holds for new nodes."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.graph.graph import Target
from despina.graph.schema import ExportConfiguration
from despina.graph.tables import CsvFile, Table


def find_leaks(folder: Path, configuration: ExportConfiguration, target: Target) -> tuple[str, ...]:
    """A warning for each feature that determines the label.

    It does when every labelled node has a value, when each value occurs with one label only, and when there are at most half as
    many values as labelled nodes: values that hardly ever occur twice determine anything. A label that never varies is none
    that could be given away.

    Args:
        folder: the export, whose files of the target's type are read once more.
        configuration: what the export holds.
        target: the labels, one for each node in the order of the files.

    Raises:
        WorkFailed: a file cannot be read any more.
    """
    files = [file for file in configuration.nodes if file.node_type == target.node_type]
    features = {feature.name: feature for file in files for feature in file.features}
    labels, labelled = _codes(target)
    if not features or len(np.unique(labels[labelled])) < 2:
        return ()
    nodes = Table.concat([Table.read(CsvFile.find(folder, file.file_name, file.separator),
                                     [file.id_column, *(feature.column for feature in file.features)]) for file in files])
    known = pl.Series("label", labels[labelled])
    rows = pl.Series(labelled)
    return tuple(f"{files[0].file_name}: the feature '{name}' (column '{feature.column}') determines the label "
                 f"'{target.property}' of all {len(known)} labelled nodes of type '{target.node_type}'; leave it out unless it is "
                 "known of new nodes before their label is"
                 for name, feature in features.items() if _determines(nodes.column(feature.column).text.filter(rows), known))


def _determines(values: pl.Series, labels: pl.Series) -> bool:
    if values.null_count():
        return False
    distinct = values.n_unique()
    pairs = pl.DataFrame({"value": values, "label": labels})
    return distinct <= len(values) / 2 and pairs.n_unique() == distinct


def _codes(target: Target) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """A number for each node's label or set of labels, and which nodes have any."""
    if not target.multilabel:
        return target.labels, target.labels >= 0
    _, codes = np.unique(target.labels, axis=0, return_inverse=True)
    return codes.reshape(-1).astype(np.int64), target.labels.any(axis=1)
