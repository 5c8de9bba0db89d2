"""Incremental processing: a graph that continues an earlier one keeps its node indices, class ids and encodings.

Source: Neptune user guide, "Incremental data processing" (the same schema and encodings are required there too). Nodes that are
gone are possible here; Neptune ML does not support that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from despina.graph.encodings import EdgeEncodings, Encodings, TypeEncodings
from despina.graph.faults import Fault, Findings, InputFault
from despina.graph.graph import Graph
from despina.graph.ids import Ids
from despina.graph.schema import EdgeFile, ExportConfiguration, NodeFile
from despina.graph.tables import plain_name

ENCODINGS = "encoding.json"
"""The file with the ``Encodings``, beside the graph's folder."""
CONFIGURATION = "training-data-configuration.json"
"""The file with the configuration that was read, under its usual name, whatever its own was."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What a graph hands on to those that continue it."""

    node_ids: dict[str, Ids]
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
            return cls(node_ids=Graph.load(folder / graph).node_ids, encodings=encodings,
                       configuration=(folder / CONFIGURATION).read_bytes())
        except FileNotFoundError as error:
            raise InputFault(Fault.MISSING_FILE, f"the output of the earlier job has no file {Path(error.filename).name}; it may "
                             "have been deleted, and this job cannot build on it") from error
        except (msgspec.DecodeError, ValueError) as error:
            raise InputFault(Fault.SCHEMA_CHANGED, f"the output of the earlier job is damaged, or of a form that this version of "
                             f"Despina does not know ({error}); process all data anew") from error

    def check(self, configuration: ExportConfiguration) -> None:
        """Raise InputFault if the configuration has other types, features or labels than the earlier graph."""
        findings = Findings()
        target, before = configuration.target, self.encodings
        with findings.gather():
            if (target.task, plain_name(target.column)) != (before.task, before.property_name):
                raise _changed(f"what is predicted is {target.task} '{plain_name(target.column)}'", f"it was {before.task} "
                               f"'{before.property_name}'")
        for node_type in dict.fromkeys(file.node_type for file in configuration.nodes):
            files = [file for file in configuration.nodes if file.node_type == node_type]
            with findings.gather():
                known = before.node_type(node_type)
                if known is None:
                    raise _changed(f"the {files[0].kind} has a file ('{files[0].file_name}')", "it had none")
                _check_features(files, known)
        for edges in configuration.edges:
            alike = [entry for entry in before.edges if edges.may_hold(entry.type)]
            with findings.gather():
                if not alike:
                    raise _changed(f"there are edges of the {edges.kind}", "there were none")
                _check_features([file for file in configuration.edges if file.kind == edges.kind], alike[0])
        findings.check()


def _check_features(files: Sequence[NodeFile | EdgeFile], before: TypeEncodings | EdgeEncodings) -> None:
    """Raise InputFault if the files of a type have a feature that it had not, or lack one that was encoded."""
    now, kind = {feature.name for file in files for feature in file.features}, files[0].kind
    for name in sorted(now - {*before.features, *before.dropped}):
        raise _changed(f"the {kind} has the feature '{name}'", "it had not")
    for name in sorted(set(before.features) - now):
        raise _changed(f"the {kind} lacks the feature '{name}'", "it had it")


def _changed(now: str, then: str) -> InputFault:
    return InputFault(Fault.SCHEMA_CHANGED, f"{now}, and in the data-processing job that this one builds on {then}; incremental "
                      "processing needs the same types, features and target: change the configuration, or start without "
                      "previousDataProcessingJobId")
