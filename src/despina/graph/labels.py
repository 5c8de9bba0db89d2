"""What is to be predicted: classes, labels and masks from columns of the export and the split its configuration asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.task import Task
from despina.graph.columns import Column, split_cells
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.graph import EdgeType, Labelled, Target
from despina.graph.schema import CLASSIFICATIONS, Label, SplitFiles
from despina.graph.split_files import (
    ListedPart,
    Members,
    empty_training_part,
    read_split_files,
    refuse_unclaimed,
    split_as_listed,
)
from despina.graph.splits import random_split
from despina.graph.tables import plain_name

LARGEST = float(np.finfo(np.float32).max)
"""Of the numbers that can be predicted."""


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """The nodes or edges of one type that are to be predicted."""

    kind: str | EdgeType
    label: Label
    members: Members
    column: Column | None
    """The labels; None for link prediction."""
    order: NDArray[np.int32] | None = None
    """The index of the node in each row of ``column``; None: 0, 1, 2, …"""


def read_target(folder: Path, label: Label, parts: Sequence[Labelling], findings: Findings, *,
                earlier: tuple[str, ...] = ()) -> Target:
    """The target of a graph.

    Args:
        folder: the export, where split files are looked for.
        label: task, property and separator that all parts share.
        parts: the types that are to be predicted.
        findings: collects what is wrong.
        earlier: the classes of the graph that this one continues; they keep their ids.

    Raises:
        InputFault: ``findings`` has noted what is wrong with a split file, or nothing has a label.
    """
    if not parts:
        raise InputFault(Fault.MISSING_LABELS, "what is to be predicted has no rows in any file")
    listed: list[dict[str, ListedPart]] = []
    for part in parts:
        with findings.gather():
            listed.append(read_split_files(folder, part.label.split, label.column, part.members)
                          if isinstance(part.label.split, SplitFiles) else {})
    findings.check()
    refuse_unclaimed([(part.members, entry) for part, entries in zip(parts, listed, strict=True) for entry in entries.values()],
                     findings)
    findings.check()
    classes: tuple[str, ...] = ()
    labels: list[NDArray[Any] | None]
    if label.task in CLASSIFICATIONS:
        labels, classes = _classes(parts, listed, label, earlier)
    elif label.task is Task.LINK_PREDICT:
        labels = [None] * len(parts)
    else:
        labels = [_numbers(part, entries, label) for part, entries in zip(parts, listed, strict=True)]
    by_type = {}
    for part, entries, values in zip(parts, listed, labels, strict=True):
        with findings.gather():
            by_type[part.kind] = _divided(part, entries, values)
    findings.check()
    if label.task is not Task.LINK_PREDICT and not any(labelled(part.labels).any() for part in by_type.values()):
        raise _no_labels(parts, label)
    if not any(part.train.any() for part in by_type.values()):
        by_files = [entries for entries in listed if entries]
        if by_files:
            raise empty_training_part(by_files[0])
        raise InputFault(Fault.MISSING_LABELS, f"there are no edges of type {parts[0].kind}; link prediction needs some to learn "
                         "from")
    return Target(task=label.task, property_name=plain_name(label.column), classes=classes, multilabel=label.separator is not None,
                  by_type=by_type)


def labelled(labels: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Which nodes or edges have a label, by ``Labelled.labels``; of link prediction there is no such array."""
    if labels is None:
        return np.zeros(0, dtype=np.bool_)
    if labels.ndim == 2:
        return np.asarray(labels.any(axis=1))
    return ~np.isnan(labels) if labels.dtype.kind == "f" else np.asarray(labels >= 0)


def _divided(part: Labelling, listed: dict[str, ListedPart], labels: NDArray[Any] | None) -> Labelled:
    """Labels and masks of one type."""
    has_label = labelled(labels) if labels is not None else np.ones(len(part.members), dtype=np.bool_)
    if isinstance(part.label.split, SplitFiles):
        split = split_as_listed(listed, has_label, part.members.columns[0])
    elif not has_label.any():
        none = np.zeros(len(has_label), dtype=np.bool_)
        return Labelled(labels=labels, train=none, valid=none, test=none)
    else:
        # Those with several labels belong to several classes: they are one stratum, as are numbers and links.
        single = labels is not None and labels.ndim == 1 and labels.dtype.kind == "i"
        strata = labels if single and labels is not None else np.where(has_label, 0, -1).astype(np.int8)
        split = random_split(strata, part.label.split)
    return Labelled(labels=labels, train=split.train, valid=split.valid, test=split.test)


def _classes(parts: Sequence[Labelling], listed: Sequence[dict[str, ListedPart]], label: Label,
             earlier: tuple[str, ...]) -> tuple[list[NDArray[Any] | None], tuple[str, ...]]:
    """The labels of each part, and the classes: earlier ones, and then new ones in the order of their names."""
    coded = [_codes(part, entries, label.column) for part, entries in zip(parts, listed, strict=True)]
    members = []
    for codes, texts in coded:
        used = np.zeros(len(texts), dtype=np.bool_)
        used[codes[codes >= 0]] = True
        owners, values = _members(texts, label.separator)
        members.append((owners, values, used[owners]))
    found = pl.concat([values.filter(pl.Series(used)) for _, values, used in members]).unique().sort()
    classes = (*earlier, *(name for name in found.to_list() if name not in set(earlier)))
    number = dict(zip(classes, range(len(classes)), strict=True))
    labels: list[NDArray[Any] | None] = []
    for (codes, texts), (owners, values, _) in zip(coded, members, strict=True):
        class_of = values.replace_strict(number, default=-1, return_dtype=pl.Int64).to_numpy()
        if label.separator is None:
            labels.append(np.where(codes >= 0, class_of[codes] if len(class_of) else -1, -1))
            continue
        rows = np.zeros((len(texts) + 1, len(classes)), dtype=np.float32)  # the last one is of missing cells, code -1
        there = class_of >= 0
        rows[owners[there], class_of[there]] = 1
        labels.append(rows[codes])
    return labels, classes


def _members(texts: pl.Series, separator: str | None) -> tuple[NDArray[np.int64], pl.Series]:
    """The labels in different cells one after another, and the number of the cell of each."""
    if separator is None:
        return np.arange(len(texts)), texts
    parts = split_cells(texts, separator)
    owners = np.repeat(np.arange(len(texts)), parts.list.len().to_numpy())
    values = parts.explode()
    full = (values != "").to_numpy()
    return owners[full], values.filter(pl.Series(full))


def _codes(part: Labelling, listed: dict[str, ListedPart], label: str) -> tuple[NDArray[np.int32], pl.Series]:
    """The code of each member's label, -1 for none, and the text of each code; a text may have several."""
    assert part.column is not None  # noqa: S101 - only link prediction has none
    own, texts = part.column.coded
    codes = np.full(len(part.members), -1, dtype=np.int32)
    codes[slice(None) if part.order is None else part.order] = own
    for entry in listed.values():
        if entry.table.has(label):
            more, new = entry.table.column(label).coded
            more = more[entry.found.rows]
            said = more >= 0  # an empty cell leaves the exported label as it is
            codes[entry.found.members[said]] = more[said] + len(texts)
            texts = pl.concat([texts, new])
    return codes, texts


def _numbers(part: Labelling, listed: dict[str, ListedPart], label: Label) -> NDArray[np.float32]:
    """The label of each member, NaN for none."""
    assert part.column is not None  # noqa: S101 - only link prediction has none
    numbers = np.full(len(part.members), np.nan)
    numbers[slice(None) if part.order is None else part.order] = part.column.numbers
    for entry in listed.values():
        if entry.table.has(label.column):
            column = entry.table.column(label.column)
            column.refuse_unreadable_numbers()
            more = column.numbers[entry.found.rows]
            said = ~np.isnan(more)
            numbers[entry.found.members[said]] = more[said]
            column.refuse(np.abs(column.numbers) > LARGEST, Fault.INVALID_NUMBER, " is too large to be held in 32 bits")
    part.column.refuse(np.abs(part.column.numbers) > LARGEST, Fault.INVALID_NUMBER, " is too large to be held in 32 bits")
    return numbers.astype(np.float32)


def _no_labels(parts: Sequence[Labelling], label: Label) -> InputFault:
    file = next((file.name for part in parts if part.column is not None for file in part.column.origin.files), "")
    what = "classification" if label.task in CLASSIFICATIONS else "regression"
    return InputFault(Fault.MISSING_LABELS, f"{file}, column '{label.column}': no row has a label; a {what} needs some to learn "
                      "from", file=file or None, column=label.column)
