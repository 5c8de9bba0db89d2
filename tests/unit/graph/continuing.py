"""Exports of people that continue earlier ones, each changed in one place."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.unit.graph.people import CONFIGURATION, EDGES, FILES, NODES, write

from despina.graph.continuation import Earlier
from despina.graph.export import Export, read_export
from despina.graph.graph import EdgeType, Graph
from despina.graph.schema import read_configuration
from despina.programs.processed import GRAPH, write_processed

Json = dict[str, Any]
KNOWS = EdgeType("person", "knows", "person")
NODE_HEADER, EDGE_HEADER = (FILES[name].splitlines()[0] for name in (NODES, EDGES))
NO_EDGES = {EDGES: f"{EDGE_HEADER}\n"}


def people(*rows: str) -> dict[str, str]:
    """The file of nodes with these rows: id, age, town, group, with blanks between them and ``-`` for an empty cell."""
    cells = [["" if cell == "-" else cell for cell in row.split()] for row in rows]
    return {NODES: "".join(f"{line}\n" for line in (NODE_HEADER, *(f"{name},person,{age},{town},,{group}"
                                                                   for name, age, town, group in cells)))}


def knowing(*rows: str) -> dict[str, str]:
    """The file of edges with these rows: the two ids and the weight."""
    cells = [row.split() for row in rows]
    return {EDGES: "".join(f"{line}\n" for line in (EDGE_HEADER, *(f"{i},knows,{source},{destination},person,person,{weight}"
                                                                   for i, (source, destination, weight) in enumerate(cells))))}


def earlier(export: Export) -> Earlier:
    """What an export hands on to those that continue it, as it is written and read again."""
    with tempfile.TemporaryDirectory() as folder:
        write_processed(Path(folder), export.graph, export.encodings, "heterogeneous")
        (Path(folder) / CONFIGURATION).write_bytes(b"{}")
        loaded = Earlier.load(Path(folder), GRAPH)
        assert loaded.encodings == export.encodings
        assert loaded.node_ids == export.graph.node_ids
        return loaded


def go_on(before: Export, folder: Path, changes: Json | None = None, files: dict[str, str] | None = None) -> Export:
    """Read the export of the people with changes as one that continues an earlier one."""
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, changes, files)
    configuration = read_configuration(CONFIGURATION, (folder / CONFIGURATION).read_bytes())
    known = earlier(before)
    return read_export(folder, known.check(configuration), lambda done, of: None, known)


def features(graph: Graph, kind: str = "person") -> list[list[float]]:
    return [list(row) for row in graph.features[kind].to_dense().tolist()]


def labels(graph: Graph) -> list[Any]:
    found = graph.target.nodes.labels
    assert found is not None
    return list(found.tolist())


def removed(graph: Graph) -> dict[str, list[int]]:
    return {kind: indices.tolist() for kind, indices in graph.removed.items()}


def by_ids(graph: Graph, edge_type: EdgeType) -> list[str]:
    """The edges of a type in the order of their rows, by the ids of their ends."""
    csr, source, destination = graph.edges[edge_type], graph.node_ids[edge_type.source], graph.node_ids[edge_type.destination]
    found = {int(csr.edge_ids[i]): f"{source[int(csr.indices[i])]}{destination[node]}"
             for node in range(len(csr.indptr) - 1) for i in range(csr.indptr[node], csr.indptr[node + 1])}
    return [found[row] for row in range(len(found))]


CHANGED = people("g 80 Bonn x", "c 20 Essen y", "a 0 Cork a", "h - - x", "b 40 Bonn -")
"""Without d, e and f, with g and h, in another order, and some things are different."""
PLACE = {"file_name": "place.csv", "node": ["~id", "place"], "features": [
    {"feature": ["size", "size", "numerical"], "norm": "min-max"}, {"feature": ["sort", "sort", "none"]}]}
LIVES = {"file_name": "lives.csv", "source": ["~from", "person"], "relation": ["", "lives"], "dest": ["~to", "place"],
         "features": [{"feature": ["since", "since", "numerical"], "norm": "min-max"}]}
WITH_PLACES: Json = {"graph.nodes.1": PLACE, "graph.edges.1": LIVES}
PLACES = {"place.csv": "~id,size,sort\nr,1,town\ns,3,hamlet\n", "lives.csv": "~from,~to,since\na,r,10\nb,s,20\n"}
LIVES_IN = EdgeType("person", "lives", "place")
SINCE = {"feature": ["since", "since", "category"]}
OTHER = "in the data-processing job that this one builds on"
TWO_CHANGES = {"graph.nodes.0.features.2": SINCE, "graph.edges.0.features": []}
