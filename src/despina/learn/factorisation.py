r"""Numbers of edges by Bayesian matrix factorisation, which takes account of everything that it does not know.

.. math:: y_{uv} \sim N(\mu + b_u + b_v + p_u \cdot q_v,\ \alpha^{-1}), \qquad p_u \sim N(m, \Lambda^{-1}), \qquad
    b_u \sim N(0, \tau^{-1})

and the same for v, with vague priors on :math:`m, \Lambda, \alpha, \tau`. Salakhutdinov and Mnih, "Bayesian Probabilistic Matrix
Factorization using Markov Chain Monte Carlo", 2008; with levels as Koren, Bell and Volinsky, 2009. Gibbs sampling draws each side
given the other; predictions are the means over samples. Nothing is to be tuned, and little is overfitted: that is what a trained
model of ratings does not do as well. Only labels of the training part are looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from despina.graph.graph import EdgeType, Graph

WIDTH = 10
"""Numbers in a vector."""
BURN_IN, SAMPLES = 20, 100
MOST_EDGES = 300_000
"""With more training edges a sample would take too long."""
MOST_BYTES = 256 * 2**20
"""Of the samples that are kept."""
SEED = 0

Floats = NDArray[np.float64]


def is_for(graph: Graph) -> bool:
    """Whether there are numbers of edges to be predicted, and not too many to learn from."""
    target = graph.target
    known = sum(int(part.train.sum()) for part in target.by_type.values())
    return isinstance(next(iter(target.by_type)), EdgeType) and not target.classes and bool(target.property_name) and (
        0 < known <= MOST_EDGES)


def factorised(graph: Graph, edge_type: EdgeType) -> NDArray[np.float32]:
    """The predictions ``[edges, 1]`` for all edges of a predicted type, by row. The same graph gives the same on one machine.

    They lie between the least and the greatest training label.
    """
    scale, sources, destinations = _Scale.of(graph, edge_type), *(end.astype(np.int64) for end in graph.edges[edge_type].ends())
    total = np.zeros(len(sources))
    for source, destination in _samples(graph, edge_type, scale):
        total += scale.label(source.levels[sources] + destination.levels[destinations] + _dots(
            source.vectors, sources, destination.vectors, destinations))
    return (total / SAMPLES)[:, None].astype(np.float32)


class Factorisation:
    """What ``factorised`` says, of pairs of nodes that no edge joins, too.

    Args:
        graph: Whose training labels are factorised.
        edge_type: A predicted type.
    """

    def __init__(self, graph: Graph, edge_type: EdgeType) -> None:
        self._scale, self._counts = _Scale.of(graph, edge_type), _counts(graph, edge_type)
        # Of a large graph every second sample is kept, every third …: those that follow one another are alike.
        step = 1 + 4 * (WIDTH + 1) * sum(self._counts) * SAMPLES // MOST_BYTES
        kept: tuple[list[NDArray[np.float32]], ...] = ([], [])
        for sides in islice(_samples(graph, edge_type, self._scale), 0, None, step):
            for samples, side in zip(kept, sides, strict=True):
                # The last row is for nodes that are not in the graph.
                mean = np.concatenate([[0.0], side.vectors.mean(axis=0)])
                samples.append(np.vstack([np.column_stack([side.levels, side.vectors]), mean]).astype(np.float32))
        self._samples = [np.stack(samples) if samples else np.zeros((1, count + 1, WIDTH + 1), dtype=np.float32)
                         for samples, count in zip(kept, self._counts, strict=True)]
        """Of each end ``[samples, nodes + 1, 1 + WIDTH]``: levels and vectors."""

    def predict(self, source: int, destination: int) -> float:
        """The number of an edge between two nodes; indices beyond those of the graph are of nodes about which nothing is known."""
        first, second = (samples[:, min(node, count)].astype(np.float64) for samples, node, count in zip(
            self._samples, (source, destination), self._counts, strict=True))
        found = first[:, 0] + second[:, 0] + (first[:, 1:] * second[:, 1:]).sum(axis=1)
        return float(self._scale.label(found).mean())


@dataclass(frozen=True)
class _Scale:
    """The training labels of an edge type, and what takes numbers around 0 back to them."""

    values: Floats
    """The labels, less their mean and by their deviation."""
    low: float
    high: float
    mean: float
    unit: float

    @classmethod
    def of(cls, graph: Graph, edge_type: EdgeType) -> "_Scale":
        part = graph.target.by_type[edge_type]
        assert part.labels is not None  # noqa: S101 - of links nothing is factorised
        labels = part.labels[part.train].astype(np.float64)
        if not len(labels):
            return cls(values=labels, low=0.0, high=0.0, mean=0.0, unit=1.0)
        mean, unit = labels.mean(), labels.std() or 1.0
        return cls(values=(labels - mean) / unit, low=labels.min(), high=labels.max(), mean=mean, unit=unit)

    def label(self, found: Floats) -> Floats:
        return np.clip(self.mean + self.unit * found, self.low, self.high)


def _counts(graph: Graph, edge_type: EdgeType) -> tuple[int, int]:
    return graph.node_counts[edge_type.source], graph.node_counts[edge_type.destination]


def _samples(graph: Graph, edge_type: EdgeType, scale: _Scale) -> Iterator[tuple["_Side", "_Side"]]:
    """Draws of levels and vectors of sources and destinations, each good until the next one; none without training labels."""
    train, values, random = graph.target.by_type[edge_type].train, scale.values, np.random.default_rng(SEED)
    if not len(values):
        return
    source, destination = sides = tuple(
        _Side.of(end[train].astype(np.int64), count, random)
        for end, count in zip(graph.edges[edge_type].ends(), _counts(graph, edge_type), strict=True))
    precision = 1.0
    for number in range(BURN_IN + SAMPLES):
        for own, other in (sides, sides[::-1]):
            own.draw_levels(values - other.levels[other.ends] - _products(sides), precision, random)
        rest = values - source.levels[source.ends] - destination.levels[destination.ends]
        for own, other in (sides, sides[::-1]):
            own.draw_vectors(other.vectors[other.ends], rest, precision, random)
        errors = rest - _products(sides)
        precision = random.gamma(1 + len(values) / 2) / (1 + (errors ** 2).sum() / 2)
        if number >= BURN_IN:
            yield source, destination


@dataclass(kw_only=True)
class _Side:
    """The nodes at one end of the edges."""

    ends: NDArray[np.int64]
    """``[edges]``: the node of each training edge."""
    order: Tensor
    """The edges, node by node."""
    offsets: Tensor
    """``[nodes + 1]``: where each node's begin."""
    degrees: Floats
    vectors: NDArray[np.float32]
    levels: Floats
    level_precision: float = 1.0

    @classmethod
    def of(cls, ends: NDArray[np.int64], count: int, random: np.random.Generator) -> "_Side":
        degrees = np.bincount(ends, minlength=count)
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(degrees)])
        return cls(ends=ends, order=torch.from_numpy(np.argsort(ends, kind="stable")), offsets=torch.from_numpy(offsets),
                   degrees=degrees.astype(np.float64), levels=np.zeros(count),
                   vectors=(0.1 * random.standard_normal((count, WIDTH))).astype(np.float32))

    def draw_levels(self, rest: Floats, precision: float, random: np.random.Generator) -> None:
        """Levels given what each edge's label is beside them, and the precision of their prior given them."""
        own = precision * self.degrees + self.level_precision
        sums = np.bincount(self.ends, weights=rest, minlength=len(own))
        self.levels = precision * sums / own + random.standard_normal(len(own)) / np.sqrt(own)
        self.level_precision = random.gamma(1 + len(own) / 2) / (1 + (self.levels ** 2).sum() / 2)

    def draw_vectors(self, others: NDArray[np.float32], rest: Floats, precision: float, random: np.random.Generator) -> None:
        """Vectors given those at the other end of each edge, ``[edges, WIDTH]``, and what is left of its label."""
        prior, mean = _prior(self.vectors.astype(np.float64), random)
        given = torch.from_numpy(others)[self.order]
        rows, columns = torch.triu_indices(WIDTH, WIDTH)
        upper = self._sums(given[:, rows] * given[:, columns])
        squares = torch.empty(len(self.levels), WIDTH, WIDTH)
        squares[:, rows, columns] = upper
        squares[:, columns, rows] = upper
        products = self._sums(given * torch.from_numpy(rest.astype(np.float32))[self.order][:, None])
        own = precision * squares + torch.from_numpy(prior.astype(np.float32))
        right = precision * products + torch.from_numpy((prior @ mean).astype(np.float32))
        factor = torch.linalg.cholesky(own)
        noise = torch.from_numpy(random.standard_normal((len(self.levels), WIDTH, 1)).astype(np.float32))
        means = torch.cholesky_solve(right[:, :, None], factor)
        self.vectors = (means + torch.linalg.solve_triangular(factor.mT, noise, upper=True))[:, :, 0].numpy()

    def _sums(self, rows: Tensor) -> Tensor:
        """Of each node's edges: ``[edges, d]`` in ``order`` → ``[nodes, d]``."""
        return embedding_bag(torch.arange(len(rows)), rows.contiguous(), self.offsets, mode="sum", include_last_offset=True)


def _prior(vectors: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """The precision and the mean of the vectors of a side, given them: a normal-Wishart distribution (equation 14 of the paper)."""
    count, width = vectors.shape
    mean, spread = vectors.mean(axis=0), np.cov(vectors.T, bias=True)
    scale = np.linalg.inv(np.eye(width) + count * spread + 2 * count / (2 + count) * np.outer(mean, mean))
    # Bartlett's decomposition of a draw from the Wishart distribution.
    lower = np.tril(random.standard_normal((width, width)), -1)
    lower[np.diag_indices(width)] = np.sqrt(random.chisquare(width + count - np.arange(width)))
    root = np.linalg.cholesky((scale + scale.T) / 2) @ lower
    precision = root @ root.T
    around = np.linalg.cholesky(np.linalg.inv((2 + count) * precision))
    return precision, count * mean / (2 + count) + around @ random.standard_normal(width)


def _products(sides: tuple[_Side, ...]) -> Floats:
    source, destination = sides
    return _dots(source.vectors, source.ends, destination.vectors, destination.ends)


def _dots(left: NDArray[np.float32], left_rows: NDArray[np.int64], right: NDArray[np.float32],
          right_rows: NDArray[np.int64]) -> Floats:
    return np.asarray(np.einsum("ek,ek->e", left[left_rows], right[right_rows]), dtype=np.float64)
