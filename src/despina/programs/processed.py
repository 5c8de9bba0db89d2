"""The files of a processed graph, by the names that AWS's own tools open.

``info.pkl`` is a pickle because those tools read it as one. It is protocol 4 and holds built-in types and NumPy arrays only, which
is what the restricted unpickler of graph-notebook accepts; nothing here ever reads it.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from despina.graph.continuation import ENCODINGS
from despina.graph.encodings import EdgeEncodings, Encodings, TypeEncodings
from despina.graph.features import RawEncoding
from despina.graph.graph import EdgeType, Features, Graph
from despina.learn.proposals import ModelType, default_configuration, templates
from despina.programs.id_maps import write_with_ids
from despina.programs.instances import training_recommendation
from despina.programs.json_files import write_json

GRAPH = "graph"
"""The subfolder that ``Graph.load`` reads."""
TEMPLATES = "hpo-configuration-templates"


def write_processed(folder: Path, graph: Graph, encodings: Encodings, model_type: ModelType) -> None:
    """Write all files of a data-processing job's output into ``folder``, which is made when missing."""
    with ThreadPoolExecutor(1) as saver:
        saving = saver.submit(graph.save, folder / GRAPH)
        _write_rest(folder, graph, encodings, model_type)
        saving.result()


def _write_rest(folder: Path, graph: Graph, encodings: Encodings, model_type: ModelType) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ENCODINGS, encodings)
    write_json(folder / "model-hpo-configuration.json", default_configuration(graph, model_type))
    for model, configuration in templates(graph, model_type).items():
        (folder / TEMPLATES).mkdir(exist_ok=True)
        write_json(folder / TEMPLATES / f"{model}.json", configuration)
    write_json(folder / "train_instance_recommendation.json", training_recommendation(graph))
    with (folder / "info.pkl").open("wb") as file:
        write_with_ids(file, "node_id_map", graph, _info(graph, encodings))


def _info(graph: Graph, encodings: Encodings) -> dict[str, Any]:
    """``info.pkl`` beside its ids: labels and what each feature is, keyed as Neptune ML's toolkit reads them."""
    target = graph.target
    kinds = [tuple(kind) if isinstance(kind, EdgeType) else kind for kind in target.by_type]
    return {
        "label_map": {kind: dict(enumerate(target.classes)) for kind in kinds} if target.classes else {},
        "label_properties": dict.fromkeys(kinds, target.property_name) if target.property_name else {},
        "is_multilabel": target.multilabel,
        "node_feat_meta": {node_type: _feature_meta(entry, graph.features.get(node_type), graph.raw_features.get(node_type, {}))
                           for node_type, entry in encodings.nodes.items()},
        "edge_feat_meta": {tuple(entry.type): meta for entry in encodings.edges
                           if (meta := _feature_meta(entry, graph.edge_features.get(entry.type), {}))},
        "node_counts": np.array(list(graph.node_counts.values()), dtype=np.int64),
    }


def _feature_meta(encodings: TypeEncodings | EdgeEncodings, features: Features | None,
                  raw: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    meta: dict[str, dict[str, Any]] = {name: {"type": "raw_feat", "raw_feat": cells} for name, cells in raw.items()}
    for name, encoding in encodings.features.items():
        if encoding.width and features is not None and not isinstance(encoding, RawEncoding):
            meta[name] = {"type": str(encoding.__struct_config__.tag), "columns": list(features.columns[name])}
    return meta
