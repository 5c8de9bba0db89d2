"""What kind of feature an ``auto`` property is. Source: Neptune user guide, "Automatic feature encoding in Neptune ML".

Text is encoded by word vectors when the deployment has some, as documented, and else by tf-idf. Its language is not found out: word
vectors are those of the one file, or the English ones of a folder. Sentence embeddings, which the guide takes for other languages,
have to be asked for by name (``text_sbert``): they are slow, and PyTorch is not loaded for a guess.
"""

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from despina.graph.columns import Column, read_instants, read_numbers, split_cells
from despina.graph.features.options import Feature, FeatureType, Imputer, Norm
from despina.graph.features.word_vectors import VectorFile

FEW_VALUES = 100
FEW_VALUES_SHARE = 0.1
"""Numbers are categories when there are fewer distinct ones than both."""
WORDS_OF_TEXT = 3
"""Strings of so many words on average are text, unless few are distinct."""


def resolve(feature: Feature, column: Column) -> Feature | None:
    """The feature with the type that its values show in place of ``auto``; None when it says nothing and is to be dropped.

    Numbers that an ``auto`` feature turns out to hold are scaled to 0..1, and missing ones replaced by the median unless the
    feature has an imputer of its own.

    Raises:
        InputFault: the values are text, and the word vectors that the deployment names are not there or not readable.
    """
    if feature.type is not FeatureType.AUTO:
        return feature
    codes, texts = column.coded
    cells = np.bincount(codes[codes >= 0], minlength=len(texts))
    texts, cells = texts.filter(pl.Series(cells > 0)), cells[cells > 0]
    if texts.is_empty():
        return None
    kind = _kind(feature, texts, cells)
    if kind is FeatureType.NUMERICAL:
        return replace(feature, type=kind, norm=Norm.MIN_MAX, imputer=feature.imputer or Imputer.MEDIAN)
    if kind is FeatureType.CATEGORY and feature.separator is None and len(texts) == len(column):
        return None  # a name of its own for each row
    return replace(feature, type=kind)


def _kind(feature: Feature, texts: pl.Series, cells: NDArray[np.int64]) -> FeatureType:
    """What different texts, each of so many cells, show."""
    if feature.separator is not None:
        return FeatureType.NUMERICAL if _are_vectors(texts, feature.separator) else FeatureType.CATEGORY
    distinct, present = len(texts), int(cells.sum())
    if not np.isnan(read_numbers(texts)).any():
        few = distinct < FEW_VALUES and distinct < FEW_VALUES_SHARE * present
        return FeatureType.CATEGORY if few else FeatureType.NUMERICAL
    if not read_instants(texts).null_count():
        return FeatureType.DATETIME
    words = float(texts.str.count_matches(r"\S+").to_numpy() @ cells) / present
    if words >= WORDS_OF_TEXT and distinct > FEW_VALUES_SHARE * present:
        return FeatureType.TEXT_FASTTEXT if VectorFile.find(feature.language) else FeatureType.TEXT_TFIDF
    return FeatureType.CATEGORY


def _are_vectors(texts: pl.Series, separator: str) -> bool:
    """Whether all texts hold numbers, equally many in each."""
    parts = split_cells(texts, separator)
    numbers = parts.explode().cast(pl.Float64, strict=False)
    return parts.list.len().n_unique() == 1 and bool(numbers.is_finite().fill_null(value=False).all())
