"""The division of labelled nodes into training, validation and test part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEED = 20_231_114
"""Of every random split: the same export is always divided in the same way."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Masks ``[n]``; a node is in one of the parts at most."""

    train: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    test: NDArray[np.bool_]


def random_split(labelled: NDArray[np.bool_], rates: tuple[float, float, float], *, seed: int = SEED) -> Split:
    """Divide the labelled nodes at random; ``rates`` are the shares of train, valid and test and add up to 1.

    Each part's size is its share of all labelled nodes to within one node. The training part is never empty: if its share is less
    than half a node, another part gives it one.
    """
    nodes = np.random.default_rng(seed).permutation(np.flatnonzero(labelled))
    ends = np.rint(np.cumsum(rates) / np.sum(rates) * len(nodes)).astype(int)
    train_end = max(ends[0], 1)
    valid_end = max(ends[1], train_end)
    return Split(train=_mask(len(labelled), nodes[:train_end]), valid=_mask(len(labelled), nodes[train_end:valid_end]),
                 test=_mask(len(labelled), nodes[valid_end:]))


def _mask(count: int, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(count, dtype=np.bool_)
    mask[nodes] = True
    return mask
