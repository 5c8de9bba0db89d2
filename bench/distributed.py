"""Two workers of one thread each that train one model together, beside one worker of one thread.

    python bench/distributed.py --data EXPORTS [--nodes 500000] [CASE ...]

- movielens-100k-scale of shared/data/make_exports.py by an R-GCN with sampled neighbours, codex-s and fb15k-237 by a divided
  DistMult: seconds of an epoch (median of all but the first and the last, which also measures the model), and the metric of the
  test part, over three seeds (fb15k-237: one).
- A table of 500,000 entities and 200 numbers, three steps: the peak memory of each worker beyond what it had before it made its
  part. The floor of one worker: the table, its gradient and what Adagrad remembers of it, 1,144 MiB.

Each training is made of processes of its own; one and two workers take turns.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from despina.artifacts import open_artifacts
from despina.core.job import ProcessWork
from despina.core.task import Task
from despina.graph.graph import EdgeType, Graph, Labelled, Target, both_directions
from despina.graph.ids import Ids
from despina.learn.configuration import Evaluation
from despina.learn.evaluation import evaluate
from despina.learn.gradients import add_up
from despina.learn.hyperparameters import parameters_of, read_parameters
from despina.learn.predictor import predict_graph
from despina.learn.sharded import ShardedEmbedding
from despina.learn.tasks import objective_of
from despina.learn.trainer import train
from despina.learn.workers import ALONE, Workers, find, join, leave, meeting_place
from despina.programs import process as processing
from despina.programs.allocator import keep_freed_memory
from despina.programs.context import Context

HOST, COUNTS, STEPS = "127.0.0.1", (1, 2), 3


class Case(NamedTuple):
    """A training: of which model, with what parameters, judged by what, with how many seeds."""

    model: str
    metric: str
    parameters: dict[str, Any]
    seeds: int = 1


CASES = {
    "movielens-100k-scale": Case("rgcn", "acc", {"num-hidden": 64, "num-layer": 1, "fanout": [50], "batch-size": 1024, "lr": 0.003,
                                                 "num-epochs": 4}, seeds=3),
    "codex-s": Case("distmult", "mrr", {"num-hidden": 128, "batch-size": 1024, "num-epochs": 10}, seeds=3),
    "fb15k-237": Case("distmult", "mrr", {"num-hidden": 64, "batch-size": 1024, "num-epochs": 3}),
    "table": Case("distmult", "mrr", {"num-hidden": 200, "batch-size": 1024, "num-negs": 64}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all if none is given")
    parser.add_argument("--data", type=Path, required=True, help="exports")
    parser.add_argument("--nodes", type=int, default=500_000)
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as name:
        for case in options.cases or CASES:
            folder = Path(name) / case
            if case == "table":
                random_table(options.nodes).save(folder / "graph")
                rows[case] = tables(folder)
            else:
                process((options.data / case).resolve(), folder)
                rows[case] = trainings(case, folder)
    print(json.dumps({"bench": "distributed", "cores": len(os.sched_getaffinity(0)), "rows": rows}))


def trainings(case: str, folder: Path) -> dict[str, Any]:
    found: dict[int, list[dict[str, Any]]] = {count: [] for count in COUNTS}
    for seed in range(CASES[case].seeds):
        for count in COUNTS:
            found[count].append(in_processes(case, folder, seed=seed, count=count)[0])
    row: dict[str, Any] = {"ratio": statistics.median(
        one["seconds"] / two["seconds"] for one, two in zip(found[1], found[2], strict=True))}
    for count, runs in found.items():
        values = [run["value"] for run in runs]
        row[str(count)] = {"seconds": statistics.median(run["seconds"] for run in runs), "values": values}
        print(f"{case:22} {count} worker(s)   {row[str(count)]['seconds']:7.2f} s an epoch   "
              f"{CASES[case].metric} {statistics.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})", flush=True)
    print(f"{case:22} one over two {row['ratio']:.2f}", flush=True)
    return row


def tables(folder: Path) -> dict[str, Any]:
    row = {str(count): [run["mib"] for run in in_processes("table", folder, seed=0, count=count)] for count in COUNTS}
    for count, peaks in row.items():
        print(f"{'table':22} {count} worker(s)   peak of each, MiB: {', '.join(f'{peak:.0f}' for peak in peaks)}", flush=True)
    return row


def in_processes(case: str, folder: Path, *, seed: int, count: int) -> list[dict[str, Any]]:
    """What each worker has measured."""
    place = meeting_place(HOST)
    command = [sys.executable, __file__, "--worker", case, str(folder), str(seed), str(count), str(place.port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}
    workers = [subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True, env=environment) for rank in range(count)]
    said = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise SystemExit(f"{case}: a worker of {count} failed")
    return [json.loads(text.splitlines()[-1]) for text in said]


def work(arguments: list[str]) -> dict[str, Any]:
    """What one worker does."""
    case, folder, seed, count, port, rank = arguments
    keep_freed_memory()
    torch.set_num_threads(1)
    workers = ALONE if count == "1" else join(find(HOST, int(port)), rank=int(rank), count=int(count))
    graph = Graph.load(Path(folder) / "graph")
    found = grow(graph, workers) if case == "table" else learn(graph, CASES[case], int(seed), workers)
    leave()
    return found


def learn(graph: Graph, case: Case, seed: int, workers: Workers) -> dict[str, Any]:
    """Seconds of an epoch, and the metric of the test part, of which only the first worker's is right."""
    given = read_parameters(case.parameters | {"enable-early-stop": False}, parameters_of(case.model, graph.target.task))
    evaluation = Evaluation(metric=case.metric, frequency="evaluate_every_pct", every=1.0)
    objective = objective_of(graph, case.model, given, evaluation, seed=seed, workers=workers)
    curve = train(objective, given, evaluation, on_epoch=lambda *_: None).curve
    ends = [epoch.seconds for epoch in curve]
    value = 0.0
    if isinstance(objective, ShardedEmbedding):
        value = objective.evaluate()["test"][case.metric]
    elif workers.is_first:
        value = evaluate(objective.model, graph, predict_graph(objective.model, graph, given))["test"][case.metric]
    return {"seconds": float(np.median(np.diff(ends)[:-1])), "value": value}


def grow(graph: Graph, workers: Workers) -> dict[str, float]:
    """The peak of memory that three steps on a large table add, in MiB."""
    case = CASES["table"]
    before = peak()
    given = read_parameters(case.parameters, parameters_of(case.model, graph.target.task))
    objective = objective_of(graph, case.model, given, Evaluation(metric=case.metric), seed=0, workers=workers)
    objective.begin(1)
    for _, step in zip(range(STEPS), objective.steps(), strict=False):
        step().backward()  # type: ignore[no-untyped-call]
        add_up(workers, objective.shared)
        for optimiser in objective.optimisers:
            optimiser.step()
    return {"mib": peak() - before}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def process(export: Path, folder: Path) -> None:
    """Process an export, without what the program prints."""
    run = folder / "run"
    run.mkdir(parents=True)
    with contextlib.redirect_stdout(StringIO()):
        processing.run(ProcessWork(input=export.as_uri(), output=folder.as_uri(),
                                   config_file_name="training-data-configuration.json"),
                       Context(folder=run, store=open_artifacts()))


def random_table(nodes: int) -> Graph:
    """Twice as many random triples as entities, of one relation."""
    random = np.random.default_rng(0)
    heads, tails = (random.integers(0, nodes, 2 * nodes, dtype=np.int32) for _ in range(2))
    kind, parts = EdgeType("node", "link", "node"), random.integers(0, 1000, 2 * nodes)
    return Graph(node_ids={"node": Ids.of(map(str, range(nodes)))}, features={}, edge_features={}, raw_features={},
                 edges=both_directions(kind, heads, tails, {"node": nodes}),
                 target=Target(task=Task.LINK_PREDICT, property_name="", by_type={kind: Labelled(
                     labels=None, train=parts > 1, valid=parts == 1, test=parts == 0)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(work(sys.argv[2:])))
    else:
        main()
