"""The job of bench/process.py written the usual way with pandas: what a data scientist without Despina would run on that export.

    python bench/process_pandas.py EXPORT OUTPUT

Only the columns that are needed are read, with their types; every step is a call on whole columns. Where pandas offers several
ways the fastest is taken (measured): strings looked up by ``Index.get_indexer`` (reading them as categories takes four times as
long with a million distinct ids), sets of categories by ``explode`` (``str.get_dummies`` takes eight times as long), one-hot
features as the columns of their ones instead of a wide dense matrix, as ours are. pandas' own reader: that of pyarrow is no faster
here.

What ours does and this does not: tell ragged rows, wrong encodings and bad dates, each with its line; keep the encoders; infer
``auto``; write ``info.pkl`` and the other files beside the arrays.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
from numpy.typing import NDArray

NODES = "nodes/person.consolidated.csv"
EDGES = "edges/%28person%29-knows-%28person%29.consolidated.csv"
MAX_CATEGORIES = 100
"""With more, the 99 commonest are kept and one column stands for all others."""
RATES = (0.8, 0.1, 0.1)
SEED = 0


def main(export: Path, output: Path) -> None:
    """Read the export and write the graph's arrays into ``output``, which is made."""
    output.mkdir(parents=True)
    ids = nodes(export / NODES, output)
    edges(export / EDGES, ids, output)


def nodes(path: Path, output: Path) -> Any:
    """Encode the nodes' features and split their labels; their ids as an Index."""
    frame = pd.read_csv(path, usecols=["~id", "size", "vector", "city", "colour", "likes", "since", "group"],
                        dtype={"~id": str, "size": np.float64, "vector": str, "city": "category", "colour": "category",
                               "likes": str, "since": str, "group": "category"})
    ids = pd.Index(frame["~id"])
    if not ids.is_unique:
        raise ValueError("a node is there twice")
    np.save(output / "person-ids.npy", ids.to_numpy().astype("U"))
    np.save(output / "person-size.npy", min_max(frame["size"]))
    np.save(output / "person-vector.npy", frame["vector"].str.split(";", expand=True).to_numpy(dtype=np.float32))
    save_hot(output / "person-city", one_hot(frame["city"]))
    save_hot(output / "person-colour", one_hot(frame["colour"]))
    save_hot(output / "person-likes", *multi_hot(frame["likes"]))
    save_hot(output / "person-since", year_and_month(frame["since"]))
    labels = frame["group"].cat.codes.to_numpy().astype(np.int64)
    np.save(output / "person-labels.npy", labels)
    for name, mask in split(labels).items():
        np.save(output / f"person-{name}.npy", mask)
    return ids


def edges(path: Path, ids: Any, output: Path) -> None:
    """Encode the edges' features and group them by either end."""
    frame = pd.read_csv(path, usecols=["~from", "~to", "weight", "kind"],
                        dtype={"~from": str, "~to": str, "weight": np.float64, "kind": "category"})
    sources = ids.get_indexer(frame.pop("~from")).astype(np.int32)
    destinations = ids.get_indexer(frame.pop("~to")).astype(np.int32)
    if min(sources.min(), destinations.min()) < 0:
        raise ValueError("an edge has an end that is no node")
    np.save(output / "knows-weight.npy", min_max(frame["weight"]))
    save_hot(output / "knows-kind", one_hot(frame["kind"]))
    save_csr(output / "knows", sources, destinations, len(ids))
    save_csr(output / "rev-knows", destinations, sources, len(ids))


def min_max(numbers: Any) -> NDArray[np.float32]:
    """``[rows, 1]`` from 0 to 1, the median where a number is missing."""
    numbers = numbers.fillna(numbers.median())
    low, high = numbers.min(), numbers.max()
    scaled: NDArray[np.float32] = ((numbers - low) / (high - low)).to_numpy(dtype=np.float32)
    return scaled.reshape(-1, 1)


def one_hot(column: Any) -> NDArray[np.int32]:
    """``[rows, 1]``: the column of each row's category, commonest first."""
    counts = column.value_counts()
    kept = counts.index if len(counts) <= MAX_CATEGORIES else counts.index[:MAX_CATEGORIES - 1]
    places = kept.get_indexer(column.cat.categories)
    places[places < 0] = len(kept)
    return places[column.cat.codes].astype(np.int32).reshape(-1, 1)  # type: ignore[no-any-return]


def multi_hot(column: Any) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The columns of each row's categories in rising order, one row after another, and where each row begins."""
    values = column.str.split(";").explode()
    codes, categories = pd.factorize(values, sort=True)
    keys = np.sort(pd.unique((values.index.to_numpy() * len(categories) + codes)[codes >= 0]))
    starts = np.zeros(len(column) + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys // len(categories), minlength=len(column)), out=starts[1:])
    return (keys % len(categories)).astype(np.int32), starts


def year_and_month(column: Any) -> NDArray[np.int32]:
    """``[rows, 2]``: a column for each year there is, and one for each month."""
    times = pd.to_datetime(column, format="ISO8601", utc=True)
    years, names = pd.factorize(times.dt.year, sort=True)
    return np.stack([years, len(names) + times.dt.month.to_numpy() - 1], axis=1).astype(np.int32)


def split(labels: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Masks of a random part of every class."""
    random = np.random.default_rng(SEED)
    masks = {name: np.zeros(len(labels), dtype=np.bool_) for name in ("train", "valid", "test")}
    for label in range(labels.max() + 1):
        rows = random.permutation(np.flatnonzero(labels == label))
        ends = np.rint(np.cumsum(RATES)[:2] * len(rows)).astype(int)
        for mask, part in zip(masks.values(), np.split(rows, ends), strict=True):
            mask[part] = True
    return masks


def save_hot(path: Path, indices: NDArray[np.int32], starts: NDArray[np.int64] | None = None) -> None:
    """The places of the ones of a sparse matrix; without ``starts`` every row has as many."""
    if starts is None:
        starts = np.arange(0, indices.size + 1, indices.shape[1], dtype=np.int64)
    np.save(path.with_name(f"{path.name}-indptr.npy"), starts)
    np.save(path.with_name(f"{path.name}-indices.npy"), indices.ravel())


def save_csr(path: Path, sources: NDArray[np.int32], destinations: NDArray[np.int32], n_destination: int) -> None:
    """The edges grouped by destination, with the row of the file that each one was."""
    order = np.argsort(destinations, kind="stable")
    indptr = np.zeros(n_destination + 1, dtype=np.int64)
    np.cumsum(np.bincount(destinations, minlength=n_destination), out=indptr[1:])
    np.save(path.with_name(f"{path.name}-indptr.npy"), indptr)
    np.save(path.with_name(f"{path.name}-indices.npy"), sources[order])
    np.save(path.with_name(f"{path.name}-ids.npy"), order.astype(np.int32))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
