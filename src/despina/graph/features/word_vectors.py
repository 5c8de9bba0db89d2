"""Texts as the mean of their words' vectors, which are looked up in a file that the deployment provides.

The file is text in the form that word2vec and fastText write (``.vec``): a first line ``count width``, then a line ``word v1 … vn``
for each word. ``DESPINA_WORD_VECTORS`` names it, or a folder that has such a file for each language, ``en.vec`` and so on.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.columns import Column
from despina.graph.faults import Fault, InputFault
from despina.graph.features.options import Feature
from despina.graph.features.words import words_by_row

SETTING = "DESPINA_WORD_VECTORS"
ROWS = 1024
"""So many cells are looked at a time."""


@dataclass(frozen=True, kw_only=True)
class VectorFile:
    """A file of word vectors."""

    path: Path
    words: int
    """As its first line says."""
    width: int

    @classmethod
    def find(cls, language: str) -> "VectorFile | None":
        """The file of the language, or None when the deployment has none.

        Raises:
            InputFault: the setting names nothing that is there, or the file is not of the form.
        """
        named = os.environ.get(SETTING)
        if not named:
            return None
        path = Path(named)
        if path.is_dir():
            path /= f"{language}.vec"
            return cls._open(path) if path.is_file() else None
        if not path.is_file():
            raise InputFault(Fault.MISSING_MODEL, f"{SETTING} is '{named}', where there is neither a file nor a folder; it must be "
                             "the absolute path of a file of word vectors (.vec) or of a folder with one a language")
        return cls._open(path)

    @classmethod
    def require(cls, language: str, wanted_by: str) -> "VectorFile":
        """The file of the language. Raises InputFault, beginning with ``wanted_by``, when the deployment has none."""
        found = cls.find(language)
        if found is not None:
            return found
        named = os.environ.get(SETTING)
        if not named:
            raise InputFault(Fault.MISSING_MODEL, f"{wanted_by} needs word vectors, and this deployment has none: set {SETTING} to "
                             "the path of a file of them (.vec, as fastText publishes) or of a folder with one a language, or use "
                             "the feature type text_tfidf")
        present = ", ".join(sorted(path.name for path in Path(named).glob("*.vec"))) or "none"
        raise InputFault(Fault.MISSING_MODEL, f"{wanted_by} needs word vectors of the language '{language}', but the folder that "
                         f"{SETTING} names has no '{language}.vec'; the vectors there are: {present}")

    @classmethod
    def _open(cls, path: Path) -> "VectorFile":
        with path.open("rb") as file:
            first = file.readline(1000)
        numbers = [int(part) if part.isdigit() else 0 for part in first.split()]
        if len(numbers) != 2 or not all(numbers):
            raise InputFault(Fault.MALFORMED_FILE, f"{path.name}, line 1: {first[:50].decode(errors='replace').strip()!r} must be "
                             "the number of words and the width of their vectors, as in '1000000 300'; word vectors are read from "
                             "text files (.vec)", file=path.name, line=1)
        return cls(path=path, words=numbers[0], width=numbers[1])

    def look_up(self, words: pl.Series) -> tuple[pl.DataFrame, NDArray[np.float32]]:
        """The vectors of those of the words that the file has; the file is read line by line.

        Returns:
            A frame of the columns ``word`` and ``id``, and the vectors, ``[ids, width]``.

        Raises:
            InputFault: a line that is needed is not of the form.
        """
        wanted = {word.encode() for word in words.to_list()}
        found: dict[str, int] = {}
        vectors: list[NDArray[np.float32]] = []
        with self.path.open("rb") as file:
            next(file)
            for number, line in enumerate(file, 2):
                word, _, values = line.partition(b" ")
                if word in wanted:
                    wanted.remove(word)  # the first line of a word counts
                    found[word.decode()] = len(found)
                    vectors.append(self._vector(number, values))
                    if not wanted:
                        break
        frame = pl.DataFrame({"word": list(found), "id": list(found.values())}, schema={"word": pl.String, "id": pl.UInt32})
        return frame, np.array(vectors, dtype=np.float32).reshape(-1, self.width)

    def _vector(self, number: int, values: bytes) -> NDArray[np.float32]:
        try:
            vector = np.array([float(value) for value in values.split()], dtype=np.float32)
        except ValueError as error:
            raise InputFault(Fault.MALFORMED_FILE, f"{self.path.name}, line {number}: {error}; the word must be followed by "
                             f"{self.width} numbers", file=self.path.name, line=number) from error
        if len(vector) != self.width or not np.isfinite(vector).all():
            raise InputFault(Fault.MALFORMED_FILE, f"{self.path.name}, line {number}: {len(vector)} numbers follow the word; there "
                             f"must be {self.width}, all of them finite", file=self.path.name, line=number)
        return vector


class WordVectorsEncoding(Frozen, frozen=True, kw_only=True, tag="word_vectors"):
    """The mean of the vectors of a cell's words; all zeros when none is known, as for a missing cell."""

    language: str
    max_length: int | None
    """Only so many words of each cell count; None: all."""
    words: int
    """The first line of the file of vectors, by which it is known again."""
    width: int
    """Columns of the encoded feature."""

    @classmethod
    def fit(cls, feature: Feature) -> "WordVectorsEncoding":
        """Take the width from the file; nothing is learnt from the data."""
        file = VectorFile.require(feature.language, f"the feature '{feature.name}'")
        return cls(language=feature.language, max_length=feature.max_length, words=file.words, width=file.width)

    def transform(self, column: Column, out: NDArray[np.float32]) -> None:
        """Write the mean vectors into ``out``, ``[rows, width]`` of zeros."""
        file = VectorFile.require(self.language, f"the column '{column.name}'")
        if (file.words, file.width) != (self.words, self.width):
            raise InputFault(Fault.SCHEMA_CHANGED, f"column '{column.name}': the encoding was made with {self.words} word vectors "
                             f"of width {self.width}; {SETTING} now has {file.words} of width {file.width} for the language "
                             f"'{self.language}'", column=column.name)
        distinct = [frame["word"].unique() for frame in self._words(column)]
        if not distinct:
            return
        known, vectors = file.look_up(pl.concat(distinct).unique())
        for frame in self._words(column):
            entries = frame.join(known, on="word", maintain_order="left")
            if entries.is_empty():
                continue
            rows, starts, counts = np.unique(entries["row"].to_numpy(), return_index=True, return_counts=True)
            out[rows] = np.add.reduceat(vectors[entries["id"].to_numpy()], starts, axis=0) / counts[:, None]

    def _words(self, column: Column) -> Iterator[pl.DataFrame]:
        return words_by_row(column, rows=ROWS, at_most=self.max_length)
