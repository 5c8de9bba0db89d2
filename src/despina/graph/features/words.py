"""Texts as words.

A word is a run of letters, digits and underscores, in lower case. Chinese characters are words one by one, since nothing between
them tells where a word ends.
"""

from collections.abc import Iterator

import polars as pl

from despina.graph.columns import Column

WORD = r"\p{Han}|[\w--\p{Han}]+"


def words_by_row(column: Column, *, rows: int, at_most: int | None = None) -> Iterator[pl.DataFrame]:
    """The words of the cells, so many rows at a time: long columns need no memory for all their words at once.

    Args:
        column: the cells.
        rows: how many to take at a time.
        at_most: words of a cell; what follows them is left out. None: all.

    Yields:
        A frame with the columns ``row`` (UInt32, ascending) and ``word`` (String), in the order of the text.
    """
    for start in range(0, len(column), rows):
        cells = column.text.slice(start, rows)
        words = cells.str.to_lowercase().str.extract_all(WORD)
        if at_most is not None:
            words = words.list.head(at_most)
        frame = pl.DataFrame({"row": pl.arange(start, start + len(cells), dtype=pl.UInt32, eager=True), "word": words})
        yield frame.explode("word").drop_nulls()
