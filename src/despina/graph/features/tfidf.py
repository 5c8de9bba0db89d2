"""Texts as weighted terms (tf-idf), brought down to few columns by a sparse random projection.

The user guide of Neptune ML names the steps and their options. The formulas are the usual ones: a term's weight in a cell is how
often it is there times ``ln((1 + cells) / (1 + cells with the term)) + 1``, and the weights of a cell have the Euclidean length 1
(Manning, Raghavan, Schütze: Introduction to Information Retrieval, chapter 6). The projection is that of Li, Hastie and Church,
"Very sparse random projections", KDD 2006: of ``V`` terms each column sums about ``√V`` with random signs, which keeps distances.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.columns import Column
from despina.graph.features.options import Terms
from despina.graph.features.words import words_by_row

MAX_WIDTH = 100
"""Columns; a larger vocabulary is projected, as documented."""
SEED = 20060820
ROWS = 16_384
"""So many cells are looked at a time."""


class TfidfEncoding(Frozen, frozen=True, kw_only=True, tag="text_tfidf"):
    """Tf-idf weights, projected when there are more than ``MAX_WIDTH`` terms. A missing cell is all zeros."""

    ngram_range: tuple[int, int]
    terms: tuple[str, ...]
    """The vocabulary, in the order of its words; words of one term are joined by a blank."""
    idf: tuple[float, ...]
    """How rare each term is."""
    seed: int
    """Of the projection."""

    @property
    def width(self) -> int:
        """Columns of the encoded feature."""
        return min(len(self.terms), MAX_WIDTH)

    @classmethod
    def fit(cls, options: Terms, columns: Sequence[Column]) -> "TfidfEncoding":
        """Learn one vocabulary of the cells of all the columns."""
        counts = [terms.group_by("term").agg(pl.len().cast(pl.Int64).alias("cells"), pl.col("count").sum().cast(pl.Int64))
                  for column in columns for terms in _terms(column, options.ngram_range)]
        cells = sum(len(column) - column.text.null_count() for column in columns)
        if not counts:
            return cls(ngram_range=options.ngram_range, terms=(), idf=(), seed=SEED)
        kept = (pl.concat(counts).group_by("term").sum().filter(pl.col("cells") >= options.min_df)
                .sort(["count", "term"], descending=[True, False]).head(options.max_features).sort("term"))
        idf = np.log((1 + cells) / (1 + kept["cells"].to_numpy())) + 1
        return cls(ngram_range=options.ngram_range, terms=tuple(kept["term"].to_list()), idf=tuple(idf.tolist()), seed=SEED)

    def transform(self, column: Column, out: NDArray[np.float32]) -> None:
        """Add each cell's projected weights to ``out``, ``[rows, width]`` of zeros."""
        if not self.terms:
            return
        vocabulary = pl.DataFrame({"term": self.terms, "id": np.arange(len(self.terms)), "idf": self.idf})
        projection = self._projection()
        for terms in _terms(column, self.ngram_range):
            weight = pl.col("count") * pl.col("idf")
            entries = (terms.join(vocabulary, on="term", maintain_order="left")
                       .select("row", "id", (weight / (weight**2).sum().sqrt().over("row")).alias("weight"))
                       .join(projection, on="id", maintain_order="left")
                       .group_by("row", "dimension").agg((pl.col("weight") * pl.col("factor")).sum()))
            out[entries["row"].to_numpy(), entries["dimension"].to_numpy()] = entries["weight"].to_numpy()

    def _projection(self) -> pl.DataFrame:
        """The non-zero entries of the ``[terms, width]`` matrix: ``id`` of the term, ``dimension``, ``factor``."""
        size = len(self.terms)
        if size <= MAX_WIDTH:
            return pl.DataFrame({"id": np.arange(size), "dimension": np.arange(size), "factor": np.ones(size)})
        # Raw bits, since NumPy promises that they never change; its distributions may.
        bits = np.random.PCG64(self.seed)
        density = size**-0.5
        below = np.uint64(density * 2**64)
        factor = (density * MAX_WIDTH) ** -0.5
        parts = []
        for dimension in range(MAX_WIDTH):
            raw = np.asarray(bits.random_raw(size), dtype=np.uint64)
            ids = np.flatnonzero(raw < below)
            signs = np.where(raw[ids] & np.uint64(1), factor, -factor)
            parts.append(pl.DataFrame({"id": ids, "dimension": np.full(len(ids), dimension), "factor": signs}))
        return pl.concat(parts)


def _terms(column: Column, ngram_range: tuple[int, int]) -> Iterator[pl.DataFrame]:
    """How often each term is in each cell: the columns ``row``, ``term``, ``count``; some rows at a time."""
    least, most = ngram_range
    for words in words_by_row(column, rows=ROWS):
        following = [pl.col("word").shift(-i).over("row") for i in range(most)]
        terms = [words.select("row", pl.concat_str(following[:length], separator=" ").alias("term")).drop_nulls()
                 for length in range(least, most + 1)]
        # In order, since sums of floating-point numbers depend on it in their last digits.
        yield pl.concat(terms).group_by("row", "term", maintain_order=True).agg(pl.len().alias("count"))
