"""From raw node features and learnable embeddings to vectors of one width, the input of the first convolution."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from despina.learn.linear import FeatureRows, FeatureShape, MixedLinear, first_bound

FEATURE_WIDTH = 16
"""Width of each feature by itself, with ``per-feat-name-embed``."""


class NodeEncoder(nn.Module):
    """The input vectors of the nodes of one type: ``W [features, embedding] + b``, or the embedding alone without features.

    Args:
        count: Nodes of the type.
        features: The shape of its features; None for a type without any.
        width: Width of the vectors, and of the learnable embeddings.
        embed: Whether nodes with features have a learnable embedding beside them (``concat-node-embed``).
        mean: Whether rows of zeros and ones are divided by the number of their ones.
        by_feature: Whether each feature goes through a linear layer and a ReLU of its own before (``per-feat-name-embed``).
    """

    def __init__(self, count: int, features: FeatureShape | None, width: int, *, embed: bool, by_feature: bool,
                 mean: bool = False) -> None:
        super().__init__()
        # Of unit variance: random vectors tell nodes apart from the start, which the convolutions make use of.
        self.embedding = nn.Parameter(torch.randn(count, width)) if embed or features is None else None
        self.features = ByFeature(features) if features and by_feature else None
        self.project: MixedLinear | None = None
        if features:
            dense, hot = (self.features.width, 0) if self.features else (features.dense, features.hot)
            self.project = MixedLinear(dense + (width if embed else 0), hot, width, mean=mean)

    def forward(self, nodes: Tensor | None, features: FeatureRows | None) -> Tensor:
        """The vectors ``[n, width]`` of the nodes with these indices (None: all) and features (None: there are none)."""
        parts = []
        if features is not None:
            parts.append(features.dense if self.features is None else self.features(features))
        if self.embedding is not None:
            # By a sparse gradient a batch costs what it reads, however many nodes there are.
            parts.append(self.embedding if nodes is None else F.embedding(nodes, self.embedding, sparse=True))
        joined = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        if self.project is None or features is None:
            return joined
        vectors: Tensor = self.project(joined, features.hot if self.features is None else None)
        return vectors


class ByFeature(nn.Module):
    r"""Each feature through a linear layer to ``FEATURE_WIDTH`` and a ReLU of its own, the results side by side.

    .. math:: y = [\mathrm{ReLU}(W_1 x_1 + b_1), \mathrm{ReLU}(W_2 x_2 + b_2), \dots]

    Source: Neptune user guide, ``per-feat-name-embed``; the width is that of Neptune ML's toolkit.

    Args:
        shape: The features. Those without columns have no part in the result.

    Shapes:
        Features of n nodes → ``[n, FEATURE_WIDTH · features]``, features in the order of their columns.
    """

    def __init__(self, shape: FeatureShape) -> None:
        super().__init__()
        spans = sorted(span for span in shape.columns.values() if span[0] < span[1])
        self._spans = [span for span in spans if span[0] < shape.dense]
        hot = [(start - shape.dense, stop - shape.dense) for start, stop in spans if start >= shape.dense]
        self.dense = nn.ModuleList(nn.Linear(stop - start, FEATURE_WIDTH) for start, stop in self._spans)
        self._starts = torch.tensor([start for start, _ in hot], dtype=torch.int32)
        self.hot_weight: nn.Parameter | None = None
        self.hot_bias: nn.Parameter | None = None
        if hot:
            bounds = torch.tensor([first_bound(stop - start) for start, stop in hot])[:, None]
            widths = torch.tensor([stop - start for start, stop in hot])
            self.hot_weight = nn.Parameter((2 * torch.rand(shape.hot, FEATURE_WIDTH) - 1) * bounds.repeat_interleave(widths, dim=0))
            self.hot_bias = nn.Parameter((2 * torch.rand(len(hot), FEATURE_WIDTH) - 1) * bounds)
        self.width = FEATURE_WIDTH * len(spans)

    def forward(self, features: FeatureRows) -> Tensor:
        """The projected features of some nodes."""
        parts = [project(features.dense[:, start:stop]) for (start, stop), project in zip(self._spans, self.dense, strict=True)]
        if self.hot_weight is not None and self.hot_bias is not None and features.hot is not None:
            # One product for all of them: each feature's columns add up in a row of their own.
            sums = features.hot.by_feature(self._starts) @ self.hot_weight
            parts.append((sums.view(-1, *self.hot_bias.shape) + self.hot_bias).flatten(start_dim=1))
        return torch.relu(torch.cat(parts, dim=1))
