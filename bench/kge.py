"""A step of a knowledge-graph embedding, DistMult and ComplEx, beside PyKEEN's with the same objective, and the floor.

    python bench/kge.py [--peers PYTHON] [--rounds 3]

The graph has the size of FB15k-237: 14,541 entities, 237 relations, 272,115 triples, some of both much commoner than others. Every
triple is asked in both directions, the loss is the cross-entropy among all entities, vectors have 200 numbers, the optimiser is
Adagrad. A question is asked once with all its answers, in batches of 1,024 questions and, as PyKEEN, of 32: its DistMult makes an
array of batch x entities x 200 numbers, which at 1,024 would be 12 GB. The floor of a step are its three products: the scores, the
gradient of the questions and that of the entities. Each contestant is a process of its own, all take turns; ours are measured with
the allocator as it is and as a training has it (``programs/allocator.py``).

PyKEEN is no dependency of Despina. It runs in another Python, PYTHON, and is left out without one:

    python -m venv PEERS && PEERS/bin/pip install torch==2.13.0 pykeen==1.11.1
    python bench/kge.py --peers PEERS/bin/python
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

ENTITIES, RELATIONS, TRIPLES, NUMBERS = 14_541, 237, 272_115, 200
MODELS = ("distmult", "complex")
CONTESTANTS = {"ours": 1024, "ours, malloc as it is": 1024, "floor": 1024, "ours of 32": 32, "pykeen": 32}
AIMS = {"ours_over_pykeen": "at least 5", "ours_over_floor": "at most 1.3"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="a Python with PyKEEN")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(*options.run)))
        return
    rows = []
    for model in MODELS:
        results: dict[str, list[dict[str, float]]] = {}
        for _ in range(options.rounds):
            for name in CONTESTANTS:
                if name != "pykeen" or options.peers:
                    results.setdefault(name, []).append(in_process(name, model, options.peers))
        row: dict[str, Any] = {name: {what: statistics.median(one[what] for one in of) for what in of[0]}
                               for name, of in results.items()}
        row["ours_over_floor"] = row["ours"]["seconds"] / row["floor"]["seconds"]
        if options.peers:
            row["ours_over_pykeen"] = row["ours of 32"]["triples_a_second"] / row["pykeen"]["triples_a_second"]
        rows.append({"model": model, **row})
        for name in results:
            print(f"{model:9} {name:22} batch {CONTESTANTS[name]:5}   {1000 * row[name]['seconds']:8.1f} ms a step   "
                  f"{row[name]['triples_a_second']:8.0f} triples/s   peak {row[name]['peak_mib']:6.0f} MiB")
        for what, aim in AIMS.items():
            if what in row:
                print(f"{model:9} {what} {row[what]:.2f} (aim {aim})", flush=True)
    if not options.peers:
        print("PyKEEN was left out: --peers (see --help)")
    print(json.dumps({"bench": "kge", "rows": rows}))


def in_process(name: str, model: str, peers: str | None) -> dict[str, float]:
    python = peers if name == "pykeen" and peers else sys.executable
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": "" if name == "pykeen" else os.pathsep.join(sys.path)}
    done = subprocess.run([python, __file__, "--run", name, model], check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(name: str, model: str) -> dict[str, float]:
    """The median step of one contestant."""
    torch.manual_seed(0)
    heads, relations, tails = triples()
    steps = floor() if name == "floor" else pykeen(model, heads, relations, tails) if name == "pykeen" else ours(
        model, heads, relations, tails, CONTESTANTS[name], keep=name != "ours, malloc as it is")
    seconds, rates = [], []
    for number, (step, asked) in enumerate(steps):
        begun = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begun)
        rates.append(asked / seconds[-1])
        if number == (4 if name == "pykeen" else 11):
            break
    return {"seconds": statistics.median(seconds[2:]), "triples_a_second": statistics.median(rates[2:]),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


Arrays = np.ndarray[Any, np.dtype[np.int64]]
Steps = Iterator[tuple[Callable[[], object], float]]
"""Steps, each with the number of triples that it asks for, each in one of its two directions counting half."""


def triples() -> tuple[Arrays, Arrays, Arrays]:
    random = np.random.default_rng(0)
    common, popular = 1 / np.arange(1, RELATIONS + 1), 1 / np.arange(1, ENTITIES + 1) ** 0.6
    relations = random.choice(RELATIONS, TRIPLES, p=common / common.sum())
    heads, tails = (random.choice(ENTITIES, TRIPLES, p=popular / popular.sum()) for _ in range(2))
    return heads, relations, tails


def ours(model: str, heads: Arrays, relations: Arrays, tails: Arrays, batch: int, *, keep: bool) -> Steps:
    from despina.core.task import Task
    from despina.graph.graph import Csr, EdgeType, Graph, Labelled, Target, both_directions
    from despina.graph.ids import Ids
    from despina.learn.embedding import Embedding
    from despina.learn.hyperparameters import EmbeddingHyperparameters, read_parameters
    from despina.programs.allocator import keep_freed_memory

    if keep:
        keep_freed_memory()
    edges: dict[EdgeType, Csr] = {}
    by_type: dict[str | EdgeType, Labelled] = {}
    for i in range(RELATIONS):
        edge_type, rows = EdgeType("node", f"r{i}", "node"), relations == i
        edges |= both_directions(edge_type, heads[rows].astype(np.int32), tails[rows].astype(np.int32), {"node": ENTITIES})
        everything = np.ones(int(rows.sum()), dtype=np.bool_)
        by_type[edge_type] = Labelled(labels=None, train=everything, valid=~everything, test=~everything)
    graph = Graph(node_ids={"node": Ids.of(map(str, range(ENTITIES)))}, features={}, edges=edges, edge_features={}, raw_features={},
                  target=Target(task=Task.LINK_PREDICT, property_name="", by_type=by_type))
    width = NUMBERS if model == "distmult" else NUMBERS // 2
    given = read_parameters({"num-hidden": width, "batch-size": batch, "lr": 0.1, "regularization-coef": 0.01},
                            EmbeddingHyperparameters)
    objective = Embedding(graph, model, given, seed=0)
    objective.begin(1)
    answers = 2 * TRIPLES / (objective.per_epoch * batch) / 2

    def whole(step: Callable[[], torch.Tensor]) -> None:
        step().backward()  # type: ignore[no-untyped-call]
        for optimiser in objective.optimisers:
            optimiser.step()

    for step in objective.steps():
        yield (lambda step=step: whole(step)), answers * batch  # type: ignore[misc]


def pykeen(model: str, heads: Arrays, relations: Arrays, tails: Arrays) -> Steps:
    from pykeen.models import ComplEx, DistMult  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from pykeen.triples import CoreTriplesFactory  # type: ignore[import-not-found,import-untyped,unused-ignore]

    mapped = torch.from_numpy(np.stack([heads, relations, tails], axis=1))
    factory = CoreTriplesFactory(mapped, num_entities=ENTITIES, num_relations=RELATIONS, create_inverse_triples=True)
    made = (DistMult(triples_factory=factory, embedding_dim=NUMBERS) if model == "distmult"
            else ComplEx(triples_factory=factory, embedding_dim=NUMBERS // 2))
    optimiser = torch.optim.Adagrad(made.parameters(), lr=0.1)
    questions, answers = [], []
    groups: dict[tuple[int, int], list[int]] = {}
    for head, relation, tail in mapped[:4096].tolist():
        groups.setdefault((head, 2 * relation), []).append(tail)
        groups.setdefault((tail, 2 * relation + 1), []).append(head)
    for question, found in groups.items():
        questions.append(question)
        answers.append(found)
    batch = CONTESTANTS["pykeen"]

    def step(start: int) -> None:
        asked = torch.tensor(questions[start:start + batch])
        scores = made.score_t(asked, mode=None)
        lists = answers[start:start + batch]
        places = torch.tensor([i for i, of in enumerate(lists) for _ in of])
        torch.nn.functional.cross_entropy(scores[places], torch.tensor([one for of in lists for one in of])).backward()  # type: ignore[no-untyped-call,unused-ignore]
        optimiser.step()
        optimiser.zero_grad()

    for start in range(0, len(questions) - batch, batch):
        yield (lambda start=start: step(start)), sum(map(len, answers[start:start + batch])) / 2  # type: ignore[misc]


def floor() -> Steps:
    queries, entities = torch.randn(1024, NUMBERS), torch.randn(ENTITIES, NUMBERS)
    scores, of_queries, of_entities = torch.empty(1024, ENTITIES), torch.empty_like(queries), torch.empty_like(entities)

    def step() -> None:
        torch.mm(queries, entities.T, out=scores)
        torch.mm(scores, entities, out=of_queries)
        torch.mm(scores.T, queries, out=of_entities)

    while True:
        yield step, float("nan")


if __name__ == "__main__":
    main()
