"""Pickles with a map of all ids, written some ids at a time: as one dictionary tens of millions of them would take gigabytes.

What comes out reads as the same dictionaries: the parts are pickled by ``pickle``, in protocol 3, which has neither frames nor
(without its memo) anything that refers to another part, and are put behind one another (``pickletools`` has the opcodes).
"""

import pickle
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from despina.graph.graph import Graph
from despina.graph.ids import Ids

IDS = 1 << 16
"""That are written at a time."""
PROTOCOL = b"\x80\x04"


def write_with_ids(file: BinaryIO, name: str, graph: Graph, rest: dict[str, Any]) -> None:
    """Pickle ``rest`` with one more entry before all others: under ``name``, node type → raw id → index of each node."""
    file.write(PROTOCOL + pickle.EMPTY_DICT + pickle.MARK + _pickled(name) + pickle.EMPTY_DICT)
    for node_type in graph.node_ids:
        file.write(_pickled(node_type) + pickle.EMPTY_DICT)
        _write_ids(file, graph, node_type)
        file.write(pickle.SETITEM)
    file.writelines(_pickled(key) + _pickled(value) for key, value in rest.items())
    file.write(pickle.SETITEMS + pickle.STOP)


def _write_ids(file: BinaryIO, graph: Graph, node_type: str) -> None:
    """Into the dictionary on top of the stack."""
    ids, removed = graph.node_ids[node_type], graph.removed.get(node_type, np.empty(0, dtype=np.int32))
    for start in range(0, len(ids), IDS):
        offsets = ids.offsets[start:start + IDS + 1]
        part = Ids(ids.text[offsets[0]:offsets[-1]], offsets - offsets[0])
        indices = dict(zip(part, range(start, start + len(part)), strict=True))
        for index in removed[(start <= removed) & (removed < start + len(part))].tolist():
            del indices[part[index - start]]
        file.write(_pickled(indices).removeprefix(pickle.EMPTY_DICT))


def _pickled(value: Any) -> bytes:
    """The opcodes that put a value on the stack."""
    file = BytesIO()
    pickler = pickle.Pickler(file, protocol=3)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()[len(PROTOCOL):-len(pickle.STOP)]
