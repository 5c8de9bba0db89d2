"""A tuning job of 8 trials on a Ray cluster with two workers, beside the same job on the same cluster with one.

    python bench/cluster.py [--rounds 2] [--epochs 50]

Workers are nodes of one core each on this machine, which needs two free ones. The trials are all the same (nothing is tuned), so
both sides do the same work: a two-layer R-GCN on a generated graph of 20,000 nodes and 300,000 edges. Times are those from POST to
Completed, with the strategy and the artefacts, for which there is one worker at a time. The floor beside them, in the same round:
how much faster two processes of plain arithmetic are at once than one after the other.
"""

import argparse
import csv
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

REPOSITORY = Path(__file__).parents[1]
sys.path.append(str(REPOSITORY))

from bench.jobs import wait  # noqa: E402 - the repository is no package
from tests.ray_cluster import RayCluster  # noqa: E402

NODES, EDGES, TRIALS = 20_000, 300_000, 8
TIERS = ("1-tier-param", "2-tier-param", "3-tier-param")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=50)
    options = parser.parse_args()
    rounds: dict[str, list[float]] = {"one": [], "two": [], "ratio": [], "arithmetic": []}
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        cluster = RayCluster(cores=1)
        server = None
        try:
            command = [sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", temporary, "--engine", cluster.url]
            server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            assert server.stdout is not None
            client = boto3.client("neptunedata", endpoint_url=server.stdout.readline().split()[-1], region_name="us-east-1",
                                  config=Config(signature_version=UNSIGNED))
            process(client, Path(temporary), options.epochs)
            tune(client, "warm", trials=1)
            for number in range(options.rounds):
                one = tune(client, f"one-{number}", trials=TRIALS)
                node = cluster.add_node(cores=1)
                two = tune(client, f"two-{number}", trials=TRIALS)
                cluster.kill(node)
                for name, value in (("one", one), ("two", two), ("ratio", one / two), ("arithmetic", arithmetic())):
                    rounds[name].append(value)
                print(f"one worker {one:6.1f} s   two {two:6.1f} s   ratio {one / two:.2f}   "
                      f"arithmetic {rounds['arithmetic'][-1]:.2f}", flush=True)
        finally:
            if server is not None:
                server.send_signal(signal.SIGTERM)
                server.wait()
            cluster.close()
    medians = {name: statistics.median(values) for name, values in rounds.items()}
    print(f"medians: one worker {medians['one']:.1f} s, two {medians['two']:.1f} s, ratio {medians['ratio']:.2f} "
          f"(two cores give {medians['arithmetic']:.2f})")
    print(json.dumps({"bench": "cluster", "trials": TRIALS, "epochs": options.epochs, "medians": medians, "rounds": rounds}))


def process(client: Any, data_dir: Path, epochs: int) -> None:
    """Process a generated export, and have nothing tuned."""
    export = write_export(data_dir / "s3" / "bench" / "export")
    client.start_ml_data_processing_job(id="dp", inputDataS3Location=f"s3://bench/{export.name}",
                                        processedDataS3Location="s3://bench/processed")
    job = wait(client.get_ml_data_processing_job, "dp")
    processed = data_dir / "s3" / str(job["processingJob"]["outputLocation"]).removeprefix("s3://")
    path = processed / "model-hpo-configuration.json"
    document = json.loads(path.read_text())
    model = document["models"][0]
    given = {"num-epochs": ("int", epochs), "enable-early-stop": ("bool", False)}
    fixed = [{"param": entry["param"], "type": entry["type"], "default": entry["default"]}
             for tier in (*TIERS, "fixed-param") for entry in model[tier] if entry["param"] not in given]
    model |= dict.fromkeys(TIERS, ())
    model["fixed-param"] = [*fixed, *({"param": name, "type": kind, "default": value} for name, (kind, value) in given.items())]
    path.write_text(json.dumps(document))


def write_export(folder: Path) -> Path:
    """Nodes of two colours, which follow a number and the colours around them."""
    generator = random.Random(0)
    folder.mkdir(parents=True)
    colours = [generator.choice(("red", "blue")) for _ in range(NODES)]
    with (folder / "nodes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("~id", "~label", "size", "colour"))
        writer.writerows((f"n{i}", "item", generator.gauss(1.0 if colour == "red" else -1.0, 2.0), colour)
                         for i, colour in enumerate(colours))
    with (folder / "edges.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("~id", "~label", "~from", "~to"))
        writer.writerows((f"e{i}", "link", f"n{generator.randrange(NODES)}", f"n{generator.randrange(NODES)}")
                         for i in range(EDGES))
    node = {"file_name": "nodes.csv", "separator": ",", "node": ["~id", "item"],
            "features": [{"feature": ["size", "size", "numerical"], "norm": "min-max", "imputer": "median"}],
            "labels": [{"label": ["colour", "classification"], "split_rate": [0.6, 0.2, 0.2]}]}
    edge = {"file_name": "edges.csv", "separator": ",",
            "source": ["~from", "item"], "relation": ["", "link"], "dest": ["~to", "item"]}
    (folder / "training-data-configuration.json").write_text(json.dumps(
        {"version": "v2.0", "query_engine": "gremlin", "graph": {"nodes": [node], "edges": [edge]}, "warnings": []}))
    return folder


def tune(client: Any, name: str, *, trials: int) -> float:
    """Seconds from POST to Completed of a training job."""
    begun = time.monotonic()
    client.start_ml_model_training_job(id=name, dataProcessingJobId="dp", trainModelS3Location="s3://bench/models",
                                       maxHPONumberOfTrainingJobs=trials, maxHPOParallelTrainingJobs=2)
    wait(client.get_ml_model_training_job, name, pause=0.25)  # to ask more often would take cores from the workers
    return time.monotonic() - begun


def arithmetic() -> float:
    """How much faster two processes are than one after the other."""
    command = [sys.executable, "-c", "sum(i * i for i in range(30_000_000))"]

    def seconds(at_once: int) -> float:
        begun = time.monotonic()
        for _ in range(2 // at_once):
            for process in [subprocess.Popen(command, env=os.environ) for _ in range(at_once)]:
                process.wait()
        return time.monotonic() - begun

    return seconds(1) / seconds(2)


if __name__ == "__main__":
    main()
