"""Incremental processing: a graph that continues an earlier one keeps its node indices, class ids and encodings.

Source: Neptune user guide, "Incremental data processing" (the same schema and encodings are required there too). Nodes that are
gone are possible here; Neptune ML does not support that.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from despina.graph.columns import File
from despina.graph.encodings import EdgeEncodings, Encodings, TypeEncodings
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.features.options import Feature, FeatureType
from despina.graph.features.sentences import MAX_TOKENS
from despina.graph.graph import EdgeType, Graph, Labelled, Target
from despina.graph.ids import Ids
from despina.graph.schema import EdgeFile, ExportConfiguration, NodeFile
from despina.graph.tables import plain_name

ENCODINGS = "encoding.json"
"""The file with the ``Encodings``, beside the graph's folder."""
CONFIGURATION = "training-data-configuration.json"
"""The file with the configuration that was read, under its usual name, whatever its own was."""
_KINDS = dict.fromkeys(MAX_TOKENS, "text_sbert") | dict.fromkeys(
    [FeatureType.TEXT_FASTTEXT, FeatureType.TEXT_WORD2VEC], "word_vectors")
"""The kinds of encodings that are not called like the feature types that ask for them."""

Entry = TypeVar("Entry", NodeFile, EdgeFile)


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What a graph hands on to those that continue it."""

    node_ids: dict[str, Ids]
    removed: dict[str, NDArray[np.int32]]
    """Node type → the indices of those that were gone already."""
    target: Target
    encodings: Encodings
    configuration: bytes
    """The content of its configuration file, for an export that has none of its own."""

    @classmethod
    def load(cls, folder: Path, graph: str) -> "Earlier":
        """Read it from the output of an earlier data-processing job, whose graph lies in the subfolder ``graph``.

        Raises:
            InputFault: it is not there, or was written by a version whose encodings this one does not know.
        """
        try:
            encodings = msgspec.json.decode((folder / ENCODINGS).read_bytes(), type=Encodings)
            found = Graph.load(folder / graph)
            # A copy: the job may write where the earlier one wrote.
            removed = {node_type: np.array(indices) for node_type, indices in found.removed.items()}
            return cls(node_ids=found.node_ids, removed=removed, target=found.target, encodings=encodings,
                       configuration=(folder / CONFIGURATION).read_bytes())
        except FileNotFoundError as error:
            raise InputFault(Fault.MISSING_FILE, f"the output of the earlier job has no file {Path(error.filename).name}; it may "
                             "have been deleted, and this job cannot build on it") from error
        except (msgspec.DecodeError, ValueError) as error:
            raise InputFault(Fault.SCHEMA_CHANGED, f"the output of the earlier job is damaged, or of a form that this version of "
                             f"Despina does not know ({error}); process all data anew") from error

    def check(self, configuration: ExportConfiguration) -> ExportConfiguration:
        """The configuration as it is to be read. It warns of features of another type than they are encoded as.

        Raises:
            InputFault: it has other types, features or labels than the earlier graph.
        """
        findings = Findings()
        with findings.gather():
            self._check_target(configuration)
        entries: list[NodeFile | EdgeFile] = [*configuration.nodes, *configuration.edges]
        kinds: dict[str, list[NodeFile | EdgeFile]] = {}
        for entry in entries:
            kinds.setdefault(entry.kind, []).append(entry)
        for kind, files in kinds.items():
            with findings.gather():
                known = self._known(files[0])
                if known is None and isinstance(files[0], NodeFile):
                    raise _changed(f"the {kind} has a file ('{files[0].file_name}')", "it had none")
                if known is None:
                    raise _changed(f"there are edges of the {kind}", "there were none")
                _check_features(files, known)
        findings.check()
        warnings = [f"the feature '{feature.name}' of {entry.kind} is {feature.type} here, and is encoded as {kind}, as in the "
                    "earlier job" for entry in entries for feature, kind in self._others(entry)]
        return replace(configuration, nodes=tuple(map(self._as_encoded, configuration.nodes)),
                       edges=tuple(map(self._as_encoded, configuration.edges)),
                       warnings=(*configuration.warnings, *dict.fromkeys(warnings)))

    def check_edge_type(self, edge_type: EdgeType, files: Sequence[File]) -> None:
        """Raise InputFault if there were no such edges. Of relations from a column that is known once the files are read."""
        if self.encodings.edge_type(edge_type) is None:
            names = ", ".join(file.name for file in files)
            raise _changed(f"{names}: there are edges of the edge type {edge_type}", "there were none", file=names)

    def complete(self, target: Target, rows: Mapping[str | EdgeType, int]) -> Target:
        """The target with the edge types that were predicted and have no rows any more, whose parts are empty; in their order."""
        labels = next(iter(target.by_type.values())).labels
        none = np.zeros(0, dtype=np.bool_)
        empty = Labelled(labels=None if labels is None else labels[:0], train=none, valid=none, test=none)
        gone = {kind: empty for kind in self.target.by_type if kind not in target.by_type and not rows.get(kind)}
        found = target.by_type | gone
        return dataclasses.replace(target, by_type={kind: found[kind] for kind in self.target.by_type if kind in found})

    def lost(self, graph: Graph) -> int:
        """How many nodes it had that the graph which continues it has not."""
        return sum(len(np.setdiff1d(indices, self.removed.get(node_type, ()))) for node_type, indices in graph.removed.items())

    def _check_target(self, configuration: ExportConfiguration) -> None:
        now, before = configuration.target, self.target
        if (now.task, plain_name(now.column)) != (before.task, before.property_name):
            raise _changed(f"what is predicted is {now.task} '{plain_name(now.column)}'", f"it was {before.task} "
                           f"'{before.property_name}'")
        if before.multilabel != (now.separator is not None):
            raise (_changed("a cell holds one label", "it might hold several") if before.multilabel
                   else _changed("a cell may hold several labels", "it held one"))
        for node_type in [file.node_type for file in configuration.nodes if file.label]:
            if node_type not in before.by_type:
                raise _changed(f"what is predicted is of the node type '{node_type}'",
                               f"it was of the node type '{before.node_type}'")
        for edge_type in [entry.type for entry in self.encodings.edges]:
            was = edge_type in before.by_type
            # Relations in a column are not known yet: its file need not be the one with these edges, unless all that may be agree.
            if {file.label is not None for file in configuration.edges if file.may_hold(edge_type)} == {not was}:
                raise _changed(f"the edge type {edge_type} is {'not ' if was else ''}predicted", f"it was{'' if was else ' not'}")

    def _known(self, file: NodeFile | EdgeFile) -> TypeEncodings | EdgeEncodings | None:
        """The encodings of the nodes or edges in a file."""
        if isinstance(file, NodeFile):
            return self.encodings.node_type(file.node_type)
        return next((entry for entry in self.encodings.edges if file.may_hold(entry.type)), None)

    def _others(self, file: NodeFile | EdgeFile) -> list[tuple[Feature, str]]:
        """The features of a file whose type asks for another kind of encoding than they have, and the kind that they have."""
        known = self._known(file)
        encoded = [(feature, known.features[feature.name]) for feature in file.features if known and feature.name in known.features]
        kinds = [(feature, str(encoding.__struct_config__.tag)) for feature, encoding in encoded]
        return [(feature, kind) for feature, kind in kinds
                if feature.type is not FeatureType.AUTO and kind != _KINDS.get(feature.type, feature.type)]

    def _as_encoded(self, file: Entry) -> Entry:
        """The entry with the features of another type as ``auto``: their cells are kept as texts, which any encoding can read."""
        others = [feature for feature, _ in self._others(file)]
        return replace(file, features=tuple(replace(feature, type=FeatureType.AUTO) if feature in others else feature
                                            for feature in file.features))


def _check_features(files: Sequence[NodeFile | EdgeFile], before: TypeEncodings | EdgeEncodings) -> None:
    """Raise InputFault if the files of a type have a feature that it had not, or lack one that was encoded."""
    now, kind = {feature.name for file in files for feature in file.features}, files[0].kind
    for name in sorted(now - {*before.features, *before.dropped}):
        raise _changed(f"the {kind} has the feature '{name}'", "it had not")
    for name in sorted(set(before.features) - now):
        raise _changed(f"the {kind} lacks the feature '{name}'", "it had it")


def _changed(now: str, then: str, *, file: str | None = None) -> InputFault:
    return InputFault(Fault.SCHEMA_CHANGED, f"{now}, and in the data-processing job that this one builds on {then}; incremental "
                      "processing needs the same types, features and target: change the configuration, or start without "
                      "previousDataProcessingJobId", file=file)
