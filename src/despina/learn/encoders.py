"""From raw node features and learnable embeddings to vectors of one width, the input of the first convolution."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURE_WIDTH = 16
"""Width of each feature by itself, with ``per-feat-name-embed``."""


class NodeEncoder(nn.Module):
    """The input vectors of the nodes of one type: ``W [features, embedding] + b``, or the embedding alone without features.

    Args:
        count: Nodes of the type.
        columns: Feature name → its columns ``[start, stop)`` of the features; empty for a type without features.
        width: Width of the vectors, and of the learnable embeddings.
        embed: Whether nodes with features have a learnable embedding beside them (``concat-node-embed``).
        by_feature: Whether each feature goes through a linear layer to ``FEATURE_WIDTH`` and a ReLU of its own before
            (``per-feat-name-embed``).
    """

    def __init__(self, count: int, columns: dict[str, tuple[int, int]], width: int, *, embed: bool, by_feature: bool) -> None:
        super().__init__()
        # Of unit variance: random vectors tell nodes apart from the start, which the convolutions make use of.
        self.embedding = nn.Parameter(torch.randn(count, width)) if embed or not columns else None
        self._columns = tuple(span for span in columns.values() if span[0] < span[1]) if by_feature else ()
        self.features = nn.ModuleList(nn.Linear(stop - start, FEATURE_WIDTH) for start, stop in self._columns)
        given = FEATURE_WIDTH * len(self._columns) if self._columns else max((stop for _, stop in columns.values()), default=0)
        self.project = nn.Linear(given + (width if embed else 0), width) if columns else None

    def forward(self, nodes: Tensor | None, features: Tensor | None) -> Tensor:
        """The vectors ``[n, width]`` of the nodes with these indices (None: all) and features ``[n, d]`` (None: there are none)."""
        parts = []
        if features is not None:
            parts += [self._by_feature(features)] if self._columns else [features]
        if self.embedding is not None:
            # By a sparse gradient a batch costs what it reads, however many nodes there are.
            parts.append(self.embedding if nodes is None else F.embedding(nodes, self.embedding, sparse=True))
        joined = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return joined if self.project is None else self.project(joined)

    def _by_feature(self, features: Tensor) -> Tensor:
        return torch.cat([torch.relu(project(features[:, start:stop]))
                          for (start, stop), project in zip(self._columns, self.features, strict=True)], dim=1)
