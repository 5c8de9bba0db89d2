"""What is to be predicted: classes, labels and masks from a column of the export and the split its configuration asks for."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.errors import WorkFailed
from despina.graph.graph import Target
from despina.graph.schema import Label, SplitFiles
from despina.graph.splits import Split, random_split
from despina.graph.tables import Table, find_file, plain_name, split_cells

ID = "~id"
"""The column of a split file that names its nodes."""


def read_target(folder: Path, label: Label, node_type: str, ids: pl.Series, nodes: Table) -> Target:
    """The target of a node classification.

    Args:
        folder: the export, where split files are looked for.
        label: what the configuration says of it.
        node_type: the type that is to be classified.
        ids: the type's raw ids by node index.
        nodes: the type's table, one row for each node in the order of ``ids``.

    Raises:
        WorkFailed: no node has a label, or a split file names an unknown or unlabelled node, or one node twice.
    """
    column = nodes.column(label.column)
    text = column.text
    listed = _listed(folder, label.split, label.column, node_type, ids) if isinstance(label.split, SplitFiles) else {}
    for rows, table in listed.values():
        if table.has(label.column):
            text = text.scatter(rows, table.column(label.column).text)
    if text.null_count() == len(text):
        raise WorkFailed(f"{nodes.files[0].name}, column '{label.column}': no node of type '{node_type}' has a label; "
                         "classification needs some to learn from")
    labels, classes = _single(text) if label.separator is None else _multiple(split_cells(text, label.separator))
    # Nodes with several labels belong to several classes: they are one stratum.
    strata = labels if label.separator is None else np.where(labels.any(axis=1), 0, -1)
    split = _split_as_listed(listed, strata >= 0) if isinstance(label.split, SplitFiles) else random_split(strata, label.split)
    return Target(node_type=node_type, property=plain_name(label.column), task=label.task, classes=classes,
                  multilabel=label.separator is not None, labels=labels, train=split.train, valid=split.valid, test=split.test)


def _single(text: pl.Series) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Class ids in the order of the sorted labels; -1 where there is none."""
    classes = text.drop_nulls().unique().sort()
    codes = text.replace_strict(classes, np.arange(len(classes)), default=None, return_dtype=pl.Int64)
    return codes.fill_null(-1).to_numpy(), tuple(classes.to_list())


def _multiple(parts: pl.Series) -> tuple[NDArray[Any], tuple[str, ...]]:
    """0 and 1 for each class in the order of the sorted labels."""
    rows = np.repeat(np.arange(len(parts)), parts.list.len().fill_null(0).to_numpy())
    values = parts.drop_nulls().explode()
    full = values != ""
    rows, values = rows[full.to_numpy()], values.filter(full)
    classes = values.unique().sort()
    labels = np.zeros((len(parts), len(classes)), dtype=np.float32)
    labels[rows, values.replace_strict(classes, np.arange(len(classes)), return_dtype=pl.Int64).to_numpy()] = 1
    return labels, tuple(classes.to_list())


def _listed(folder: Path, files: SplitFiles, label: str, node_type: str,
            ids: pl.Series) -> dict[str, tuple[NDArray[np.int64], Table]]:
    """Part → the nodes that its split file lists, and the file's table, which may have labels of its own."""
    listed = {}
    for part, name in (("train", files.train), ("valid", files.valid), ("test", files.test)):
        if name is None:
            continue
        table = Table.read(find_file(folder, name, ","), [ID], optional=[label])
        column = table.column(ID)
        rows = column.text.replace_strict(ids, np.arange(len(ids)), default=None, return_dtype=pl.Int64)
        if rows.null_count():
            raise column.error(int(rows.is_null().arg_max() or 0), f" is the ~id of no node of type '{node_type}'")
        listed[part] = rows.to_numpy(), table
    return listed


def _split_as_listed(listed: dict[str, tuple[NDArray[np.int64], Table]], labelled: NDArray[np.bool_]) -> Split:
    masks = {part: np.zeros(len(labelled), dtype=np.bool_) for part in ("train", "valid", "test")}
    for part, (rows, table) in listed.items():
        column = table.column(ID)
        if not labelled[rows].all():
            raise column.error(int(np.argmin(labelled[rows])), " has no label; leave it out of the split files")
        for other, mask in masks.items():
            if mask[rows].any():
                raise column.error(int(np.argmax(mask[rows])), f" is in the part '{other}' as well; parts must not overlap")
        masks[part][rows] = True
        if masks[part].sum() < len(rows):
            raise column.error(int(np.argmax(pl.Series(rows).is_first_distinct().not_().to_numpy())), " is listed twice")
    if not masks["train"].any():
        raise WorkFailed(f"{listed['train'][1].files[0].name}: the training part is empty")
    return Split(**masks)
