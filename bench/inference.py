"""How fast endpoints answer, and how soon.

- A property of nodes, from what was predicted before: requests a second over eight connections with requests in flight on each,
  and the median time of one request after the other, beside a bare ASGI application on the same server software that sends the
  same bytes; they take turns. No two requests in a row ask for the same node.
- With ``--data``: the best ten tails among FB15k-237's 14,541 entities, one request after the other, beside the same query in
  plain NumPy (a product with all entities' vectors, and a sort). The model is trained for one epoch only: its width is that of the
  proposed configuration, and how good it is has no part in this.
- A node that the model has never seen, with ten edges in the request, by two hops with fanout 10.
- From the creation of an endpoint to its first answer; and updates of an endpoint that 64 connections ask without a pause,
  and kills of its only replica.

    python bench/inference.py [--data EXPORTS] [--rounds 5] [--seconds 1.0]

EXPORTS is a folder with the exports that shared/data/make_exports.py writes. All but the second part take the air routes of
``examples/``.
"""

import argparse
import asyncio
import csv
import json
import os
import signal
import socket
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from botocore import UNSIGNED
from botocore.config import Config
from list import Floor, exchange, median_time, serve, throughput, url_address  # type: ignore[import-not-found]

EXAMPLE = Path(__file__).parents[1] / "examples" / "air-routes"
AHEAD = (1, 8)
"""Requests in flight on each connection."""
SINGLES = 300
UPDATES, KILLS, LOAD = 5, 3, 64
Json = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    options = parser.parse_args()
    rows: Json = {}
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as folder:
        data = Path(folder) / "data"
        process, url = serve(data)
        world = World(url, data)
        try:
            world.train("routes", EXAMPLE)
            rows["create"] = creation(world)
            rows["property"] = properties(world, options.rounds, options.seconds)
            rows["inductive"] = inductive(world)
            rows["update"] = updates(world)
            rows["kill"] = kills(world)
            if options.data:
                rows["tails"] = tails(world, options.data / "fb15k-237")
        finally:
            for endpoint_id in world.neptune.list_ml_endpoints(maxItems=100)["ids"]:
                world.neptune.delete_ml_endpoint(id=endpoint_id)
            while world.neptune.list_ml_endpoints()["ids"]:
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
    print(json.dumps({"bench": "inference", **rows}))


class World:
    """A server with what is measured."""

    def __init__(self, url: str, data: Path) -> None:
        self.address, self.data = url_address(url), data
        config = Config(signature_version=UNSIGNED)
        self.neptune = boto3.client("neptunedata", endpoint_url=url, region_name="us-east-1", config=config)

    def finished(self, kind: str, job_id: str) -> Json:
        while (job := getattr(self.neptune, f"get_ml_{kind}_job")(id=job_id))["status"] == "InProgress":
            time.sleep(0.05)
        assert job["status"] == "Completed", job
        found: Json = job
        return found

    def process(self, name: str, export: Path) -> Path:
        self.neptune.start_ml_data_processing_job(id=name, inputDataS3Location=export.resolve().as_uri(),
                                                  processedDataS3Location="s3://bench/processed")
        location = self.finished("data_processing", name)["processingJob"]["outputLocation"]
        return self.data / "s3" / str(location).removeprefix("s3://")

    def train(self, name: str, export: Path, *, processed: bool = False) -> Path:
        if not processed:
            self.process(name, export)
        self.neptune.start_ml_model_training_job(id=name, dataProcessingJobId=name, trainModelS3Location="s3://bench/models",
                                                 maxHPONumberOfTrainingJobs=1)
        location = self.finished("model_training", name)["processingJob"]["outputLocation"]
        return self.data / "s3" / str(location).removeprefix("s3://")

    def create(self, name: str, job: str) -> None:
        self.neptune.create_ml_endpoint(id=name, mlModelTrainingJobId=job)
        while self.neptune.get_ml_endpoint(id=name)["status"] == "Creating":
            time.sleep(0.005)

    def ask(self, request: bytes) -> bytes:
        with socket.create_connection(self.address) as connection:
            return bytes(exchange(connection, request))


def invocation(name: str, body: Json) -> bytes:
    content = json.dumps(body).encode()
    return (f"POST /endpoints/{name}/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n").encode() + content


def of_node(name: str, node: str) -> bytes:
    return invocation(name, {"version": "v1", "data": {"globalParameters": {"topk": 1, "property": "continent"},
                                                       "nodes": [{"nodeId": node}]}})


def creation(world: World) -> Json:
    """Seconds from CreateMLEndpoint to the first answer."""
    times = []
    for number in range(5):
        name = f"new-{number}"
        begun = time.perf_counter()
        world.neptune.create_ml_endpoint(id=name, mlModelTrainingJobId="routes")
        while b" 200 OK" not in world.ask(of_node(name, "1")).partition(b"\r\n")[0]:
            time.sleep(0.005)
        times.append(time.perf_counter() - begun)
        world.neptune.delete_ml_endpoint(id=name)
    print(f"from creation to the first answer {statistics.median(times):.2f} s (aim 2)")
    return {"seconds": statistics.median(times)}


def properties(world: World, rounds: int, seconds: float) -> Json:
    """Requests a second, and the time of one, beside the floor."""
    world.create("routes", "routes")
    by_size = defaultdict(list)
    for node in nodes(EXAMPLE)[:2000]:
        request = of_node("routes", node)
        by_size[len(world.ask(request))].append(request)
    size, requests = max(by_size.items(), key=lambda item: len(item[1]))
    answer = world.ask(requests[0])
    found: Json = {"requests": len(requests)}
    with Floor(answer) as floor:
        singles = {"ours": [median_time(world.address, requests[0], size) for _ in range(rounds)],
                   "floor": [median_time(floor.address, requests[0], size) for _ in range(rounds)]}
        found |= {f"{name}_p50_ms": statistics.median(times) * 1000 for name, times in singles.items()}
        print(f"a property of a node: p50 {found['ours_p50_ms']:.3f} ms (aim 2), floor {found['floor_p50_ms']:.3f} ms")
        for ahead in AHEAD:
            rates: dict[str, list[float]] = {"ours": [], "floor": []}
            for _ in range(rounds):
                for name, address in (("ours", world.address), ("floor", floor.address)):
                    rates[name].append(asyncio.run(throughput(address, requests, size, seconds, ahead=ahead)))
            ratio = statistics.median(ours / bare for ours, bare in zip(rates["ours"], rates["floor"], strict=True))
            found |= {f"ahead_{ahead}": {"rps": statistics.median(rates["ours"]), "floor_rps": statistics.median(rates["floor"]),
                                         "ratio": ratio}}
            print(f"a property of a node, {ahead} in flight on each of eight connections: {statistics.median(rates['ours']):,.0f}/s"
                  f", floor {statistics.median(rates['floor']):,.0f}/s: {ratio:.2f} (aim 0.4)", flush=True)
    return found


def nodes(export: Path) -> list[str]:
    with next((export / "nodes").glob("airport*.csv")).open(newline="", encoding="utf-8") as file:
        return [row["~id"] for row in csv.DictReader(file)]


def inductive(world: World) -> Json:
    """One request after the other, each about another node that is in no graph."""
    random, known = np.random.default_rng(0), nodes(EXAMPLE)
    times = []
    with socket.create_connection(world.address) as connection:
        for number in range(SINGLES):
            new = f"new-{number}"
            request = invocation("routes", {
                "data": {"globalParameters": {"topk": 1, "fanout": 10}, "nodes": [{"nodeId": new}]},
                "subgraph": {"nodes": [{"id": new, "type": "airport", "properties": {
                    "runways": int(random.integers(1, 4)), "longest": int(random.integers(3000, 12000)), "elev": 100}}],
                    "edges": [{"from": new, "to": known[i], "type": "route"} for i in random.integers(0, len(known), 10)]}})
            begun = time.perf_counter()
            answer = exchange(connection, request)
            times.append(time.perf_counter() - begun)
            assert b"predictions" in answer, answer
    p50, first = statistics.median(times) * 1000, times[0] * 1000
    print(f"a node never seen, two hops, fanout 10: p50 {p50:.2f} ms (aim 15); the first, which imports torch, {first:.0f} ms")
    return {"p50_ms": p50, "first_ms": first}


class Load:
    """Clients that ask on ``LOAD`` connections, one request after the other on each, while something happens."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._requests = [of_node("routes", node) for node in nodes(EXAMPLE)[:200]]
        self._over = False
        self.answers, self.failed, self.longest = 0, 0, 0.0

    def during(self, happens: Callable[[], Coroutine[Any, Any, list[float]]]) -> list[float]:
        """What happens measures times; they are returned."""
        return asyncio.run(self._during(happens))

    async def _during(self, happens: Callable[[], Coroutine[Any, Any, list[float]]]) -> list[float]:
        clients = [asyncio.create_task(self._client(17 * number)) for number in range(LOAD)]
        await asyncio.sleep(0.3)
        self.longest = 0.0
        try:
            return await happens()
        finally:
            self._over = True
            await asyncio.gather(*clients)

    async def _client(self, number: int) -> None:
        reader, writer = await asyncio.open_connection(*self._world.address)
        while not self._over:
            number += 1
            begun = time.perf_counter()
            writer.write(self._requests[number % len(self._requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
            body = await reader.readexactly(length)
            self.longest = max(self.longest, time.perf_counter() - begun)
            self.answers += 1
            self.failed += not (head.startswith(b"HTTP/1.1 200") and b'"predictions"' in body)
        writer.close()


def updates(world: World) -> Json:
    """Updates under load."""
    load, got = Load(world), b"GET /ml/endpoints/routes HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def update() -> list[float]:
        times = []
        for number in range(UPDATES):
            begun = time.perf_counter()
            await asyncio.to_thread(world.neptune.create_ml_endpoint, id="routes", mlModelTrainingJobId="routes", update=True)
            name = b'config-%d"' % (number + 2)
            while name not in await asyncio.to_thread(world.ask, got):  # noqa: ASYNC110 - it is polled
                await asyncio.sleep(0.02)
            times.append(time.perf_counter() - begun)
            await asyncio.sleep(0.3)
        return times

    times = load.during(update)
    print(f"{UPDATES} updates under {LOAD} connections: {load.answers:,} requests, {load.failed} failed (aim 0); an update took "
          f"{statistics.median(times):.2f} s")
    return {"updates": UPDATES, "requests": load.answers, "failed": load.failed, "seconds": statistics.median(times)}


def kills(world: World) -> Json:
    """The only replica is killed under load: the longest that a request took each time."""
    load = Load(world)

    async def kill() -> list[float]:
        times = []
        for _ in range(KILLS):
            load.longest = 0.0
            await asyncio.to_thread(kill_replica, world)
            await asyncio.sleep(3)  # whoever waits this long is counted when he is answered
            times.append(load.longest)
        return times

    times = load.during(kill)
    print(f"the replica killed {KILLS} times, {LOAD} connections: {load.answers:,} requests, {load.failed} failed; the longest "
          f"that one took was {max(times):.2f} s (aim 3)", flush=True)
    return {"kills": KILLS, "requests": load.answers, "failed": load.failed, "seconds": times}


def kill_replica(world: World) -> None:
    """kill -9 of the process that serves."""
    details = json.loads(world.ask(b"GET /ml/endpoints/routes?details=true HTTP/1.1\r\nHost: localhost\r\n\r\n").partition(
        b"\r\n\r\n")[2])
    runs = {f"DESPINA_RUN_ID={replica['run']}".encode() for replica in details["details"]["replicas"]}
    killed = 0
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if (entry.name.isdigit() and runs & set((entry / "environ").read_bytes().split(b"\0"))
                    and b"supervisor.py" not in (entry / "cmdline").read_bytes()):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    assert killed, runs


def tails(world: World, export: Path) -> Json:
    """The best ten of all entities, beside the same in plain NumPy."""
    processed = world.process("fb", export)
    template = json.loads((processed / "hpo-configuration-templates" / "complex.json").read_bytes())
    model = template["models"][0]
    for tier in ("1-tier-param", "2-tier-param", "3-tier-param", "fixed-param"):
        model[tier] = [entry for entry in model[tier] if entry["param"] != "num-epochs"]
    model["fixed-param"].append({"param": "num-epochs", "type": "int", "default": 1})
    (processed / "model-hpo-configuration.json").write_text(json.dumps(template), encoding="utf-8")
    artefacts = world.train("fb", export, processed=True)
    world.create("fb", "fb")
    entities = np.load(artefacts / "embeddings" / "entity.npy")
    relations = np.load(artefacts / "embeddings" / "relation.npy")
    layout = json.loads((artefacts / "serving.json").read_bytes())
    edges = sorted((export / "edges").glob("*.csv"))
    heads, names = [], {relation[1]: number for number, relation in enumerate(layout["relations"])}
    for path in edges[:60]:
        with path.open(newline="", encoding="utf-8") as file:
            heads += [(row["~label"], row["~from"]) for row in list(csv.DictReader(file))[:10]]
    heads = [(relation, head) for relation, head in heads if relation in names]
    random = np.random.default_rng(0)
    ours, plain = [], []
    half = entities.shape[1] // 2
    with socket.create_connection(world.address) as connection:
        for i in random.integers(0, len(heads), SINGLES):
            relation, head = heads[i]
            request = invocation("fb", {"mode": "predict_tail", "data": {
                "globalParameters": {"topk": 10, "edgeType": relation}, "edges": [{"headNodeId": head}]}})
            begun = time.perf_counter()
            answer = exchange(connection, request)
            ours.append(time.perf_counter() - begun)
            assert b"predictions" in answer, answer
            vector, weights = entities[random.integers(0, len(entities))], relations[names[relation]]
            begun = time.perf_counter()
            real = vector[:half] * weights[:half] - vector[half:] * weights[half:]
            imaginary = vector[:half] * weights[half:] + vector[half:] * weights[:half]
            np.argsort(-(entities @ np.concatenate([real, imaginary])))[:10]
            plain.append(time.perf_counter() - begun)
    found = {"entities": len(entities), "width": int(entities.shape[1]), "p50_ms": statistics.median(ours) * 1000,
             "numpy_p50_ms": statistics.median(plain) * 1000}
    print(f"the best ten of {len(entities):,} tails, vectors of {entities.shape[1]} numbers: p50 {found['p50_ms']:.2f} ms (aim 5), "
          f"plain NumPy {found['numpy_p50_ms']:.2f} ms")
    return found


if __name__ == "__main__":
    main()
