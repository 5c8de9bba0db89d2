"""One layer of an R-GCN, forward and backward, beside PyTorch Geometric's on the same graph with the same weights, and the floor.

    python bench/rgcn.py [--peers PYTHON] [--data EXPORTS] [--rounds 3]

The graphs: 15,000 nodes, 500,000 edges of 474 relations (few have most of them), and with --data the exports aifb and fb15k-237 of
shared/data/make_exports.py, both directions. Width 100, 30 bases, means by relation. The floor is the layer's products of matrices
alone: a row for each node and relation that it receives from. All take turns; outputs are compared.

PyTorch Geometric is no dependency of Despina. It runs in another Python, PYTHON, and is left out without one:

    python -m venv PEERS && PEERS/bin/pip install torch==2.13.0 torch_geometric==2.8.1
    python bench/rgcn.py --peers PEERS/bin/python
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

WIDTH, BASES = 100, 30
NODES, EDGES, RELATIONS = 15_000, 500_000, 474
AIMS = {"pyg_over_ours": "at least 10", "ours_over_floor": "at most 2.5"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="a Python with PyTorch Geometric")
    parser.add_argument("--data", type=Path, help="exports")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        if options.run[0] == "ours":
            from despina.programs.allocator import keep_freed_memory

            keep_freed_memory()  # as a training does
        print(json.dumps(run(options.run[0], Path(options.run[1]))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for graph, arrays in graphs(options.data):
            folder = Path(name) / graph
            folder.mkdir()
            np.savez(folder / "graph.npz", **arrays)
            rows.append({"graph": graph, "edges": len(arrays["sources"]), **measure(folder, options.peers, options.rounds)})
            print(line(rows[-1]), flush=True)
    if not options.peers:
        print("PyTorch Geometric was left out: --peers (see --help)")
    print(json.dumps({"bench": "rgcn", "width": WIDTH, "bases": BASES, "rows": rows}))


def graphs(data: Path | None) -> list[tuple[str, dict[str, Any]]]:
    random = np.random.default_rng(0)
    popularity = 1 / np.arange(1, RELATIONS + 1)
    relations = np.concatenate([np.arange(RELATIONS), random.choice(RELATIONS, EDGES - RELATIONS, p=popularity / popularity.sum())])
    found = [("synthetic", {"nodes": NODES, "relations": relations, "sources": random.integers(0, NODES, EDGES),
                            "destinations": random.integers(0, NODES, EDGES)})]
    for name in ("aifb", "fb15k-237") if data else ():
        assert data is not None
        found.append((name, exported(data / name)))
    return found


def exported(export: Path) -> dict[str, Any]:
    """The edges of an export, in both directions; nodes of all types are numbered through."""
    from despina.artifacts import open_artifacts
    from despina.core.job import ProcessWork
    from despina.graph.graph import Graph
    from despina.programs import process
    from despina.programs.context import Context

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        stdout = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        process.run(ProcessWork(input=export.resolve().as_uri(), output=(folder / "out").as_uri(),
                                config_file_name="training-data-configuration.json"),
                    Context(folder=folder / "run", store=open_artifacts()))
        os.dup2(stdout, 1)
        graph = Graph.load(folder / "out" / "graph")
        starts = dict(zip(graph.node_counts, np.cumsum([0, *graph.node_counts.values()]), strict=False))
        parts = [(csr.ends()[0] + starts[kind.source], csr.ends()[1] + starts[kind.destination], np.full(len(csr.indices), i))
                 for i, (kind, csr) in enumerate(graph.edges.items())]
        sources, destinations, relations = (np.concatenate(column) for column in zip(*parts, strict=True))
        return {"nodes": sum(graph.node_counts.values()), "sources": sources, "destinations": destinations, "relations": relations}


def measure(folder: Path, peers: str | None, rounds: int) -> dict[str, Any]:
    """Medians of seconds and peak memory of each contestant, each round in a process of its own."""
    pythons = {"ours": sys.executable, "floor": sys.executable, **({"pyg": peers} if peers else {})}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    for _ in range(rounds):
        for name, python in pythons.items():
            done = subprocess.run([python, __file__, "--run", name, str(folder)], check=True, capture_output=True, text=True,
                                  env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path) if name != "pyg" else "",
                                       "OMP_WAIT_POLICY": "PASSIVE"})
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
    row: dict[str, Any] = {name: statistics.median(one["seconds"] for one in of) for name, of in results.items()}
    row |= {f"{name}_peak_mib": max(one["peak_mib"] for one in of) for name, of in results.items()}
    row["ours_over_floor"] = row["ours"] / row["floor"]
    if peers:
        row["pyg_over_ours"] = row["pyg"] / row["ours"]
        row["largest_difference"] = float(np.abs(np.load(folder / "ours.npy") - np.load(folder / "pyg.npy")).max())
    return row


def line(row: dict[str, Any]) -> str:
    said = (f"{row['graph']:10} {row['edges']:7} edges   ours {1000 * row['ours']:7.1f} ms, {row['ours_peak_mib']:5.0f} MiB   "
            f"floor {1000 * row['floor']:7.1f} ms   ours over floor {row['ours_over_floor']:.2f} (aim {AIMS['ours_over_floor']})")
    if "pyg" in row:
        said += (f"   PyG {1000 * row['pyg']:8.1f} ms, {row['pyg_peak_mib']:5.0f} MiB   PyG over ours {row['pyg_over_ours']:.1f} "
                 f"(aim {AIMS['pyg_over_ours']})   outputs differ by {row['largest_difference']:.1g}")
    return said


def run(name: str, folder: Path) -> dict[str, Any]:
    """The median seconds of some steps of one contestant."""
    graph = dict(np.load(folder / "graph.npz"))
    torch.manual_seed(0)
    relations = int(graph["relations"].max()) + 1
    x = torch.randn(int(graph["nodes"]), WIDTH)
    weights = {"bases": torch.randn(BASES, WIDTH, WIDTH) / 10, "coefficients": torch.randn(relations, BASES) / 5,
               "root": torch.randn(WIDTH, WIDTH) / 10}
    step, output = {"ours": ours, "pyg": pyg, "floor": floor}[name](graph, relations, x, weights)
    if output is not None:
        np.save(folder / f"{name}.npy", output)
    seconds = []
    for _ in range(2 if name == "pyg" else 7):
        begun = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begun)
    return {"seconds": statistics.median(seconds), "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


Made = tuple[Callable[[], None], Any]


def ours(graph: dict[str, Any], relations: int, x: torch.Tensor, weights: dict[str, torch.Tensor]) -> Made:
    from despina.graph.graph import Csr, EdgeType
    from despina.learn.adjacency import Adjacency
    from despina.learn.batches import Block
    from despina.learn.layers import RelationalConvolution

    count = len(x)
    types = tuple(EdgeType("node", f"r{i}", "node") for i in range(relations))
    adjacencies = {}
    for i, edge_type in enumerate(types):
        rows = graph["relations"] == i
        csr = Csr.group(graph["sources"][rows].astype(np.int32), graph["destinations"][rows].astype(np.int32), n_destination=count)
        adjacencies[edge_type] = Adjacency.of(csr, n_source=count)
    block = Block.of(adjacencies, {}, reads={"node": count}, computes={"node": count})
    layer = RelationalConvolution(WIDTH, types, bases=BASES, self_loop=True, edge_shapes={}, edge_hidden=1)
    with torch.no_grad():
        assert layer.coefficients is not None
        assert layer.self_loop is not None
        layer.matrices.copy_(weights["bases"])
        layer.coefficients.copy_(weights["coefficients"])
        layer.self_loop.copy_(weights["root"])
    x.requires_grad_()
    return lambda: layer(block, {"node": x})["node"].square().sum().backward(), layer(block, {"node": x})["node"].detach().numpy()


def pyg(graph: dict[str, Any], relations: int, x: torch.Tensor, weights: dict[str, torch.Tensor]) -> Made:
    from torch_geometric.nn import RGCNConv  # type: ignore[import-not-found,import-untyped,unused-ignore]

    edges = torch.from_numpy(np.stack([graph["sources"], graph["destinations"]]).astype(np.int64))
    kinds = torch.from_numpy(graph["relations"].astype(np.int64))
    layer = RGCNConv(WIDTH, WIDTH, relations, num_bases=BASES)
    with torch.no_grad():
        layer.weight.copy_(weights["bases"])
        layer.comp.copy_(weights["coefficients"])
        layer.root.copy_(weights["root"])
    x.requires_grad_()
    return lambda: layer(x, edges, kinds).square().sum().backward(), layer(x, edges, kinds).detach().numpy()


def floor(graph: dict[str, Any], _relations: int, _x: torch.Tensor, _weights: dict[str, torch.Tensor]) -> Made:
    """As many products as rows ask for: forward, for the gradient of the nodes, and for that of the weights."""
    pairs = np.unique(graph["relations"].astype(np.int64) * int(graph["nodes"]) + graph["destinations"])
    rows = len(pairs) + int(graph["nodes"])
    left, square = torch.randn(rows, WIDTH), torch.randn(WIDTH, WIDTH)
    out, small = torch.empty(rows, WIDTH), torch.empty(WIDTH, WIDTH)

    def step() -> None:
        torch.mm(left, square, out=out)
        torch.mm(left, square.T, out=out)
        torch.mm(left.T, out, out=small)

    return step, None


if __name__ == "__main__":
    main()
