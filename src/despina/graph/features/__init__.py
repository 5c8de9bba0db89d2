"""Encoders: properties to numbers. ``fit`` learns an encoding from a column, ``transform`` applies it to the same or another one.

An encoding is plain data and can be stored, so that later data are encoded in the same way. Encodings are fitted on all rows of a
type, in all parts of the split. Source: Neptune user guide, "Feature encoding in Neptune ML".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.columns import Column
from despina.graph.features.category import CategoryEncoding
from despina.graph.features.numerical import BucketEncoding, NumericalEncoding
from despina.graph.features.options import Feature, FeatureType
from despina.graph.features.sentences import MAX_TOKENS, SentenceEncoding
from despina.graph.features.tfidf import TfidfEncoding
from despina.graph.features.times import DatetimeEncoding
from despina.graph.features.word_vectors import WordVectorsEncoding

__all__ = ["BucketEncoding", "CategoryEncoding", "DatetimeEncoding", "Encoding", "HotEncoding", "NumericalEncoding", "RawEncoding",
           "SentenceEncoding", "TfidfEncoding", "WordVectorsEncoding", "fit", "transform"]


class RawEncoding(Frozen, frozen=True, kw_only=True, tag="none"):
    """Not encoded."""

    @property
    def width(self) -> int:
        """Columns of the encoded feature."""
        return 0


HotEncoding = BucketEncoding | CategoryEncoding | DatetimeEncoding
"""Encodings of zeros and ones; they tell where the ones are."""
Encoding = HotEncoding | NumericalEncoding | TfidfEncoding | WordVectorsEncoding | SentenceEncoding | RawEncoding


def fit(features: Sequence[Feature], columns: Sequence[Column]) -> list[Encoding]:
    """Learn how to encode the features of one node or edge type, none of which is of the type ``auto`` any more.

    Features of the type ``text_tfidf`` share one vocabulary, unless their options differ.

    Args:
        features: what to encode.
        columns: the column of each.

    Raises:
        InputFault: a cell cannot be read as its feature's type, or is missing where there is no imputer; there are no word vectors,
            or there is no sentence model, that a feature needs.
    """
    texts = [(feature.terms, column) for feature, column in zip(features, columns, strict=True)
             if feature.type is FeatureType.TEXT_TFIDF]
    vocabularies = {options: TfidfEncoding.fit(options, [column for terms, column in texts if terms == options])
                    for options in dict.fromkeys(terms for terms, _ in texts)}
    return [vocabularies[feature.terms] if feature.type is FeatureType.TEXT_TFIDF else _fit(feature, column)
            for feature, column in zip(features, columns, strict=True)]


def _fit(feature: Feature, column: Column) -> Encoding:
    match feature.type:
        case FeatureType.NUMERICAL:
            return NumericalEncoding.fit(feature, column)
        case FeatureType.BUCKET_NUMERICAL:
            return BucketEncoding.fit(feature, column)
        case FeatureType.CATEGORY:
            return CategoryEncoding.fit(feature, column)
        case FeatureType.DATETIME:
            return DatetimeEncoding.fit(feature, column)
        case FeatureType.TEXT_FASTTEXT | FeatureType.TEXT_WORD2VEC:
            return WordVectorsEncoding.fit(feature)
        case _:
            return SentenceEncoding.fit(feature) if feature.type in MAX_TOKENS else RawEncoding()


def transform(encoding: Encoding, column: Column, out: NDArray[np.float32]) -> None:
    """Write the encoded column into ``out``, ``[rows, encoding.width]`` of zeros.

    Raises:
        InputFault: a cell cannot be read as the encoding needs it; there are not the word vectors or the sentence
            model that it was made with.
    """
    if isinstance(encoding, HotEncoding):
        encoding.ones(column).mark(out)
    elif not isinstance(encoding, RawEncoding):
        encoding.transform(column, out)
