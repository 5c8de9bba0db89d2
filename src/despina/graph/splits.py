"""The division of labelled nodes or edges into training, validation and test part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 20_231_114
"""Of every random split: the same export is always divided in the same way."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Masks ``[n]``; a node or edge is in one of the parts at most."""

    train: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    test: NDArray[np.bool_]


def random_split(strata: NDArray[np.integer[Any]], rates: tuple[float, float, float], *, seed: int = SEED) -> Split:
    """Divide the labelled nodes or edges at random, each stratum (class) alike.

    Each part's size is its share of all labelled ones to within one, and as nearly as that allows its share of every stratum. The
    training part is never empty: if its share is less than half of one, another part gives it one. Of a stratum with very few
    members the training part has the first.

    Args:
        strata: ``[n]``; -1 for what is not labelled.
        rates: the shares of train, valid and test; they add up to 1.
    """
    members = np.random.default_rng(seed).permutation(np.flatnonzero(strata >= 0))
    if len(members) and strata[members].min() < strata[members].max():
        # Sorted by how far each member is in its stratum, any stretch of them holds the same share of every stratum.
        by_stratum = np.argsort(strata[members], kind="stable")
        _, sizes = np.unique(strata[members], return_counts=True)
        rank = np.concatenate([np.arange(size) / size for size in sizes])
        members = members[by_stratum][np.argsort(rank, kind="stable")]
    ends = np.rint(np.cumsum(rates) / np.sum(rates) * len(members)).astype(int)
    train_end = max(ends[0], 1)
    valid_end = max(ends[1], train_end)
    return Split(train=mask_of(len(strata), members[:train_end]), valid=mask_of(len(strata), members[train_end:valid_end]),
                 test=mask_of(len(strata), members[valid_end:]))


def mask_of(count: int, members: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """``[count]``: true for the members."""
    mask = np.zeros(count, dtype=np.bool_)
    mask[members] = True
    return mask
