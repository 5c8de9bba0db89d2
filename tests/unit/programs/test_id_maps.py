"""Pickles with all ids, written part by part, are those that ``pickle`` would have written."""

import pickle
import pickletools
from dataclasses import replace
from io import BytesIO, StringIO

import numpy as np
import pytest
from tests.unit.learn.graphs import communities

from despina.programs import id_maps


@pytest.mark.parametrize("at_once", [1, 7, 80, 1_000])
@pytest.mark.parametrize("removed", [[], [0, 6, 7, 79]], ids=["all", "some removed"])
def test_parts_read_as_one(monkeypatch: pytest.MonkeyPatch, at_once: int, removed: list[int]) -> None:
    monkeypatch.setattr(id_maps, "IDS", at_once)
    graph = communities()
    graph = replace(graph, removed={"user": np.array(removed, dtype=np.int32)} if removed else {})
    rest = {"labels": {0: "left", 1: "rïght"}, "counts": np.arange(3), "nothing": None}
    file = BytesIO()
    id_maps.write_with_ids(file, "ids", graph, rest)
    read = pickle.loads(file.getvalue())
    assert read["ids"] == {node_type: graph.index_by_id(node_type) for node_type in graph.node_ids}
    assert list(read) == ["ids", *rest]
    np.testing.assert_array_equal(read["counts"], np.arange(3))
    assert (read["labels"], read["nothing"]) == (rest["labels"], None)
    pickletools.dis(file.getvalue(), out=StringIO())  # well formed, opcode by opcode
