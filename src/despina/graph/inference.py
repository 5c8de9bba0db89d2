"""What kind of feature an ``auto`` property is. Source: Neptune user guide, "Automatic feature encoding in Neptune ML".

Text is encoded by word vectors when the deployment has some, as documented, and else by tf-idf. Its language is not found out: word
vectors are those of the one file, or the English ones of a folder.
"""

import polars as pl
from msgspec.structs import replace

from despina.graph.features.options import Feature, FeatureType, Imputer, Norm
from despina.graph.features.word_vectors import VectorFile
from despina.graph.tables import Column

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
        WorkFailed: the values are text, and the word vectors that the deployment names are not there or not readable.
    """
    if feature.type is not FeatureType.AUTO:
        return feature
    present = column.text.drop_nulls()
    if present.is_empty():
        return None
    kind = _kind(feature, column, present)
    if kind is FeatureType.NUMERICAL:
        return replace(feature, type=kind, norm=Norm.MIN_MAX, imputer=feature.imputer or Imputer.MEDIAN)
    if kind is FeatureType.CATEGORY and feature.separator is None and present.n_unique() == len(column):
        return None  # a name of its own for each row
    return replace(feature, type=kind)


def _kind(feature: Feature, column: Column, present: pl.Series) -> FeatureType:
    if feature.separator is not None:
        return FeatureType.NUMERICAL if _are_vectors(column, feature.separator) else FeatureType.CATEGORY
    distinct, missing = present.n_unique(), column.text.null_count()
    if column.numbers.null_count() == missing:
        few = distinct < FEW_VALUES and distinct < FEW_VALUES_SHARE * len(present)
        return FeatureType.CATEGORY if few else FeatureType.NUMERICAL
    if column.instants.null_count() == missing:
        return FeatureType.DATETIME
    words = present.str.count_matches(r"\S+").sum() / len(present)
    if words >= WORDS_OF_TEXT and distinct > FEW_VALUES_SHARE * len(present):
        return FeatureType.TEXT_FASTTEXT if VectorFile.find(feature.language) else FeatureType.TEXT_TFIDF
    return FeatureType.CATEGORY


def _are_vectors(column: Column, separator: str) -> bool:
    """Whether all cells hold numbers, equally many in each."""
    parts = column.split(separator).drop_nulls()
    numbers = parts.explode().cast(pl.Float64, strict=False)
    return parts.list.len().n_unique() == 1 and bool(numbers.is_finite().fill_null(value=False).all())
