"""Predictions as a table that anybody can read: ``predictions/predictions.parquet``, by raw ids and the names of classes."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from despina.graph.graph import EdgeType, Graph, Labelled
from despina.learn.predictor import Predictions

FILE = "predictions.parquet"
CLASSES = 10
"""Of each row, the best first."""
PARTS = ("train", "valid", "test")
MANY = 0.5
"""Where there may be several labels, those of the ten best that are at least so probable are predicted."""


def write_predictions(folder: Path, graph: Graph, predictions: Predictions) -> None:
    """Write a row for each node or edge that is predicted, but for removed nodes.

    Columns: of nodes ``type`` and ``id``; of edges ``relation`` (with the types of its ends, and commas), ``from`` and ``to``. Of
    classes ``prediction`` (a list where there may be several), ``score``, the probability of the best, and ``classes`` with their
    ``scores``, the ten best; of numbers ``prediction``. ``split`` is the part of the data, null for what has no label.
    """
    import polars as pl

    tables = [pl.DataFrame({**_members(graph, kind), **_predicted(graph, values), "split": _split(graph, kind, len(values))})
              for kind, values in predictions.values.items()]
    kept = [table.filter(pl.Series(_is_there(graph, kind))) if isinstance(kind, str) else table
            for kind, table in zip(predictions.values, tables, strict=True)]
    pl.concat(kept).write_parquet(folder / FILE)


def _members(graph: Graph, kind: str | EdgeType) -> dict[str, Any]:
    import polars as pl

    if isinstance(kind, str):
        return {"type": pl.Series([kind], dtype=pl.String).new_from_index(0, len(graph.node_ids[kind])),
                "id": _ids(graph, kind)}
    sources, destinations = graph.edges[kind].ends()
    ends = [_ids(graph, node_type).gather(indices) for node_type, indices in
            ((kind.source, sources), (kind.destination, destinations))]
    relation = pl.Series([",".join(kind)], dtype=pl.String).new_from_index(0, len(sources))
    return {"relation": relation, "from": ends[0], "to": ends[1]}


def _ids(graph: Graph, node_type: str) -> Any:
    import polars as pl

    ids = graph.node_ids[node_type]
    try:
        return pl.Series(list(ids), dtype=pl.String)
    except UnicodeEncodeError:  # a lone surrogate, which has no UTF-8
        return pl.Series([name.encode("utf-8", "backslashreplace").decode() for name in ids], dtype=pl.String)


def _predicted(graph: Graph, values: NDArray[np.float32]) -> dict[str, Any]:
    import polars as pl

    names = pl.Series(list(graph.target.classes), dtype=pl.String)
    if not len(names):
        return {"prediction": values[:, 0]}
    count = min(CLASSES, values.shape[1])
    best = np.argsort(-values, axis=1, kind="stable")[:, :count]
    scores = np.take_along_axis(values, best, axis=1)
    ranked = _lists(names.gather(best.reshape(-1)), count)
    first: Any = names.gather(best[:, 0])
    if graph.target.multilabel:
        enough = (scores >= MANY).sum(axis=1)
        first = pl.select(pl.lit(ranked).list.head(pl.lit(pl.Series(enough.astype(np.int64))))).to_series()
    return {"prediction": first, "score": scores[:, 0], "classes": ranked, "scores": _lists(pl.Series(scores.reshape(-1)), count)}


def _lists(flat: Any, width: int) -> Any:
    """A column of lists of this width."""
    import polars as pl

    return flat.reshape((-1, width)).cast(pl.List(flat.dtype))


def _split(graph: Graph, kind: str | EdgeType, count: int) -> Any:
    """The part that each belongs to."""
    import polars as pl

    part: Labelled | None = graph.target.by_type.get(kind)
    numbers = np.full(count, len(PARTS))
    for number, name in enumerate(PARTS):
        if part is not None:
            numbers[getattr(part, name)] = number
    return pl.Series([*PARTS, None], dtype=pl.String).gather(numbers)


def _is_there(graph: Graph, node_type: str) -> NDArray[np.bool_]:
    there = np.ones(len(graph.node_ids[node_type]), dtype=bool)
    there[graph.removed.get(node_type, np.empty(0, dtype=np.int32))] = False
    return there
