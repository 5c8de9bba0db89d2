"""What a configuration says of a feature: its type and the options that the type has.

Source: Neptune user guide, "Feature encoding in Neptune ML"; what the exporter really writes is followed where the two differ.
"""

from enum import StrEnum
from math import isfinite
from typing import Any

from despina.core.frozen import Frozen
from despina.graph.json_object import JsonObject

MAX_BUCKETS = 10_000
MAX_NGRAM = 5
"""Words; longer sequences hardly ever occur twice."""


class FeatureType(StrEnum):
    """How a property becomes numbers."""

    NUMERICAL = "numerical"
    BUCKET_NUMERICAL = "bucket_numerical"
    CATEGORY = "category"
    DATETIME = "datetime"
    TEXT_TFIDF = "text_tfidf"
    TEXT_FASTTEXT = "text_fasttext"
    TEXT_WORD2VEC = "text_word2vec"
    """Also spelled ``word2vec``."""
    TEXT_SBERT = "text_sbert"
    """Means ``text_sbert128``."""
    TEXT_SBERT128 = "text_sbert128"
    TEXT_SBERT512 = "text_sbert512"
    AUTO = "auto"
    """Inferred from the values."""
    NONE = "none"
    """Not encoded: the raw values are kept for custom models."""


class Norm(StrEnum):
    """How numbers are scaled."""

    NONE = "none"
    MIN_MAX = "min-max"
    STANDARD = "standard"
    """The z-score: the mean becomes 0 and the standard deviation 1. The published text divides each value by the sum of all values,
    which makes large columns vanish and columns around zero explode; the name is that of the z-score everywhere else."""


class Imputer(StrEnum):
    """What a missing value is replaced by."""

    MEAN = "mean"
    MEDIAN = "median"
    MOST_FREQUENT = "most-frequent"


class DatetimePart(StrEnum):
    """A part of a time that is encoded on its own."""

    YEAR = "year"
    MONTH = "month"
    WEEKDAY = "weekday"
    HOUR = "hour"


class Buckets(Frozen, frozen=True, kw_only=True):
    """The division of numbers into ``count`` buckets of one width between ``low`` and ``high``."""

    low: float
    high: float
    count: int
    window: float = 0.0
    """A value is in each bucket that the window of this size around it touches; 0: in one."""


class Terms(Frozen, frozen=True, kw_only=True):
    """Which terms make the vocabulary of tf-idf."""

    ngram_range: tuple[int, int] = (1, 1)
    """A term has so many words, at least and at most."""
    min_df: int = 2
    """It occurs in so many cells at least."""
    max_features: int = 5000
    """So many terms are kept at most, the commonest ones."""


class Feature(Frozen, frozen=True, kw_only=True):
    """A property that is to be encoded."""

    column: str
    name: str
    type: FeatureType
    norm: Norm = Norm.NONE
    imputer: Imputer | None = None
    separator: str | None = None
    """Between the values of one cell: the feature is a vector, or a set of categories."""
    max_categories: int = 5000
    """Of a set of categories: columns at most; with more categories the last column stands for all but the commonest."""
    datetime_parts: tuple[DatetimePart, ...] = tuple(DatetimePart)
    buckets: Buckets | None = None
    """Of ``bucket_numerical``, which must have them."""
    terms: Terms = Terms()
    """Of ``text_tfidf``."""
    language: str = "en"
    """Of the types that look up word vectors."""
    max_length: int | None = None
    """Of ``text_fasttext``: only so many words of each text count."""


LANGUAGES = ("en", "zh", "hi", "es", "fr")
"""Of ``text_fasttext``, as documented."""
SPACY_MODEL = "en_core_web_lg"
"""The only language of ``text_word2vec``, as documented; here it means English."""

_OPTIONS = {FeatureType.NUMERICAL: ("norm", "imputer", "separator"),
            FeatureType.BUCKET_NUMERICAL: ("range", "bucket_cnt", "slide_window_size", "imputer"),
            FeatureType.CATEGORY: ("separator", "max_categories"),
            FeatureType.DATETIME: ("datetime_parts", "imputer"),
            FeatureType.TEXT_TFIDF: ("ngram_range", "min_df", "max_features"),
            FeatureType.TEXT_FASTTEXT: ("language", "max_length"),
            FeatureType.TEXT_WORD2VEC: ("language",),
            FeatureType.TEXT_SBERT: (),
            FeatureType.TEXT_SBERT128: (),
            FeatureType.TEXT_SBERT512: (),
            FeatureType.AUTO: ("imputer", "separator", "max_categories"),
            FeatureType.NONE: ()}


def read_features(entry: JsonObject) -> tuple[Feature, ...]:
    """The ``features`` of an entry of the configuration. Raises InputFault for what is not as it should be."""
    features = tuple(_feature(feature) for feature in entry.objects("features"))
    names = [feature.name for feature in features]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise entry.error(f"features[{i}]", f"another feature of this entry has the name '{name}' already")
    return features


def _feature(entry: JsonObject) -> Feature:
    column, name, spelled = entry.strings("feature", ("column", "feature name", "type"))
    kind = (FeatureType.TEXT_WORD2VEC if spelled == "word2vec"
            else FeatureType(entry.known("feature", spelled, FeatureType)))
    entry.allow("feature", *_OPTIONS[kind])
    imputer = None
    if "imputer" in entry.members:
        imputer = Imputer(entry.known("imputer", entry.text("imputer").replace("_", "-"), Imputer))
    separator = entry.character("separator")
    if "max_categories" in entry.members and separator is None:
        raise entry.error("max_categories", "it is for cells of several categories; give the 'separator' between them as well")
    return Feature(column=column, name=name, type=kind, norm=Norm(entry.word("norm", Norm, Norm.NONE)), imputer=imputer,
                   separator=separator, max_categories=_count(entry, "max_categories", 5000, least=2),
                   datetime_parts=_datetime_parts(entry),
                   buckets=_buckets(entry) if kind is FeatureType.BUCKET_NUMERICAL else None,
                   terms=_terms(entry), language=_language(entry, kind),
                   max_length=_count(entry, "max_length", 1, least=1) if "max_length" in entry.members else None)


def _datetime_parts(entry: JsonObject) -> tuple[DatetimePart, ...]:
    parts = entry.members.get("datetime_parts", list(DatetimePart))
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise entry.error("datetime_parts", f"must be a list of some of {', '.join(DatetimePart)}")
    return tuple(dict.fromkeys(DatetimePart(entry.known("datetime_parts", part, DatetimePart)) for part in parts))


def _buckets(entry: JsonObject) -> Buckets:
    limits = entry.members.get("range")
    if not isinstance(limits, list) or len(limits) != 2 or not all(map(_is_number, limits)) or not limits[0] < limits[1]:
        raise entry.error("range", f"must be two numbers [a, b] with a below b, it is {_shown(limits)}")
    window = entry.members.get("slide_window_size", 0)
    if not _is_number(window) or window < 0:
        raise entry.error("slide_window_size", f"must be a number, 0 or more, it is {_shown(window)}")
    return Buckets(low=float(limits[0]), high=float(limits[1]), window=float(window),
                   count=_count(entry, "bucket_cnt", None, least=1, most=MAX_BUCKETS))


def _terms(entry: JsonObject) -> Terms:
    lengths = entry.members.get("ngram_range", [1, 1])
    pair = isinstance(lengths, list) and len(lengths) == 2 and all(type(length) is int for length in lengths)
    if not pair or not 1 <= lengths[0] <= lengths[1] <= MAX_NGRAM:
        raise entry.error("ngram_range", f"must be two whole numbers [fewest words, most words] of 1 to {MAX_NGRAM}, "
                                         f"it is {_shown(lengths)}")
    return Terms(ngram_range=(lengths[0], lengths[1]), min_df=_count(entry, "min_df", 2, least=1),
                 max_features=_count(entry, "max_features", 5000, least=1))


def _language(entry: JsonObject, kind: FeatureType) -> str:
    if kind is FeatureType.TEXT_FASTTEXT:
        return entry.known("language", entry.text("language"), LANGUAGES)
    if kind is FeatureType.TEXT_WORD2VEC and entry.members.get("language", SPACY_MODEL) not in (SPACY_MODEL, [SPACY_MODEL]):
        raise entry.error("language", f"must be '{SPACY_MODEL}', it is {_shown(entry.members['language'])}")
    return "en"


def _count(entry: JsonObject, name: str, default: int | None, *, least: int, most: int = 2**31 - 1) -> int:
    """A whole number; required when there is no default."""
    value = entry.members.get(name, default)
    if type(value) is not int or not least <= value <= most:
        limit = f"from {least} to {most}" if most < 2**31 - 1 else f"of at least {least}"
        raise entry.error(name, f"must be a whole number {limit}, it is {_shown(value)}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _shown(value: Any) -> str:
    return "missing" if value is None else repr(value)[:100]
