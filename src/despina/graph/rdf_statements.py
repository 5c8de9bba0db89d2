"""The triples of an RDF export, each with the type of its subject."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from despina.graph.export_folder import locate
from despina.graph.faults import Fault, InputFault
from despina.graph.ntriples import read_triples

RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
UNTYPED = "_"
"""The type of nodes that have no ``rdf:type``."""


@dataclass(frozen=True, kw_only=True)
class Statements:
    """What the files of an RDF export state. All text is categorical, of one set of categories."""

    files: tuple[str, ...]
    types: pl.DataFrame
    """``subject``, ``type``: the nodes that have types, each once."""
    stated: pl.DataFrame
    """``subject``, ``predicate``, ``object``, ``literal`` and the subject's ``type``: all triples but those of ``rdf:type``."""

    @classmethod
    def read(cls, folder: Path, files: Sequence[str], preferred: Collection[str]) -> "Statements":
        """Read N-Triples or N-Quads.

        Args:
            folder: the export.
            files: names in it.
            preferred: classes. Of several types of a node the first of these by name counts, else the first by name.

        Raises:
            InputFault: a file is missing or malformed.
        """
        triples = read_triples({name: locate(folder, name) for name in files})
        of_type = pl.col("predicate") == RDF_TYPE
        kind = pl.col("object")
        first = pl.coalesce(kind.filter(kind.is_in(list(preferred))).min(), kind.min())
        types = triples.filter(of_type & ~pl.col("literal")).group_by("subject", maintain_order=True).agg(first.alias("type"))
        return cls(files=tuple(files), types=types, stated=with_types(triples.filter(~of_type), types, "subject", "type"))

    @property
    def classes(self) -> list[str]:
        """The types that nodes have, by name."""
        return words(self.types["type"])

    @property
    def place(self) -> str:
        """The files as messages name them."""
        return ", ".join(self.files[:5]) + ", …" * (len(self.files) > 5)

    def fault(self, name: Fault, text: str, *, predicate: str | None = None, value: str | None = None) -> InputFault:
        """The error to be raised about what is stated; ``text`` follows the files."""
        return InputFault(name, f"{self.place}: {text}", file=self.files[0] if len(self.files) == 1 else None, column=predicate,
                          value=value)


def with_types(triples: pl.DataFrame, types: pl.DataFrame, node: str, column: str) -> pl.DataFrame:
    """The triples with the types of the nodes in the column ``node`` as another ``column``."""
    joined = triples.join(types.select(pl.col("subject").alias(node), pl.col("type").alias(column)), on=node, how="left",
                          maintain_order="left")
    return joined.with_columns(pl.col(column).fill_null(pl.lit(UNTYPED, dtype=types.schema["type"])))


def words(text: pl.Series) -> list[str]:
    """The different values, in order."""
    return text.cast(pl.String).unique().sort().to_list()
