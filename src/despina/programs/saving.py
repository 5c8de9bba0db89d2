"""The files that AWS's own tools read, for transform scripts of one's own.

::

    from despina.programs.saving import save_artifacts

    save_artifacts(os.environ["SM_OUTPUT_DIR"], os.environ["SM_DATA_DIR"],
                   embeddings={"airport": embeddings}, predictions={"airport": probabilities})
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from despina.graph.graph import EdgeType, Graph
from despina.learn.configuration import CUSTOM
from despina.learn.predictor import Predictions
from despina.programs.outputs import write_artifacts

Kind = str | EdgeType | tuple[str, str, str]
"""A node type, or an edge type ``(source, relation, destination)``."""


def save_artifacts(folder: str | PathLike[str], data: str | PathLike[str], *, embeddings: Mapping[str, Tensor],
                   predictions: Mapping[Kind, Tensor] | None = None,
                   relations: Mapping[tuple[str, str, str], Tensor] | None = None) -> None:
    """Write ``mapping.info``, ``config.json``, embeddings, predictions and the recommendation of an instance.

    Args:
        folder: Where to (``SM_OUTPUT_DIR``).
        data: The processed graph that was predicted from (``SM_DATA_DIR``).
        embeddings: Node type → ``[nodes, width]`` by node index, all of one width.
        predictions: For the node type or each edge type that is predicted: probabilities ``[n, classes]`` or numbers ``[n, 1]``, by
            node index or by edge. Not for links.
        relations: Where links are predicted: edge type → its vector.

    Raises:
        ValueError: there are not as many rows as nodes or edges, or not as many columns as classes.
    """
    graph = Graph.load(Path(data) / "graph")
    counts: dict[Kind, int] = dict(graph.node_counts.items())
    counts |= {kind: len(csr.indices) for kind, csr in graph.edges.items()}
    for name, of_kind in (("embeddings", embeddings), ("predictions", predictions or {})):
        for kind, values in of_kind.items():
            if values.dim() != 2 or len(values) != counts.get(kind):
                raise ValueError(f"the {name} of {kind} have the shape {list(values.shape)}; they must have two dimensions, and "
                                 f"{counts.get(kind, 'no')} rows")
    width = len(graph.target.classes) or 1
    for kind, values in (predictions or {}).items():
        if values.shape[1] != width:
            raise ValueError(f"the predictions of {kind} have {values.shape[1]} columns; they must have {width}, "
                             f"{'one for each class' if graph.target.classes else 'the number'}")
    write_artifacts(Path(folder), graph, model=CUSTOM, predictions=Predictions(
        embeddings={kind: _array(values) for kind, values in embeddings.items()},
        values={kind if isinstance(kind, str) else EdgeType(*kind): _array(values) for kind, values in (predictions or {}).items()},
        relations={EdgeType(*kind): _array(values) for kind, values in (relations or {}).items()}))


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().cpu().numpy().astype(np.float32)
