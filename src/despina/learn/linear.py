"""Linear layers over features of which the wide part is all zeros but a few ones, and is never laid out.

The product of such a part with its weights is, row by row, the sum of the weights that belong to its ones. It is taken as message
passing takes its means (``adjacency``): by ``torch.nn.functional.embedding_bag``, with the ones grouped by column at hand for the
gradient. Left to itself, torch sorts the ones anew for each gradient, which takes far longer than all the rest.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from despina.core.frozen import Frozen
from despina.graph.graph import Csr, Features, Hot


class FeatureShape(Frozen, frozen=True, kw_only=True):
    """What a layer has to know of the features of one type before it sees any of them."""

    columns: dict[str, tuple[int, int]]
    """Feature name → its columns ``[start, stop)``, those of the dense part first."""
    dense: int
    """Columns of the dense part."""
    hot: int
    """Columns of the part of zeros and ones."""

    @classmethod
    def of(cls, features: Features) -> "FeatureShape":
        """The shape of some features."""
        return cls(columns=dict(features.columns), dense=int(features.dense.shape[1]),
                   hot=0 if features.hot is None else features.hot.width)

    @property
    def width(self) -> int:
        """Columns of both parts together."""
        return self.dense + self.hot


@dataclass(frozen=True, kw_only=True)
class HotRows:
    """Rows of zeros and ones: those of row ``i`` are in the columns ``indices[offsets[i]:offsets[i + 1]]``."""

    indices: Tensor
    """int32 ``[ones]``: column, rising within each row."""
    offsets: Tensor
    """int32 ``[n + 1]``"""
    columns: Tensor
    """int64 ``[c]``: the columns that have any one, in rising order."""
    rows: Tensor
    """int32 ``[ones]``: the rows of the ones, column by column of ``columns``."""
    column_offsets: Tensor
    """int32 ``[c + 1]``: where each column begins in ``rows``."""
    few: bool
    """Whether these are a few of many rows, so that the gradient of the weights is to be sparse: zero where no row has a one."""

    @classmethod
    def of(cls, hot: Hot, *, few: bool) -> "HotRows":
        """All rows of a matrix."""
        columns, compact = np.unique(hot.indices, return_inverse=True)
        row_of_one = np.repeat(np.arange(len(hot), dtype=np.int32), np.diff(hot.indptr))
        by_column = Csr.group(row_of_one, compact.astype(np.int32), n_destination=len(columns))
        return cls(indices=torch.from_numpy(np.array(hot.indices)), offsets=_int32(hot.indptr),
                   columns=torch.from_numpy(columns.astype(np.int64)), rows=torch.from_numpy(by_column.indices),
                   column_offsets=_int32(by_column.indptr), few=few)

    def by_feature(self, starts: Tensor) -> "HotRows":
        """Each row taken apart into one row for each feature.

        Args:
            starts: int32 ``[features]``, rising from 0: the first column of each feature.

        Returns:
            ``[n · features]`` rows: those of row 0, feature by feature, then those of row 1, and so on.
        """
        count, features = len(self.offsets) - 1, len(starts)
        row_of_one = torch.repeat_interleave(torch.arange(count), self.offsets.diff().long())
        part_of_one = row_of_one * features + _feature_of(self.indices, starts)
        offsets = torch.zeros(count * features + 1, dtype=torch.int32)
        torch.cumsum(torch.bincount(part_of_one, minlength=count * features), dim=0, out=offsets[1:])
        feature_of_row = torch.repeat_interleave(_feature_of(self.columns.int(), starts), self.column_offsets.diff().long())
        return HotRows(indices=self.indices, offsets=offsets, columns=self.columns,
                       rows=(self.rows * features + feature_of_row).int(), column_offsets=self.column_offsets, few=self.few)

    def __matmul__(self, weight: Tensor) -> Tensor:
        """The product with weights ``[columns, d]``: ``[n, d]``. Differentiable once."""
        result: Tensor = _HotProduct.apply(weight, self)  # type: ignore[no-untyped-call]
        return result


class _HotProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, weight: Tensor, rows: HotRows) -> Tensor:
        ctx.rows, ctx.shape = rows, weight.shape  # type: ignore[attr-defined]
        return F.embedding_bag(rows.indices, weight, rows.offsets, mode="sum", include_last_offset=True)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        rows: HotRows = ctx.rows  # type: ignore[attr-defined]
        shape: torch.Size = ctx.shape  # type: ignore[attr-defined]
        sums = F.embedding_bag(rows.rows, gradients[0].contiguous(), rows.column_offsets, mode="sum", include_last_offset=True)
        if rows.few:
            return torch.sparse_coo_tensor(rows.columns[None], sums, shape, is_coalesced=True, check_invariants=False), None
        return sums.new_zeros(shape).index_copy_(0, rows.columns, sums), None


@dataclass(frozen=True, kw_only=True)
class FeatureRows:
    """The features of some nodes or edges."""

    dense: Tensor
    """float32 ``[n, d]``; d may be 0."""
    hot: HotRows | None
    """None for features that have no such part."""

    @classmethod
    def of(cls, features: Features, rows: NDArray[np.integer[Any]] | None = None, *, few: bool) -> "FeatureRows":
        """The rows with these numbers, in this order; None for all. Copies, since features may be mapped files."""
        dense = np.array(features.dense) if rows is None else features.dense[rows]
        hot = features.hot if features.hot is None or rows is None else features.hot.take(rows)
        return cls(dense=torch.from_numpy(dense), hot=None if hot is None else HotRows.of(hot, few=few))


class MixedLinear(nn.Module):
    r"""A linear layer over a dense part and one of zeros and ones beside it.

    .. math:: y = W_d x_d + W_h x_h + b

    It computes what one linear layer over ``[dense, hot]`` would, and begins as that would: all weights are uniform between
    :math:`\pm 1 / \sqrt{n}`, n columns in both parts together, as those of ``torch.nn.Linear`` are.

    Args:
        dense: Columns of the dense part.
        hot: Columns of the other part; 0 for none.
        width: Columns of the result.
        mean: Whether each row of the other part is divided by the number of its ones.

    Shapes:
        Dense ``[n, dense]`` and ``[n, hot]`` → ``[n, width]``.
    """

    def __init__(self, dense: int, hot: int, width: int, *, mean: bool = False) -> None:
        super().__init__()
        self._mean = mean
        bound = first_bound(dense + hot)
        self.weight = nn.Parameter(torch.empty(width, dense).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.hot_weight = nn.Parameter(torch.empty(hot, width).uniform_(-bound, bound)) if hot else None

    def forward(self, dense: Tensor, hot: HotRows | None) -> Tensor:
        """The layer's result; ``hot`` is None for a layer without such columns."""
        result = F.linear(dense, self.weight, self.bias)
        if self.hot_weight is None or hot is None:
            return result
        sums = hot @ self.hot_weight
        return result + (sums / hot.offsets.diff().clamp(min=1)[:, None] if self._mean else sums)


def first_bound(columns: int) -> float:
    """Between plus and minus what the weights of a linear layer over so many columns are uniform at first."""
    return 1 / sqrt(max(1, columns))


def _int32(values: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(values.astype(np.int32))


def _feature_of(columns: Tensor, starts: Tensor) -> Tensor:
    """The feature that each column belongs to."""
    return torch.searchsorted(starts, columns, right=True) - 1
